"""A fixed history on a chain with signed headers, and a bundle for each kind of claim from it.

Everything in it is derived from fixed seeds, so that every run makes the same bytes.
"""

from dataclasses import dataclass, field
from functools import cache

from cairn.evidence.bundle import (
    Claim,
    ForkClaim,
    LiveClaim,
    OpenedInput,
    PaymentClaim,
    PeriodClaim,
    PredictionClaim,
    RangeClaim,
    RowClaim,
    StateClaim,
    TransactionClaim,
)
from cairn.evidence.rows import (
    ColumnSpec,
    DatasetCommitment,
    OpenField,
    RowDisclosure,
    RowSchema,
    field_commitment,
    row_commitment,
    schema_digest,
)
from cairn.exact.features import FEATURES as DERIVED
from cairn.exact.rules import All, Any, Compare, Emit, Hold, Refuse, Rule
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.bank.events import HoldPlaced
from cairn.modules.bank.messages import AppealHold, ReleaseHold, RenewHold, ReturnHold, UpholdHold
from cairn.modules.bank.records import HOLD_SERIES, HOLDS
from cairn.modules.data.events import DatasetRegistered
from cairn.modules.identity.messages import RotateKey
from cairn.modules.inference.messages import RecordPrediction, Score
from cairn.modules.inference.records import PREDICTIONS, input_commitment, policy_digest
from cairn.modules.models.messages import RollBack
from cairn.modules.models.records import DEPLOYMENTS, VERSIONS
from cairn.modules.rules.messages import (
    ActivateRule,
    RecordBacktest,
    ShadowRule,
    SwitchAllRules,
    SwitchRule,
)
from cairn.modules.screening.records import ATTEMPTS
from cairn.modules.training.events import PlanCommitted
from cairn.modules.training.messages import CommitPlan, RecordEvaluation
from cairn.modules.training.records import RUNS, Estimate, LabelRange, SplitPlan
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from cairn.primitives.light import header_hash
from cairn.primitives.merkle import leaf_hash, range_proof_of, root_of
from cairn.sdk.prove import prove
from tests.evidence.chain import WITNESS, Chain, Source, fork
from tests.modules.founding import (
    HOUR_MS,
    activate,
    amount_model,
    approve_rule,
    approve_shadow,
    dataset_message,
    found,
    go_live,
    hold_rule,
    pay,
    promote,
    register_version,
    submit_rule,
    tree_model,
)
from tests.modules.harness import key_of

REPORT = sha256(b"the report of a back-test")
SALT = b"a salt that nobody can guess, ..."
FEATURES = tuple(range(100, 100 + len(DERIVED)))
ROWS: tuple[tuple[int | str | None, ...], ...] = (
    (1, "card-17", 1250, None),
    (2, "card-03", 99, "travel"),
    (3, "card-17", 480_000, "jewels"),
    (4, "card-90", 1, None),
    (5, "card-03", 77_700, "food"),
)
SCHEMA = RowSchema(
    (
        ColumnSpec("number", "integer", 0, False),
        ColumnSpec("card", "text", 0, False),
        ColumnSpec("amount", "decimal", 2, False),
        ColumnSpec("branch", "text", 0, True),
    ),
    1,
)


@dataclass(slots=True)
class Story:
    """What happened, by the names that tests use."""

    chain: Chain
    dataset: bytes = b""
    transactions: dict[str, bytes] = field(default_factory=dict)
    holds: dict[str, bytes] = field(default_factory=dict)
    heights: dict[str, int] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        """Remember where the chain stands."""
        self.heights[name] = self.chain.head.height
        self.times[name] = self.chain.head.time_ms

    def pay(self, name: str, amount_units: int, *, payer: int = 0, payee: int = 1) -> None:
        """Let pia order a payment in a block of its own."""
        outcome = self.chain.run("pia", pay(self.chain, payer, payee, amount_units))
        assert outcome.receipt is not None
        self.transactions[name] = outcome.receipt.transaction_id
        held = [event.hold for event in outcome.events if isinstance(event, HoldPlaced)]
        if held:
            self.holds[name] = held[0]
        self.mark(name)


