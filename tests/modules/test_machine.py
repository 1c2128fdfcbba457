"""Any sequence of messages keeps the invariants, and replicas and replays agree."""

from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from cairn.exact.features import FEATURES
from cairn.exact.models import encode_model
from cairn.exact.rules import Compare, Emit, Freeze, Hold, Refuse, encode_rule
from cairn.ledger.execution import Block, BlockResult, Ledger
from cairn.ledger.memory import MemoryState
from cairn.ledger.messages import Message
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.bank.events import HoldPlaced
from cairn.modules.data.messages import GrantUse, RecordUse, RevokeUse, WithdrawDataset
from cairn.modules.data.queries import list_changes
from cairn.modules.identity.messages import Approve
from cairn.modules.inference import scorers
from cairn.modules.inference.events import FeaturesScored, PaymentScored, PredictionRecorded
from cairn.modules.inference.messages import RecordPrediction, Score
from cairn.modules.inference.queries import count_predictions
from cairn.modules.models.messages import (
    CreateDeployment,
    DropUpload,
    Promote,
    RegisterVersion,
    RetireVersion,
    RollBack,
    SealModel,
)
from cairn.modules.models.queries import get_deployment, list_versions
from cairn.modules.models.records import model_digest, promotion_subject
from cairn.modules.rules import live as live_rules
from cairn.modules.rules.events import RuleFired
from cairn.modules.rules.messages import (
    ActivateRule,
    RetireRule,
    SubmitRule,
    SwitchAllRules,
    SwitchRule,
)
from cairn.modules.rules.queries import count_today, get_name, get_rule, list_firings
from cairn.modules.rules.records import ACTIVATION, DAY_MS, activation_subject, rule_digest
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.training.queries import list_runs
from cairn.primitives.hashes import sha256
from tests.modules.founding import (
    amount_model,
    chunks_of,
    dataset_message,
    found,
    hold_rule,
    pay,
    run_message,
)
from tests.modules.harness import Outcome

HOUR_MS = 3_600_000
SENDERS = ("dana", "dev", "dirk", "rick", "cora", "pia", "dora")
DEPLOYMENTS = ("fraud", "other")
CAP = 2
MODELS = [encode_model(amount_model(ppm)) for ppm in (1, 400, 1_000)]
RULES = [
    hold_rule("scored", Compare("model:fraud", ">=", 200_000), daily_cap=CAP),
    hold_rule(
        "big", Compare("field:amount_units", ">=", 900), actions=[Refuse("big")], daily_cap=CAP
    ),
    hold_rule(
        "fast",
        Compare("feature:payer_count_1h", ">=", 2),
        actions=[Hold(HOUR_MS, "settle"), Freeze("payee", HOUR_MS), Emit("fast")],
        daily_cap=CAP,
        priority=1,
    ),
]
NOTHING = b"\xee" * 20

senders = st.sampled_from(SENDERS)
deployments = st.sampled_from(DEPLOYMENTS)
choices = st.integers(0, 6)


class _Recording(Ledger):
    """Keeps the blocks that it executed, for a replay."""

    blocks: list[Block]

    def execute(self, head: Any, reader: Any, block: Block) -> BlockResult:
        if not self.blocks or self.blocks[-1].height < block.height:
            self.blocks.append(block)
        return super().execute(head, reader, block)


