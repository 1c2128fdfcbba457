"""Batches: many rows in one operation, each with a prediction of its own."""

import pytest

from cairn.exact.reference import score_one_pure
from cairn.modules.inference.events import BatchScored, FeaturesScored
from cairn.modules.inference.messages import BATCH_ROWS_MAX, Score, ScoreBatch
from cairn.modules.inference.prices import BATCH_ROW_COST
from cairn.modules.inference.queries import count_predictions, list_predictions
from cairn.modules.models.messages import CreateDeployment
from tests.modules.founding import found, go_live, linear_model
from tests.modules.harness import Harness

MODEL = linear_model({"a": 1_000, "b": 10}, names=("a", "b", "c"))
ROWS = tuple((i, 3 * i, -i) for i in range(700))


@pytest.fixture
def ledger() -> Harness:
    ledger = found()
    go_live(ledger, "fraud", MODEL)
    return ledger


def test_a_batch_gives_what_one_at_a_time_gives(ledger: Harness) -> None:
    ledger.done("pia", Score("fraud", ROWS[0]))
    outcome = ledger.done("pia", ScoreBatch("fraud", ROWS))
    event = outcome.event(BatchScored)
    assert event.first_position == 1
    assert event.scores_ppm == tuple(score_one_pure(MODEL, row)[1] for row in ROWS)
    entries = [entry for _, entry in list_predictions(ledger.context(), "fraud", start=1)]
    assert [entry.score_ppm for entry in entries] == list(event.scores_ppm)
    assert outcome.receipt is not None
    assert {(e.basis, e.version, e.transaction_id, e.operation_index) for e in entries} == {
        ("asserted", event.version, outcome.receipt.transaction_id, 0)
    }


def test_batches_and_rows_in_one_transaction_follow_each_other(ledger: Harness) -> None:
    two, one = ScoreBatch("fraud", ROWS[:2]), Score("fraud", ROWS[2])
    events = ledger.done("pia", two, one, two).events
    places = [
        event.position if isinstance(event, FeaturesScored) else event.first_position
        for event in events
        if isinstance(event, FeaturesScored | BatchScored)
    ]
    assert places == [0, 2, 3]
    assert count_predictions(ledger.context(), "fraud") == 5


def test_a_row_that_does_not_fit_refuses_the_batch(ledger: Harness) -> None:
    for wrong in ((1, 2), (1, 2, 3, 4)):
        message = ScoreBatch("fraud", (*ROWS[:5], wrong))
        ledger.refused("pia", message, "inference/bad_features")
    assert count_predictions(ledger.context(), "fraud") == 0


def test_batches_are_refused_in_order(ledger: Harness) -> None:
    ledger.refused("pia", ScoreBatch("none", ((1,),)), "models/deployment_not_found")
    ledger.done("dev", CreateDeployment("empty", "model", ""))
    ledger.refused("pia", ScoreBatch("empty", ((1,),)), "models/no_live_version")


@pytest.mark.parametrize("rows", [(), ((),), ((1, 2, 3),) * (BATCH_ROWS_MAX + 1)])
def test_the_size_of_a_batch_is_bounded(ledger: Harness, rows: tuple[tuple[int, ...], ...]) -> None:
    assert ledger.run("pia", ScoreBatch("fraud", rows)).code == "ledger/malformed_transaction"


def test_a_batch_pays_for_each_row_and_less_than_rows_alone(ledger: Harness) -> None:
    def cost(*messages: Score | ScoreBatch) -> int:
        receipt = ledger.done("pia", *messages).receipt
        assert receipt is not None
        return receipt.cost

    few, many = cost(ScoreBatch("fraud", ROWS[:100])), cost(ScoreBatch("fraud", ROWS[:200]))
    assert many - few >= 100 * BATCH_ROW_COST
    assert many < cost(*(Score("fraud", row) for row in ROWS[:200]))