def tell(chain: Chain) -> Story:
    """Let everything happen on a new chain."""
    story = Story(chain)
    story.mark("founded")
    _data_and_models(story)
    _rules(story)
    _payments(story)
    _what_became_of_holds(story)
    _later_versions(story)
    _predictions(story)
    story.mark("told")
    return story


def _data_and_models(story: Story) -> None:
    chain = story.chain
    message = dataset_message(
        "cards",
        row_root=root_of([leaf_hash(commitment) for commitment in row_commitments()]),
        row_count=len(ROWS),
        schema_digest=schema_digest(SCHEMA),
    )
    story.dataset = chain.done("dana", message).event(DatasetRegistered).dataset
    version = go_live(chain, "fraud", amount_model(10))
    go_live(chain, "size", tree_model(5, 3))
    _evaluate(chain, version)
    story.mark("models")


def _evaluate(chain: Chain, version: bytes) -> None:
    """Commit a plan, register test rows after it, and record twice how a version did on them."""
    row = chain.get(VERSIONS, version)
    assert row is not None
    train = chain.get(RUNS, row.run)
    assert train is not None
    split = SplitPlan("time", ("booked_at",), 300_000, 1_700_000_000_000, 0)
    terms = (b"", 1_000, 500_000, "average_precision", 100)
    message = CommitPlan("cards-in-may", (train.splits[0].dataset,), split, *terms)
    plan = chain.done("dev", message).event(PlanCommitted).plan
    test = chain.done("dana", dataset_message("cards.test")).event(DatasetRegistered).dataset
    for by, value_ppm in (("dev", 700_000), ("vera", 712_345)):
        chain.done(
            by,
            RecordEvaluation(
                run=row.run,
                plan=plan,
                labels=(LabelRange(test, 0, 1_000),),
                positive_count=20,
                threshold_ppm=500_000,
                metrics=(Estimate("average_precision", value_ppm, 660_000, 750_000),),
                confidence_ppm=950_000,
                resample_count=1_000,
                seed=1,
            ),
        )


