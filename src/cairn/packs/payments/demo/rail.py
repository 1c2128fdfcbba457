"""Payments that settle on another rail: the ledger decides before it acts, and keeps its word."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from cairn.ledger.messages import Message
from cairn.modules.bank.messages import Transfer
from cairn.modules.decisions.events import Decided, ExecutionReported
from cairn.modules.decisions.messages import DecidePayment, ReportExecution, Review
from cairn.modules.decisions.records import (
    ALLOW,
    DECISIONS,
    HOLD,
    OVERRIDDEN,
    UNANSWERED,
)
from cairn.packs.payments.demo.bank import ANSWER_SECONDS, COMPLIANCE, RAIL, DemoBank
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.labels import LabelDesk
from cairn.sdk.outcomes import Final

PATIENCE_SECONDS = 30
POLL_SECONDS = 0.1


@dataclass(slots=True)
class Asked:
    """A payment of the other rail, and what became of the decision on it."""

    row: int
    """Within the stream."""
    decision: bytes
    verdict: str
    score_ppm: int
    amount_units: int
    is_fraud: bool
    made_ms: int
    is_allowed: bool
    """What the answer is by now."""
    status: str = ""
    """What the ledger makes of the rail's word."""


@dataclass(slots=True)
class Rail:
    """The other rail's side of the stream."""

    bank: DemoBank
    override_row: int
    """The payment on which the rail does otherwise than it was told."""
    silent_row: int
    """The payment about which it says nothing."""
    asked: list[Asked] = field(default_factory=list)
    _untold: list[Asked] = field(default_factory=list)

    def question(self, transfer: Transfer) -> DecidePayment:
        """Return what is asked before a payment settles elsewhere."""
        return DecidePayment(
            payer=transfer.payer,
            payee=transfer.payee,
            asset=transfer.asset,
            amount_units=transfer.amount_units,
            booked_at_ms=transfer.booked_at_ms,
            executor=self.bank.account(RAIL),
            reference=transfer.reference,
            terminal=transfer.terminal,
        )

    def hear(self, row: int, transfer: Transfer, final: Final, *, is_fraud: bool) -> Asked:
        """Return the ledger's answer on a payment."""
        final.check()
        decided = final.event(Decided)
        asked = Asked(
            row,
            decided.decision,
            decided.verdict,
            decided.score_ppm,
            transfer.amount_units,
            is_fraud,
            final.time_ms,
            decided.verdict == ALLOW,
        )
        self.asked.append(asked)
        if row != self.silent_row:
            self._untold.append(asked)
        return asked

    def review(self, asked: Sequence[Asked], desk: LabelDesk, first_row: int) -> None:
        """Let compliance decide on what is held, each by what it turns out to be."""
        held = [one for one in asked if one.verdict == HOLD]
        messages: list[Message] = []
        for one in held:
            one.is_allowed = not one.is_fraud
            if one.is_fraud:
                messages.append(Review(one.decision, "reject", "confirmed-fraud"))
            else:
                messages.append(Review(one.decision, "release", "genuine"))
            if (outcome := desk.message(first_row + one.row)) is not None:
                messages.append(outcome)
        if messages:
            time_ms = self.bank.client(COMPLIANCE).submit(*messages).time_ms
            for one in held:
                one.made_ms = time_ms

    @property
    def has_more(self) -> bool:
        """Whether the rail has done what it has not told yet."""
        return bool(self._untold)

    def report(self, *, at_least: int = 1) -> None:
        """Let the rail say what it did, if it is this much to say.

        Once it did otherwise, and about one it says nothing.
        """
        told, self._untold = self._untold, []
        if len(told) < at_least:
            self._untold = told
            return
        messages = [ReportExecution(one.decision, self._done(one), one.made_ms) for one in told]
        final = self.bank.client(RAIL).submit(*messages)
        reports = [event for event in final.events if isinstance(event, ExecutionReported)]
        for one, event in zip(told, reports, strict=True):
            one.status = event.status

    def _done(self, one: Asked) -> Literal["executed", "stopped"]:
        is_executed = one.is_allowed != (one.row == self.override_row)
        return "executed" if is_executed else "stopped"

    @property
    def overridden(self) -> Asked:
        """The decision that the rail did not keep to.

        Raises:
            DemoError: The ledger lists none.
        """
        for one in self.asked:
            if one.status == OVERRIDDEN:
                return one
        raise DemoError("the ledger lists no decision that was overridden")

    @property
    def silent(self) -> Asked:
        """The decision about which the rail says nothing."""
        return next(one for one in self.asked if one.row == self.silent_row)

    def await_unanswered(self) -> None:
        """Wait until the ledger lists the decision about which the rail says nothing.

        Raises:
            DemoError: It does not.
        """
        one, reader = self.silent, self.bank.client(COMPLIANCE)
        deadline = time.monotonic() + ANSWER_SECONDS + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            one.status = reader.require(DECISIONS, one.decision).status
            if one.status == UNANSWERED:
                return
            time.sleep(POLL_SECONDS)
        raise DemoError(f"the decision that the rail did not answer is {one.status}")
