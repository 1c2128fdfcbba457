"""Which rules acted and watched at which height, and by which steps each came to it.

The series of changes tells every step of every rule. A rule that is live at a height acts unless
it, or everything, is switched off; one in shadow watches whatever the switches say.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cairn.evidence.errors import ClaimError
from cairn.evidence.facts import Entry, VerifiedFacts
from cairn.evidence.people import check_approvals, name_words, names_words, policy_words
from cairn.evidence.words import duration_words, time_words
from cairn.exact import rules as exact
from cairn.exact.errors import ExactError
from cairn.modules.rules.records import (
    ACTIVATION,
    CHANGES,
    RULES,
    RuleChange,
    activation_subject,
    rule_digest,
    shadow_subject,
)
from cairn.primitives.errors import NonCanonicalError

Place = tuple[str, int]
"""A version of a rule: name and number."""


@dataclass(frozen=True, slots=True)
class ActingRule:
    """A rule's version that acts or watches, its bytes proved and decoded."""

    name: str
    version: int
    rule: exact.Rule
    activation: Entry[RuleChange]
    """The change by which it does: an activation, or the entry into shadow."""
    activation_index: int
    """How often the rule had been activated, or put in shadow, before."""

    @property
    def operands(self) -> tuple[str, ...]:
        """What the rule looks at, in the order of its condition."""
        return exact.operands(self.rule)

    @property
    def deployments(self) -> tuple[str, ...]:
        """Deployments whose scores it looks at; for a rule on decisions the one that it judges."""
        return (self.rule.scope,) if self.rule.scope else exact.models(self.rule)


@dataclass(slots=True)
class _Standing:
    """What stands after some changes."""

    live: dict[str, tuple[Entry[RuleChange], int]] = field(default_factory=dict)
    shadows: dict[str, tuple[Entry[RuleChange], int]] = field(default_factory=dict)
    is_on: dict[str, bool] = field(default_factory=lambda: {"": True})
    activations: dict[str, int] = field(default_factory=dict)
    entries_into_shadow: dict[str, int] = field(default_factory=dict)
    backtests: dict[Place, bytes] = field(default_factory=dict)
    shadowed_ms: dict[Place, int] = field(default_factory=dict)

    def take(self, entry: Entry[RuleChange]) -> None:
        """Follow one change.

        Raises:
            ClaimError: It states other earlier steps than there were.
        """
        change = entry.record
        place = (change.rule, change.version)
        match change.action:
            case "backtested":
                self.backtests[place] = change.backtest_digest
            case "shadowed":
                self._check_steps(entry, shadowed_ms=0)
                self._end_shadow(entry)
                earlier = self.entries_into_shadow.get(change.rule, 0)
                self.entries_into_shadow[change.rule] = earlier + 1
                self.shadows[change.rule] = (entry, earlier)
            case "shadow_ended":
                self._end_shadow(entry)
                if change.shadowed_ms != self.shadowed_ms.get(place, 0):
                    raise ClaimError(f"rule {change.rule} was in shadow for another time")
            case "activated":
                watching = self.shadows.get(change.rule)
                if watching is not None and watching[0].record.version == change.version:
                    self._end_shadow(entry)
                self._check_steps(entry, shadowed_ms=self.shadowed_ms.get(place, 0))
                earlier = self.activations.get(change.rule, 0)
                self.activations[change.rule] = earlier + 1
                self.live[change.rule] = (entry, earlier)
                self.is_on[change.rule] = True
            case "retired":
                self.live.pop(change.rule, None)
            case "switched_on" | "switched_off":
                self.is_on[change.rule] = change.action == "switched_on"

    def _end_shadow(self, entry: Entry[RuleChange]) -> None:
        ended = self.shadows.pop(entry.record.rule, None)
        if ended is not None:
            place = (ended[0].record.rule, ended[0].record.version)
            lasted_ms = entry.time_ms - ended[0].time_ms
            self.shadowed_ms[place] = self.shadowed_ms.get(place, 0) + lasted_ms

    def _check_steps(self, entry: Entry[RuleChange], *, shadowed_ms: int) -> None:
        change = entry.record
        backtest = self.backtests.get((change.rule, change.version), b"")
        if (change.backtest_digest, change.shadowed_ms) != (backtest, shadowed_ms):
            raise ClaimError(
                f"rule {change.rule} {change.version} was {change.action} on other steps than "
                "those on record"
            )


