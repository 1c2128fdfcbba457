"""Runs the demo: eight steps, from founding a bank to tampering with its evidence."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cairn.learning.backtest import BacktestReport
from cairn.learning.evaluation import EvaluationReport
from cairn.learning.training import TrainingSettings
from cairn.packs.payments.demo import telling
from cairn.packs.payments.demo.attacks_disk import try_data, try_disk
from cairn.packs.payments.demo.attacks_evidence import (
    run_without_first_hold,
    try_decision,
    try_evidence,
    try_front_door,
    try_rail,
)
from cairn.packs.payments.demo.attacks_history import Rewriting, later_transactions, try_history
from cairn.packs.payments.demo.attempts import Attempt, check_all_caught
from cairn.packs.payments.demo.bank import PASSPHRASE, DemoBank, found_bank
from cairn.packs.payments.demo.dataset import Registered, commit_payments
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.folder import DemoFolder, take_folder
from cairn.packs.payments.demo.history import Replayed, replay_history, transfers_of
from cairn.packs.payments.demo.labels import LabelDesk
from cairn.packs.payments.demo.model import (
    Evaluated,
    Live,
    Trained,
    evaluate_blindly,
    evaluate_live,
    plan_ahead,
    put_live,
    train,
)
from cairn.packs.payments.demo.pages import write_pages
from cairn.packs.payments.demo.printing import Printer
from cairn.packs.payments.demo.proofs import Proved, Verified, verify_apart, write_evidence
from cairn.packs.payments.demo.quality import Money, Quality, count_money, measure
from cairn.packs.payments.demo.result import DemoResult
from cairn.packs.payments.demo.rule import (
    DraftRule,
    Shadow,
    activate,
    rule_text,
    seen_in_shadow,
    submit,
    try_on_past,
    watch,
)
from cairn.packs.payments.demo.source import DemoPayments, generated, read_from
from cairn.packs.payments.demo.stream import Expiry, Player, Stream, await_expiry
from cairn.packs.payments.handbook import read_handbook, run_protocol

HOLD_SECONDS = 6
"""How long a hold of the demo lasts."""
CAP_SHARE = 3
"""The rule's daily cap is so many times the alert budget."""


