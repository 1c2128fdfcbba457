"""Rows and series of the rules: versions and their stages, switches, daily counts and firings."""

from typing import Literal

from cairn.ledger.records import Series, Table
from cairn.primitives.encoding import Record
from cairn.primitives.hashes import Digest, tagged_hash

RISK = "risk"
"""Role that submits rules, takes them from stage to stage, switches and retires them."""
COMPLIANCE = "compliance"
"""Role that may switch rules too."""
ACTIVATION = "rules"
"""Name of the policy under which a rule's entry into shadow and its activation are approved."""

RuleAction = Literal[
    "submitted",
    "backtested",
    "shadowed",
    "shadow_ended",
    "activated",
    "switched_on",
    "switched_off",
    "retired",
]

RULE_SIZE_BYTES_MAX = 16_384
DAY_MS = 86_400_000


class RuleName(Record):
    """The organisation that submits rules under a name, and what it did so far."""

    organisation: bytes
    version_count: int
    activation_count: int
    """How often a version was activated; part of what the next approval is for."""
    shadow_count: int
    """The same for shadows."""
    scope: str
    """What all its versions judge: payments, if it is empty, or the decisions of a deployment."""


class StoredRule(Record):
    """A submitted version of a rule; never changed, never deleted."""

    raw: bytes
    """Canonical bytes of the rule, as `exact.rules` defines them."""
    submitted_by: bytes
    submitted_ms: int


class RuleStage(Record):
    """Steps that a version of a rule took towards going live; no row before the first one."""

    backtest_count: int
    """How many back-tests are on record."""
    backtest_digest: bytes
    """Digest of the newest one's report; empty before the first."""
    shadow_since_ms: int
    """Block time at which it entered the shadow that it is in, 0 while it is in none."""
    shadowed_ms: int
    """How long its earlier shadows lasted together."""


class ShadowRule(Record):
    """Which version of a rule is in shadow; as for `LiveRule`, from the next height on."""

    version: int
    """0 for none."""
    previous_version: int
    changed_height: int


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
    """How much of its daily cap a rule used on a day."""

    day: int
    """Days since the epoch, by block time."""
    count: int


class StoppedAccount(Record):
    """The last day on which an account counted towards a rule's daily cap."""

    day: int


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
    """Accounts whose approvals a shadow or an activation rests on."""
    backtest_digest: bytes
    """For a back-test the digest of its report; for a shadow and an activation that of the newest
    one, empty if there was none."""
    shadowed_ms: int
    """For an activation and a shadow's end: how long the version had been in shadow by then."""


class Backtest(Record):
    """Entry of `rules/backtests`: what a version would have done to payments that are past."""

    rule: str
    version: int
    report_digest: bytes
    """Digest of the report, which is kept elsewhere."""
    first_ms: int
    end_ms: int
    """The payments were booked from `first_ms` on and before `end_ms`."""
    payments: int
    alerts: int
    """Payments on which the rule would have fired."""
    value_held_units: int
    """Value of the payments that it would have held or refused."""
    labelled: int
    """Alerts whose outcome is known."""
    precision_ppm: int | None
    """Share of fraud among the labelled alerts; none if there are none."""
    recall_ppm: int | None
    """Share of the known fraud that the rule would have fired on; none if no fraud is known."""
    by: bytes


class Firing(Record):
    """Entry of `rules/firings` or `rules/shadow_firings`: a condition held for an operation."""

    rule: str
    version: int
    actions: tuple[str, ...]
    """What the rule did: `hold refuse freeze_payer freeze_payee emit`; those that another rule's
    decision or the daily cap kept it from are missing. In shadow: all that it would have done."""
    score_ppm: int
    """Score that the rule looked at first, or -1 where it looked at none."""
    transaction_id: bytes
    operation_index: int


NAMES: Table[RuleName] = Table("rules", "name", (str,), RuleName)
RULES: Table[StoredRule] = Table("rules", "rule", (str, int), StoredRule)
LIVE: Table[LiveRule] = Table("rules", "live", (str,), LiveRule, ordered=True)
SWITCH: Table[GlobalSwitch] = Table("rules", "switch", (), GlobalSwitch)
SHADOWS: Table[ShadowRule] = Table("rules", "shadow", (str,), ShadowRule, ordered=True)
STAGES: Table[RuleStage] = Table("rules", "stage", (str, int), RuleStage)
COUNTS: Table[DailyCount] = Table("rules", "count", (str,), DailyCount)
ASKED_COUNTS: Table[DailyCount] = Table("rules", "asked_count", (str, bytes), DailyCount)
"""The same for payments on other rails, by the organisation that asked about them."""
STOPPED: Table[StoppedAccount] = Table("rules", "stopped", (str, bytes), StoppedAccount)

CHANGES: Series[RuleChange] = Series("rules", "changes", (), RuleChange)
BACKTESTS: Series[Backtest] = Series("rules", "backtests", (), Backtest)
FIRINGS: Series[Firing] = Series("rules", "firings", (), Firing)
SHADOW_FIRINGS: Series[Firing] = Series("rules", "shadow_firings", (), Firing)

NO_STAGE = RuleStage(0, b"", 0, 0)


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


def shadow_subject(rule: str, version: int, digest: bytes, shadow_count: int) -> Digest:
    """Return what people approve: that this version of a rule is the next one to be in shadow."""
    numbers = version.to_bytes(8, "big"), shadow_count.to_bytes(8, "big")
    return tagged_hash(b"cairn/rule_shadow", rule.encode(), digest, *numbers)


def effective(row: LiveRule, height: int) -> tuple[int, bool]:
    """Return the version that is live at `height`, or 0, and whether it is on."""
    if height <= row.changed_height:
        return row.previous_version, row.was_on
    return row.version, row.is_on


def shadowing(row: ShadowRule, height: int) -> int:
    """Return the version that is in shadow at `height`, or 0."""
    return row.previous_version if height <= row.changed_height else row.version


def shadow_time_ms(stage: RuleStage, time_ms: int) -> int:
    """Return how long a version has been in shadow by a time."""
    running_ms = time_ms - stage.shadow_since_ms if stage.shadow_since_ms else 0
    return stage.shadowed_ms + running_ms
