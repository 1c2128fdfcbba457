import pytest

from cairn.modules.data.events import UseRecorded
from cairn.modules.data.messages import GrantUse, WithdrawDataset
from cairn.modules.data.queries import list_consents
from cairn.modules.training.events import RunRecorded
from cairn.modules.training.messages import PARAMETERS_SIZE_BYTES_MAX
from cairn.modules.training.queries import get_run, list_runs
from cairn.modules.training.records import Metric, SplitUse, parameters_digest
from cairn.primitives.hashes import sha256
from tests.modules.founding import found, register_dataset, run_message
from tests.modules.harness import Harness

DIGEST = sha256(b"model")
NOBODY = b"\xee" * 20


@pytest.fixture
def ledger() -> Harness:
    return found()


def test_a_run_is_kept_as_stated(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    message = run_message(dataset, DIGEST)
    outcome = ledger.done("dev", message)
    run = outcome.event(RunRecorded).run
    row = get_run(ledger.context(), run)
    assert row is not None
    assert (row.developer, row.organisation) == (ledger.id("dev"), ledger.id("alpha"))
    for field in ("splits", "code_digest", "parameters", "seed", "metrics", "model_digest"):
        assert getattr(row, field) == getattr(message, field)
    assert parameters_digest(row.parameters) != parameters_digest(b"")
    ((time_ms, entry),) = list_runs(ledger.context())
    assert (time_ms, entry.run, entry.model_digest) == (ledger.head.time_ms, run, DIGEST)


def test_a_run_records_one_use_of_each_dataset(ledger: Harness) -> None:
    first, second = register_dataset(ledger, "first"), register_dataset(ledger, "second")
    splits = (
        SplitUse(first, "train", 0, 10),
        SplitUse(second, "train", 0, 10),
        SplitUse(first, "test", 10, 20),
    )
    outcome = ledger.done("dev", run_message(first, DIGEST, splits=splits))
    run = outcome.event(RunRecorded).run
    used = [event.dataset for event in outcome.events if isinstance(event, UseRecorded)]
    assert used == [first, second]
    ((_, entry),) = list_consents(ledger.context(), first)
    assert (entry.action, entry.purpose, entry.reference) == ("used", "training", run)


def test_recording_is_refused_in_order(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    beyond = (SplitUse(dataset, "train", 0, 1_001),)
    ledger.refused("dana", run_message(NOBODY, DIGEST), "identity/missing_role")
    ledger.refused("dev", run_message(NOBODY, DIGEST), "data/dataset_not_found")
    ledger.refused("dirk", run_message(dataset, DIGEST, splits=beyond), "data/use_not_allowed")
    ledger.refused("dev", run_message(dataset, DIGEST, splits=beyond), "training/rows_out_of_range")
    exactly = (SplitUse(dataset, "train", 0, 1_000),)
    ledger.done("dev", run_message(dataset, DIGEST, splits=exactly))
    ledger.done("dana", WithdrawDataset(dataset))
    ledger.refused("dirk", run_message(dataset, DIGEST, splits=beyond), "data/dataset_withdrawn")


def test_another_organisation_trains_with_consent(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    until_ms = ledger.head.time_ms + 60_000
    ledger.done("dana", GrantUse(dataset, ledger.id("dirk"), "training", until_ms))
    ledger.done("dirk", run_message(dataset, DIGEST))
    assert [e.action for _, e in list_consents(ledger.context(), dataset)] == ["granted", "used"]


@pytest.mark.parametrize(
    "fields",
    [
        {"splits": (SplitUse(NOBODY, "train", 5, 5),)},
        {"splits": (SplitUse(NOBODY, "train", 6, 5),)},
        {"metrics": (Metric("b", 1), Metric("a", 1))},
        {"metrics": (Metric("a", 1), Metric("a", 2))},
    ],
)
def test_what_no_state_makes_acceptable(ledger: Harness, fields: dict[str, object]) -> None:
    ledger.refused("dev", run_message(NOBODY, DIGEST, **fields), "ledger/invalid_message")


@pytest.mark.parametrize(
    "fields",
    [
        {"splits": ()},
        {"splits": (SplitUse(b"short", "train", 0, 5),)},
        {"parameters": bytes(PARAMETERS_SIZE_BYTES_MAX + 1)},
        {"metrics": (Metric("Not a name", 1),)},
        {"threads": 0},
        {"seed": -1},
        {"library_version": ""},
    ],
)
def test_what_is_outside_a_fields_bounds_is_malformed(
    ledger: Harness, fields: dict[str, object]
) -> None:
    outcome = ledger.run("dev", run_message(NOBODY, DIGEST, **fields))
    assert outcome.code == "ledger/malformed_transaction"
