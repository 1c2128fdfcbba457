"""Single, batch and stream prediction against a real node, each row with its receipt."""

from collections.abc import Iterator
from typing import Any

import pytest

from cairn.evidence.bundle import PredictionClaim
from cairn.evidence.verify import verify_bundle
from cairn.exact.models import ExactModel, Feature, IndicatorColumn, Linear, ValueColumn, Weight
from cairn.exact.reference import score_one_pure
from cairn.modules.inference.records import PREDICTIONS
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.predictions import Row, check_columns, input_row, live_schema
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import prove
from cairn.sdk.workspace import Workspace
from tests.modules.founding import linear_model
from tests.sdk.conftest import ClientOf
from tests.sdk.deploying import deploy

NAMES = tuple(f"f{number}" for number in range(25))
WIDE = linear_model({"f1": 1_000, "f7": 3}, names=NAMES)
MIXED = ExactModel(
    version=1,
    features=(
        Feature("age", "integer"),
        Feature("job", "category", categories=("cook", "pilot")),
        Feature("income", "integer", 4, nullable=True),
    ),
    columns=(ValueColumn(0, 0), IndicatorColumn(1, (1,)), ValueColumn(2, 0)),
    link="identity",
    body=Linear(0, 0, (Weight(0, 99, 1 << 20), Weight(0, 1, 1 << 30), Weight(0, 9, 5))),
)


def wide_row(number: int) -> tuple[int, ...]:
    return tuple((number * 37 + place) % 900 for place in range(len(NAMES)))


def test_a_thousand_rows_in_one_call_give_what_the_model_gives(client_of: ClientOf) -> None:
    version = deploy(client_of, "wide", WIDE)
    dirk = client_of("dirk")
    rows = [wide_row(number) for number in range(1_000)]
    found = dirk.predict("wide", rows)
    assert [one.score_ppm for one in found] == [score_one_pure(WIDE, row)[1] for row in rows]
    assert [one.position for one in found] == list(range(1_000))
    assert {one.version for one in found} == {version}
    assert len({one.transaction_id for one in found}) <= 3
    assert dirk.series_size(PREDICTIONS, "wide") == 1_000
    assert dirk.predict("wide", [dict(zip(NAMES, rows[3], strict=True))])[0].position == 1_000
    assert dirk.predict("wide", []) == []


def test_a_row_of_a_batch_is_proved(client_of: ClientOf, workspace: Workspace) -> None:
    deploy(client_of, "wide", WIDE)
    dirk = client_of("dirk")
    one = dirk.predict("wide", [wide_row(number) for number in range(7)])[5]
    raw = prove(ConnectionSource(dirk.connection), PredictionClaim("wide", one.position, None))
    report = verify_bundle(raw, workspace.trust(), at_ms=0, replay=True)
    assert f"score {one.score:.6f}" in "\n".join(report.findings)


def test_values_are_read_as_people_write_them(client_of: ClientOf) -> None:
    deploy(client_of, "mixed", MIXED)
    dirk = client_of("dirk")
    features = live_schema(dirk, "mixed").features
    assert features == MIXED.features
    row: dict[str, Any] = {"age": "31", "job": "pilot", "income": 2.5}
    assert input_row(features, row) == (31, 1, 40)
    assert input_row(features, {**row, "income": None})[2] == -(2**63)
    found = dirk.predict("mixed", [row, [31, "cook", float("nan")]])
    assert found[0].score_ppm > found[1].score_ppm


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"age": 1, "job": "cook"}, "row 0, no value for 'income'"),
        ({"age": 1, "job": "cook", "income": 1, "sex": 1}, "there is no input 'sex'"),
        ([1, "cook"], "the row has 2 values, the model takes 3"),
        (["x", "cook", 1], "row 0, column 'age': 'x' is no number"),
        ([float("nan"), "cook", 1], "row 0, column 'age': the value is missing"),
        ([1, "cok", 1], "did you mean 'cook'"),
        ([1.5, "cook", 1], "column 'age': 1.5 is no whole number"),
        ([2**70, "cook", 1], "column 'age'"),
    ],
)
def test_a_row_that_does_not_fit_is_named(row: Row, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        input_row(MIXED.features, row, where="row 0, ")
    assert words in str(caught.value)
    assert caught.value.hint


def test_columns_are_checked_by_name() -> None:
    check_columns(MIXED.features, ["id", "income", "job", "age"])
    with pytest.raises(UsageError, match="no column 'job', 'income'"):
        check_columns(MIXED.features, ["age", "Job"])
    with pytest.raises(UsageError, match="'age' stands twice"):
        check_columns(MIXED.features, ["age", "job", "income", "age"])


def test_nothing_is_sent_if_one_row_does_not_fit(client_of: ClientOf) -> None:
    deploy(client_of, "mixed", MIXED)
    dirk = client_of("dirk")
    with pytest.raises(NotFoundError, match="no version is live in 'none'"):
        dirk.predict("none", [[1]])
    with pytest.raises(UsageError, match="row 1, column 'job'"):
        dirk.predict("mixed", [[1, "cook", 1], [1, "judge", 1]])
    assert dirk.series_size(PREDICTIONS, "mixed") == 0


def test_a_stream_is_scored_while_it_comes(client_of: ClientOf) -> None:
    deploy(client_of, "wide", WIDE)
    dirk = client_of("dirk")
    taken: list[int] = []
    done: list[int] = []

    def rows() -> Iterator[Row]:
        for number in range(60):
            taken.append(len(done))
            yield wide_row(number)

    for one in dirk.predict_stream("wide", rows(), batch=8):
        done.append(one.score_ppm)
    assert done == [score_one_pure(WIDE, wide_row(number))[1] for number in range(60)]
    # The last rows were read when the first had their scores: nothing waits for the end.
    assert taken[-1] > 0


def test_what_breaks_a_stream_comes_after_what_was_scored(client_of: ClientOf) -> None:
    deploy(client_of, "wide", WIDE)
    dirk = client_of("dirk")

    def rows() -> Iterator[Row]:
        yield wide_row(1)
        yield wide_row(2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(dirk.predict_stream("wide", rows()))
    assert dirk.series_size(PREDICTIONS, "wide") == 2
    with pytest.raises(UsageError, match="a batch holds"):
        next(dirk.predict_stream("wide", rows(), batch=0))
