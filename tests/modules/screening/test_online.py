"""Online equals offline: what blocks derive is what training folds, labels and all."""

from dataclasses import dataclass, field, replace
from random import Random

import pytest

from cairn.exact.features import FEATURES, Vector
from cairn.exact.rules import Compare, Emit
from cairn.exact.windows import DAY_MS, EMPTY, HOUR_MS
from cairn.learning.features import LabelFact, fold_features
from cairn.ledger.messages import Message
from cairn.ledger.records import Asserted
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.bank.events import HoldPlaced, TransferSettled
from cairn.modules.bank.messages import Transfer
from cairn.modules.inference.events import PaymentScored
from cairn.modules.rules.events import RuleFired
from cairn.modules.screening.events import AttemptCounted
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.queries import get_attempt, get_terminal_window, list_attempts
from cairn.primitives.encoding import replace as replaced
from cairn.primitives.hashes import sha256
from tests.modules.founding import (
    CUSTOMERS,
    activate,
    amount_model,
    found,
    go_live,
    hold_rule,
    pay,
)
from tests.modules.harness import Harness, Outcome

TERMINALS = (b"", *(sha256(b"terminal %d" % number)[:20] for number in range(3)))
BLOCKS = 260


@dataclass
class History:
    """What a ledger was told, as columns for the fold, and what it derived."""

    random: Random
    payments: list[Transfer] = field(default_factory=list)
    counted_ms: list[int] = field(default_factory=list)
    derived: list[Vector] = field(default_factory=list)
    labels: dict[int, bool] = field(default_factory=dict)
    facts: list[LabelFact] = field(default_factory=list)

    def payment(self, ledger: Harness, block_ms: int) -> Transfer:
        """Return a payment, often booked earlier than the block and at times later."""
        random = self.random
        payer, payee = random.sample(range(CUSTOMERS), 2)
        late_ms = random.choice((0, 0, 60_000, 5 * HOUR_MS, 6 * DAY_MS, -2 * HOUR_MS))
        amount = random.choice((1, 40, 900, 2_000_000_000))
        one = pay(ledger, payer, payee, amount, booked_at_ms=block_ms - late_ms)
        return replaced(one, terminal=random.choice(TERMINALS))

    def label(self) -> Message | None:
        """Return a label of some payment, early or months late, perhaps a correction."""
        if not self.payments or self.random.random() < 0.2:
            return None
        reach = self.random.choice((20, 400, 4_000))
        number = self.random.randrange(max(0, len(self.payments) - reach), len(self.payments))
        self.labels[number] = not self.labels.get(number, False)
        return RecordOutcome(number, "fraud" if self.labels[number] else "genuine")

    def take(self, outcomes: list[Outcome], block_ms: int) -> None:
        """Take over what a block derived."""
        for outcome in outcomes:
            events = outcome.events
            self.derived += [e.features for e in events if isinstance(e, PaymentScored)]
            counted = [e.attempt for e in events if isinstance(e, AttemptCounted)]
            self.counted_ms += [block_ms] * len(counted)

    def folded(self) -> list[Vector]:
        """Return the features that training derives from the same facts."""
        clamped = zip(self.payments, self.counted_ms, strict=True)
        rows = fold_features(
            [min(one.booked_at_ms, counted_ms) for one, counted_ms in clamped],
            [one.payer for one in self.payments],
            [one.payee for one in self.payments],
            [one.amount_units for one in self.payments],
            terminal=[one.terminal for one in self.payments],
            label_facts=self.facts,
            counted_at_ms=self.counted_ms,
        )
        return [tuple(row) for row in rows.tolist()]


@pytest.fixture(scope="module")
def base() -> Harness:
    """Return a ledger that scores every payment on all features."""
    ledger = found(check_invariants=False)
    go_live(ledger, "fraud", amount_model(0))
    rule = hold_rule("watch", Compare("model:fraud", ">=", 0), actions=(Emit("seen"),))
    activate(ledger, rule)
    return ledger


def test_blocks_derive_what_training_folds(base: Harness) -> None:
    ledger, history = base, History(Random(4))
    for _ in range(BLOCKS):
        block_ms = ledger.head.time_ms + history.random.choice((1_000, HOUR_MS, 20 * HOUR_MS))
        messages = [history.payment(ledger, block_ms) for _ in range(history.random.randrange(16))]
        label = history.label()
        if messages:
            ledger.submit("pia", *messages, mode=INDEPENDENT)
        if label is not None:
            assert isinstance(label, RecordOutcome)
            ledger.submit("cora", label)
            fact = LabelFact(label.attempt, block_ms, label.label == "fraud")
            history.facts.append(fact)
        outcomes = ledger.block(time_ms=block_ms)
        assert label is None or outcomes[-1].codes == ("ok",)
        history.payments += messages
        history.take(outcomes, block_ms)
    assert len(history.derived) == len(history.payments) > 1_500
    assert len(history.facts) > 150
    expected = history.folded()
    assert history.derived == expected
    columns = dict(zip(FEATURES, zip(*expected, strict=True), strict=True))
    assert max(columns["payee_fraud_count_30d"]) > 1
    assert max(columns["terminal_fraud_ppm_7d"]) > 0
    assert max(columns["terminal_distinct_7d"]) == CUSTOMERS
    without = replace(history, facts=[]).folded()
    assert without != expected, "labels decide features"


