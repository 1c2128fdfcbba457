"""A bank with data, a model, a deployment and rules: what tests of these modules start from.

bank = found()                                   # people, policies, an asset and accounts
version = go_live(bank, "fraud", amount_model())  # through run, upload, approval, promotion
activate(bank, hold_rule("big"))
bank.done("pia", pay(bank, 0, 1, 250))
"""

from collections.abc import Sequence
from struct import pack
from typing import Any

from cairn.exact.features import FEATURES
from cairn.exact.models import ExactModel, Feature, Linear, Trees, Weight, encode_model
from cairn.exact.rules import Action, Compare, Hold, Node, Rule, encode_rule
from cairn.modules.bank.messages import Transfer
from cairn.modules.bank.records import (
    BankGenesis,
    FoundingAccount,
    FoundingAsset,
    FoundingBalance,
    customer_account,
)
from cairn.modules.data.events import DatasetRegistered
from cairn.modules.data.messages import RegisterDataset
from cairn.modules.identity.messages import Approve
from cairn.modules.identity.records import (
    FoundingMember,
    FoundingOrganisation,
    FoundingPolicy,
    IdentityGenesis,
    Policy,
    member_id,
    organisation_id,
)
from cairn.modules.models.events import VersionRegistered
from cairn.modules.models.messages import (
    CreateDeployment,
    Promote,
    RegisterVersion,
    SealModel,
    UploadChunk,
)
from cairn.modules.models.queries import get_deployment
from cairn.modules.models.records import model_digest, promotion_subject
from cairn.modules.registry import OTHERS
from cairn.modules.rules.events import RuleSubmitted
from cairn.modules.rules.messages import ActivateRule, ShadowRule, SubmitRule
from cairn.modules.rules.queries import get_name
from cairn.modules.rules.records import (
    ACTIVATION,
    RULES,
    activation_subject,
    rule_digest,
    shadow_subject,
)
from cairn.modules.training.events import RunRecorded
from cairn.modules.training.messages import RecordRun
from cairn.modules.training.records import Metric, SplitUse
from cairn.primitives.hashes import sha256
from tests.modules.harness import PEOPLE, POLICIES, Harness, key_of

HOUR_MS = 3_600_000
CUSTOMERS = 6
FUNDS_UNITS = 1_000_000
ROLES = {
    "dana": ("data-owner",),
    "dora": ("data-owner",),
    "dirk": ("developer",),
    "rita": ("risk",),
}
"""Roles that these modules need beside those of the harness; dora, dirk and rita work for beta."""


def found(kind: type[Harness] = Harness, **options: Any) -> Harness:
    """Return a ledger of all modules with `CUSTOMERS` accounts, operated by pia."""
    people = {**PEOPLE, **{name: ("beta", roles) for name, roles in ROLES.items()}}
    people["dana"] = ("alpha", ROLES["dana"])
    homes: dict[str, list[FoundingMember]] = {}
    for name, (home, roles) in people.items():
        member = FoundingMember("person", name, roles, (key_of(name).public_key,))
        homes.setdefault(home, []).append(member)
    rules = Policy(2, ("compliance", "risk", "validator"), False, False)
    identity = IdentityGenesis(
        tuple(FoundingOrganisation(home, (), tuple(members)) for home, members in homes.items()),
        tuple(FoundingPolicy(n, p) for n, p in {**POLICIES, ACTIVATION: rules}.items()),
    )
    alpha = organisation_id("alpha")
    pia = member_id(alpha, "pia")
    bank = BankGenesis(
        (FoundingAsset("eur", alpha, "Euro", 2),),
        tuple(FoundingAccount(controller=pia, pseudonym=pseudonym(i)) for i in range(CUSTOMERS)),
        tuple(FoundingBalance(customer(i), "eur", FUNDS_UNITS) for i in range(CUSTOMERS)),
    )
    ledger = kind(*OTHERS, sections={"identity": identity, "bank": bank}, **options)
    for name in ("dora", "dirk", "rita"):
        ledger.add_actor(name, member_id(organisation_id("beta"), name))
    return ledger


def pseudonym(index: int) -> bytes:
    """Return the pseudonym of a customer."""
    return sha256(b"customer %d" % index)[:20]


def customer(index: int) -> bytes:
    """Return the account of a customer."""
    return customer_account(member_id(organisation_id("alpha"), "pia"), pseudonym(index))


