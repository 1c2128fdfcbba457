import pytest

from cairn.exact.models import (
    ExactModel,
    Feature,
    IndicatorColumn,
    Linear,
    ValueColumn,
    Weight,
    encode_model,
)
from cairn.modules.identity.messages import Approve, GrantRole
from cairn.modules.models.api import has_served, live_version
from cairn.modules.models.errors import DeploymentNotFoundError, NoLiveVersionError
from cairn.modules.models.events import DeploymentRolledBack, VersionPromoted
from cairn.modules.models.messages import (
    CreateDeployment,
    Promote,
    RegisterVersion,
    RetireVersion,
    RollBack,
)
from cairn.modules.models.queries import (
    get_deployment,
    get_name,
    get_promotion_at,
    get_sealed,
    get_version,
    list_promotions,
    list_versions,
)
from cairn.modules.models.records import EARLIER_MAX, promotion_subject
from cairn.primitives.encoding import replace
from cairn.primitives.hashes import sha256
from tests.modules.founding import (
    amount_model,
    approve_promotion,
    found,
    go_live,
    linear_model,
    promote,
    record_run,
    register_version,
    upload,
)
from tests.modules.harness import Harness

NOBODY = b"\xee" * 20
CARD = sha256(b"card")


@pytest.fixture
def ledger() -> Harness:
    return found()


# Versions


def test_versions_are_counted_for_each_name(ledger: Harness) -> None:
    first = register_version(ledger, amount_model(1))
    second = register_version(ledger, amount_model(2))
    other = register_version(ledger, amount_model(3), "credit")
    rows = [get_version(ledger.context(), version) for version in (first, second, other)]
    assert [(row.name, row.number) for row in rows if row is not None] == [
        ("fraud", 1),
        ("fraud", 2),
        ("credit", 1),
    ]
    name = get_name(ledger.context(), "fraud")
    assert name is not None
    assert name.version_count == 2
    entries = [entry for _, entry in list_versions(ledger.context())]
    assert [entry.version for entry in entries] == [first, second, other]


def test_registering_a_version_is_refused_in_order(ledger: Harness) -> None:
    digest = upload(ledger, encode_model(amount_model(1)))
    other = upload(ledger, encode_model(amount_model(2)))
    run = record_run(ledger, digest)
    nothing = RegisterVersion("fraud", NOBODY, sha256(b"nothing"), CARD)
    ledger.refused("rick", nothing, "identity/missing_role")
    ledger.refused("dev", nothing, "models/model_not_sealed")
    no_run = RegisterVersion("fraud", NOBODY, digest, CARD)
    ledger.refused("dev", no_run, "training/run_not_found")
    ledger.refused("dev", RegisterVersion("fraud", run, other, CARD), "models/run_mismatch")
    ledger.done("dev", RegisterVersion("fraud", run, digest, CARD))
    ledger.refused("dirk", RegisterVersion("fraud", run, digest, CARD), "models/name_taken")
    ledger.done("dirk", RegisterVersion("beta-fraud", run, digest, CARD))


def test_retiring_is_refused_in_order(ledger: Harness) -> None:
    live = go_live(ledger, "fraud", amount_model(1))
    version = register_version(ledger, amount_model(2))
    ledger.refused("rick", RetireVersion(NOBODY), "identity/missing_role")
    ledger.refused("dirk", RetireVersion(NOBODY), "models/version_not_found")
    ledger.refused("dirk", RetireVersion(live), "models/not_owner")
    ledger.refused("dev", RetireVersion(live), "models/version_live")
    ledger.done("dev", RetireVersion(version))
    ledger.refused("dev", RetireVersion(version), "models/version_retired")
    row = get_version(ledger.context(), version)
    assert row is not None
    assert row.retired_ms == ledger.head.time_ms - 1_000
    assert [e.action for _, e in list_versions(ledger.context())][-1] == "retired"


# Deployments


def test_creating_a_deployment_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("rick", CreateDeployment("fraud", "none", ""), "identity/missing_role")
    ledger.refused("dev", CreateDeployment("fraud", "none", ""), "models/unknown_policy")
    ledger.done("dev", CreateDeployment("fraud", "model", "card fraud"))
    ledger.refused("dirk", CreateDeployment("fraud", "none", ""), "models/deployment_exists")