def test_attempts_are_on_record_in_the_order_of_the_block() -> None:
    ledger = found(check_invariants=False)
    payments = [
        replaced(pay(ledger, 0, 1, 5), terminal=TERMINALS[1]),
        pay(ledger, 1, 2, 99_000_000),
        pay(ledger, 2, 3, 7, booked_at_ms=ledger.head.time_ms + DAY_MS),
    ]
    outcome = ledger.run("pia", *payments, mode=INDEPENDENT)
    assert outcome.codes == ("ok", "bank/insufficient_funds", "ok")
    counted = [event.attempt for event in outcome.events if isinstance(event, AttemptCounted)]
    assert counted == [0, 1, 2]
    entries = [entry for _, entry in list_attempts(ledger.context())]
    assert [entry.operation_index for entry in entries] == [0, 1, 2]
    assert [entry.amount_units for entry in entries] == [5, 99_000_000, 7]
    assert [entry.terminal for entry in entries] == [TERMINALS[1], b"", b""]
    assert entries[2].booked_at_ms == ledger.head.time_ms
    assert get_attempt(ledger.context(), 1) == entries[1]
    assert get_attempt(ledger.context(), 3) is None
    assert get_terminal_window(ledger.context(), "eur", TERMINALS[1]).day_counts == (1,)
    assert get_terminal_window(ledger.context(), "eur", TERMINALS[2]) == EMPTY
    refused = ledger.run("bob", pay(ledger, 0, 1, 5))
    assert refused.codes == ("bank/not_authorised",)
    assert not [event for event in refused.events if isinstance(event, AttemptCounted)]


def test_a_liar_is_still_held_by_what_the_ledger_derives() -> None:
    ledger = found(check_invariants=False)
    trusting = Compare("asserted:payer_count_1h", ">=", 3)
    activate(ledger, hold_rule("trusting", trusting, priority=2))
    activate(ledger, hold_rule("derived", Compare("feature:payer_count_1h", ">=", 3)))
    honest, lie = (Asserted("payer_count_1h", count) for count in (3, 0))
    for _ in range(3):
        paid = ledger.done("pia", replaced(pay(ledger, 0, 1, 5), asserted=(lie,)))
        assert paid.event(TransferSettled).amount_units == 5
    held = ledger.done("pia", replaced(pay(ledger, 0, 1, 5), asserted=(lie,)))
    assert held.event(HoldPlaced).rule == "derived"
    assert held.event(RuleFired).inputs == (3,)
    silent = ledger.done("pia", pay(ledger, 0, 1, 5))
    assert silent.event(HoldPlaced).rule == "derived"
    stated = ledger.done("pia", replaced(pay(ledger, 2, 1, 5), asserted=(honest,)))
    assert stated.event(HoldPlaced).rule == "trusting"


@pytest.mark.parametrize(
    "stated",
    [
        {"terminal": b"\x01" * 19},
        {"asserted": (Asserted("b", 1), Asserted("a", 1))},
        {"asserted": (Asserted("a", 1), Asserted("a", 2))},
    ],
)
def test_what_is_stated_has_one_form(stated: dict[str, object]) -> None:
    ledger = found(check_invariants=False)
    ledger.refused("pia", replaced(pay(ledger, 0, 1, 5), **stated), "ledger/invalid_message")


def test_a_terminal_and_what_is_stated_are_paid_for() -> None:
    ledger = found(check_invariants=False)
    spec = ledger.ledger.registry.specs[Transfer]
    assert callable(spec.cost)
    plain = pay(ledger, 0, 1, 5)
    stated = tuple(Asserted(f"n{number:02}", number) for number in range(16))
    there = replaced(plain, terminal=TERMINALS[1])
    both = replaced(there, asserted=stated)
    assert spec.cost(plain) < spec.cost(there) < spec.cost(both)
    assert ledger.done("pia", both).event(TransferSettled).amount_units == 5
    more = replaced(both, asserted=(*stated, Asserted("n99", 1)))
    assert ledger.run("pia", more).code == "ledger/malformed_transaction"
