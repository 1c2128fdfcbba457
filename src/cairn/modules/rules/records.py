"""Rows and series of the rules: versions, which one is live, switches, daily counts and firings."""

from typing import Literal

from cairn.ledger.records import Series, Table
from cairn.primitives.encoding import Record
from cairn.primitives.hashes import Digest, tagged_hash

RISK = "risk"
"""Role that submits, activates, switches and retires rules."""
COMPLIANCE = "compliance"
"""Role that may switch rules too."""
ACTIVATION = "rules"
"""Name of the policy under which the activation of a rule is approved."""

RuleAction = Literal["submitted", "activated", "switched_on", "switched_off", "retired"]

RULE_SIZE_BYTES_MAX = 16_384
DAY_MS = 86_400_000


class RuleName(Record):
    """The organisation that submits rules under a name, and what it did so far."""

    organisation: bytes
    version_count: int
    activation_count: int
    """How often a version was activated; part of what the next approval is for."""


class StoredRule(Record):
    """A submitted version of a rule; never changed, never deleted."""

    raw: bytes
    """Canonical bytes of the rule, as `exact.rules` defines them."""
    submitted_by: bytes
    submitted_ms: int


class LiveRule(Record):
    """Which version of a rule is live and whether it is on.

    A change acts from the next height: at `changed_height` itself the earlier state still holds.
    """

    version: int
    """0 when the rule is retired."""
    is_on: bool
    previous_version: int
    was_on: bool
    changed_height: int


class GlobalSwitch(Record):
    """Whether rules act at all; a change acts from the next height."""

    is_on: bool
    was_on: bool
    changed_height: int


class DailyCount(Record):
    """How many payments a rule held, refused or froze by itself on a day."""

    day: int
    """Days since the epoch, by block time."""
    count: int


class PendingFreeze(Record):
    """A freeze that a rule ordered in this block; carried out and gone when the block ends."""

    rule: str
    version: int
    until_ms: int


class RuleChange(Record):
    """Entry of `rules/changes`; it acts from the height after `height` on."""

    action: RuleAction
    rule: str
    """Empty where all rules were switched at once."""
    version: int
    """0 for a switch."""
    rule_digest: bytes
    """Digest of the rule's bytes; empty for a switch and a retirement."""
    height: int
    by: bytes
    approvers: tuple[bytes, ...]
    """Accounts whose approvals an activation rests on."""


class Firing(Record):
    """Entry of `rules/firings`: a rule's condition held for an operation."""

    rule: str
    version: int
    actions: tuple[str, ...]
    """What the rule did: `hold refuse freeze_payer freeze_payee emit`; those that another rule's
    decision or the daily cap kept it from are missing."""
    score_ppm: int
    """Score that the rule looked at first, or -1 where it looked at none."""
    transaction_id: bytes
    operation_index: int


NAMES: Table[RuleName] = Table("rules", "name", (str,), RuleName)
RULES: Table[StoredRule] = Table("rules", "rule", (str, int), StoredRule)
LIVE: Table[LiveRule] = Table("rules", "live", (str,), LiveRule, ordered=True)
SWITCH: Table[GlobalSwitch] = Table("rules", "switch", (), GlobalSwitch)
COUNTS: Table[DailyCount] = Table("rules", "count", (str,), DailyCount)
FREEZES: Table[PendingFreeze] = Table(
    "rules", "pending_freeze", (bytes,), PendingFreeze, ordered=True
)

CHANGES: Series[RuleChange] = Series("rules", "changes", (), RuleChange)
FIRINGS: Series[Firing] = Series("rules", "firings", (), Firing)


def rule_digest(raw: bytes) -> Digest:
    """Return the digest of a rule's canonical bytes."""
    return tagged_hash(b"cairn/rule", raw)


def activation_subject(rule: str, version: int, digest: bytes, activation_count: int) -> Digest:
    """Return what people approve: that this version of a rule is the next one to go live.

    `activation_count` is that of the rule's name, so that an approval is for one activation and
    not for a later return of the same version.
    """
    numbers = version.to_bytes(8, "big"), activation_count.to_bytes(8, "big")
    return tagged_hash(b"cairn/rule_activation", rule.encode(), digest, *numbers)


def effective(row: LiveRule, height: int) -> tuple[int, bool]:
    """Return the version that is live at `height`, or 0, and whether it is on."""
    if height <= row.changed_height:
        return row.previous_version, row.was_on
    return row.version, row.is_on
