"""How a payment was judged: the rules that acted at its height, and what its receipt says they did.

The receipt of a judged payment opens with its scores, one for each deployment that the acting rules
look at, in order of first use. Then comes for each rule that fired, higher priority first, what it
looked at and did; or that a freeze ordered earlier in the block refuses the payment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cairn.evidence.errors import ClaimError, ReplayError
from cairn.evidence.facts import Entry, VerifiedFacts
from cairn.evidence.people import check_approvals, name_words, names_words, policy_words
from cairn.evidence.words import time_words
from cairn.exact import rules as exact
from cairn.exact.errors import ExactError
from cairn.ledger.messages import Event
from cairn.modules.inference.events import PaymentScored
from cairn.modules.rules.events import AlertEmitted, CapReached, PayerFrozen, RuleFired
from cairn.modules.rules.records import (
    ACTIVATION,
    CHANGES,
    RULES,
    RuleChange,
    activation_subject,
    rule_digest,
)
from cairn.primitives.errors import NonCanonicalError

FATES = ("hold", "refuse")


@dataclass(frozen=True, slots=True)
class ActingRule:
    """A rule's version that acts, its bytes proved and decoded."""

    name: str
    version: int
    rule: exact.Rule
    activation: Entry[RuleChange]
    activation_index: int
    """How often the rule had been activated before."""

    @property
    def operands(self) -> tuple[str, ...]:
        """What the rule looks at, in the order of its condition."""
        return exact.operands(self.rule)


class RuleBook:
    """Which rules acted at which height, from every change of a rule, the first one included."""

    def __init__(self, facts: VerifiedFacts, changes: Sequence[Entry[RuleChange]]) -> None:
        """Read the changes in order."""
        self.changes = tuple(changes)
        self._facts = facts
        self._rules: dict[tuple[str, int], exact.Rule] = {}
        self._acting: dict[int, tuple[ActingRule, ...]] = {}

    def acting_at(self, height: int) -> tuple[ActingRule, ...]:
        """Return the rules that act at a height: higher priority first, then by name."""
        count = sum(1 for entry in self.changes if entry.record.height < height)
        return self.acting_after(count)

    def acting_after(self, count: int) -> tuple[ActingRule, ...]:
        """Return the rules that act after the first `count` changes."""
        if count not in self._acting:
            self._acting[count] = self._fold(count)
        return self._acting[count]

    def _fold(self, count: int) -> tuple[ActingRule, ...]:
        """Follow the changes: activated is on, a retired rule acts no more, one switch for all."""
        live: dict[str, tuple[Entry[RuleChange], int]] = {}
        is_on: dict[str, bool] = {"": True}
        activations: dict[str, int] = {}
        for entry in self.changes[:count]:
            change = entry.record
            if change.action == "activated":
                earlier = activations.get(change.rule, 0)
                live[change.rule] = (entry, earlier)
                activations[change.rule] = earlier + 1
                is_on[change.rule] = True
            elif change.action == "retired":
                live.pop(change.rule, None)
            elif change.action != "submitted":
                is_on[change.rule] = change.action == "switched_on"
        if not is_on[""]:
            return ()
        acting = [
            ActingRule(name, entry.record.version, self._open(entry.record), entry, earlier)
            for name, (entry, earlier) in live.items()
            if is_on[name]
        ]
        return tuple(sorted(acting, key=lambda one: (-one.rule.priority, one.name)))

    def _open(self, change: RuleChange) -> exact.Rule:
        """Return the rule that an activation put in force, from its row.

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


def deployments_of(acting: Sequence[ActingRule]) -> tuple[str, ...]:
    """Return the deployments whose scores rules look at, each once, in order of first use."""
    return tuple(dict.fromkeys(name for one in acting for name in exact.models(one.rule)))


def rule_words(facts: VerifiedFacts, acting: ActingRule) -> tuple[str, ...]:
    """Return who put a rule in force and who approved it, the approvals checked.

    Raises:
        ClaimError: The approvals that the activation names are not on record.
    """
    change = acting.activation.record
    subject = activation_subject(
        acting.name, acting.version, change.rule_digest, acting.activation_index
    )
    check_approvals(facts, ACTIVATION, subject, change.approvers, height=change.height)
    return (
        f"rule `{acting.name}` version {acting.version} (digest {change.rule_digest.hex()}) was "
        f"put in force by {name_words(facts, change.by)} at height {change.height}, "
        f"{time_words(acting.activation.time_ms)}",
        f"approved by {names_words(facts, change.approvers)} under policy `{ACTIVATION}` "
        f"(now: {policy_words(facts, ACTIVATION)})",
    )


# What a receipt says


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired, as the receipt tells it."""

    event: RuleFired
    is_capped: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """The events of a payment's receipt, sorted by what they tell."""

    scores: tuple[PaymentScored, ...]
    fired: tuple[Fired, ...]
    frozen: PayerFrozen | None
    own: tuple[Event, ...]
    """What the payment itself did: settled, or was held."""
    known: dict[str, int] = field(default_factory=dict)
    """What the rules could look at, as far as it is on record: name to value."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing tells of a judgement."""
        return not (self.scores or self.fired or self.frozen)

    @property
    def decided(self) -> Fired | None:
        """The rule that decided the payment's fate, None if none did."""
        fates = [f for f in self.fired if any(action in FATES for action in f.event.actions)]
        return fates[0] if fates else None


