"""The hooks that judge a block's movements before any operation runs, and count what took effect.

For all movements at once: features, one batch of scores for each deployment that rules look at,
then movement by movement the rules, higher priority first. Every rule that fires is on record and
emits its labels. The first with a hold or a refusal decides the payment's fate; a rule whose daily
cap is reached holds, refuses and freezes nothing. Rules in shadow look at every payment too; what
they would have done is written down, and nothing else.

A freeze that a rule orders refuses the later movements of that payer in the block. What counts
towards a cap, and who is frozen after the block, is settled when the operations have run: only what
took effect. Otherwise anybody could use a cap up for nothing and then pay past the rule, or have
anybody frozen. Within the block, payments that their payer cannot cover do not use a cap up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from cairn.exact import rules as exact
from cairn.exact.features import Vector
from cairn.ledger.context import Context
from cairn.ledger.hooks import (
    AdmittedOperation,
    Allow,
    Hold,
    JudgedOutcome,
    Judgement,
    Movement,
    Refuse,
    Verdict,
)
from cairn.ledger.receipts import OK
from cairn.modules.bank import api as bank
from cairn.modules.identity import api as identity
from cairn.modules.inference import api as inference
from cairn.modules.models import api as models
from cairn.modules.rules.counting import count_stopped, count_today, count_use, was_stopped
from cairn.modules.rules.events import AlertEmitted, CapReached, PayerFrozen, RuleFired
from cairn.modules.rules.live import (
    DERIVED,
    CompiledRule,
    acting_rules,
    deployments_of,
    fate_action,
    operands_of,
    shadow_rules,
)
from cairn.modules.rules.records import FIRINGS, SHADOW_FIRINGS, Firing
from cairn.modules.screening import api as screening
from cairn.primitives.encoding import encode

NOT_AN_ATTEMPT = Judgement(Refuse("", 0))
"""For movements that the bank is bound to refuse anyway; windows and rules do not see them."""
NO_RULE = Judgement(Allow("no_rule"))
SCREENED = Allow("screened")

_ASSERTED = "asserted:"


def judge_movements(
    ctx: Context, operations: Sequence[AdmittedOperation]
) -> list[Judgement | None]:
    """Return a judgement on each operation with a movement, None for every other."""
    rules = acting_rules(ctx)
    shadows = shadow_rules(ctx)
    everything = [*rules, *shadows]
    if not everything and not screening.follows_without_rules(ctx):
        return [None if o.movement is None else NO_RULE for o in operations]
    judgements = [None if o.movement is None else NOT_AN_ATTEMPT for o in operations]
    places = screening.attempts(ctx, operations)
    attempts = [operations[place] for place in places]
    counted = screening.record_attempts(ctx, attempts)
    derived = _derive(ctx, everything, attempts)
    if not everything:
        for place, event in zip(places, counted, strict=True):
            judgements[place] = Judgement(NO_RULE.verdict, (event,))
        return judgements
    scores = _Scores(ctx, deployments_of(everything), attempts, derived, counted)
    judge = _Judge(ctx, rules, shadows, scores)
    inputs = _inputs(operands_of(everything), attempts, derived, scores)
    for index, attempt in enumerate(attempts):
        judge.watch(attempt, inputs[index])
        judgements[places[index]] = judge.judge(attempt, inputs[index], index)
    return judgements


@dataclass(frozen=True, slots=True)
class _Derived:
    """The features of a block's attempts that rules and models look at."""

    places: Mapping[str, int]
    """Where in a vector a feature stands."""
    vectors: Sequence[Vector]
    model_inputs: Mapping[str, tuple[str, ...]]
    """For each deployment the names of its live model's inputs."""

    def rows_of(self, deployment: str) -> Sequence[Vector]:
        """Return what the live model of a deployment takes of each attempt."""
        names = self.model_inputs[deployment]
        if names == tuple(self.places):
            return self.vectors
        if len(names) == 1:
            place = self.places[names[0]]
            return [(vector[place],) for vector in self.vectors]
        pick = itemgetter(*(self.places[name] for name in names))
        return [pick(vector) for vector in self.vectors]


