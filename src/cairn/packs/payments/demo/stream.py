"""The stream: one signature per payment, each scored in its block; the rule watches, then acts."""

import time
from dataclasses import dataclass, field

import numpy as np

from cairn.evidence.catalog import decode_event
from cairn.ledger.messages import Message
from cairn.ledger.records import Asserted
from cairn.modules.bank.events import HoldExpired, HoldPlaced, TransferSettled
from cairn.modules.bank.messages import (
    AppealHold,
    ReleaseHold,
    ReturnHold,
    Transfer,
    UpholdHold,
)
from cairn.modules.bank.records import HOLDS
from cairn.modules.inference.events import PaymentScored
from cairn.modules.screening.events import AttemptCounted
from cairn.packs.payments.demo.bank import COMPLIANCE, OFFICER, SERVICE, DemoBank
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.history import transfers_of
from cairn.packs.payments.demo.labels import LabelDesk, spans
from cairn.packs.payments.demo.model import Trained
from cairn.packs.payments.demo.printing import Progress
from cairn.packs.payments.demo.rail import Asked, Rail
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.records import LABEL_UNKNOWN
from cairn.primitives.encoding import replace
from cairn.primitives.hashes import sha256
from cairn.sdk.outcomes import Final

PAYMENTS_AT_ONCE = 250
"""Payments, each signed alone, that are submitted together."""
DECISIONS_PER_SIGNATURE = 50
REPORTS_PER_SIGNATURE = 60
STATEMENT = b"This payment is my own. I ask you to look at it again."
EXPIRY_PATIENCE_SECONDS = 30
SHADOW_SHARE = 0.2
"""Share of the stream in which the rule only watches."""
RAIL_EVERY = 12
"""Each so many payments, one settles on the other rail."""
LIE = (Asserted("amount_over_payer_mean_ppm", 1_000_000), Asserted("payee_fraud_count_7d", 0))
"""What a submitter states about a payment that is risky."""

SETTLED, RELEASED, RETURNED, EXPIRED = "settled", "released", "returned", "expired"


@dataclass(slots=True)
class Held:
    """A payment that the rule held, and what became of it."""

    row: int
    """Within the stream."""
    transaction_id: bytes
    hold: bytes
    amount_units: int
    score_ppm: int
    is_fraud: bool
    is_known: bool
    """Whether the data say what it was; else it is taken for genuine."""
    placed_height: int
    placed_ms: int
    expires_at_ms: int
    fate: str = ""
    decided_ms: int = 0


@dataclass(slots=True)
class Stream:
    """What happened in the stream."""

    started_ms: int
    """Block time before the first payment."""
    live_row: int
    """The first payment on which the rule acts."""
    rail: Rail
    holds: list[Held] = field(default_factory=list)
    transaction_ids: list[bytes] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    """From handing a batch in until all of it was final, for each payment of the batch."""
    seconds: float = 0.0
    different: int = 0
    """Payments whose features or score on the ledger are not those computed outside."""
    story: Held | None = None
    """The hold that is appealed: a fraud, if one was held."""
    left: Held | None = None
    """The hold on which nobody decides."""
    lied: Held | None = None
    """The hold of a payment about which its submitter states what is not so."""

    def percentile_ms(self, share: int) -> float:
        """Return the latency that `share` percent of the payments stay within."""
        return float(np.percentile(self.latencies_ms, share))

    @property
    def stopped(self) -> list["Held | Asked"]:
        """Everything that the rule held, here and on the other rail."""
        return [*self.holds, *(one for one in self.rail.asked if one.verdict == "hold")]


