import pytest

from cairn.exact.features import FEATURES
from cairn.exact.models import ExactModel, Feature
from cairn.exact.reference import score_one_pure
from cairn.modules.inference import scorers
from cairn.modules.inference.events import FeaturesScored, PredictionRecorded
from cairn.modules.inference.messages import RecordPrediction, Score
from cairn.modules.inference.queries import count_predictions, list_predictions
from cairn.modules.inference.records import input_commitment, policy_digest
from cairn.modules.models.messages import CreateDeployment, RollBack
from cairn.primitives.hashes import sha256
from tests.modules.founding import (
    amount_model,
    found,
    go_live,
    promote,
    register_version,
    tree_model,
)
from tests.modules.harness import Harness

NOBODY = b"\xee" * 20
SALT = bytes(range(16))
POLICY = policy_digest("Scores are advice; a person decides.")
FEATURE_ROW = tuple(range(100, 100 + len(FEATURES)))


@pytest.fixture
def ledger() -> Harness:
    return found()


@pytest.mark.parametrize("model", [amount_model(7), tree_model(5, 3)])
def test_the_ledger_scores_as_the_reference_does(ledger: Harness, model: ExactModel) -> None:
    version = go_live(ledger, "fraud", model)
    outcome = ledger.done("pia", Score("fraud", FEATURE_ROW))
    event = outcome.event(FeaturesScored)
    assert (event.version, event.features, event.position) == (version, FEATURE_ROW, 0)
    assert event.score_ppm == score_one_pure(model, FEATURE_ROW)[1]
    ((time_ms, entry),) = list_predictions(ledger.context(), "fraud")
    assert outcome.receipt is not None
    assert (entry.basis, entry.version, entry.score_ppm) == ("asserted", version, event.score_ppm)
    assert (entry.transaction_id, entry.operation_index) == (outcome.receipt.transaction_id, 0)
    assert time_ms == ledger.head.time_ms


def test_scoring_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("pia", Score("fraud", (1,)), "models/deployment_not_found")
    ledger.done("dev", CreateDeployment("fraud", "model", ""))
    ledger.refused("pia", Score("fraud", (1,)), "models/no_live_version")
    version = register_version(ledger, amount_model())
    promote(ledger, "fraud", version)
    ledger.refused("pia", Score("fraud", (1,)), "inference/bad_features")
    ledger.done("pia", Score("fraud", FEATURE_ROW))


def test_a_value_that_is_no_float32_is_refused(ledger: Harness) -> None:
    model = tree_model(2, 2)
    features = tuple(Feature(name, "float32") for name in FEATURES)
    go_live(ledger, "fraud", ExactModel(1, features, model.link, model.body))
    for wrong in (-1, 0x7F800001):
        row = (wrong, *FEATURE_ROW[1:])
        ledger.refused("pia", Score("fraud", row), "inference/bad_features")
    ledger.done("pia", Score("fraud", FEATURE_ROW))


@pytest.mark.parametrize("features", [(), (2**63,), tuple(range(1_025))])
def test_what_is_outside_a_fields_bounds_is_malformed(
    ledger: Harness, features: tuple[int, ...]
) -> None:
    assert ledger.run("pia", Score("fraud", features)).code == "ledger/malformed_transaction"


def test_a_prediction_made_elsewhere_can_be_checked_later(ledger: Harness) -> None:
    model = amount_model(3)
    version = go_live(ledger, "fraud", model)
    _, score_ppm = score_one_pure(model, FEATURE_ROW)
    commitment = input_commitment(SALT, version, FEATURE_ROW)
    message = RecordPrediction("fraud", version, commitment, score_ppm, POLICY)
    event = ledger.done("pia", message).event(PredictionRecorded)
    ((_, entry),) = list_predictions(ledger.context(), "fraud")
    assert (entry.basis, event.position) == ("committed", 0)
    # Whoever is shown features and salt repeats both steps.
    assert entry.input_commitment == input_commitment(SALT, version, FEATURE_ROW)
    assert entry.score_ppm == score_one_pure(model, FEATURE_ROW)[1]
    assert entry.policy_digest == POLICY


def test_the_commitment_binds_salt_version_and_every_feature() -> None:
    version = bytes(20)
    seen = [
        input_commitment(SALT, version, (1, 2)),
        input_commitment(SALT, version, (2, 1)),
        input_commitment(SALT, version, (1,)),
        input_commitment(SALT, NOBODY, (1, 2)),
        input_commitment(SALT[::-1], version, (1, 2)),
    ]
    assert len(dict.fromkeys(seen)) == len(seen)
    with pytest.raises(ValueError, match="16 bytes"):
        input_commitment(SALT[:-1], version, (1, 2))


def test_recording_is_refused_in_order(ledger: Harness) -> None:
    first = go_live(ledger, "fraud", amount_model(1))
    second = register_version(ledger, amount_model(2))
    digest = sha256(b"input")

    def record(deployment: str, version: bytes) -> RecordPrediction:
        return RecordPrediction(deployment, version, digest, 5, POLICY)

    ledger.refused("pia", record("none", NOBODY), "models/deployment_not_found")
    ledger.refused("pia", record("fraud", NOBODY), "inference/version_not_in_service")
    ledger.refused("pia", record("fraud", second), "inference/version_not_in_service")
    promote(ledger, "fraud", second)
    # Predictions that were on their way when the version changed are still taken.
    ledger.done("pia", record("fraud", first))
    ledger.done("pia", record("fraud", second))
    ledger.done("rick", RollBack("fraud"))
    ledger.refused("pia", record("fraud", second), "inference/version_not_in_service")
    assert count_predictions(ledger.context(), "fraud") == 2
    page = list_predictions(ledger.context(), "fraud", start=1, limit=5)
    assert [entry.version for _, entry in page] == [second]


def test_the_memo_of_scorers_is_bounded_and_changes_no_score(
    ledger: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorers, "SCORERS_MAX", 2)
    monkeypatch.setattr(scorers, "_scorers", {})
    for ppm in (1, 2, 3):
        go_live(ledger, f"d{ppm}", amount_model(ppm))
    for ppm in (1, 2, 3, 1):
        event = ledger.done("pia", Score(f"d{ppm}", FEATURE_ROW)).event(FeaturesScored)
        assert event.score_ppm == score_one_pure(amount_model(ppm), FEATURE_ROW)[1]
        assert len(scorers._scorers) <= 2
