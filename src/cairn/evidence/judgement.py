"""How a payment or case was judged: what its receipt says, against the rules that acted then.

The receipt of a judged payment opens with its scores, one for each deployment that rules look at,
in order of first use: the rules that act, then those in shadow. Then comes for each rule that
fired, higher priority first, what it looked at and did; or that a freeze ordered earlier in the
block refuses the payment. What explains the score of a payment that a rule held or refused follows.
The receipt of a case opens with its score, on inputs that were stated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cairn.evidence.errors import ClaimError, ReplayError
from cairn.evidence.rulebook import ActingRule, deployments_of
from cairn.exact import rules as exact
from cairn.exact.explain import contributions
from cairn.exact.models import ExactModel
from cairn.exact.schema import MISSING
from cairn.ledger.messages import Event
from cairn.ledger.records import Asserted
from cairn.modules.decisions.events import Decided
from cairn.modules.inference.events import Explained, FeaturesScored, PaymentScored
from cairn.modules.inference.records import CONTRIBUTIONS_MAX
from cairn.modules.rules.events import AlertEmitted, CapReached, PayerFrozen, RuleFired
from cairn.modules.screening.events import AttemptCounted

FATES = ("hold", "refuse")
ASSERTED = "asserted:"

Score = PaymentScored | FeaturesScored


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired, as the receipt tells it."""

    event: RuleFired
    is_capped: bool
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """The events of a payment's or case's receipt, sorted by what they tell."""

    scores: tuple[Score, ...]
    fired: tuple[Fired, ...]
    frozen: PayerFrozen | None
    explained: tuple[Explained, ...]
    own: tuple[Event, ...]
    """What the operation itself did: settled, was held, was decided."""
    known: dict[str, int | None] = field(default_factory=dict)
    """What the rules could look at, as far as it is on record: name to value, none for missing."""

    @property
    def scope(self) -> str:
        """The deployment whose decision it is, empty for a payment."""
        cases = [score.deployment for score in self.scores if isinstance(score, FeaturesScored)]
        return cases[0] if cases else ""

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
    """Return a payment's or case's events in their parts."""
    rest = list(events)
    if rest and isinstance(rest[0], AttemptCounted):
        rest.pop(0)
    scores: list[Score] = []
    fired: list[Fired] = []
    explained: list[Explained] = []
    frozen: PayerFrozen | None = None
    while rest and isinstance(rest[0], PaymentScored | FeaturesScored):
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
    while rest and isinstance(rest[0], Explained):
        explained.append(rest.pop(0))  # type: ignore[arg-type]
    return Judged(tuple(scores), tuple(fired), frozen, tuple(explained), tuple(rest))


def check_judged(
    judged: Judged,
    acting: Sequence[ActingRule],
    watching: Sequence[ActingRule],
    inputs: Mapping[str, tuple[str, ...]],
) -> None:
    """Check that a receipt's judgement is one that the acting rules can have given.

    Args:
        judged: The events of the receipt.
        acting: The rules that act at its height on what it judges, in their order.
        watching: Those in shadow.
        inputs: For each deployment the names of its model's inputs.

    Raises:
        ClaimError: A score or a rule is missing or too many, or two values contradict each other.
    """
    if not judged.scope:
        expected = deployments_of([*acting, *watching])
        if tuple(score.deployment for score in judged.scores) != expected:
            raise ClaimError("the receipt has other scores than the rules look at")
    for score in judged.scores:
        _learn(judged, "model:" + score.deployment, score.score_ppm)
        names = inputs[score.deployment]
        if len(names) != len(score.features):
            raise ClaimError("a score has another number of inputs than the model takes")
        for name, stated in zip(names, score.features, strict=True):
            _learn(judged, name, None if stated == MISSING and judged.scope else stated)
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
        looked_at: Sequence[int | None] = one.event.inputs
        for operand, value in zip(operands, looked_at, strict=True):
            if value is None and not operand.startswith((ASSERTED, "input:")):
                raise ClaimError(f"the receipt says that {operand} was missing, which it cannot be")
            _learn(judged, _name_of(operand), value)
    _check_explained(judged, acting)


