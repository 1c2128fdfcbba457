"""The test period as a stream: one signature per payment, each scored in its block."""

import time
from dataclasses import dataclass, field

import numpy as np

from cairn.evidence.catalog import decode_event
from cairn.ledger.messages import Message
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
from cairn.modules.screening.messages import RecordOutcome
from cairn.packs.payments.demo.bank import COMPLIANCE, OFFICER, SERVICE, DemoBank
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.history import transfers_of
from cairn.packs.payments.demo.model import Trained
from cairn.packs.payments.demo.printing import Printer, Progress
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.records import LABEL_UNKNOWN
from cairn.primitives.hashes import sha256
from cairn.sdk.outcomes import Final

PAYMENTS_AT_ONCE = 250
"""Payments, each signed alone, that are submitted together."""
DECISIONS_PER_SIGNATURE = 50
STATEMENT = b"This payment is my own. I ask you to look at it again."
EXPIRY_PATIENCE_SECONDS = 30

SETTLED, RELEASED, RETURNED, EXPIRED = "settled", "released", "returned", "expired"


@dataclass(slots=True)
class Held:
    """A payment that the rule held, and what became of it."""

    row: int
    """Within the test period."""
    transaction_id: bytes
    attempt: int
    """Its position in `screening/attempts`."""
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
    """What happened in the test period."""

    started_ms: int
    """Block time before the first payment."""
    holds: list[Held] = field(default_factory=list)
    transaction_ids: list[bytes] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    """Positions of the payments in `screening/attempts`."""
    latencies_ms: list[float] = field(default_factory=list)
    """From handing a batch in until all of it was final, for each payment of the batch."""
    seconds: float = 0.0
    different: int = 0
    """Payments whose features or score on the ledger are not those computed outside."""
    story: Held | None = None
    """The hold that is appealed: a fraud, if one was held."""
    left: Held | None = None
    """The hold on which nobody decides."""

    def percentile_ms(self, share: int) -> float:
        """Return the latency that `share` percent of the payments stay within."""
        return float(np.percentile(self.latencies_ms, share))


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
    """Which payments will be held, as known from outside, and the two with a story of their own."""

    story_row: int
    left_row: int


class _Player:
    """Plays the test period on the bank's ledger."""

    def __init__(self, bank: DemoBank, data: DemoPayments, trained: Trained) -> None:
        self._bank = bank
        self._trained = trained
        self._first = data.test_row
        self._labels = data.payments.label[data.test_row :]
        self._transfers = transfers_of(bank, data, data.test_row, len(data.payments))
        self._plan = _plan(data, trained)
        self.stream = Stream(bank.connection.head().time_ms + 1)

    def play(self, progress: Progress) -> None:
        service = self._bank.client(SERVICE)
        started = time.monotonic()
        for first in range(0, len(self._transfers), PAYMENTS_AT_ONCE):
            part = self._transfers[first : first + PAYMENTS_AT_ONCE]
            handed_in = time.perf_counter()
            finals = service.submit_many([[transfer] for transfer in part])
            taken_ms = (time.perf_counter() - handed_in) * 1000
            self.stream.latencies_ms += [taken_ms] * len(part)
            placed = [
                held
                for row, (transfer, final) in enumerate(zip(part, finals, strict=True), first)
                if (held := self._look_at(row, transfer, final)) is not None
            ]
            self._decide(placed)
            progress.reach(first + len(part))
        self.stream.seconds = time.monotonic() - started

    def _look_at(self, row: int, transfer: Transfer, final: Final) -> Held | None:
        """Compare a payment's score with the one computed outside; return its hold, if it has one.

        Raises:
            RejectedError: The ledger refused the payment.
            DemoError: It neither settled nor was held.
        """
        final.check()
        stream = self.stream
        stream.transaction_ids.append(final.transaction_id)
        stream.attempts.append(final.event(AttemptCounted).attempt)
        scored = final.event(PaymentScored)
        expected = tuple(int(value) for value in self._trained.features[row])
        is_same = scored.features == expected
        if not is_same or scored.score_ppm != int(self._trained.scores_ppm[row]):
            stream.different += 1
        placed = final.find(HoldPlaced)
        if placed is None:
            final.event(TransferSettled)
            return None
        held = Held(
            row,
            final.transaction_id,
            stream.attempts[-1],
            placed.hold,
            transfer.amount_units,
            scored.score_ppm,
            bool(self._labels[row] == 1),
            bool(self._labels[row] != LABEL_UNKNOWN),
            final.height,
            final.time_ms,
            placed.expires_at_ms,
        )
        stream.holds.append(held)
        if row == self._plan.story_row:
            stream.story = held
        elif row == self._plan.left_row:
            stream.left = held
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
                if held.is_known:
                    messages.append(outcome_of(held))
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


def play(bank: DemoBank, data: DemoPayments, trained: Trained, out: Printer) -> Stream:
    """Send the test period's payments through the ledger, and decide on what is held.

    Raises:
        DemoError: The rule would hold fewer than two payments, or one had no known fate.
        CairnError: The node does not answer, or refuses a payment.
    """
    player = _Player(bank, data, trained)
    with out.progress("payments", len(data.payments) - data.test_row) as progress:
        player.play(progress)
    return player.stream


def outcome_of(held: Held) -> RecordOutcome:
    """Return the message about what a held payment turned out to be."""
    return RecordOutcome(held.attempt, "fraud" if held.is_fraud else "genuine")


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


def record_outcomes(bank: DemoBank, data: DemoPayments, stream: Stream) -> int:
    """Record what was found out later: frauds that settled, and the hold that expired."""
    held = {one.row for one in stream.holds}
    labels = data.payments.label[data.test_row :]
    missed = [int(row) for row in np.flatnonzero(labels == 1) if int(row) not in held]
    messages: list[Message] = [RecordOutcome(stream.attempts[row], "fraud") for row in missed]
    if stream.left is not None and stream.left.is_known:
        messages.append(outcome_of(stream.left))
    client = bank.client(COMPLIANCE)
    for start in range(0, len(messages), DECISIONS_PER_SIGNATURE):
        client.submit(*messages[start : start + DECISIONS_PER_SIGNATURE])
    told = sum(1 for one in stream.holds if one.is_known and one is not stream.left)
    return len(messages) + told


def _plan(data: DemoPayments, trained: Trained) -> _Plan:
    """Choose the hold to tell about and the one to leave alone, before anything is held.

    Raises:
        DemoError: The rule will hold fewer than two payments.
    """
    labels = data.payments.label[data.test_row :]
    rows = np.flatnonzero(trained.scores_ppm >= trained.threshold_ppm)
    if len(rows) < 2:
        raise DemoError(
            f"the rule will hold {len(rows)} payments of the test period, and the demo needs two",
            "take more payments with --limit, or payments with more known fraud",
        )
    genuine = [int(row) for row in rows if labels[row] != 1]
    left = genuine[-1] if genuine else int(rows[-1])
    others = [int(row) for row in rows if int(row) != left]
    frauds = [row for row in others if labels[row] == 1] or others
    # Late enough to have a past, early enough that much comes after it.
    later = [row for row in frauds if row >= len(labels) * 2 // 3] or frauds
    amounts = data.payments.amount_units[data.test_row :]
    return _Plan(max(later, key=lambda row: int(amounts[row])), left)