def pay(
    ledger: Harness,
    payer: int,
    payee: int,
    amount_units: int,
    *,
    booked_at_ms: int | None = None,
    reference: int = 0,
) -> Transfer:
    """Return a payment between two customers, booked at the last block's time."""
    booked = ledger.head.time_ms if booked_at_ms is None else booked_at_ms
    return Transfer(
        payer=customer(payer),
        payee=customer(payee),
        asset="eur",
        amount_units=amount_units,
        booked_at_ms=booked,
        reference=sha256(b"reference %d" % reference),
    )


# Data, runs and models


def dataset_message(name: str = "payments", version: int = 1, **fields: Any) -> RegisterDataset:
    """Return the registration of a dataset of 1000 rows."""
    stated: dict[str, Any] = {
        "name": name,
        "version": version,
        "format_version": 1,
        "row_root": sha256(b"rows"),
        "row_count": 1_000,
        "schema_digest": sha256(b"schema"),
        "file_commitment": sha256(b"file"),
        "size_bytes": 65_000,
        "licence": "CC0-1.0",
        "synthetic": True,
        "salt_scheme": "subject-keys-1",
    }
    return RegisterDataset(**{**stated, **fields})


def register_dataset(ledger: Harness, name: str = "payments", version: int = 1) -> bytes:
    """Register a dataset of alpha's; return its id."""
    outcome = ledger.done("dana", dataset_message(name, version))
    return outcome.event(DatasetRegistered).dataset


def run_message(dataset: bytes, digest: bytes, **fields: Any) -> RecordRun:
    """Return the record of a run over 900 rows of a dataset."""
    stated: dict[str, Any] = {
        "splits": (SplitUse(dataset, "train", 0, 700), SplitUse(dataset, "test", 700, 900)),
        "code_digest": sha256(b"code"),
        "parameters": b"\x92\x01\x02",
        "seed": 7,
        "environment_digest": sha256(b"lock"),
        "threads": 1,
        "metrics": (Metric("average_precision", 812_000), Metric("roc_auc", 967_000)),
        "model_digest": digest,
        "library": "lightgbm",
        "library_version": "4.6.0",
    }
    return RecordRun(**{**stated, **fields})


def record_run(ledger: Harness, digest: bytes, dataset: bytes | None = None) -> bytes:
    """Record a run that made the model of this digest; return its id."""
    if dataset is None:
        dataset = register_dataset(ledger, f"data-{ledger.head.height}")
    outcome = ledger.done("dev", run_message(dataset, digest))
    return outcome.event(RunRecorded).run


def chunks_of(raw: bytes, size_bytes: int = 32_768) -> list[UploadChunk]:
    """Return the messages that upload a model, in order."""
    pieces = [raw[at : at + size_bytes] for at in range(0, len(raw), size_bytes)]
    digest = model_digest(raw)
    return [UploadChunk(digest, i, len(pieces), piece) for i, piece in enumerate(pieces)]


def upload(ledger: Harness, raw: bytes) -> bytes:
    """Upload and seal a model; return its digest."""
    for chunk in chunks_of(raw):
        ledger.done("dev", chunk)
    ledger.done("dev", SealModel(model_digest(raw), len(raw)))
    return model_digest(raw)


def register_version(ledger: Harness, model: ExactModel, name: str = "fraud") -> bytes:
    """Bring a model onto the ledger and register it as a version; return the version's id."""
    raw = encode_model(model)
    digest = upload(ledger, raw)
    run = record_run(ledger, digest)
    outcome = ledger.done("dev", RegisterVersion(name, run, digest, sha256(b"card")))
    return outcome.event(VersionRegistered).version


def approve_promotion(
    ledger: Harness,
    deployment: str,
    version: bytes,
    people: Sequence[str] = ("cora", "rick", "vera"),
) -> None:
    """Let people approve a version as the next change of a deployment."""
    row = get_deployment(ledger.context(), deployment)
    assert row is not None
    subject = promotion_subject(deployment, version, row.change_count)
    for name in people:
        ledger.done(name, Approve(row.policy, subject))


def promote(ledger: Harness, deployment: str, version: bytes) -> None:
    """Approve and promote a version."""
    approve_promotion(ledger, deployment, version)
    ledger.done("dev", Promote(deployment, version))


def go_live(ledger: Harness, deployment: str, model: ExactModel) -> bytes:
    """Bring a model onto the ledger and live in a new deployment; return the version's id."""
    version = register_version(ledger, model, deployment)
    ledger.done("dev", CreateDeployment(deployment, "model", "tests"))
    promote(ledger, deployment, version)
    return version