class RuleBook:
    """Which rules acted at which height, from every change of a rule, the first one included."""

    def __init__(self, facts: VerifiedFacts, changes: Sequence[Entry[RuleChange]]) -> None:
        """Read the changes in order."""
        self.changes = tuple(changes)
        self._facts = facts
        self._rules: dict[Place, exact.Rule] = {}
        self._after: dict[int, tuple[tuple[ActingRule, ...], tuple[ActingRule, ...]]] = {}

    def acting_at(self, height: int, scope: str = "") -> tuple[ActingRule, ...]:
        """Return the rules that act at a height on payments, or on a deployment's decisions.

        Higher priority first, then by name.
        """
        return _of_scope(self._all_after(self._count_before(height))[0], scope)

    def watching_at(self, height: int, scope: str = "") -> tuple[ActingRule, ...]:
        """Return the rules that are in shadow at a height, in the same order."""
        return _of_scope(self._all_after(self._count_before(height))[1], scope)

    def looking_after(self, count: int) -> tuple[ActingRule, ...]:
        """Return all rules that act or watch after the first `count` changes."""
        acting, watching = self._all_after(count)
        return (*acting, *watching)

    def _count_before(self, height: int) -> int:
        return sum(1 for entry in self.changes if entry.record.height < height)

    def _all_after(self, count: int) -> tuple[tuple[ActingRule, ...], tuple[ActingRule, ...]]:
        if count not in self._after:
            self._after[count] = self._fold(count)
        return self._after[count]

    def _fold(self, count: int) -> tuple[tuple[ActingRule, ...], tuple[ActingRule, ...]]:
        standing = _Standing()
        for entry in self.changes[:count]:
            standing.take(entry)
        live = {name: found for name, found in standing.live.items() if standing.is_on[name]}
        acting = self._opened(live if standing.is_on[""] else {})
        return acting, self._opened(standing.shadows)

    def _opened(self, found: dict[str, tuple[Entry[RuleChange], int]]) -> tuple[ActingRule, ...]:
        opened = [
            ActingRule(name, entry.record.version, self._open(entry.record), entry, earlier)
            for name, (entry, earlier) in found.items()
        ]
        return tuple(sorted(opened, key=lambda one: (-one.rule.priority, one.name)))

    def _open(self, change: RuleChange) -> exact.Rule:
        """Return the rule that a change put in force or in shadow, from its row.

        Raises:
            ClaimError: Its bytes are not those that were approved, or are no rule.
        """
        place = (change.rule, change.version)
        if place not in self._rules:
            raw = self._facts.required_row(RULES, *place).raw
            if rule_digest(raw) != change.rule_digest:
                raise ClaimError(f"rule {change.rule} {change.version} has other bytes")
            try:
                rule = exact.decode_rule(raw)
            except (NonCanonicalError, ExactError) as error:
                raise ClaimError(f"rule {change.rule} {change.version}: {error}") from error
            if rule.name != change.rule:
                raise ClaimError(f"the bytes of rule {change.rule} name another rule")
            self._rules[place] = rule
        return self._rules[place]


def rule_book_before(
    facts: VerifiedFacts, *, height: int | None = None, time_ms: int = 0
) -> RuleBook:
    """Return the rule book with every change before a height, or else before a time.

    Raises:
        ClaimError, IncompleteRangeError: The bundle does not show them all.
    """

    def is_past(at_ms: int, record: RuleChange) -> bool:
        return at_ms >= time_ms if height is None else record.height >= height

    found = facts.stretch(CHANGES, until=is_past)
    return RuleBook(facts, found.entries[:-1] if found.ended else found.entries)


def deployments_of(rules: Iterable[ActingRule]) -> tuple[str, ...]:
    """Return the deployments whose scores rules look at, each once, in order of first use."""
    return tuple(dict.fromkeys(name for one in rules for name in one.deployments))


def rule_words(facts: VerifiedFacts, acting: ActingRule) -> tuple[str, ...]:
    """Return who put a rule in force or in shadow, on what, and who approved it; checked.

    Raises:
        ClaimError: The approvals that the change names are not on record.
    """
    change = acting.activation.record
    is_live = change.action == "activated"
    make_subject = activation_subject if is_live else shadow_subject
    subject = make_subject(acting.name, acting.version, change.rule_digest, acting.activation_index)
    check_approvals(facts, ACTIVATION, subject, change.approvers, height=change.height)
    return (
        f"rule `{acting.name}` version {acting.version} (digest {change.rule_digest.hex()}) was "
        f"put {'in force' if is_live else 'in shadow'} by {name_words(facts, change.by)} at height "
        f"{change.height}, {time_words(acting.activation.time_ms)}, {steps_words(change)}",
        f"approved by {names_words(facts, change.approvers)} under policy `{ACTIVATION}` "
        f"(now: {policy_words(facts, ACTIVATION)})",
    )


def steps_words(change: RuleChange) -> str:
    """Return which steps a version had taken before an activation or a shadow."""
    tested = (
        f"after a back-test (report {change.backtest_digest.hex()})"
        if change.backtest_digest
        else "without a back-test"
    )
    if change.action != "activated":
        return tested
    watched = (
        f"after {duration_words(change.shadowed_ms)} in shadow"
        if change.shadowed_ms
        else "without having been in shadow"
    )
    return f"{tested} and {watched}"


def _of_scope(rules: Sequence[ActingRule], scope: str) -> tuple[ActingRule, ...]:
    return tuple(one for one in rules if one.rule.scope == scope)
