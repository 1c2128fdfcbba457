"""The hook that judges a block's movements before any operation runs, and the freezes at its end.

For all movements at once: features, one batch of scores for each deployment that the acting rules
look at, then movement by movement the rules, higher priority first. Every rule that fires is on
record and emits its labels. The first with a hold or a refusal decides the payment's fate; a rule
whose daily cap is reached holds, refuses and freezes nothing. Payments that their payer cannot
cover do not use a cap up, and neither do holds that are not placed in the end; otherwise anybody
could, for nothing, and then pay past the rule. Nor do such payments freeze their payee.

A freeze that a rule orders refuses the later movements of that payer in the block, and is written
when the block ends; the movements before it, and the one that caused it, have their own verdicts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from cairn.exact import rules as exact
from cairn.exact.features import FEATURES, Vector
from cairn.ledger.context import Context
from cairn.ledger.hooks import (
    AdmittedOperation,
    Allow,
    Hold,
    Judgement,
    Movement,
    Refuse,
    Verdict,
)
from cairn.modules.bank import api as bank
from cairn.modules.inference import api as inference
from cairn.modules.models import api as models
from cairn.modules.rules.events import AlertEmitted, CapReached, PayerFrozen, RuleFired
from cairn.modules.rules.live import (
    CompiledRule,
    acting_rules,
    deployments_of,
    find_rule,
    operands_of,
)
from cairn.modules.rules.records import (
    COUNTS,
    DAY_MS,
    FIRINGS,
    FREEZES,
    DailyCount,
    Firing,
    PendingFreeze,
)
from cairn.modules.screening import api as screening
from cairn.primitives.encoding import encode

NOT_AN_ATTEMPT = Judgement(Refuse("", 0))
"""For movements that the bank is bound to refuse anyway; windows and rules do not see them."""
NO_RULE = Judgement(Allow("no_rule"))
SCREENED = Allow("screened")

_PLACES = {name: place for place, name in enumerate(FEATURES)}


def judge_movements(
    ctx: Context, operations: Sequence[AdmittedOperation]
) -> list[Judgement | None]:
    """Return a judgement on each operation with a movement, None for every other."""
    rules = acting_rules(ctx)
    if not rules and not screening.follows_without_rules(ctx):
        return [None if o.movement is None else NO_RULE for o in operations]
    judgements = [None if o.movement is None else NOT_AN_ATTEMPT for o in operations]
    places = screening.attempts(ctx, operations)
    attempts = [operations[place] for place in places]
    vectors = screening.features(ctx, [a.movement for a in attempts if a.movement is not None])
    if not rules:
        for place in places:
            judgements[place] = NO_RULE
        return judgements
    scores = _Scores(ctx, deployments_of(rules), attempts, vectors)
    judge = _Judge(ctx, rules)
    inputs = _inputs(operands_of(rules), vectors, scores)
    for index, attempt in enumerate(attempts):
        judgements[places[index]] = judge.judge(attempt, inputs[index], scores.events[index])
    judge.write()
    return judgements


def end_block(ctx: Context) -> None:
    """Count the holds that were placed, and freeze the accounts that rules ordered frozen."""
    placed: dict[str, int] = {}
    for hold in bank.list_placed(ctx):
        if hold.rule and not find_rule(ctx, hold.rule, hold.version).freezes:
            placed[hold.rule] = placed.get(hold.rule, 0) + 1
    for name, count in placed.items():
        _count(ctx, name, count)
    for (account,), freeze in list(ctx.scan(FREEZES)):
        ctx.delete(FREEZES, account)
        if bank.is_account(ctx, account):
            bank.freeze(ctx, account, freeze.until_ms, rule=freeze.rule, version=freeze.version)


def _count(ctx: Context, name: str, more: int) -> None:
    """Add to how often a rule acted on the day of the block."""
    ctx.put(COUNTS, DailyCount(ctx.time_ms // DAY_MS, _count_today(ctx, name) + more), name)


def _count_today(ctx: Context, name: str) -> int:
    row = ctx.get(COUNTS, name)
    return row.count if row is not None and row.day == ctx.time_ms // DAY_MS else 0


class _Scores:
    """The scores of a block's attempts by each deployment, and the events that tell of them."""

    def __init__(
        self,
        ctx: Context,
        deployments: Sequence[str],
        attempts: Sequence[AdmittedOperation],
        vectors: Sequence[Vector],
    ) -> None:
        self.by_operand: dict[str, list[int]] = {}
        self.events: list[tuple[bytes, ...]] = [()] * len(attempts)
        for deployment in deployments:
            pick = _picker(ctx, deployment)
            rows = vectors if pick is None else [pick(vector) for vector in vectors]
            version, scores = inference.score_batch(ctx, deployment, rows)
            self.by_operand["model:" + deployment] = scores
            for index, (attempt, row, score_ppm) in enumerate(
                zip(attempts, rows, scores, strict=True)
            ):
                event = inference.scored_event(deployment, version, row, score_ppm)
                self.events[index] = (*self.events[index], event)
                inference.record_prediction(
                    ctx,
                    deployment,
                    version=version,
                    score_ppm=score_ppm,
                    transaction_id=attempt.transaction_id,
                    operation_index=attempt.operation_index,
                )