def _rules(story: Story) -> None:
    chain = story.chain
    big = (Compare("model:fraud", ">=", 500_000), Compare("field:amount_units", "<", 90_000))
    activate(chain, hold_rule("big", *big, All(2), priority=5))
    loud = (Compare("model:size", ">=", 0), Compare("feature:is_night", "==", 1), Any(2))
    activate(chain, hold_rule("loud", *loud, actions=[Emit("seen")]))
    refuse = Compare("field:amount_units", ">=", 90_000)
    activate(chain, hold_rule("limit", refuse, actions=[Refuse("too much")], priority=9))
    short = Compare("field:amount_units", "==", 60_001)
    activate(chain, hold_rule("short", short, actions=[Hold(HOUR_MS // 6, "settle")], priority=7))
    story.mark("rules")


def _payments(story: Story) -> None:
    chain = story.chain
    story.pay("settled", 1_234)
    story.pay("released", 70_000)
    story.pay("returned", 80_000, payer=2)
    story.pay("expired", 60_001, payer=3)
    story.pay("open", 75_000, payer=4)
    story.pay("refused", 95_000)
    story.pay("to oneself", 50, payer=5, payee=5)
    several = [pay(chain, 1, 2, 300 + i) for i in range(3)]
    chain.submit("pia", *several, mode=INDEPENDENT)
    chain.submit("pia", pay(chain, 2, 3, 400))
    chain.submit("cora", RecordPrediction("fraud", bytes(20), bytes(32), 1, bytes(32)))
    chain.submit("pia", pay(chain, 3, 4, 71_000))
    outcomes = chain.block()
    assert outcomes[0].receipt is not None
    assert outcomes[3].receipt is not None
    story.transactions["several"] = outcomes[0].receipt.transaction_id
    story.transactions["held in a crowd"] = outcomes[3].receipt.transaction_id
    story.mark("payments")


def _what_became_of_holds(story: Story) -> None:
    chain, holds = story.chain, story.holds
    chain.done("pia", AppealHold(holds["released"], sha256(b"it is mine")))
    chain.done("cora", UpholdHold(holds["released"], "unclear"))
    until_ms = chain.head.time_ms + 2 * HOUR_MS
    chain.done("cora", RenewHold(holds["released"], until_ms, "waiting"))
    chain.done("carl", RenewHold(holds["released"], until_ms, "waiting"))
    chain.done("cora", ReturnHold(holds["returned"], "fraud"))
    chain.block(advance_ms=HOUR_MS // 6)
    chain.done("carl", ReleaseHold(holds["released"], "explained"))
    story.mark("decided")


def _later_versions(story: Story) -> None:
    chain = story.chain
    promote(chain, "fraud", register_version(chain, amount_model(11)))
    story.mark("second version")
    story.pay("by the second version", 46_000)
    chain.done("rick", RollBack("fraud"))
    story.mark("rolled back")
    story.pay("after the roll-back", 46_000)
    chain.done("rick", SwitchRule("loud", False))
    chain.done("cora", SwitchAllRules(False))
    story.pay("with rules off", 88_000)
    chain.done("cora", SwitchAllRules(True))
    new = key_of("pia's second")
    chain.done("pia", RotateKey(chain.id("pia"), key_of("pia").public_key, new.public_key))
    chain.add_actor("pia", chain.id("pia"), new)
    story.pay("with a new key", 500)
    _earn_power(story, hold_rule("big", Compare("model:fraud", ">=", 400_000), priority=5))
    story.pay("by the second rule", 47_000, payer=2)


def _earn_power(story: Story, rule: Rule) -> None:
    """Take a rule's next version through a back-test and ten minutes of shadow to acting."""
    chain = story.chain
    version = submit_rule(chain, rule)
    test = (1, 1_000, 1_000, 30, 12_345, 20, 400_000, None)
    chain.done("rick", RecordBacktest(rule.name, version, REPORT, *test))
    approve_shadow(chain, rule.name, version)
    chain.done("rick", ShadowRule(rule.name, version))
    story.pay("in shadow", 45_000)
    chain.block(advance_ms=HOUR_MS // 6)
    approve_rule(chain, rule.name, version)
    chain.done("rick", ActivateRule(rule.name, version))


def _predictions(story: Story) -> None:
    chain = story.chain
    outcome = chain.done("pia", Score("size", FEATURES))
    assert outcome.receipt is not None
    story.transactions["scored"] = outcome.receipt.transaction_id
    version = _live_version(story, "fraud")
    digest = input_commitment(SALT, version, FEATURES)
    score_ppm = 1_000
    ours = policy_digest("ours")
    chain.done("pia", RecordPrediction("fraud", version, digest, score_ppm - 1, ours))  # a lie
    chain.done("pia", RecordPrediction("fraud", version, digest, score_ppm, ours))


def _live_version(story: Story, deployment: str) -> bytes:
    row = story.chain.get(DEPLOYMENTS, deployment)
    assert row is not None
    return row.current


# Rows


def salt_of(row: int, column: int) -> bytes:
    """Return the salt of a field, 32 bytes."""
    return sha256(b"salt of %d %d" % (row, column))


def field_commitments(row: int) -> tuple[bytes, ...]:
    """Return the commitments of a row's fields."""
    return tuple(
        field_commitment(salt_of(row, column), column, encode(value))
        for column, value in enumerate(ROWS[row])
    )


def row_commitments() -> list[bytes]:
    """Return the commitments of all rows."""
    return [row_commitment(field_commitments(row)) for row in range(len(ROWS))]


def disclose(row: int, columns: tuple[str, ...]) -> RowDisclosure:
    """Return a row with some columns opened."""
    fields: list[OpenField | bytes] = []
    for column, (spec, value) in enumerate(zip(SCHEMA.columns, ROWS[row], strict=True)):
        closed = field_commitments(row)[column]
        opened = OpenField(salt_of(row, column), encode(value))
        fields.append(opened if spec.name in columns else closed)
    path = range_proof_of([leaf_hash(raw) for raw in row_commitments()], row, row + 1)
    return RowDisclosure(1, SCHEMA, row, tuple(fields), path)


def commitment() -> DatasetCommitment:
    """Return the commitment of the data set."""
    root = root_of([leaf_hash(raw) for raw in row_commitments()])
    return DatasetCommitment(1, root, len(ROWS), schema_digest(SCHEMA), sha256(b"file"))


# Bundles


def claims(story: Story) -> dict[str, Claim]:
    """Return one claim, or more, of each kind, by name."""
    ids, heights, times = story.transactions, story.heights, story.times
    recorded = len(_positions(story, "fraud")) - 1
    scored = len(_positions(story, "size")) - 1
    found: dict[str, Claim] = {
        "state_present": StateClaim(HOLDS.key(story.holds["open"])),
        "state_absent": StateClaim(HOLDS.key(bytes(20))),
        "transaction": TransactionClaim(ids["settled"]),
        "transaction_of_several": TransactionClaim(ids["several"]),
        "row": RowClaim(story.dataset),
        "live_at_height": LiveClaim("fraud", heights["by the second version"], None),
        "live_at_time": LiveClaim("fraud", None, times["payments"]),
        "live_after_roll_back": LiveClaim("fraud", None, times["told"]),
        "live_none": LiveClaim("fraud", None, times["founded"]),
        "live_no_deployment": LiveClaim("nothing", 1, None),
        "prediction_derived": PredictionClaim("size", 0, None),
        "prediction_asserted": PredictionClaim("size", scored, None),
        "prediction_closed": PredictionClaim("fraud", recorded, None),
        "prediction_opened": PredictionClaim("fraud", recorded, OpenedInput(SALT, FEATURES)),
        "range": RangeClaim(HOLD_SERIES.key(), times["settled"], times["payments"]),
        "range_of_attempts": RangeClaim(ATTEMPTS.key(), times["rules"], times["payments"]),
        "range_to_the_end": RangeClaim(HOLD_SERIES.key(), 0, times["told"]),
        "range_empty": RangeClaim(HOLD_SERIES.key(), times["founded"], times["rules"]),
        "period": PeriodClaim(times["rules"], times["decided"] + 1, ("fraud", "size")),
        "period_whole": PeriodClaim(0, times["told"], ("fraud", "size")),
    }
    for name in ("settled", "released", "returned", "expired", "open", "refused", "to oneself"):
        found[f"payment_{name.replace(' ', '_')}"] = PaymentClaim(ids[name], 0)
    found["payment_of_several"] = PaymentClaim(ids["several"], 1)
    found["payment_by_second_version"] = PaymentClaim(ids["by the second version"], 0)
    found["payment_after_roll_back"] = PaymentClaim(ids["after the roll-back"], 0)
    found["payment_with_rules_off"] = PaymentClaim(ids["with rules off"], 0)
    found["payment_with_new_key"] = PaymentClaim(ids["with a new key"], 0)
    found["payment_in_shadow"] = PaymentClaim(ids["in shadow"], 0)
    found["payment_by_second_rule"] = PaymentClaim(ids["by the second rule"], 0)
    return found


def _positions(story: Story, deployment: str) -> range:
    return range(story.chain.context().series_size(PREDICTIONS, deployment))


@dataclass(frozen=True, slots=True)
class Told:
    """A story with its proofs: what most tests start from."""

    story: Story
    source: Source
    bundles: dict[str, bytes]


def bundle_of(source: Source, claim: Claim, *, extends_size: int | None = None) -> bytes:
    """Return the bundle of a claim; rows are disclosed in part."""
    disclosure = (
        disclose(2, ("number", "amount", "branch")) if isinstance(claim, RowClaim) else None
    )
    return prove(source, claim, disclosure=disclosure, extends_size=extends_size)


def forked(story: Story) -> bytes:
    """Return the bundle that shows two blocks of one height, the chain having gone on twice."""
    one, other = fork(story.chain).source(), fork(story.chain)
    other.block(advance_ms=7)
    second = other.log[-1]
    mine = header_hash(one.view.header)
    if header_hash(second.header) > mine:
        return bundle_of(one, ForkClaim(second.header, second.commit))
    later = fork(story.chain)
    source = later.source(advance_ms=7)
    return bundle_of(source, ForkClaim(one.view.header, one.view.commit))


@cache
def told() -> Told:
    """Return the story and its bundles, made once."""
    story = tell(found(Chain, check_invariants=False))  # type: ignore[arg-type]
    source = story.chain.source(witnesses=(WITNESS,))
    bundles = {name: bundle_of(source, claim) for name, claim in claims(story).items()}
    bundles["fork"] = forked(story)
    return Told(story, source, bundles)