class Modules(RuleBasedStateMachine):
    """Everybody sends everything, at any time, some of it wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = found(replicas=2)
        recording = _Recording(self.bank.ledger.registry)
        recording.blocks = []
        self.bank.ledger = recording
        self.blocks = recording.blocks
        self.scored = dict.fromkeys(DEPLOYMENTS, 0)
        self.acted: dict[tuple[str, int], int] = {}
        self.fired = 0

    def send(self, sender: str, *messages: Message) -> Outcome:
        """Run messages alone in a block, each standing for itself; take note of the events."""
        self.bank.submit(sender, *messages, mode=INDEPENDENT)
        (outcome,) = self.bank.block()
        self.note(outcome.events)
        return outcome

    def note(self, events: Sequence[object]) -> None:
        """Count what the series must hold, and what rules did by themselves."""
        for event in events:
            if isinstance(event, PaymentScored | FeaturesScored | PredictionRecorded):
                self.scored[event.deployment] += 1
            if isinstance(event, RuleFired):
                self.fired += 1
                assert count_today(self.bank.context(), event.rule) <= CAP
            if isinstance(event, HoldPlaced) and event.rule == "scored":
                self.note_use(event.rule)
        context = self.bank.context()
        for deployment in DEPLOYMENTS:
            assert count_predictions(context, deployment) == self.scored[deployment]
        assert len(list_firings(context)) == self.fired

    def note_use(self, rule: str) -> None:
        """Count a payment that a rule held; refusals and freezes count by account."""
        key = (rule, self.bank.head.time_ms // DAY_MS)
        self.acted[key] = self.acted.get(key, 0) + 1
        assert self.acted[key] <= CAP, "a rule acted past its daily cap"

    def pick(self, ids: Sequence[bytes], choice: int) -> bytes:
        """Return one of the ids, or one that nothing has."""
        return ids[choice % len(ids)] if ids and choice else NOTHING

    def datasets(self) -> list[bytes]:
        return [entry.dataset for _, entry in list_changes(self.bank.context())]

    def versions(self) -> list[bytes]:
        return [entry.version for _, entry in list_versions(self.bank.context())]

    @initialize(is_going=st.sampled_from((True, True, True, False)))
    def begin(self, is_going: bool) -> None:
        """Begin with a model and rules that are live, or with nothing."""
        if not is_going:
            return
        for model in range(3):
            self.bring_a_model_in(model, "dev")
        for deployment in DEPLOYMENTS:
            self.create_deployment(deployment)
            self.promote(deployment, choice=2, approvers=3)
        for which in range(3):
            self.submit_rule(which, "rick")
            self.activate_rule(which, approvers=2)

    # Data and training

    @rule(sender=st.sampled_from(("dana", "dora", "dev")), version=st.integers(1, 3))
    def register_dataset(self, sender: str, version: int) -> None:
        self.send(sender, dataset_message("payments", version))

    @rule(sender=senders, choice=choices)
    def withdraw_dataset(self, sender: str, choice: int) -> None:
        self.send(sender, WithdrawDataset(self.pick(self.datasets(), choice)))

    @rule(choice=choices, hours=st.integers(-1, 2), revoke=st.booleans())
    def consent(self, choice: int, hours: int, revoke: bool) -> None:
        dataset, dirk = self.pick(self.datasets(), choice), self.bank.id("dirk")
        until_ms = self.bank.head.time_ms + hours * HOUR_MS
        grant: Message = GrantUse(dataset, dirk, "training", until_ms)
        revocation = RevokeUse(dataset, dirk, "training")
        self.send("dana", *((grant, revocation) if revoke else (grant,)))

    @rule(sender=senders, choice=choices)
    def record_use(self, sender: str, choice: int) -> None:
        self.send(sender, RecordUse(self.pick(self.datasets(), choice), "training", NOTHING))

    @rule(sender=st.sampled_from(("dev", "dirk")), choice=choices, model=st.integers(0, 2))
    def record_run(self, sender: str, choice: int, model: int) -> None:
        digest = model_digest(MODELS[model])
        self.send(sender, run_message(self.pick(self.datasets(), choice), digest))

    # Models

    @rule(sender=st.sampled_from(("dev", "dirk")), model=st.integers(0, 2), part=choices)
    def upload_chunk(self, sender: str, model: int, part: int) -> None:
        chunks = chunks_of(MODELS[model], len(MODELS[model]) // 2 + 1)
        self.send(sender, chunks[part % 2])

    @rule(sender=st.sampled_from(("dev", "dirk")), model=st.integers(0, 2), drop=choices)
    def seal_or_drop(self, sender: str, model: int, drop: int) -> None:
        raw = MODELS[model]
        digest = model_digest(raw)
        seal = SealModel(digest, len(raw))
        self.send(sender, seal if drop else DropUpload(self.bank.id("dev"), digest))

    @rule(model=st.integers(0, 2), sender=st.sampled_from(("dev", "dirk")))
    def bring_a_model_in(self, model: int, sender: str) -> None:
        """The straight way, so that something goes live now and then."""
        raw = MODELS[model]
        digest = model_digest(raw)
        self.send(sender, *chunks_of(raw), SealModel(digest, len(raw)))
        self.send("dana", dataset_message("straight", self.bank.head.height))
        self.send("dev", run_message(self.datasets()[-1], digest))
        runs = [e.run for _, e in list_runs(self.bank.context()) if e.model_digest == digest]
        run = runs[-1] if runs else NOTHING
        self.send("dev", RegisterVersion("fraud", run, digest, sha256(b"card")))

    @rule(deployment=deployments)
    def create_deployment(self, deployment: str) -> None:
        self.send("dev", CreateDeployment(deployment, "model", ""))

    @rule(deployment=deployments, choice=choices, approvers=st.sampled_from((2, 3, 3, 3)))
    def promote(self, deployment: str, choice: int, approvers: int) -> None:
        version = self.pick(self.versions(), choice)
        row = get_deployment(self.bank.context(), deployment)
        if row is not None:
            subject = promotion_subject(deployment, version, row.change_count)
            for name in ("cora", "rick", "vera")[:approvers]:
                self.send(name, Approve("model", subject))
        self.send("dev", Promote(deployment, version))

    @rule(deployment=deployments, sender=senders)
    def roll_back(self, deployment: str, sender: str) -> None:
        self.send(sender, RollBack(deployment))

    @rule(choice=choices)
    def retire_version(self, choice: int) -> None:
        self.send("dev", RetireVersion(self.pick(self.versions(), choice)))

    # Inference and screening

    @rule(deployment=deployments, amount=st.integers(0, 2_000))
    def score(self, deployment: str, amount: int) -> None:
        self.send("pia", Score(deployment, (amount,) * len(FEATURES)), Score(deployment, (amount,)))

    @rule(deployment=deployments, choice=choices)
    def record_prediction(self, deployment: str, choice: int) -> None:
        digest = sha256(b"input")
        version = self.pick(self.versions(), choice)
        self.send("pia", RecordPrediction(deployment, version, digest, 7, digest))

    @rule(sender=senders, attempt=st.integers(0, 9), label=st.sampled_from(("fraud", "genuine")))
    def record_outcome(self, sender: str, attempt: int, label: Any) -> None:
        self.send(sender, RecordOutcome(attempt, label))

    # Rules and payments

    @rule(which=st.integers(0, 2), sender=st.sampled_from(("rick", "rick", "rita", "dev")))
    def submit_rule(self, which: int, sender: str) -> None:
        self.send(sender, SubmitRule(encode_rule(RULES[which])))

    @rule(which=st.integers(0, 2), approvers=st.sampled_from((1, 2, 2)))
    def activate_rule(self, which: int, approvers: int) -> None:
        name = RULES[which].name
        row = get_name(self.bank.context(), name)
        version = 1 if row is None else row.version_count
        stored = get_rule(self.bank.context(), name, version)
        if row is not None and stored is not None:
            digest = rule_digest(stored.raw)
            subject = activation_subject(name, version, digest, row.activation_count)
            for person in ("cora", "vera")[:approvers]:
                self.send(person, Approve(ACTIVATION, subject))
        self.send("rick", ActivateRule(name, version))

    @rule(which=st.integers(0, 2), on=st.booleans(), sender=senders)
    def switch(self, which: int, on: bool, sender: str) -> None:
        self.send(sender, SwitchRule(RULES[which].name, on), SwitchAllRules(on))

    @rule(which=st.integers(0, 2))
    def retire_rule(self, which: int) -> None:
        self.send("rick", RetireRule(RULES[which].name))

    @rule(
        payments=st.lists(
            st.tuples(st.integers(0, 2), st.integers(3, 5), st.integers(1, 1_200)),
            min_size=1,
            max_size=8,
        ),
        sender=st.sampled_from(("pia", "pia", "pia", "paul")),
        hours=st.integers(-30, 30),
    )
    def pay_and_wait(self, payments: list[tuple[int, int, int]], sender: str, hours: int) -> None:
        booked_ms = self.bank.head.time_ms + hours * HOUR_MS
        self.send(sender, *[pay(self.bank, *p, booked_at_ms=booked_ms) for p in payments])
        self.bank.block(advance_ms=abs(hours) * 60_000)

    def teardown(self) -> None:
        """Replay everything from the founding, remembering no model and no rule."""
        scorers._scorers.clear()
        live_rules._compiled.clear()
        ledger, state = Ledger(self.bank.ledger.registry), MemoryState()
        result = ledger.found(self.bank.charter, self.bank.chain_id, state)
        state.apply(result.changes)
        for block in self.blocks:
            result = ledger.execute(result.head, state, block)
            state.apply(result.changes)
        assert result.head == self.bank.head
        assert state.rows == self.bank.state.rows


TestModules = Modules.TestCase
TestModules.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
