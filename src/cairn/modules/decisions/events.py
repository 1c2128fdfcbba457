"""Facts about decisions."""

from typing import Literal

from cairn.ledger.messages import Event


class Decided(Event, tag="decisions/decided"):
    """A decision stands."""

    decision: bytes
    verdict: Literal["allow", "hold", "refuse"]
    basis: str
    """Why: `rule`, `screened`, `no_rule` or `frozen`."""
    rule: str
    """The rule that decided; empty unless the basis is `rule`."""
    version: int
    score_ppm: int
    """Score that the rule looked at, or that the case has; -1 where there is none."""
    executor: bytes
    expires_at_ms: int
    """When a hold ends by itself; 0 where nothing is held."""
    allow_on_expiry: bool
    due_ms: int
    """By when the executor has to say what it did; for a hold if nobody decides before."""


class Reviewed(Event, tag="decisions/reviewed"):
    """A person decided on a held one."""

    decision: bytes
    ruling: Literal["release", "reject"]
    by: bytes
    reason: str
    due_ms: int


class HoldExpired(Event, tag="decisions/hold_expired"):
    """Nobody decided in time; it may go on (allowed) or not, as the rule said."""

    decision: bytes
    allowed: bool
    due_ms: int


class ExecutionReported(Event, tag="decisions/execution_reported"):
    """The executor said what it did."""

    decision: bytes
    done: Literal["executed", "stopped"]
    acted_ms: int
    by: bytes
    status: Literal["enforced", "overridden", "late"]
    """What that means beside the decision."""


class LeftUnanswered(Event, tag="decisions/left_unanswered"):
    """The executor did not say in time what it did."""

    decision: bytes