@dataclass(frozen=True, slots=True)
class Expiry:
    """How the hold that was left alone ended."""

    height: int
    time_ms: int
    transactions: int
    """How many transactions its block holds."""
    is_settled: bool


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which payments have a story of their own, as known from outside; rows of the stream."""

    live_row: int
    story_row: int
    left_row: int
    lied_row: int
    rail_rows: tuple[int, ...]
    override_row: int
    silent_row: int


class Player:
    """Plays the stream on the bank's ledger."""

    def __init__(
        self, bank: DemoBank, data: DemoPayments, trained: Trained, desk: LabelDesk
    ) -> None:
        """Choose the payments with a story of their own.

        Raises:
            DemoError: The rule would hold fewer than two payments.
        """
        self._bank = bank
        self._data = data
        self._trained = trained
        self._desk = desk
        self._first = data.test_row
        self._labels = data.payments.label[data.test_row :]
        self._plan = plan = _plan(data, trained)
        self._rail_rows = dict.fromkeys(plan.rail_rows)
        transfers = transfers_of(bank, data, data.test_row, len(data.payments))
        transfers[plan.lied_row] = replace(transfers[plan.lied_row], asserted=LIE)
        self._transfers = transfers
        rail = Rail(bank, plan.override_row, plan.silent_row)
        self.stream = Stream(bank.connection.head().time_ms + 1, plan.live_row, rail)

    def watch(self, progress: Progress) -> None:
        """Play the part in which the rule only watches."""
        self._play(0, self._plan.live_row, progress)

    def act(self, progress: Progress) -> None:
        """Play the part in which the rule acts."""
        self._play(self._plan.live_row, len(self._transfers), progress)

    def _play(self, start: int, end: int, progress: Progress) -> None:
        data, first = self._data, self._first
        started = time.monotonic()
        for low, high in spans(data, first + start, first + end, PAYMENTS_AT_ONCE):
            self._desk.record_due(int(data.days[high - 1]))
            self._send(low - first, high - first)
            progress.reach(high - first)
        if self.stream.rail.has_more:
            self.stream.rail.report()
        self.stream.seconds += time.monotonic() - started

    def _send(self, low: int, high: int) -> None:
        """Send the payments of some rows, and let people act on what was held."""
        rail, service = self.stream.rail, self._bank.client(SERVICE)
        batches: list[list[Message]] = [
            [rail.question(transfer) if row in self._rail_rows else transfer]
            for row, transfer in enumerate(self._transfers[low:high], low)
        ]
        handed_in = time.perf_counter()
        finals = service.submit_many(batches)
        taken_ms = (time.perf_counter() - handed_in) * 1000
        self.stream.latencies_ms += [taken_ms] * len(finals)
        placed: list[Held] = []
        asked: list[Asked] = []
        for row, final in enumerate(finals, low):
            self._compare(row, final)
            transfer, is_fraud = self._transfers[row], bool(self._labels[row] == 1)
            if row in self._rail_rows:
                asked.append(rail.hear(row, transfer, final, is_fraud=is_fraud))
            elif (held := self._look_at(row, transfer, final)) is not None:
                placed.append(held)
        self._decide(placed)
        rail.review(asked, self._desk, self._first)
        rail.report(at_least=REPORTS_PER_SIGNATURE)

    def _compare(self, row: int, final: Final) -> None:
        """Note where a payment stands, and compare its score with the one computed outside.

        Raises:
            RejectedError: The payment was refused.
        """
        final.check()
        self.stream.transaction_ids.append(final.transaction_id)
        self._desk.attempts.append(final.event(AttemptCounted).attempt)
        scored = final.event(PaymentScored)
        expected = tuple(self._trained.features[row].tolist())
        is_same = scored.features == expected
        if not is_same or scored.score_ppm != int(self._trained.scores_ppm[row]):
            self.stream.different += 1

    def _look_at(self, row: int, transfer: Transfer, final: Final) -> Held | None:
        """Return the hold of a payment, if it was held."""
        placed = final.find(HoldPlaced)
        if placed is None:
            final.event(TransferSettled)
            return None
        held = Held(
            row,
            final.transaction_id,
            placed.hold,
            transfer.amount_units,
            final.event(PaymentScored).score_ppm,
            bool(self._labels[row] == 1),
            bool(self._labels[row] != LABEL_UNKNOWN),
            final.height,
            final.time_ms,
            placed.expires_at_ms,
        )
        self.stream.holds.append(held)
        if row == self._plan.story_row:
            self.stream.story = held
        elif row == self._plan.left_row:
            self.stream.left = held
        if row == self._plan.lied_row:
            self.stream.lied = held
        return held

    def _decide(self, placed: list[Held]) -> None:
        """Let compliance decide on new holds, but for the one that is left alone."""
        decided = [held for held in placed if held is not self.stream.left]
        if any(held is self.stream.story for held in decided):
            self._appeal()
        for start in range(0, len(decided), DECISIONS_PER_SIGNATURE // 2):
            part = decided[start : start + DECISIONS_PER_SIGNATURE // 2]
            messages: list[Message] = []
            for held in part:
                held.fate = RETURNED if held.is_fraud else RELEASED
                if held.is_fraud:
                    messages.append(ReturnHold(held.hold, "confirmed-fraud"))
                else:
                    messages.append(ReleaseHold(held.hold, "genuine"))
                if (outcome := self._desk.message(self._first + held.row)) is not None:
                    messages.append(outcome)
            final = self._bank.client(COMPLIANCE).submit(*messages)
            for held in part:
                held.decided_ms = final.time_ms

    def _appeal(self) -> None:
        """Let the payer's side appeal, and a second officer answer."""
        story = self.stream.story
        assert story is not None
        self._bank.client(SERVICE).submit(AppealHold(story.hold, sha256(STATEMENT)))
        if story.is_fraud:
            self._bank.client(OFFICER).submit(UpholdHold(story.hold, "payer-does-not-know-payee"))


def await_expiry(bank: DemoBank, stream: Stream) -> Expiry:
    """Wait, doing nothing, until the hold that was left alone has expired.

    Raises:
        DemoError: It does not.
    """
    left = stream.left
    assert left is not None
    height = left.placed_height
    deadline = left.expires_at_ms / 1000 + EXPIRY_PATIENCE_SECONDS
    while time.time() < deadline:
        page = bank.connection.events(height, limit=1_000, wait_ms=500)
        for item in page.events:
            event = decode_event(item.event)
            if isinstance(event, HoldExpired) and event.hold == left.hold:
                left.fate, left.decided_ms = EXPIRED, item.time_ms
                block = bank.connection.block(item.height)
                return Expiry(item.height, item.time_ms, len(block.transactions), event.settled)
        height = page.next_height
    status = bank.client(COMPLIANCE).require(HOLDS, left.hold).status
    raise DemoError(f"the hold that nobody decided on did not expire: it is {status}")


def _plan(data: DemoPayments, trained: Trained) -> _Plan:
    """Choose the payments with a story of their own, before anything is held.

    Raises:
        DemoError: The rule will hold fewer than two payments.
    """
    labels = data.payments.label[data.test_row :]
    live = round(len(labels) * SHADOW_SHARE)
    risky = np.flatnonzero(trained.scores_ppm >= trained.threshold_ppm)
    rows = [int(row) for row in risky if row >= live]
    if len(rows) < 2:
        raise DemoError(
            f"the rule will hold {len(rows)} payments of the test period, and the demo needs two",
            "take more payments with --limit, or payments with more known fraud",
        )
    genuine = [row for row in rows if labels[row] != 1]
    left = genuine[-1] if genuine else rows[-1]
    others = [row for row in rows if row != left]
    frauds = [row for row in others if labels[row] == 1] or others
    # Late enough to have a past, early enough that much comes after it.
    later = [row for row in frauds if row >= len(labels) * 2 // 3] or frauds
    amounts = data.payments.amount_units[data.test_row :]
    story = max(later, key=lambda row: int(amounts[row]))
    lied = next((row for row in frauds if row != story), story)
    told = (story, left, lied)
    rail = [row for row in range(live, len(labels)) if row % RAIL_EVERY == 0 and row not in told]
    stopped = [row for row in rail if trained.scores_ppm[row] >= trained.threshold_ppm]
    override = next(
        (row for row in stopped if labels[row] == 1), stopped[0] if stopped else rail[0]
    )
    silent = next(row for row in rail if row != override and row not in stopped)
    return _Plan(live, story, left, lied, tuple(rail), override, silent)