def check_stated(judged: Judged, amount_units: int, asserted: Sequence[Asserted]) -> None:
    """Check what rules looked at against what the payment's signed message states.

    Raises:
        ClaimError: They looked at another amount or another stated number.
    """
    if judged.known.get("amount_units", amount_units) != amount_units:
        raise ClaimError("the amount that was judged is not the payment's")
    stated = {ASSERTED + one.name: one.value for one in asserted}
    for name, value in judged.known.items():
        if name.startswith(ASSERTED) and stated.get(name) != value:
            raise ClaimError(f"rules looked at another {name} than the payment states")
    judged.known.update(stated)


def asserted_names(rules: Sequence[ActingRule]) -> tuple[str, ...]:
    """Return what rules look at among the numbers that a payment states."""
    return tuple(dict.fromkeys(o for one in rules for o in one.operands if o.startswith(ASSERTED)))


def _check_explained(judged: Judged, acting: Sequence[ActingRule]) -> None:
    """Check that what is explained are scores that the deciding rule looked at."""
    decided = judged.decided
    allowed: tuple[str, ...] = ()
    if decided is not None:
        place = (decided.event.rule, decided.event.version)
        allowed = next(one.deployments for one in acting if (one.name, one.version) == place)
    told = tuple(one.deployment for one in judged.explained)
    if told != tuple(name for name in allowed if name in told):
        raise ClaimError("the receipt explains scores that no rule decided on")


def replay_explanations(
    judged: Judged, acting: Sequence[ActingRule], models: Mapping[str, ExactModel]
) -> int:
    """Compute the contributions again that a receipt states; return of how many scores.

    Raises:
        ReplayError: A model gives others, or they are missing.
    """
    decided = judged.decided
    if decided is None:
        return 0
    place = (decided.event.rule, decided.event.version)
    rule = next(one for one in acting if (one.name, one.version) == place)
    told = {one.deployment: one.contributions for one in judged.explained}
    for score in judged.scores:
        if score.deployment not in rule.deployments:
            continue
        found = contributions(models[score.deployment], score.features, CONTRIBUTIONS_MAX)
        expected = tuple((one.feature_index, one.raw) for one in found)
        if told.get(score.deployment, ()) != expected:
            raise ReplayError(
                f"the model of {score.deployment} gives other contributions than the receipt states"
            )
    return len(told)


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
        names = {operand: _name_of(operand) for operand in one.operands}
        if any(name not in judged.known for name in names.values()):
            left += 1
            continue
        known = {operand: judged.known[name] for operand, name in names.items()}
        inputs = {operand: value for operand, value in known.items() if value is not None}
        found = exact.evaluate(one.rule, inputs)
        if found != (said is not None, said.event.conditions if said is not None else ()):
            raise ReplayError(f"rule {one.name} {one.version} decides differently on this payment")
        done += 1
        if said is not None:
            _check_actions(judged, one, said, is_decided=is_decided)
            is_decided = is_decided or any(a in FATES for a in said.event.actions)
    return done, left


def _check_actions(judged: Judged, one: ActingRule, said: Fired, *, is_decided: bool) -> None:
    """Check that a rule that fired did what its bytes say, as far as earlier rules left it.

    Of a payment on another rail the payee is never frozen. Where the operation took no effect the
    receipt does not tell of which rail it was.
    """
    actions = one.rule.actions
    fates = [a for a in actions if isinstance(a, exact.Hold | exact.Refuse)]
    labels = tuple(a.label for a in actions if isinstance(a, exact.Emit))
    freezes = [a for a in actions if isinstance(a, exact.Freeze)]
    is_elsewhere = any(isinstance(event, Decided) for event in judged.own)
    is_open = not (judged.own or said.is_capped or "freeze_payee" in said.event.actions)
    if is_elsewhere or is_open:
        freezes = [freeze for freeze in freezes if freeze.party == "payer"]
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


def _learn(judged: Judged, name: str, value: int | None) -> None:
    """Keep a value that is on record; it is the same wherever it stands."""
    if judged.known.setdefault(name, value) != value:
        raise ClaimError(f"the receipt gives two values of {name}")


def _name_of(operand: str) -> str:
    """Return what an operand names: features, fields and inputs share their names and values."""
    return operand if operand.startswith(("model:", ASSERTED)) else operand.partition(":")[2]
