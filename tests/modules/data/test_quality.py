"""Quality figures and the policies that judge them."""

import pytest

from cairn.modules.data.events import DatasetRegistered, QualityPolicySet
from cairn.modules.data.messages import SetQualityPolicy
from cairn.modules.data.queries import get_dataset, get_quality_policy, list_quality_policies
from cairn.modules.data.records import Quality
from cairn.primitives.encoding import replace
from cairn.primitives.hashes import sha256
from tests.modules.founding import dataset_message, found
from tests.modules.harness import Harness

SOUND = Quality("cairn-quality-1", sha256(b"report"), 10_000, 5, 0, 100, 200, 40_000, 0)
POLICY = SetQualityPolicy(True, 10_000, 5, 0, 100, 200, 40_000, 0)


@pytest.fixture
def ledger() -> Harness:
    return found()


def test_figures_are_kept_with_the_dataset(ledger: Harness) -> None:
    event = ledger.done("dana", dataset_message(quality=SOUND)).event(DatasetRegistered)
    row = get_dataset(ledger.context(), event.dataset)
    assert row is not None
    assert row.quality == SOUND


def test_without_a_policy_everything_is_let_through(ledger: Harness) -> None:
    ledger.done("dana", dataset_message())
    ledger.done("dana", dataset_message(version=2, quality=replace(SOUND, leaks=900)))


def test_setting_a_policy_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("dana", POLICY, "identity/missing_role")
    outcome = ledger.done("cora", POLICY)
    assert outcome.event(QualityPolicySet) == QualityPolicySet(ledger.id("alpha"), 0)
    policy = get_quality_policy(ledger.context(), ledger.id("alpha"))
    assert policy is not None
    assert (policy.set_by, policy.missing_ppm_max) == (ledger.id("cora"), 10_000)
    assert get_quality_policy(ledger.context(), ledger.id("beta")) is None


def test_exactly_the_bound_is_let_through(ledger: Harness) -> None:
    ledger.done("cora", POLICY)
    ledger.done("dana", dataset_message(quality=SOUND))


@pytest.mark.parametrize(
    "figure",
    [
        "missing_ppm",
        "type_errors_ppm",
        "junk_columns_ppm",
        "duplicates_ppm",
        "near_duplicates_ppm",
        "outliers_ppm",
        "leaks",
    ],
)
def test_each_figure_alone_refuses(ledger: Harness, figure: str) -> None:
    ledger.done("cora", POLICY)
    worse = replace(SOUND, **{figure: getattr(SOUND, figure) + 1})
    ledger.refused("dana", dataset_message(quality=worse), "data/quality_refused")


def test_leaks_that_nobody_looked_for_do_not_pass_a_bound(ledger: Harness) -> None:
    ledger.done("cora", POLICY)
    unknown = dataset_message(quality=replace(SOUND, leaks=None))
    ledger.refused("dana", unknown, "data/quality_refused")
    ledger.done("cora", replace(POLICY, leaks_max=None))
    ledger.done("dana", unknown)


def test_a_required_report_cannot_be_left_out(ledger: Harness) -> None:
    ledger.done("cora", POLICY)
    ledger.refused("dana", dataset_message(), "data/quality_required")
    ledger.done("cora", replace(POLICY, required=False))
    ledger.done("dana", dataset_message())
    # That the name is taken comes first.
    ledger.done("cora", POLICY)
    ledger.refused("dana", dataset_message(), "data/dataset_exists")


def test_a_policy_judges_its_own_organisation_from_then_on(ledger: Harness) -> None:
    bad = replace(SOUND, duplicates_ppm=1_000_000)
    event = ledger.done("dana", dataset_message(quality=bad)).event(DatasetRegistered)
    ledger.done("cora", POLICY)
    assert get_dataset(ledger.context(), event.dataset) is not None
    ledger.done("dora", dataset_message(quality=bad))
    ledger.refused("dana", dataset_message(version=2, quality=bad), "data/quality_refused")


def test_the_series_keeps_every_policy(ledger: Harness) -> None:
    ledger.done("cora", POLICY)
    ledger.done("carl", replace(POLICY, leaks_max=3))
    entries = [entry for _, entry in list_quality_policies(ledger.context(), ledger.id("alpha"))]
    assert [entry.leaks_max for entry in entries] == [0, 3]
    assert [entry.set_by for entry in entries] == [ledger.id("cora"), ledger.id("carl")]
    page = list_quality_policies(ledger.context(), ledger.id("alpha"), start=1)
    assert [entry.leaks_max for _, entry in page] == [3]


@pytest.mark.parametrize(
    "change",
    [
        {"missing_ppm": 1_000_001},
        {"outliers_ppm": -1},
        {"leaks": -1},
        {"method": "Not A Name"},
        {"report_commitment": b"short"},
    ],
)
def test_figures_that_no_report_has_do_not_enter(
    ledger: Harness, change: dict[str, object]
) -> None:
    message = dataset_message(quality=replace(SOUND, **change))
    assert not ledger.run("dana", message).ok