def _derive(
    ctx: Context, rules: Sequence[CompiledRule], attempts: Sequence[AdmittedOperation]
) -> _Derived:
    """Pass a block's attempts through the windows; derive what the rules look at, no more."""
    model_inputs = {name: _model_inputs(ctx, name) for name in deployments_of(rules)}
    names = [name for inputs in model_inputs.values() for name in inputs]
    names += [o.partition(":")[2] for o in operands_of(rules) if o.startswith(DERIVED)]
    chosen = tuple(dict.fromkeys(names))
    movements = [attempt.movement for attempt in attempts if attempt.movement is not None]
    vectors = screening.features(ctx, movements, chosen)
    return _Derived({name: place for place, name in enumerate(chosen)}, vectors, model_inputs)


@dataclass(frozen=True, slots=True)
class Use:
    """What a rule did to a payment, until it is known whether it took effect."""

    rule: str
    version: int
    is_stopped: bool
    """Whether the rule held or refused the payment."""
    freezes: tuple[tuple[bytes, int], ...]
    """Accounts, and until when they are frozen."""


def after_operations(ctx: Context, outcomes: Sequence[JudgedOutcome]) -> None:
    """Count what rules did that took effect, and freeze the accounts that they ordered frozen."""
    if not outcomes:
        return
    holds = bank.list_placed(ctx)
    placed = dict.fromkeys((hold.transaction_id, hold.operation_index) for hold in holds)
    frozen: dict[bytes, tuple[int, Use]] = {}
    for outcome in outcomes:
        if outcome.code != OK and outcome.code not in bank.VERDICT_CODES:
            continue
        operation = outcome.operation
        is_placed = (operation.transaction_id, operation.operation_index) in placed
        for use in outcome.judgement.memo:
            freezes = [(a, until) for a, until in use.freezes if bank.is_account(ctx, a)]
            _count(ctx, use, operation, freezes, is_placed=is_placed)
            for account, until_ms in freezes:
                if account not in frozen or frozen[account][0] < until_ms:
                    frozen[account] = (until_ms, use)
    for account in sorted(frozen):
        until_ms, use = frozen[account]
        bank.freeze(ctx, account, until_ms, rule=use.rule, version=use.version)


def _count(
    ctx: Context,
    use: Use,
    operation: AdmittedOperation,
    freezes: Sequence[tuple[bytes, int]],
    *,
    is_placed: bool,
) -> None:
    """Count what a rule did to a payment towards its cap."""
    if use.is_stopped and is_placed:
        count_use(ctx, use.rule)
        return
    assert operation.movement is not None
    stopped = [operation.movement.payer] if use.is_stopped else []
    accounts = [*stopped, *(account for account, _ in freezes)]
    count_stopped(ctx, use.rule, accounts, _asker_of(ctx, operation))


def _asker_of(ctx: Context, operation: AdmittedOperation) -> bytes:
    """Return the organisation that asks about a payment on another rail; empty for one here."""
    assert operation.movement is not None
    if not operation.movement.elsewhere:
        return b""
    sender = identity.get_account(ctx, operation.sender)
    assert sender is not None, "whose key signed has an account"
    return sender.organisation


class _Scores:
    """The scores of a block's attempts by each deployment, and the events that tell of them."""

    def __init__(
        self,
        ctx: Context,
        deployments: Sequence[str],
        attempts: Sequence[AdmittedOperation],
        derived: _Derived,
        counted: Sequence[bytes],
    ) -> None:
        self._ctx = ctx
        self._rows: dict[str, Sequence[Vector]] = {}
        self.by_operand: dict[str, list[int]] = {}
        self.events: list[tuple[bytes, ...]] = [(event,) for event in counted]
        for deployment in deployments:
            rows = self._rows[deployment] = derived.rows_of(deployment)
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

    def explanations(self, deployments: Sequence[str], index: int) -> list[bytes]:
        """Return the events that explain an attempt's scores, where a model's kind has such."""
        found = [inference.explain(self._ctx, d, self._rows[d][index]) for d in deployments]
        return [encode(event) for event in found if event is not None]


