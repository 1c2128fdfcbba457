"""`python -m bench.features`: online equals offline, bit for bit, on a million payments.

Generated payments with labels pass through the windows of a ledger block by block, and all features
that the blocks derive are compared with those that training folds from the same facts. Labels come
hours to weeks after their payment, some are corrected, and one payment in ten is booked days late.

Two runs: `--payments` through blocks that count attempts, derive features, apply labels and keep
rows as bytes between them; and `--whole` through a node, signatures, a live model and a rule
included, where the features are those in the receipts.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.bank import ASSET, CLERK_ACCOUNT, BenchBank, running_bank
from bench.screening import INPUTS, go_live
from cairn.exact.features import FEATURES, Vector
from cairn.exact.windows import DAY_MS, HOUR_MS
from cairn.learning.features import FeatureMatrix, LabelFact, fold_features
from cairn.ledger.changes import ChangeSet
from cairn.ledger.context import Context
from cairn.ledger.hooks import AdmittedOperation, Movement
from cairn.ledger.memory import MemoryState
from cairn.ledger.messages import Event, Message
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.ledger.state import WorkingState
from cairn.modules.bank.messages import Transfer
from cairn.modules.inference.events import PaymentScored
from cairn.modules.registry import standard_registry
from cairn.modules.screening import api as screening
from cairn.modules.screening.events import AttemptCounted
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.records import ATTEMPTS
from cairn.modules.screening.windows import relabel_attempt
from cairn.packs.payments.generator import GeneratorSettings, generate_payments
from cairn.primitives.hashes import sha256

PER_BLOCK = 500
PER_SIGNATURE = 50
NO_TERMINAL = b""


@dataclass(frozen=True)
class Facts:
    """What happened, in the order in which blocks count it."""

    booked_ms: list[int]
    payer: list[bytes]
    payee: list[bytes]
    terminal: list[bytes]
    amount_units: list[int]
    counted_ms: list[int]
    """Time of each payment's block."""
    labels: list[LabelFact]

    def fold(self, names: Sequence[str]) -> FeatureMatrix:
        """Return the features that training folds."""
        return fold_features(
            self.booked_ms,
            self.payer,
            self.payee,
            self.amount_units,
            terminal=self.terminal,
            label_facts=self.labels,
            counted_at_ms=self.counted_ms,
            names=names,
        )

    def blocks(self) -> Iterator[tuple[int, range, list[LabelFact]]]:
        """Yield time, payments and labels of each block; labels count after their block."""
        upcoming = iter(self.labels)
        label = next(upcoming, None)
        for first in range(0, len(self.booked_ms), PER_BLOCK):
            numbers = range(first, min(first + PER_BLOCK, len(self.booked_ms)))
            now_ms = self.counted_ms[first]
            due = []
            while label is not None and label.labelled_at_ms <= now_ms:
                due.append(label)
                label = next(upcoming, None)
            yield now_ms, numbers, due


