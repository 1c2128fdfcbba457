"""Sequences of messages of all modules, made from bytes, over one founded ledger.

Identity's and the bank's come from `sequences`; here are those of data, training, models,
inference, screening and rules, and the next step on which a model and a rule go live.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any, Literal

from cairn.exact.features import FEATURES
from cairn.exact.models import encode_model
from cairn.exact.rules import Any as AnyOf
from cairn.exact.rules import Compare, Emit, Freeze, Hold, Refuse, encode_rule
from cairn.ledger.messages import Message
from cairn.ledger.records import Asserted
from cairn.ledger.transactions import ATOMIC, INDEPENDENT
from cairn.modules.bank.messages import (
    AppealHold,
    Issue,
    OpenEscrow,
    Redeem,
    RefundEscrow,
    ReleaseEscrow,
    UpholdHold,
)
from cairn.modules.bank.records import APPEALED, BALANCES, HOLDS, OPEN
from cairn.modules.data.messages import (
    GrantUse,
    RecordUse,
    RevokeUse,
    SetQualityPolicy,
    WithdrawDataset,
)
from cairn.modules.data.queries import get_dataset, list_changes
from cairn.modules.data.records import CONSENTS, Quality
from cairn.modules.decisions.messages import (
    DecideCase,
    DecidePayment,
    ReportExecution,
    Review,
)
from cairn.modules.decisions.queries import get_decision, list_decisions
from cairn.modules.identity.api import is_active, list_approvers
from cairn.modules.identity.messages import Approve, Recover, Reinstate, subject_of
from cairn.modules.identity.records import KEYS, OPEN_KEYS
from cairn.modules.inference.messages import RecordPrediction, Score, ScoreBatch
from cairn.modules.models.messages import (
    CreateDeployment,
    DropUpload,
    Promote,
    RegisterVersion,
    RetireVersion,
    RollBack,
    SealModel,
    UploadChunk,
)
from cairn.modules.models.queries import (
    get_deployment,
    get_sealed,
    get_upload,
    get_version,
    list_versions,
)
from cairn.modules.models.records import model_digest, promotion_subject
from cairn.modules.rules.messages import (
    ActivateRule,
    EndShadow,
    RecordBacktest,
    RetireRule,
    ShadowRule,
    SubmitRule,
    SwitchAllRules,
    SwitchRule,
)
from cairn.modules.rules.queries import get_live, get_name, get_rule, get_shadow
from cairn.modules.rules.records import (
    ACTIVATION,
    activation_subject,
    rule_digest,
    shadow_subject,
)
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.queries import list_outcomes
from cairn.modules.training.messages import CommitPlan, RecordEvaluation
from cairn.modules.training.queries import list_plans, list_runs
from cairn.modules.training.records import OUTCOMES, Estimate, LabelRange, SplitPlan
from cairn.primitives.encoding import replace
from cairn.primitives.hashes import sha256
from tests.modules.founding import (
    CUSTOMERS,
    amount_model,
    chunks_of,
    customer,
    dataset_message,
    found,
    hold_rule,
    pay,
    run_message,
)
from tests.modules.harness import key_of
from tests.modules.sequences import HOUR_MS, MAKERS, SENDERS, Choices, Maker, World

OWNERS = ("dana", "dana", "dora", "dev")
DEVELOPERS = ("dev", "dev", "dirk", "pia")
RISKS = ("rick", "rick", "rita", "cora")
DEPLOYMENTS = ("fraud", "other")
LABELS: tuple[Literal["fraud", "genuine"], ...] = ("fraud", "genuine")
NOTHING = b"\xee" * 20
MODELS = [encode_model(amount_model(ppm)) for ppm in (1, 400, 1_000)]
RULES = [
    hold_rule(
        "scored",
        Compare("model:fraud", ">=", 200_000),
        actions=[Hold(20 * HOUR_MS, "return")],
        daily_cap=4,
    ),
    hold_rule("big", Compare("field:amount_units", ">=", 900), actions=[Refuse("big")]),
    hold_rule(
        "fast",
        Compare("feature:payer_count_1h", ">=", 2),
        actions=[Hold(HOUR_MS, "settle"), Freeze("payee", HOUR_MS), Emit("fast")],
        daily_cap=4,
        priority=1,
    ),
    hold_rule(
        "case",
        Compare("input:amount_units", ">=", 100),
        actions=[Hold(HOUR_MS, "settle"), Emit("case")],
        daily_cap=4,
        scope="fraud",
    ),
    hold_rule(
        "stated",
        Compare("asserted:risk", ">=", 5),
        Compare("feature:terminal_count_24h", ">=", 2),
        AnyOf(2),
        actions=[Refuse("stated"), Freeze("payer", HOUR_MS), Freeze("payee", HOUR_MS)],
        daily_cap=2,
    ),
]
PARAMETERS = {
    "bank.booked_at_skew_ms_max": 12 * HOUR_MS,
    "bank.expiries_per_block_max": 3,
    "bank.hold_ms_max": 24 * HOUR_MS,
    "bank.hold_renewals_max": 1,
    "decisions.due_per_block_max": 2,
    "decisions.hold_ms_max": 2 * HOUR_MS,
}


class Everything(World):
    """A ledger of all modules; payments are judged by its own rules."""

    def __init__(self, *, replicas: int = 1, check_invariants: bool = True) -> None:
        """Found it."""
        ledger = found(replicas=replicas, parameters=PARAMETERS, check_invariants=check_invariants)
        super().__init__(ledger=ledger)

    def makers(self) -> Sequence[tuple[Sequence[str], Maker]]:
        """Return who sends what."""
        return (*MAKERS, *OTHER_MAKERS)

    def likely_senders(self, message: Message) -> Sequence[str]:
        """Return who could send a message with success; pia acts for the customers."""
        if isinstance(message, ReleaseEscrow | RefundEscrow | AppealHold):
            return ("pia",)
        return super().likely_senders(message)

    def submit(self, raw: bytes) -> None:
        """Make a transaction from bytes: any message, or the next step of the straight way."""
        choices = Choices(raw[1:])
        kind = (raw[0] if raw else 0) % 4
        if kind == 0:
            super().submit(raw[1:])
        elif kind == 1:
            self._send(
                "pia", [_payment(self, choices) for _ in range(1 + choices.number(4))], choices
            )
        else:
            sender, message = next_step(self, choices)
            self._send(sender, [message], choices)

    def _send(self, sender: str, operations: list[Message], choices: Choices) -> None:
        key = self.keys.get(self.open_key(self.ledger.id(sender), choices))
        mode = choices.pick((INDEPENDENT, ATOMIC))
        self.ledger.submit(sender, *operations, key=key, lane=choices.number(2), mode=mode)
        self.waiting.append(tuple(operations))

    def any_id(self, ids: Sequence[bytes], choices: Choices) -> bytes:
        """Return one of the newest ids, seldom one that nothing has."""
        return choices.pick(ids[-4:]) if ids and choices.number(8) else NOTHING

    def datasets(self) -> list[bytes]:
        """Return the datasets that stand."""
        context = self.ledger.context()
        ids = dict.fromkeys(entry.dataset for _, entry in list_changes(context))
        rows = {dataset: get_dataset(context, dataset) for dataset in ids}
        return [
            dataset for dataset, row in rows.items() if row is not None and not row.withdrawn_ms
        ]

    def versions(self) -> list[bytes]:
        """Return the versions of models."""
        entries = list_versions(self.ledger.context())
        return list(dict.fromkeys(entry.version for _, entry in entries))

    def runs(self, digest: bytes) -> list[bytes]:
        """Return the runs that made a model."""
        runs = list_runs(self.ledger.context())
        return [entry.run for _, entry in runs if entry.model_digest == digest]


def _payment(world: World, choices: Choices) -> Message:
    if choices.number(6) == 1:
        return _decide_payment(world, choices)
    payer = choices.number(CUSTOMERS)
    payee = (payer + 1 + choices.number(CUSTOMERS - 1)) % CUSTOMERS
    amount_units = 1 + choices.number(256) * (1 + choices.number(8))
    if choices.number(8) == 1:
        now = world.ledger.head.time_ms
        parties = customer(payer), customer(payee)
        return OpenEscrow(*parties, "eur", amount_units, now, now + HOUR_MS, arbiter=None)
    payment = pay(world.ledger, payer, payee, amount_units)
    return replace(payment, **_stated(choices))


def _stated(choices: Choices) -> dict[str, Any]:
    """Return what may be stated about a payment beside itself."""
    terminal = choices.pick((b"", b"", b"\x01" * 20, b"\x02" * 20))
    risk = Asserted("risk", choices.number(9) - 1)
    return {"terminal": terminal, "asserted": choices.pick(((), (risk,)))}


# The straight way

Step = tuple[str, Message] | None
"""Who sends what; None if nothing is to be done."""


def next_step(world: Everything, choices: Choices) -> tuple[str, Message]:
    """Return what is still to be done before a model or a rule is live, and who does it."""
    which = choices.number(len(MODELS))
    for step in (_heal, *(_in_pairs, _bring_a_model_in, _promote, _activate)[choices.number(4) :]):
        taken = step(world, which, choices)
        if taken is not None:
            return taken
    return "pia", _payment(world, choices)


def _heal(world: Everything, _: int, __: Choices) -> Step:
    """Bring back who was suspended or has no key left, so that things go on."""
    context = world.ledger.context()
    for name in ("pia", "tom"):
        account = world.id(name)
        if not is_active(context, account):
            return "adam", Reinstate(account, None)
        keys = context.get(OPEN_KEYS, account)
        if keys is None or not keys.keys:
            return _recover(world, account)
    return None


def _recover(world: Everything, account: bytes) -> Step:
    context = world.ledger.context()
    spare = (key_of(f"healed-{number}") for number in count())
    key = next(key for key in spare if context.get(KEYS, key.public_key) is None)
    world.keys[key.public_key] = key
    message = Recover(account, (key.public_key,), "healed")
    subject = subject_of(message)
    approvers = list_approvers(context, "recovery", subject)
    for name in ("adam", "carl"):
        if world.id(name) not in approvers:
            return name, Approve("recovery", subject)
    return "adam", message


def _in_pairs(world: Everything, which: int, choices: Choices) -> Step:
    """Do one of the things that need another before them, or that other one."""
    if choices.number(4) == 1:
        return _judge_a_run(world, choices)
    held = _held_decisions(world)
    if held and choices.number(2):
        return "carl", Review(held[-1], "reject" if choices.number(2) else "release", "seen")
    context, digest = world.ledger.context(), sha256(b"never sealed")
    tom = world.id("tom")
    if which == 0:
        balance = context.get(BALANCES, tom, "eur")
        is_rich = balance is not None and balance.available >= 100
        return "tom", Redeem("eur", tom, 100) if is_rich else Issue("eur", tom, 100)
    if which == 1:
        if get_upload(context, world.id("dev"), digest) is None:
            return "dev", UploadChunk(digest, 0, 1, b"nothing")
        return "dev", DropUpload(world.id("dev"), digest)
    hold = choices.pick(world.holds[-8:])
    row = context.get(HOLDS, hold)
    if row is not None and row.status == APPEALED:
        return "cora", UpholdHold(hold, "seen")
    if row is not None and row.status == OPEN:
        return "pia", AppealHold(hold, bytes(32))
    if not world.datasets():
        return None
    key = (world.datasets()[0], world.id("dirk"), "training")
    consent = context.get(CONSENTS, *key)
    if consent is None or consent.revoked_ms:
        return "dana", GrantUse(*key, world.ledger.head.time_ms + HOUR_MS * 24)
    return "dana", RevokeUse(*key)


def _judge_a_run(world: Everything, choices: Choices) -> Step:
    """Plan, label and evaluate, or retire a version that is live nowhere."""
    context = world.ledger.context()
    versions = {version: get_version(context, version) for version in world.versions()}
    spare = [version for version, row in versions.items() if row is not None and not row.retired_ms]
    if len(spare) > 4:
        return "dev", RetireVersion(spare[1])
    plans, runs = list_plans(context), list_runs(context)
    if not runs or not world.datasets():
        return None
    if not plans:
        return "dev", _plan_message(world, choices)
    labels = list_outcomes(context)
    if not labels or labels[-1][0] <= plans[-1][0]:
        return "cora", RecordOutcome(choices.number(200), choices.pick(LABELS))
    label = LabelRange(OUTCOMES, len(labels) - 1, len(labels))
    return "vera", _evaluation_of(runs[-1][1].run, plans[-1][1].plan, label)


def _bring_a_model_in(world: Everything, model: int, choices: Choices) -> Step:
    context, raw = world.ledger.context(), MODELS[model]
    digest = model_digest(raw)
    if not world.datasets():
        return "dana", dataset_message("payments", 1 + choices.number(200))
    if get_sealed(context, digest) is None:
        upload = get_upload(context, world.id("dev"), digest)
        chunks = chunks_of(raw, len(raw) // 2 + 1)
        if upload is not None and upload.present_count == len(chunks):
            return "dev", SealModel(digest, len(raw))
        return "dev", chunks[0 if upload is None else choices.number(2)]
    if not world.runs(digest):
        return "dev", run_message(world.datasets()[-1], digest)
    if not choices.number(2) or len(world.versions()) < 2:
        return "dev", RegisterVersion("fraud", world.runs(digest)[-1], digest, sha256(b"card"))
    return None


def _promote(world: Everything, _: int, choices: Choices) -> Step:
    context, versions = world.ledger.context(), world.versions()
    deployment = choices.pick(DEPLOYMENTS)
    row = get_deployment(context, deployment)
    if row is None:
        return "dev", CreateDeployment(deployment, "model", "")
    waiting = [version for version in versions if version != row.current]
    if not waiting:
        return None
    subject = promotion_subject(deployment, waiting[-1], row.change_count)
    approvers = list_approvers(context, row.policy, subject)
    for name in ("cora", "rick", "vera"):
        if world.id(name) not in approvers:
            return name, Approve(row.policy, subject)
    return "dev", Promote(deployment, waiting[-1])


def _activate(world: Everything, _: int, choices: Choices) -> Step:
    """Take the newest version of a rule through shadow, where it has room, to acting."""
    which = choices.number(len(RULES))
    context, name = world.ledger.context(), RULES[which].name
    row, live = get_name(context, name), get_live(context, name)
    if row is None:
        return "rick", SubmitRule(encode_rule(RULES[which]))
    version, shadow = row.version_count, get_shadow(context, name)
    if live is not None and live.version == version:
        return None
    stored = get_rule(context, name, version)
    assert stored is not None
    digest = rule_digest(stored.raw)
    message: Message
    if shadow is not None and shadow.version == version:
        if choices.number(4) == 1:
            return "rick", EndShadow(name)
        subject = activation_subject(name, version, digest, row.activation_count)
        message = ActivateRule(name, version)
    else:
        subject = shadow_subject(name, version, digest, row.shadow_count)
        message = ShadowRule(name, version)
    approvers = list_approvers(context, ACTIVATION, subject)
    for person in ("cora", "vera"):
        if world.id(person) not in approvers:
            return person, Approve(ACTIVATION, subject)
    return "rick", message


# Any message at any time


def _of(world: World) -> Everything:
    assert isinstance(world, Everything)
    return world


def _dataset_message(world: World, choices: Choices) -> Message:
    name, version = choices.pick(("payments", "more")), 1 + choices.number(3)
    leaks = choices.pick((None, 0, 5))
    quality = Quality("quality-1", NOTHING + bytes(12), 0, 0, 0, choices.number(9), 0, 0, leaks)
    return dataset_message(name, version, quality=choices.pick((None, quality)))


def _quality_policy(world: World, choices: Choices) -> Message:
    most, leaks = 1_000_000, choices.pick((None, None, 3))
    return SetQualityPolicy(False, most, most, most, choices.number(9) + 6, most, most, leaks)


def _dataset(world: World, choices: Choices) -> bytes:
    return _of(world).any_id(_of(world).datasets(), choices)


def _version(world: World, choices: Choices) -> bytes:
    return _of(world).any_id(_of(world).versions(), choices)


def _digest(choices: Choices) -> bytes:
    return model_digest(choices.pick(MODELS))


def _consent(world: World, choices: Choices) -> Message:
    dataset, account = _dataset(world, choices), world.id(choices.pick(("dirk", "cora")))
    until_ms = world.ledger.head.time_ms + choices.number(9) * HOUR_MS
    return GrantUse(dataset, account, "training", until_ms)


def _chunk(_: World, choices: Choices) -> Message:
    raw = choices.pick(MODELS)
    return choices.pick(chunks_of(raw, len(raw) // (1 + choices.number(3)) + 1))


def _seal(_: World, choices: Choices) -> Message:
    raw = choices.pick(MODELS)
    return SealModel(model_digest(raw), len(raw) - (choices.number(8) == 1))


def _run(world: World, choices: Choices) -> Message:
    return run_message(_dataset(world, choices), _digest(choices))


def _plan_message(world: World, choices: Choices) -> Message:
    split = SplitPlan("time", (), 0, 0, 0)
    return CommitPlan("plan", (_dataset(world, choices),), split, b"", 0, 5, "ap", 0)


def _evaluation(world: World, choices: Choices) -> Message:
    """Return an evaluation on the newest outcome or a dataset, under the newest plan."""
    context = world.ledger.context()
    plans = [entry.plan for _, entry in list_plans(context)]
    runs = [entry.run for _, entry in list_runs(context)]
    last = max(0, len(list_outcomes(context)) - 1)
    labels = choices.pick(
        (LabelRange(OUTCOMES, last, last + 1), LabelRange(_dataset(world, choices), 0, 9))
    )
    every = _of(world)
    return _evaluation_of(every.any_id(runs, choices), every.any_id(plans, choices), labels)


def _evaluation_of(run: bytes, plan: bytes, label: LabelRange) -> Message:
    figures = (Estimate("ap", 5, 4, 6),)
    return RecordEvaluation(run, plan, (label,), 1, 5, figures, 950_000, 9, 1)


def _register_version(world: World, choices: Choices) -> Message:
    digest = _digest(choices)
    run = _of(world).any_id(_of(world).runs(digest), choices)
    return RegisterVersion(choices.pick(DEPLOYMENTS), run, digest, sha256(b"card"))


def _score(_: World, choices: Choices) -> Message:
    count = choices.pick((len(FEATURES), len(FEATURES), 1, 25))
    return Score(choices.pick(DEPLOYMENTS), tuple(choices.number(256) for _ in range(count)))


def _prediction(world: World, choices: Choices) -> Message:
    deployment, version = choices.pick(DEPLOYMENTS), _version(world, choices)
    row = get_deployment(world.ledger.context(), deployment)
    if row is not None and row.current and choices.number(4):
        version = row.current
    return RecordPrediction(deployment, version, sha256(b"input"), choices.number(256), bytes(32))


def _batch(_: World, choices: Choices) -> Message:
    row = tuple(choices.number(256) for _ in range(len(FEATURES) - (choices.number(9) == 1)))
    return ScoreBatch(choices.pick(DEPLOYMENTS), (row,) * (1 + choices.number(3)))


def _decide_payment(world: World, choices: Choices) -> Message:
    amount_units = 1 + choices.number(256) * (1 + choices.number(8))
    now_ms = world.ledger.head.time_ms
    payees = (sha256(b"elsewhere")[:20], world.id("berta"))
    parties = customer(choices.number(CUSTOMERS)), choices.pick(payees)
    executor = world.id(choices.pick(("paul", "paul", "tom", "bea")))
    payment = DecidePayment(*parties, "usd", amount_units, now_ms, executor, bytes(32))
    return replace(payment, **_stated(choices))


def _decide_case(world: World, choices: Choices) -> Message:
    row = tuple(choices.number(256) for _ in range(len(FEATURES)))
    return DecideCase(choices.pick(DEPLOYMENTS), row, world.id("paul"), bytes(32))


def _decision(world: World, choices: Choices) -> bytes:
    ids = [entry.decision for _, entry in list_decisions(world.ledger.context())]
    return _of(world).any_id(ids, choices)


def _held_decisions(world: World) -> list[bytes]:
    context = world.ledger.context()
    ids = [entry.decision for _, entry in list_decisions(context)]
    rows = {decision: get_decision(context, decision) for decision in ids}
    return [d for d, row in rows.items() if row is not None and row.status == "held"]


def _held(world: World, choices: Choices) -> bytes:
    """Return one of the newest decisions that are held, if there is one."""
    held = _held_decisions(world)
    return choices.pick(held[-4:]) if held else _decision(world, choices)


def _report(world: World, choices: Choices) -> Message:
    done: Literal["executed", "stopped"] = "stopped" if choices.number(2) else "executed"
    acted_ms = world.ledger.head.time_ms - choices.number(4) * 1_000
    return ReportExecution(_decision(world, choices), done, acted_ms)


def _backtest(_: World, choices: Choices) -> Message:
    alerts = choices.number(5)
    precision = choices.number(1_000_000) if alerts else None
    period = (choices.number(9), 8)
    return RecordBacktest(
        _rule_name(choices),
        1 + choices.number(3),
        bytes(32),
        *period,
        4,
        alerts,
        1,
        alerts,
        precision,
        None,
    )


def _rule_name(choices: Choices) -> str:
    return choices.pick((*(rule.name for rule in RULES), "none"))


OTHER_MAKERS: list[tuple[Sequence[str], Maker]] = [
    (("pia", "pia", "paul"), _batch),
    (("pia", "pia", "tom"), _decide_payment),
    (("pia", "dev"), _decide_case),
    (("cora", "carl", "ben"), lambda w, c: Review(_held(w, c), "release", "seen")),
    (("cora", "carl", "pia"), lambda w, c: Review(_held(w, c), "reject", "seen")),
    (("paul", "paul", "tom"), _report),
    (("paul", "tom", "bea"), _report),
    (OWNERS, _dataset_message),
    (OWNERS, lambda w, c: WithdrawDataset(_dataset(w, c))),
    (OWNERS, _consent),
    (OWNERS, lambda w, c: RevokeUse(_dataset(w, c), w.id("dirk"), "training")),
    (
        ("dirk", "dana"),
        lambda w, c: RecordUse(_dataset(w, c), c.pick(("training", "none")), NOTHING),
    ),
    (("cora", "cora", "ben", "dana"), _quality_policy),
    (DEVELOPERS, _run),
    (DEVELOPERS, _plan_message),
    (("dev", "vera", "dev", "bill"), _evaluation),
    (DEVELOPERS, _chunk),
    (DEVELOPERS, _seal),
    (DEVELOPERS, lambda w, c: DropUpload(w.id(c.pick(("dev", "dirk"))), _digest(c))),
    (DEVELOPERS, _register_version),
    (DEVELOPERS, lambda w, c: RetireVersion(_version(w, c))),
    (DEVELOPERS, lambda w, c: CreateDeployment(c.pick(DEPLOYMENTS), c.pick(("model", "no")), "")),
    (DEVELOPERS, lambda w, c: Promote(c.pick(DEPLOYMENTS), _version(w, c))),
    (("rick", "dev", "dirk"), lambda w, c: RollBack(c.pick(DEPLOYMENTS))),
    (SENDERS, _score),
    (SENDERS, _score),
    (SENDERS, _prediction),
    (("cora", "pia", "ben"), lambda w, c: RecordOutcome(c.number(9), c.pick(LABELS))),
    (RISKS, lambda w, c: SubmitRule(encode_rule(c.pick(RULES)))),
    (RISKS, lambda w, c: SubmitRule(bytes([c.number(256)]) * (1 + c.number(40)))),
    (RISKS, lambda w, c: ActivateRule(_rule_name(c), 1 + c.number(3))),
    (RISKS, _backtest),
    (RISKS, lambda w, c: ShadowRule(_rule_name(c), 1 + c.number(3))),
    (RISKS, lambda w, c: EndShadow(_rule_name(c))),
    (RISKS, lambda w, c: SwitchRule(_rule_name(c), bool(c.number(2)))),
    (RISKS, lambda w, c: SwitchAllRules(bool(c.number(3)))),
    (RISKS, lambda w, c: RetireRule(_rule_name(c))),
]