def test_promoting_is_refused_in_order(ledger: Harness) -> None:
    version = go_live(ledger, "fraud", amount_model(1))
    other = register_version(ledger, linear_model({"amount_units": 1}, names=("amount_units",)))
    retired = register_version(ledger, amount_model(2))
    ledger.done("dev", RetireVersion(retired))
    ledger.refused("rick", Promote("none", NOBODY), "identity/missing_role")
    ledger.refused("dirk", Promote("none", NOBODY), "models/deployment_not_found")
    ledger.refused("dirk", Promote("fraud", NOBODY), "models/not_owner")
    ledger.refused("dev", Promote("fraud", NOBODY), "models/version_not_found")
    ledger.refused("dev", Promote("fraud", retired), "models/version_retired")
    ledger.refused("dev", Promote("fraud", version), "models/version_live")
    ledger.refused("dev", Promote("fraud", other), "models/input_mismatch")
    good = register_version(ledger, amount_model(3))
    ledger.refused("dev", Promote("fraud", good), "identity/not_approved")
    approve_promotion(ledger, "fraud", good, ["cora", "rick"])
    ledger.refused("dev", Promote("fraud", good), "identity/not_approved")
    approve_promotion(ledger, "fraud", good, ["vera"])
    ledger.done("dev", Promote("fraud", good))


def test_the_developer_does_not_approve_its_own_version(ledger: Harness) -> None:
    version = register_version(ledger, amount_model())
    ledger.done("dev", CreateDeployment("fraud", "model", ""))
    ledger.done("ann", GrantRole(ledger.id("dev"), "validator"))
    approve_promotion(ledger, "fraud", version, ["cora", "rick", "dev"])
    ledger.refused("dev", Promote("fraud", version), "identity/not_approved")


def test_a_promotion_acts_from_the_next_height(ledger: Harness) -> None:
    version = register_version(ledger, amount_model())
    ledger.done("dev", CreateDeployment("fraud", "model", ""))
    with pytest.raises(NoLiveVersionError):
        live_version(ledger.context(), "fraud")
    with pytest.raises(DeploymentNotFoundError):
        live_version(ledger.context(), "none")
    approve_promotion(ledger, "fraud", version)
    event = ledger.done("dev", Promote("fraud", version)).event(VersionPromoted)
    assert (event.version, event.replaced) == (version, b"")
    assert event.approvers == tuple(sorted(ledger.id(name) for name in ("cora", "rick", "vera")))
    context = ledger.context()
    assert live_version(context, "fraud").version == version
    context.height -= 1
    with pytest.raises(NoLiveVersionError):
        live_version(context, "fraud")


def test_two_changes_in_one_block_leave_the_version_before_both_live_there(ledger: Harness) -> None:
    first = go_live(ledger, "fraud", amount_model(1))
    second = register_version(ledger, amount_model(2))
    approve_promotion(ledger, "fraud", second)
    ledger.submit("dev", Promote("fraud", second))
    ledger.submit("dev", RollBack("fraud"))
    assert all(outcome.ok for outcome in ledger.block())
    context = ledger.context()
    assert live_version(context, "fraud").version == first
    context.height -= 1
    assert live_version(context, "fraud").version == first
    actions = [entry.action for _, entry in list_promotions(context, "fraud")]
    assert actions == ["promoted", "promoted", "rolled_back"]


def test_an_approval_is_for_one_promotion(ledger: Harness) -> None:
    go_live(ledger, "fraud", amount_model(1))
    bad = register_version(ledger, amount_model(2))
    promote(ledger, "fraud", bad)
    ledger.done("rick", RollBack("fraud"))
    ledger.refused("dev", Promote("fraud", bad), "identity/not_approved")
    row = get_deployment(ledger.context(), "fraud")
    assert row is not None
    assert row.change_count == 3
    assert promotion_subject("fraud", bad, 1) != promotion_subject("fraud", bad, 3)
    ledger.refused("cora", Approve("model", promotion_subject("fraud", bad, 1)), "identity/spent")


def test_rolling_back_is_refused_in_order(ledger: Harness) -> None:
    first = go_live(ledger, "fraud", amount_model(1))
    ledger.refused("pia", RollBack("none"), "identity/missing_role")
    ledger.refused("rita", RollBack("none"), "models/deployment_not_found")
    ledger.refused("rita", RollBack("fraud"), "models/not_owner")
    ledger.refused("rick", RollBack("fraud"), "models/no_earlier_version")
    second = register_version(ledger, amount_model(2))
    promote(ledger, "fraud", second)
    event = ledger.done("dev", RollBack("fraud")).event(DeploymentRolledBack)
    assert (event.version, event.replaced) == (first, second)
    ledger.refused("dev", RollBack("fraud"), "models/no_earlier_version")