def read_events(events: Sequence[Event]) -> Judged:
    """Return a payment's events in their parts."""
    rest = list(events)
    scores: list[PaymentScored] = []
    fired: list[Fired] = []
    frozen: PayerFrozen | None = None
    while rest and isinstance(rest[0], PaymentScored):
        scores.append(rest.pop(0))  # type: ignore[arg-type]
    if rest and isinstance(rest[0], PayerFrozen):
        frozen = rest.pop(0)  # type: ignore[assignment]
    while rest and isinstance(rest[0], RuleFired):
        event = rest.pop(0)
        is_capped = bool(rest) and isinstance(rest[0], CapReached)
        if is_capped:
            rest.pop(0)
        labels = []
        while rest and isinstance(rest[0], AlertEmitted):
            label = rest.pop(0)
            labels.append(label.label)  # type: ignore[attr-defined]
        fired.append(Fired(event, is_capped, tuple(labels)))  # type: ignore[arg-type]
    return Judged(tuple(scores), tuple(fired), frozen, tuple(rest))


def check_judged(
    judged: Judged,
    acting: Sequence[ActingRule],
    inputs: dict[str, tuple[str, ...]],
    *,
    amount_units: int | None = None,
) -> None:
    """Check that a receipt's judgement is one that the acting rules can have given.

    Args:
        judged: The events of the receipt.
        acting: The rules that act at its height, in their order.
        inputs: For each deployment the names of its model's inputs.
        amount_units: The payment's amount, if it is proved too.

    Raises:
        ClaimError: A score or a rule is missing or too many, or two values contradict each other.
    """
    if tuple(score.deployment for score in judged.scores) != deployments_of(acting):
        raise ClaimError("the receipt has other scores than the acting rules look at")
    for score in judged.scores:
        _learn(judged, "model:" + score.deployment, score.score_ppm)
        names = inputs[score.deployment]
        if len(names) != len(score.features):
            raise ClaimError("a score has another number of inputs than the model takes")
        for name, value in zip(names, score.features, strict=True):
            _learn(judged, name, value)
    places = {(one.name, one.version): place for place, one in enumerate(acting)}
    order = [places.get((f.event.rule, f.event.version), -1) for f in judged.fired]
    if -1 in order or order != sorted(dict.fromkeys(order)):
        raise ClaimError("a rule fired that did not act then, or out of its turn")
    if judged.frozen is not None:
        place = places.get((judged.frozen.rule, judged.frozen.version), -1)
        if place < 0 or not any(isinstance(a, exact.Freeze) for a in acting[place].rule.actions):
            raise ClaimError("the payer is said to be frozen by a rule that cannot have done it")
    for one, place in zip(judged.fired, order, strict=True):
        operands = acting[place].operands
        if len(operands) != len(one.event.inputs):
            raise ClaimError(f"rule {one.event.rule} looks at another number of values")
        for operand, value in zip(operands, one.event.inputs, strict=True):
            _learn(judged, _name_of(operand), value)
    if amount_units is not None and judged.known.get("amount_units", amount_units) != amount_units:
        raise ClaimError("the amount that was judged is not the payment's")


def replay_rules(judged: Judged, acting: Sequence[ActingRule]) -> tuple[int, int]:
    """Evaluate the acting rules again; return how many, and how many could not be.

    Raises:
        ReplayError: A rule says something else than the receipt, or did something else.
    """
    if judged.frozen is not None:
        return 0, 0
    fired = {(f.event.rule, f.event.version): f for f in judged.fired}
    done = left = 0
    is_decided = False
    for one in acting:
        said = fired.get((one.name, one.version))
        known = {operand: judged.known.get(_name_of(operand)) for operand in one.operands}
        inputs = {operand: value for operand, value in known.items() if value is not None}
        if len(inputs) < len(known):
            left += 1
            continue
        found = exact.evaluate(one.rule, inputs)
        if found != (said is not None, said.event.conditions if said is not None else ()):
            raise ReplayError(f"rule {one.name} {one.version} decides differently on this payment")
        done += 1
        if said is not None:
            _check_actions(one, said, is_decided=is_decided)
            is_decided = is_decided or any(a in FATES for a in said.event.actions)
    return done, left


def _check_actions(one: ActingRule, said: Fired, *, is_decided: bool) -> None:
    """Check that a rule that fired did what its bytes say, as far as earlier rules left it."""
    fates = [a for a in one.rule.actions if isinstance(a, exact.Hold | exact.Refuse)]
    freezes = [a for a in one.rule.actions if isinstance(a, exact.Freeze)]
    labels = tuple(a.label for a in one.rule.actions if isinstance(a, exact.Emit))
    expected: list[str] = []
    wants_power = bool(freezes) or bool(fates and not is_decided)
    if wants_power and not said.is_capped:
        if fates and not is_decided:
            expected.append("hold" if isinstance(fates[0], exact.Hold) else "refuse")
        expected += ["freeze_" + freeze.party for freeze in freezes]
    if labels:
        expected.append("emit")
    wrong_cap = said.is_capped and not wants_power
    if said.event.actions != tuple(expected) or said.labels != labels or wrong_cap:
        raise ReplayError(f"rule {one.name} {one.version} did something else than it says")


def _learn(judged: Judged, name: str, value: int) -> None:
    """Keep a value that is on record; it is the same wherever it stands."""
    if judged.known.setdefault(name, value) != value:
        raise ClaimError(f"the receipt gives two values of {name}")


def _name_of(operand: str) -> str:
    """Return what an operand names: features and fields share their names and values."""
    return operand if operand.startswith("model:") else operand.partition(":")[2]