def make_facts(count: int) -> Facts:
    """Return generated payments, with the time of their blocks and the fate of each label."""
    days = max(60, count // 10_000)
    settings = GeneratorSettings(
        seed=3, payments=count, days=days, customers=max(200, count // 100), terminals=3
    )
    data = generate_payments(settings)
    draw = np.random.default_rng(3)
    ids = {name: sha256(name.encode())[:20] for name in {*data.payer, *data.payee, *data.terminal}}
    ids[""] = NO_TERMINAL
    times = data.booked_at.tolist()
    counted = [times[min(at - at % PER_BLOCK + PER_BLOCK, count) - 1] for at in range(count)]
    for at in range(PER_BLOCK, count):  # Two blocks do not share a time.
        if at % PER_BLOCK == 0 and counted[at] <= counted[at - 1]:
            counted[at : at + PER_BLOCK] = [counted[at - 1] + 1] * len(counted[at : at + PER_BLOCK])
    late = np.where(draw.random(count) < 0.1, draw.integers(0, 6 * DAY_MS, count), 0)
    labels = []
    block_times = sorted(dict.fromkeys(counted))
    for number in np.flatnonzero((data.label == 1) | (draw.random(count) < 0.01)).tolist():
        delay_ms = int(draw.choice((HOUR_MS, 2 * DAY_MS, 9 * DAY_MS, 50 * DAY_MS)))
        for delay in (delay_ms, delay_ms + 5 * DAY_MS)[: 2 if draw.random() < 0.2 else 1]:
            place = int(np.searchsorted(block_times, counted[number] + delay))
            if place < len(block_times):
                is_fraud = delay == delay_ms
                labels.append(LabelFact(number, block_times[place], is_fraud))
    labels.sort(key=lambda fact: fact.labelled_at_ms)
    return Facts(
        booked_ms=[time_ms - int(by) for time_ms, by in zip(times, late, strict=True)],
        payer=[ids[name] for name in data.payer],
        payee=[ids[name] for name in data.payee],
        terminal=[ids[name] for name in data.terminal],
        amount_units=data.amount_units.tolist(),
        counted_ms=counted,
        labels=labels,
    )


# Through the windows of a ledger


def derive_in_blocks(facts: Facts) -> Iterator[list[Vector]]:
    """Yield the features that each block derives."""
    state, empty = MemoryState(), RecordOutcome(0, "genuine")
    for height, (now_ms, numbers, labels) in enumerate(facts.blocks(), 1):
        working = WorkingState(state)
        ctx = Context(working, chain_id="bench", height=height, time_ms=now_ms)
        operations = [
            AdmittedOperation(
                place,
                0,
                number.to_bytes(32, "big"),
                CLERK_ACCOUNT,
                empty,
                Movement(
                    facts.payer[number],
                    facts.payee[number],
                    ASSET,
                    facts.amount_units[number],
                    facts.booked_ms[number],
                    facts.terminal[number],
                ),
            )
            for place, number in enumerate(numbers)
        ]
        screening.record_attempts(ctx, operations)
        yield screening.features(ctx, [o.movement for o in operations if o.movement], FEATURES)
        for label, change in _changes(labels):
            _, attempt = ctx.series_get(ATTEMPTS, label.payment)
            relabel_attempt(ctx, attempt, change)
        changes = ChangeSet()
        working.fold(now_ms, changes)
        changes.nodes.clear()  # Merkle nodes, which nobody asks for here.
        state.apply(changes)


def _changes(labels: Sequence[LabelFact]) -> Iterator[tuple[LabelFact, int]]:
    """Yield labels with how they change the count of frauds; each payment is first genuine."""
    for label in labels:
        yield label, 1 if label.is_fraud else -1


# Through a node


def derive_on_node(facts: Facts) -> tuple[Facts, list[Vector]]:
    """Return the facts as the node's blocks timed them, and the features in the receipts."""
    parties = list(dict.fromkeys([*facts.payer, *facts.payee]))
    timed: list[int] = []
    vectors: list[Vector] = []
    attempts: list[int] = []
    labels: list[LabelFact] = []
    with running_bank(len(parties)) as bank:
        go_live(bank)
        account = dict(zip(parties, bank.accounts, strict=True))
        payer = [account[name] for name in facts.payer]
        payee = [account[name] for name in facts.payee]
        facts = replace(facts, payer=payer, payee=payee)
        for _, numbers, due in facts.blocks():
            parts = [numbers[at : at + PER_SIGNATURE] for at in range(0, PER_BLOCK, PER_SIGNATURE)]
            batches = [[_transfer(facts, number) for number in part] for part in parts if part]
            for event, time_ms in _submitted(bank, batches):
                if isinstance(event, PaymentScored):
                    vectors.append(event.features)
                    timed.append(time_ms)
                elif isinstance(event, AttemptCounted):
                    attempts.append(event.attempt)
            if due:
                told = [RecordOutcome(attempts[label.payment], _word(label)) for label in due]
                now_ms = next(_submitted(bank, [told]))[1]
                labels += [label._replace(labelled_at_ms=now_ms) for label in due]
    return replace(facts, counted_ms=timed, labels=labels), vectors


def _word(label: LabelFact) -> Literal["fraud", "genuine"]:
    return "fraud" if label.is_fraud else "genuine"


def _transfer(facts: Facts, number: int) -> Transfer:
    return Transfer(
        facts.payer[number],
        facts.payee[number],
        ASSET,
        facts.amount_units[number],
        facts.booked_ms[number],
        bytes(32),
        facts.terminal[number],
    )


def _submitted(
    bank: BenchBank, batches: Sequence[Sequence[Message]]
) -> Iterator[tuple[Event, int]]:
    """Submit one transaction for each batch; yield the events with the time of their block."""
    decode = standard_registry().event_decoder.decode
    outcomes = bank.run([bank.sign(*batch) for batch in batches])
    bank.check(outcomes)
    for outcome in outcomes:
        for operation in RECEIPT_DECODER.decode(outcome.receipt).operations:
            for raw in operation.events:
                yield decode(raw), outcome.time_ms


def main() -> int:
    """Run both, and say whether everything is equal."""
    parser = argparse.ArgumentParser(prog="bench.features", description=__doc__)
    parser.add_argument("--payments", type=int, default=1_000_000)
    parser.add_argument("--whole", type=int, default=5_000)
    arguments = parser.parse_args()
    equal = compare_blocks(make_facts(arguments.payments))
    began = time.perf_counter()
    facts, derived = derive_on_node(make_facts(arguments.whole))
    told = f"node: {len(derived):,} payments, {time.perf_counter() - began:.0f} s"
    is_same = np.array_equal(np.array(derived, np.int64), facts.fold(INPUTS))
    print(f"{told}, {len(INPUTS)} features: {_verdict(is_same)}")
    return 0 if equal and is_same else 1


def compare_blocks(facts: Facts) -> bool:
    """Derive and fold the same facts, print how long it took; return whether all is equal."""
    began = time.perf_counter()
    folded = facts.fold(FEATURES)
    fold_s = time.perf_counter() - began
    place, is_same = 0, True
    began = time.perf_counter()
    for vectors in derive_in_blocks(facts):
        part = folded[place : place + len(vectors)]
        is_same = is_same and np.array_equal(np.array(vectors, np.int64), part)
        place += len(vectors)
    blocks_s = time.perf_counter() - began
    used = int((folded != 0).any(axis=0).sum())
    print(
        f"blocks: {place:,} payments, {len(facts.labels):,} labels, {len(FEATURES)} features "
        f"({used} of them not always 0): {_verdict(is_same)}; "
        f"derived in {blocks_s:.0f} s, folded in {fold_s:.0f} s"
    )
    return is_same and place == len(facts.booked_ms)


def _verdict(is_same: bool) -> str:
    return "equal, bit for bit" if is_same else "DIFFERENT"


if __name__ == "__main__":
    sys.exit(main())