def test_rolling_back_passes_over_retired_versions(ledger: Harness) -> None:
    versions = [go_live(ledger, "fraud", amount_model(1))]
    for ppm in (2, 3):
        versions.append(register_version(ledger, amount_model(ppm)))
        promote(ledger, "fraud", versions[-1])
    ledger.done("dev", RetireVersion(versions[1]))
    ledger.done("rick", RollBack("fraud"))
    assert live_version(ledger.context(), "fraud").version == versions[0]


def test_a_deployment_remembers_a_bounded_number_of_versions(ledger: Harness) -> None:
    versions = [go_live(ledger, "fraud", amount_model(1))]
    versions.append(register_version(ledger, amount_model(2)))
    for turn in range(EARLIER_MAX + 2):
        promote(ledger, "fraud", versions[(turn + 1) % 2])
    row = get_deployment(ledger.context(), "fraud")
    assert row is not None
    assert len(row.earlier) == EARLIER_MAX
    assert has_served(ledger.context(), "fraud", versions[1])
    assert not has_served(ledger.context(), "fraud", NOBODY)


# Which version was live, and who approved it


def test_what_was_live_at_any_height_or_time_follows_from_the_series(ledger: Harness) -> None:
    lived: dict[int, bytes] = {}
    times: dict[int, int] = {}

    def watch() -> None:
        """Note what is live at the next height, which is what that block's rules will see."""
        height = ledger.head.height + 1
        try:
            lived[height] = live_version(ledger.context(), "fraud").version
        except NoLiveVersionError:
            lived[height] = b""
        times[height - 1] = ledger.head.time_ms

    versions = [register_version(ledger, amount_model(ppm)) for ppm in (1, 2, 3)]
    ledger.done("dev", CreateDeployment("fraud", "model", ""))
    watch()
    for version in versions:
        approve_promotion(ledger, "fraud", version)
        watch()
        ledger.done("dev", Promote("fraud", version))
        watch()
    for _ in range(2):
        ledger.done("rick", RollBack("fraud"))
        watch()
        ledger.block()
        watch()
    for height, expected in lived.items():
        promotion = get_promotion_at(ledger.context(), "fraud", height=height)
        assert (b"" if promotion is None else promotion.version) == expected
        if promotion is not None and promotion.action == "promoted":
            assert len(promotion.approvers) == 3
    for height, time_ms in times.items():
        # A block's facts are dated after the block before it: at `time_ms` block `height` executed.
        promotion = get_promotion_at(ledger.context(), "fraud", time_ms=time_ms)
        if height in lived:
            assert (b"" if promotion is None else promotion.version) == lived[height]


SCHEMA = (
    Feature("age", "integer", nullable=True),
    Feature("job", "category", 0, ("clerk", "cook"), False, True),
)


@pytest.mark.parametrize(
    "changed",
    [
        (replace(SCHEMA[0], nullable=False), SCHEMA[1]),
        (SCHEMA[0], replace(SCHEMA[1], unknown_allowed=False)),
        (SCHEMA[0], replace(SCHEMA[1], categories=("cook", "clerk"))),
        (SCHEMA[0], replace(SCHEMA[1], categories=("clerk", "cook", "nurse"))),
        (replace(SCHEMA[0], scale_bits=3), SCHEMA[1]),
    ],
)
def test_a_later_version_takes_the_same_input(
    ledger: Harness, changed: tuple[Feature, ...]
) -> None:
    body = Linear(0, 0, (Weight(0, 99, 2**24), Weight(0, 1, 2**30)))
    columns = (ValueColumn(0), IndicatorColumn(1, (0,)))
    model = ExactModel(1, SCHEMA, "identity", body, columns)
    version = go_live(ledger, "credit", model)
    row = get_version(ledger.context(), version)
    assert row is not None
    sealed = get_sealed(ledger.context(), row.model_digest)
    assert sealed is not None
    assert [(f.categories, f.nullable, f.unknown_allowed) for f in sealed.features] == [
        ((), True, False),
        (("clerk", "cook"), False, True),
    ]
    other = register_version(ledger, replace(model, features=changed), "other")
    ledger.refused("dev", Promote("credit", other), "models/input_mismatch")
    same = register_version(ledger, replace(model, body=replace(body, base=5)), "fraud")
    ledger.refused("dev", Promote("credit", same), "identity/not_approved")