def linear_model(
    weights: dict[str, int], *, base: int = 0, names: Sequence[str] = FEATURES
) -> ExactModel:
    """Return a linear model whose score is `base` plus the weighted features, all in ppm."""
    raw_per_ppm = 4_295  # 2^32 / 10^6, rounded up
    return ExactModel(
        version=1,
        features=tuple(Feature(name, "integer") for name in names),
        link="identity",
        body=Linear(
            base=base * raw_per_ppm,
            shift_bits=0,
            weights=tuple(
                Weight(0, 1_000_000, weights.get(name, 0) * raw_per_ppm) for name in names
            ),
        ),
    )


def amount_model(ppm_per_unit: int = 1_000) -> ExactModel:
    """Return a model whose score is the amount times `ppm_per_unit`."""
    return linear_model({"amount_units": ppm_per_unit})


def tree_model(trees: int, depth: int, *, seed: int = 1) -> ExactModel:
    """Return a model of perfect trees over all features, with pseudo-random nodes."""
    inner, total = (1 << depth) - 1, trees * ((1 << depth) - 1)
    leaves = trees * (1 << depth)
    stream = b"".join(sha256(b"%d %d" % (seed, i)) for i in range((total + leaves) // 8 + 8))
    numbers = [int.from_bytes(stream[4 * i : 4 * i + 4], "big") for i in range(total + leaves)]
    flags = bytes([0] * (inner - (1 << (depth - 1))) + [3] * (1 << (depth - 1)))
    features = bytes(number % len(FEATURES) for number in numbers[:total])
    thresholds = [number % 5_000 for number in numbers[:total]]
    values = [(number % 2_000_003 - 1_000_001) << 12 for number in numbers[total:]]
    return ExactModel(
        version=1,
        features=tuple(Feature(name, "integer") for name in FEATURES),
        link="logistic",
        body=Trees(
            base=0,
            divisor=1,
            tree_sizes=pack(f"<{trees}I", *[inner] * trees),
            leaf_flags=flags * trees,
            features=features,
            thresholds=pack(f"<{total}i", *thresholds),
            leaf_values=pack(f"<{leaves}q", *values),
            leaf_index=b"",
        ),
    )


# Rules


def hold_rule(
    name: str,
    *conditions: Node,
    actions: Sequence[Action] | None = None,
    daily_cap: int = 1_000,
    priority: int = 0,
    scope: str = "",
) -> Rule:
    """Return a rule that holds for an hour, by default what deployment `fraud` scores high."""
    return Rule(
        version=1,
        name=name,
        condition=conditions or (Compare("model:fraud", ">=", 500_000),),
        actions=(Hold(HOUR_MS, "return"),) if actions is None else tuple(actions),
        daily_cap=daily_cap,
        priority=priority,
        scope=scope,
    )


def submit_rule(ledger: Harness, rule: Rule) -> int:
    """Submit a rule; return the number of its version."""
    return ledger.done("rick", SubmitRule(encode_rule(rule))).event(RuleSubmitted).version


def approve_rule(
    ledger: Harness, rule: str, version: int, people: Sequence[str] = ("cora", "vera")
) -> None:
    """Let people approve the activation of a rule's version."""
    name = get_name(ledger.context(), rule)
    stored = ledger.get(RULES, rule, version)
    assert name is not None
    assert stored is not None
    digest = rule_digest(stored.raw)
    subject = activation_subject(rule, version, digest, name.activation_count)
    for person in people:
        ledger.done(person, Approve(ACTIVATION, subject))


def activate(ledger: Harness, rule: Rule) -> int:
    """Submit, approve and activate a rule; return the number of its version."""
    version = submit_rule(ledger, rule)
    approve_rule(ledger, rule.name, version)
    ledger.done("rick", ActivateRule(rule.name, version))
    return version


def approve_shadow(
    ledger: Harness, rule: str, version: int, people: Sequence[str] = ("cora", "vera")
) -> None:
    """Let people approve that a rule's version may be in shadow."""
    name = get_name(ledger.context(), rule)
    stored = ledger.get(RULES, rule, version)
    assert name is not None
    assert stored is not None
    subject = shadow_subject(rule, version, rule_digest(stored.raw), name.shadow_count)
    for person in people:
        ledger.done(person, Approve(ACTIVATION, subject))


def put_in_shadow(ledger: Harness, rule: Rule) -> int:
    """Submit a rule and put it in shadow; return the number of its version."""
    version = submit_rule(ledger, rule)
    approve_shadow(ledger, rule.name, version)
    ledger.done("rick", ShadowRule(rule.name, version))
    return version