@dataclass(slots=True)
class _Case:
    """One attempt while the rules look at it."""

    operation: AdmittedOperation
    movement: Movement
    inputs: Mapping[str, int]
    told: list[bytes]
    """Events that explain the verdict."""
    is_covered: bool
    """Whether the payer had the value when the block began, beside what rules stopped since."""
    verdict: Verdict = SCREENED


class _Judge:
    """Evaluates the acting rules on one attempt after the other, and keeps count."""

    def __init__(self, ctx: Context, rules: Sequence[CompiledRule]) -> None:
        self._ctx = ctx
        self._rules = rules
        self._counts: dict[str, int] = {}
        self._decided: dict[str, int] = {}
        self._left: dict[tuple[bytes, str], int] = {}
        self._freezes: dict[bytes, PendingFreeze] = {}

    def judge(
        self, operation: AdmittedOperation, inputs: Mapping[str, int], events: tuple[bytes, ...]
    ) -> Judgement:
        """Return the judgement on one attempt; `events` tell of its scores."""
        movement = operation.movement
        assert movement is not None
        if self._freezes:
            freeze = self._freezes.get(movement.payer)
            if freeze is not None:
                frozen = encode(PayerFrozen(freeze.rule, freeze.version))
                return Judgement(Refuse(freeze.rule, freeze.version), (*events, frozen))
        case: _Case | None = None
        for rule in self._rules:
            fired, conditions = rule.run(inputs)
            if fired:
                if case is None:
                    covered = self._covers(movement)
                    case = _Case(operation, movement, inputs, list(events), covered)
                self._act(rule, conditions, case)
        if case is None:
            return Judgement(SCREENED, events)
        if case.verdict is not SCREENED and case.is_covered:
            pocket = (movement.payer, movement.asset)
            self._left[pocket] -= movement.amount_units
        return Judgement(case.verdict, tuple(case.told))

    def write(self) -> None:
        """Write what counts by now, and the freezes that wait for the block's end."""
        for name, count in self._decided.items():
            _count(self._ctx, name, count)
        for account, freeze in self._freezes.items():
            self._ctx.put(FREEZES, freeze, account)

    def _act(self, rule: CompiledRule, conditions: tuple[int, ...], case: _Case) -> None:
        """Do what a rule that fired does, as far as earlier rules and its cap leave it."""
        inputs = case.inputs
        score_ppm = inputs["model:" + rule.deployments[0]] if rule.deployments else -1
        fate = rule.fate if case.verdict is SCREENED else None
        wants_power = fate is not None or bool(rule.freezes)
        is_capped = wants_power and self._count_of(rule.name) >= rule.daily_cap
        actions: tuple[str, ...] = ()
        if wants_power and not is_capped:
            self._note_use(rule, fate, case)
            if fate is not None:
                case.verdict = self._verdict(rule, fate, score_ppm)
                actions = ("hold" if isinstance(fate, exact.Hold) else "refuse",)
            for freeze in rule.freezes:
                if case.is_covered or freeze.party == "payer":
                    self._freeze(rule, freeze, case.movement)
                actions = (*actions, "freeze_" + freeze.party)
        if rule.labels:
            actions = (*actions, "emit")
        values = tuple([inputs[operand] for operand in rule.operands])
        case.told.append(encode(RuleFired(rule.name, rule.version, conditions, values, actions)))
        if is_capped:
            case.told.append(encode(CapReached(rule.name, rule.version, rule.daily_cap)))
        for label in rule.labels:
            case.told.append(encode(AlertEmitted(rule.name, rule.version, label)))
        place = (case.operation.transaction_id, case.operation.operation_index)
        self._ctx.append(FIRINGS, Firing(rule.name, rule.version, actions, score_ppm, *place))

    def _note_use(
        self, rule: CompiledRule, fate: exact.Hold | exact.Refuse | None, case: _Case
    ) -> None:
        """Count a use of a rule's power; a hold alone counts for good once it is placed."""
        if not case.is_covered and all(freeze.party != "payer" for freeze in rule.freezes):
            return
        self._counts[rule.name] += 1
        if rule.freezes or isinstance(fate, exact.Refuse):
            self._decided[rule.name] = self._decided.get(rule.name, 0) + 1

    def _covers(self, movement: Movement) -> bool:
        """Return whether a payer can cover a movement out of what rules left it in this block."""
        pocket = (movement.payer, movement.asset)
        left = self._left.get(pocket)
        if left is None:
            left = bank.get_balance(self._ctx, *pocket).available
            self._left[pocket] = left
        return movement.amount_units <= left

    def _verdict(
        self, rule: CompiledRule, fate: exact.Hold | exact.Refuse, score_ppm: int
    ) -> Verdict:
        if isinstance(fate, exact.Refuse):
            return Refuse(rule.name, rule.version)
        expires_at_ms = self._ctx.time_ms + fate.expiry_ms
        settle_on_expiry = fate.on_expiry == "settle"
        return Hold(rule.name, rule.version, expires_at_ms, settle_on_expiry, score_ppm)

    def _freeze(self, rule: CompiledRule, freeze: exact.Freeze, movement: Movement) -> None:
        account = movement.payer if freeze.party == "payer" else movement.payee
        until_ms = self._ctx.time_ms + freeze.expiry_ms
        known = self._freezes.get(account)
        if known is None or known.until_ms < until_ms:
            self._freezes[account] = PendingFreeze(rule.name, rule.version, until_ms)

    def _count_of(self, name: str) -> int:
        """Return how often a rule acted today; from then on it is kept in memory."""
        count = self._counts.get(name)
        if count is None:
            count = self._counts[name] = _count_today(self._ctx, name)
        return count


def _inputs(
    operands: Sequence[str], vectors: Sequence[Vector], scores: _Scores
) -> list[dict[str, int]]:
    """Return for each attempt what the rules may look at: operand to value."""
    columns = []
    for operand in operands:
        column = scores.by_operand.get(operand)
        if column is None:
            place = _PLACES[operand.partition(":")[2]]
            column = [vector[place] for vector in vectors]
        columns.append(column)
    return [dict(zip(operands, values, strict=True)) for values in zip(*columns, strict=True)]


def _picker(ctx: Context, deployment: str) -> Callable[[Vector], Vector] | None:
    """Return what picks a deployment's input out of the features, or None if it takes them all."""
    live = models.live_version(ctx, deployment)
    sealed = models.get_sealed(ctx, live.model_digest)
    assert sealed is not None, "the model of a live version is sealed"
    names = tuple(feature.name for feature in sealed.features)
    if names == FEATURES:
        return None
    if len(names) == 1:
        place = _PLACES[names[0]]
        return lambda vector: (vector[place],)
    return itemgetter(*(_PLACES[name] for name in names))