@dataclass(slots=True)
class _Case:
    """One attempt while the rules look at it."""

    operation: AdmittedOperation
    movement: Movement
    inputs: Mapping[str, int]
    told: list[bytes]
    """Events that explain the verdict."""
    is_covered: bool
    """Whether the payer had the value when the block began, beside what rules stopped since; or the
    payment is on another rail, where somebody else asks."""
    verdict: Verdict = SCREENED
    decided: CompiledRule | None = None
    uses: list[Use] = field(default_factory=list)


class _Judge:
    """Evaluates the rules on one attempt after the other, and keeps count within the block."""

    def __init__(
        self,
        ctx: Context,
        rules: Sequence[CompiledRule],
        shadows: Sequence[CompiledRule],
        scores: _Scores,
    ) -> None:
        self._ctx = ctx
        self._rules = rules
        self._shadows = shadows
        self._scores = scores
        self._counts: dict[tuple[str, bytes], int] = {}
        self._stopped: dict[tuple[str, bytes], bool] = {}
        self._left: dict[tuple[bytes, str], int] = {}
        self._freezes: dict[bytes, tuple[int, PayerFrozen]] = {}

    def watch(self, operation: AdmittedOperation, inputs: Mapping[str, int]) -> None:
        """Write down what the rules in shadow would do to an attempt."""
        for rule in self._shadows:
            if rule.run(inputs).fired:
                actions = rule.all_actions
                self._ctx.append(SHADOW_FIRINGS, _firing(rule, actions, inputs, operation))

    def judge(
        self, operation: AdmittedOperation, inputs: Mapping[str, int], index: int
    ) -> Judgement:
        """Return the judgement on the attempt at `index`."""
        movement = operation.movement
        assert movement is not None
        events = self._scores.events[index]
        if self._freezes:
            freeze = self._freezes.get(movement.payer)
            if freeze is not None:
                by = freeze[1]
                return Judgement(Refuse(by.rule, by.version), (*events, encode(by)))
        case: _Case | None = None
        for rule in self._rules:
            fired, conditions = rule.run(inputs)
            if fired:
                if case is None:
                    covered = movement.elsewhere or self._covers(movement)
                    case = _Case(operation, movement, inputs, list(events), covered)
                self._act(rule, conditions, case)
        if case is None:
            return Judgement(SCREENED, events)
        if case.decided is not None:
            if case.is_covered and not movement.elsewhere:
                self._left[movement.payer, movement.asset] -= movement.amount_units
            case.told += self._scores.explanations(case.decided.deployments, index)
        return Judgement(case.verdict, tuple(case.told), tuple(case.uses) or None)

    def _act(self, rule: CompiledRule, conditions: tuple[int, ...], case: _Case) -> None:
        """Do what a rule that fired does, as far as earlier rules and its cap leave it."""
        inputs = case.inputs
        fate = rule.fate if case.decided is None else None
        freezes = _freezes_of(rule, case.movement)
        wants_power = fate is not None or bool(freezes)
        is_capped = wants_power and not self._use(rule, fate, case)
        actions: tuple[str, ...] = ()
        if wants_power and not is_capped:
            if fate is not None:
                case.decided = rule
                case.verdict = self._verdict(rule, fate, _score_of(rule, inputs))
                actions = (fate_action(fate),)
            actions = (*actions, *("freeze_" + freeze.party for freeze in freezes))
        if rule.labels:
            actions = (*actions, "emit")
        values = tuple([inputs.get(operand) for operand in rule.operands])
        case.told.append(encode(RuleFired(rule.name, rule.version, conditions, values, actions)))
        if is_capped:
            case.told.append(encode(CapReached(rule.name, rule.version, rule.daily_cap)))
        for label in rule.labels:
            case.told.append(encode(AlertEmitted(rule.name, rule.version, label)))
        self._ctx.append(FIRINGS, _firing(rule, actions, inputs, case.operation))

    def _use(self, rule: CompiledRule, fate: exact.Hold | exact.Refuse | None, case: _Case) -> bool:
        """Let a rule use its power on a payment; return whether its cap leaves it any.

        What is counted here is for the rest of the block; `after_operations` counts for the day.
        """
        movement = case.movement
        freezes = tuple(
            (getattr(movement, freeze.party), self._ctx.time_ms + freeze.expiry_ms)
            for freeze in _freezes_of(rule, movement)
        )
        sets_aside = isinstance(fate, exact.Hold) and not movement.elsewhere
        stopped = [account for account, _ in freezes] + [movement.payer] * (fate is not None)
        new = [(rule.name, a) for a in stopped if not self._was_stopped(rule.name, a)]
        if sets_aside or new:
            asker = _asker_of(self._ctx, case.operation)
            count = self._count_of(rule.name, asker)
            if count >= rule.daily_cap:
                return False
            if case.is_covered:
                self._counts[rule.name, asker] = count + 1
                if not sets_aside:
                    self._stopped.update(dict.fromkeys(new, True))
        for account, until_ms in freezes:
            if case.is_covered or account == movement.payer:
                self._freeze(rule, account, until_ms)
        case.uses.append(Use(rule.name, rule.version, fate is not None, freezes))
        return True

    def _covers(self, movement: Movement) -> bool:
        """Return whether a payer can cover a movement out of what rules left it in this block.

        What the bank refuses whatever the payer has is not covered: it would use a cap up for
        nothing.
        """
        payer, payee = movement.payer, movement.payee
        if not bank.is_account(self._ctx, payee) or bank.is_frozen(self._ctx, payer):
            return False
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

    def _freeze(self, rule: CompiledRule, account: bytes, until_ms: int) -> None:
        known = self._freezes.get(account)
        if known is None or known[0] < until_ms:
            self._freezes[account] = (until_ms, PayerFrozen(rule.name, rule.version))

    def _count_of(self, rule: str, asker: bytes) -> int:
        """Return how much of its cap a rule used today; from then on it is kept in memory."""
        count = self._counts.get((rule, asker))
        if count is None:
            count = self._counts[rule, asker] = count_today(self._ctx, rule, asker)
        return count

    def _was_stopped(self, rule: str, account: bytes) -> bool:
        """Return whether an account counted towards a rule's cap today, this block included."""
        stopped = self._stopped.get((rule, account))
        if stopped is None:
            stopped = self._stopped[rule, account] = was_stopped(self._ctx, rule, account)
        return stopped