@dataclass
class _Clock:
    """How long each step took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, out: Printer, name: str, title: str) -> Iterator[None]:
        out.step(f"{len(self.seconds) + 1}  {title}")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 2)


def run_demo(
    directory: Path,
    *,
    seed: int,
    data: Path | None,
    mapping: Path | None,
    limit: int | None,
    out: Printer,
    hold_seconds: int = HOLD_SECONDS,
) -> DemoResult:
    """Run the demo in a folder and leave evidence, trust file, report and numbers there.

    Args:
        directory: New, empty, or of a former demo, which is replaced.
        seed: Of the generated payments and of training.
        data: A CSV or Parquet file, or a folder of them; None generates payments.
        mapping: Which column of `data` is which; None for canonical names or a known folder.
        limit: Most payments to use; None for a number that takes about a minute.
        out: Where to print.
        hold_seconds: How long holds last.

    Raises:
        DemoError: The folder holds something else, or something did not come out as it must.
        LearningError: The payments cannot be read or learned from.
        CairnError, EvidenceError: Another part failed.
    """
    if mapping is not None and data is None:
        raise DemoError("--mapping without --data", "say which file it is about: --data FILE")
    payments = generated(seed, limit) if data is None else read_from(data, mapping, limit, seed)
    folder, is_replaced = take_folder(directory)
    out.step("Cairn: from payments to evidence that anybody can check")
    out.say(
        f"In the folder {directory}"
        + (" (the former run in it was replaced)" if is_replaced else "")
        + f", seed {seed}. Everything runs on this machine; nothing is asked."
    )
    demo = _Demo(folder, payments, seed, out, hold_seconds)
    try:
        result = demo.run()
    finally:
        demo.close()
        shutil.rmtree(folder.attacks, ignore_errors=True)
        folder.report.write_text(out.report, encoding="utf-8")
    check_all_caught(list(result.attempts))
    return result


@dataclass(frozen=True, slots=True)
class _Played:
    """What came of the stream."""

    stream: Stream
    shadow: Shadow
    expiry: Expiry
    report: EvaluationReport
    quality: Quality
    money: Money


class _Demo:
    """One run; each step leaves what the next ones need."""

    def __init__(
        self, folder: DemoFolder, data: DemoPayments, seed: int, out: Printer, hold_seconds: int
    ) -> None:
        self._folder = folder
        self._data = data
        self._seed = seed
        self._out = out
        self._hold_seconds = hold_seconds
        self._clock = _Clock()
        self._bank: DemoBank | None = None
        self._labels_before = 0
        self._live_plan = b""

    def close(self) -> None:
        """Stop node and witness, if they run."""
        bank, self._bank = self._bank, None
        if bank is not None:
            bank.close()

    def run(self) -> DemoResult:
        """Go through the steps."""
        out, data, step = self._out, self._data, self._clock.step
        started = time.monotonic()
        with step(out, "founding", "A bank founds its home ledger, and a supervisor watches"):
            bank = self._bank = found_bank(self._folder, data)
            telling.tell_founding(out, bank)
        desk = LabelDesk(bank, data)
        with step(out, "payments", "Payments: their quality, a commitment, their past"):
            registered, replayed = self._commit(bank, desk)
        with step(out, "model", "A model: planned, trained, evaluated on later labels, approved"):
            trained, evaluated, live = self._train(bank, registered, desk)
        with step(out, "rule", "A rule is tried on the past"):
            draft, backtest = self._draft(bank, trained)
        with step(out, "stream", "Payments stream in: the rule watches, then acts"):
            played = self._stream(bank, trained, evaluated, draft, desk)
        stream = played.stream
        with step(out, "evidence", "Evidence, verified with no node and no network"):
            proofs = self._prove(bank, stream, live)
            attacker = _Attacker(bank, data, stream, trained, registered)
            verified = self._verify(bank)
        with step(out, "tampering", "Tampering, each attempt found and named"):
            attempts, rewriting = attacker.attack(out)
        with step(out, "report", "Pages for people"):
            telling.tell_pages(out, self._folder)
        self._clock.seconds["all"] = round(time.monotonic() - started, 2)
        result = DemoResult(
            directory=self._folder.path,
            seed=self._seed,
            data=data,
            registered=registered,
            replayed=replayed,
            trained=trained,
            evaluated=evaluated,
            live=live,
            backtest=backtest,
            shadow=played.shadow,
            stream=stream,
            expiry=played.expiry,
            outcomes=desk.recorded,
            live_report=played.report,
            quality=played.quality,
            money=played.money,
            proofs=proofs,
            verified=verified,
            attempts=tuple(attempts),
            rewriting=rewriting,
            seconds=dict(self._clock.seconds),
        )
        self._summarise(result)
        return result

    def _commit(self, bank: DemoBank, desk: LabelDesk) -> tuple[Registered, Replayed]:
        registered = commit_payments(bank, self._data)
        telling.tell_data(self._out, bank, self._data, registered)
        replayed = replay_history(bank, self._data, desk, self._out)
        telling.tell_history(self._out, self._data, replayed)
        return registered, replayed

    def _train(
        self, bank: DemoBank, registered: Registered, desk: LabelDesk
    ) -> tuple[Trained, Evaluated, Live]:
        out, data = self._out, self._data
        trained = train(data, registered, self._seed)
        telling.tell_training(out, trained)
        evaluated = evaluate_blindly(bank, data, registered, trained, desk)
        telling.tell_evaluation(out, data, trained, evaluated)
        if data.handbook is not None:
            settings = TrainingSettings(seed=self._seed, threads=1)
            telling.tell_protocol(out, run_protocol(read_handbook(data.handbook), settings))
        live = put_live(bank, trained, evaluated)
        telling.tell_live(out, trained, live)
        self._labels_before = desk.recorded
        self._live_plan = plan_ahead(bank, data, registered, trained)
        return trained, evaluated, live

    def _draft(self, bank: DemoBank, trained: Trained) -> tuple[DraftRule, BacktestReport]:
        expected = int((trained.scores_ppm >= trained.threshold_ppm).sum())
        cap = max(expected, round(CAP_SHARE * trained.alert_share * len(trained.scores_ppm)))
        draft = submit(bank, rule_text(trained.threshold_ppm, self._hold_seconds, max(1, cap)))
        report = try_on_past(bank, self._data, draft)
        telling.tell_rule(self._out, self._data, draft, report)
        return draft, report

    def _stream(
        self,
        bank: DemoBank,
        trained: Trained,
        evaluated: Evaluated,
        draft: DraftRule,
        desk: LabelDesk,
    ) -> _Played:
        """Play the stream, let all of its labels come, and say how well it went."""
        out, data = self._out, self._data
        player = Player(bank, data, trained, desk)
        shadow = self._watch(bank, player, draft)
        expiry = self._act(bank, player, draft)
        stream = player.stream
        labels = (desk.recorded - self._labels_before, desk.record_rest())
        report = evaluate_live(bank, data, trained, evaluated.run, self._live_plan, desk)
        quality, money = measure(data, evaluated, stream), count_money(bank, data.asset)
        telling.tell_quality(out, data, stream, quality, labels)
        telling.tell_live_figures(out, report)
        telling.tell_money(out, data, money, desk.recorded)
        return _Played(stream, shadow, expiry, report, quality, money)

    def _watch(self, bank: DemoBank, player: Player, draft: DraftRule) -> Shadow:
        """Let the rule watch the first part of the stream."""
        watch(bank, draft)
        with self._out.progress("payments", player.stream.live_row) as progress:
            player.watch(progress)
        shadow = seen_in_shadow(bank, self._data, player.stream.transaction_ids)
        telling.tell_shadow(self._out, self._data, shadow)
        return shadow

    def _act(self, bank: DemoBank, player: Player, draft: DraftRule) -> Expiry:
        """Put the rule in force, stop the node and start it again, and play the other part."""
        activate(bank, draft)
        self._restart(bank)
        stream, data = player.stream, self._data
        with self._out.progress("payments", len(data.payments) - data.test_row) as progress:
            player.act(progress)
        if stream.story is None or stream.left is None or stream.lied is None:
            raise DemoError("the ledger did not hold the payments that the model finds risky")
        telling.tell_stream(self._out, data, stream)
        expiry = await_expiry(bank, stream)
        stream.rail.await_unanswered()
        telling.tell_rail(self._out, data, stream)
        telling.tell_expiry(self._out, data, stream, expiry)
        return expiry

    def _restart(self, bank: DemoBank) -> None:
        before = bank.connection.head()
        bank.close_node()
        bank.open_node()
        after = bank.connection.head()
        # An empty block, whose header commits to the hash, may have come in between.
        if before.app_hash != after.app_hash or before.height > after.height:
            raise DemoError("the node came back with another state")
        self._out.say(
            f"The node is stopped and started again: block {after.height}, application hash "
            f"{after.app_hash.hex()[:16]}…, as before."
        )

    def _prove(self, bank: DemoBank, stream: Stream, live: Live) -> tuple[Proved, ...]:
        """Write evidence and pages, while the node runs."""
        proofs = write_evidence(bank, stream)
        telling.tell_evidence(self._out, proofs)
        write_pages(bank, self._data, stream, live)
        return proofs

    def _verify(self, bank: DemoBank) -> tuple[Verified, ...]:
        """Stop the node, and have each file verified in a process of its own."""
        bank.close_node()
        self._out.say(
            "The bank's node is stopped. A process of its own gets one file and the trust file:"
        )
        found = []
        for path in (self._folder.payment, self._folder.decision, self._folder.period):
            found.append(verify_apart(self._folder, path))
            telling.tell_verified(self._out, found[-1])
        return tuple(found)

    def _summarise(self, result: DemoResult) -> None:
        """Write the numbers, and print what the demo leaves behind."""
        out, folder = self._out, self._folder
        text = json.dumps(result.figures, indent=2) + "\n"
        folder.figures.write_text(text, encoding="utf-8")
        out.step(f"Done in {result.seconds['all']:.0f} seconds")
        rows = [
            (str(path), what)
            for path, what in (
                (folder.page, "the report on the stream; the other pages are beside it"),
                (folder.payment, "evidence for one held payment"),
                (folder.decision, "evidence for one decision on another rail"),
                (folder.period, "evidence for the whole period"),
                (folder.trust, "what a verifier of them has to trust"),
                (folder.figures, "the numbers of this run"),
                (folder.report, "this text"),
                (folder.bank, f"the bank's workspace (passphrase of its keys: {PASSPHRASE})"),
            )
        ]
        out.table((), rows)
        out.say("Check them yourself:")
        out.quote(f"cairn verify {folder.payment} --trust {folder.trust} --replay")


class _Attacker:
    """Tampers with everything; what needs the running node is done when it is made."""

    def __init__(
        self,
        bank: DemoBank,
        data: DemoPayments,
        stream: Stream,
        trained: Trained,
        registered: Registered,
    ) -> None:
        assert stream.story is not None
        self._bank = bank
        self._data = data
        self._story = stream.story
        self._trained = trained
        self._registered = registered
        # Before anything else moves the head on which the evidence hangs.
        self._shorter = run_without_first_hold(bank)
        self._door = try_front_door(bank, transfers_of(bank, data, 0, 1)[0])
        self._door.append(try_rail(bank, stream.rail.silent))
        self._blocks = later_transactions(bank, self._story.placed_height)

    def attack(self, out: Printer) -> tuple[list[Attempt], Rewriting]:
        """Tamper with files and with copies of the ledger; tell and return every attempt."""
        bank, data, story = self._bank, self._data, self._story
        bank.folder.attacks.mkdir()
        attempts = try_evidence(bank, story, self._trained, self._shorter)
        attempts += try_decision(bank)
        attempts += self._door
        attempts.append(try_data(bank, data, self._registered))
        attempts += try_disk(bank, data, story, self._trained)
        rewriting = try_history(bank, story, self._blocks)
        attempts = [*attempts, *rewriting.attempts]
        telling.tell_attempts(out, attempts, rewriting)
        return attempts, rewriting