def _freezes_of(rule: CompiledRule, movement: Movement) -> tuple[exact.Freeze, ...]:
    """Return the freezes that a rule may order by a movement: on another rail, its payer's only."""
    if not movement.elsewhere:
        return rule.freezes
    return tuple(freeze for freeze in rule.freezes if freeze.party == "payer")


def _score_of(rule: CompiledRule, inputs: Mapping[str, int]) -> int:
    """Return the score that a rule looks at first, -1 where it looks at none."""
    return inputs["model:" + rule.deployments[0]] if rule.deployments else -1


def _firing(
    rule: CompiledRule,
    actions: tuple[str, ...],
    inputs: Mapping[str, int],
    operation: AdmittedOperation,
) -> Firing:
    place = (operation.transaction_id, operation.operation_index)
    return Firing(rule.name, rule.version, actions, _score_of(rule, inputs), *place)


def _inputs(
    operands: Sequence[str],
    attempts: Sequence[AdmittedOperation],
    derived: _Derived,
    scores: _Scores,
) -> list[dict[str, int]]:
    """Return for each attempt what the rules may look at: operand to value.

    What is asserted is there only if it was stated.
    """
    known = [operand for operand in operands if not operand.startswith(_ASSERTED)]
    columns = []
    for operand in known:
        column = scores.by_operand.get(operand)
        if column is None:
            place = derived.places[operand.partition(":")[2]]
            column = [vector[place] for vector in derived.vectors]
        columns.append(column)
    rows = zip(*columns, strict=True) if columns else iter([()] * len(attempts))
    found = [dict(zip(known, values, strict=True)) for values in rows]
    if len(known) < len(operands):
        for inputs, attempt in zip(found, attempts, strict=True):
            assert attempt.movement is not None
            for stated in attempt.movement.asserted:
                inputs[_ASSERTED + stated.name] = stated.value
    return found


def _model_inputs(ctx: Context, deployment: str) -> tuple[str, ...]:
    """Return the names of the inputs of a deployment's live model."""
    live = models.live_version(ctx, deployment)
    sealed = models.get_sealed(ctx, live.model_digest)
    assert sealed is not None, "the model of a live version is sealed"
    return tuple(feature.name for feature in sealed.features)
