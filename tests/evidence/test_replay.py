"""Scores computed again: with arrays and without, the same bits; a difference is named."""

import pytest

from cairn.evidence import claims_model, replay
from cairn.evidence.claims_model import ProvedModel
from cairn.evidence.errors import ClaimError, ReplayError
from cairn.evidence.replay import ROWS_FOR_ARRAYS, Scorer, check_scores
from cairn.exact.features import FEATURES
from cairn.exact.models import (
    MISSING,
    UNKNOWN_CATEGORY,
    ExactModel,
    Feature,
    IndicatorColumn,
    Linear,
    ValueColumn,
    Weight,
    check_form,
)
from cairn.modules.models.records import Version
from cairn.primitives.hashes import sha256
from tests.modules.founding import amount_model, tree_model

MODELS = [amount_model(3), tree_model(20, 4)]
COUNT = len(FEATURES)
STAGED = ExactModel(
    1,
    (
        Feature("age", "integer", nullable=True),
        Feature("share", "integer", 10),
        Feature("job", "category", 0, ("clerk", "cook"), True, True),
    ),
    "identity",
    Linear(
        2**31, 0, (Weight(0, 99, 2**24), Weight(0, 1024, 2**20), Weight(0, 1, 5), Weight(0, 1, 7))
    ),
    (ValueColumn(0, 40), ValueColumn(1), IndicatorColumn(2, (MISSING,)), IndicatorColumn(2, (0,))),
)


def rows(count: int) -> list[tuple[int, ...]]:
    """Return rows of pseudo-random features."""
    return [
        tuple(
            int.from_bytes(sha256(b"row %d %d" % (number, place))[:3], "big") % 5_000
            for place in range(COUNT)
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("model", MODELS)
def test_arrays_give_what_the_reference_gives(
    model: ExactModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = rows(ROWS_FOR_ARRAYS)
    with_arrays = Scorer(model).scores(some)
    monkeypatch.setattr(replay, "find_spec", lambda _: None)
    without = Scorer(model).scores(some)
    assert with_arrays == without
    assert len(set(without)) > 10


@pytest.mark.parametrize("count", [1, ROWS_FOR_ARRAYS])
def test_another_score_is_found(count: int) -> None:
    scorer = Scorer(MODELS[1])
    some = rows(count)
    scores = scorer.scores(some)
    check_scores(scorer, some, scores)
    with pytest.raises(ReplayError, match=f"for row {count - 1}"):
        check_scores(scorer, some, [*scores[:-1], scores[-1] + 1])


@pytest.mark.parametrize("count", [1, ROWS_FOR_ARRAYS])
@pytest.mark.parametrize("row", [(), (1,) * (COUNT - 1), (1,) * (COUNT + 1), (2**63,) * COUNT])
def test_an_input_that_does_not_fit_is_found(count: int, row: tuple[int, ...]) -> None:
    with pytest.raises(ReplayError, match="does not fit"):
        Scorer(MODELS[0]).scores([*rows(count)[1:], row])


def test_missing_values_and_categories_are_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    check_form(STAGED)
    kinds = [(MISSING, 512, 0), (41, 0, 1), (0, 1, MISSING), (9, 9, UNKNOWN_CATEGORY)]
    some = kinds * (ROWS_FOR_ARRAYS // 4)
    with_arrays = Scorer(STAGED).scores(some)
    monkeypatch.setattr(replay, "find_spec", lambda _: None)
    assert Scorer(STAGED).scores(some) == with_arrays
    assert len(set(with_arrays)) == 4
    for bad in ((1, MISSING, 0), (1, 1, 2), (1, 1)):
        with pytest.raises(ReplayError, match="does not fit the model"):
            Scorer(STAGED).scores([bad])


def test_inputs_are_told_as_people_write_them() -> None:
    version = Version("credit", 1, b"", b"", b"", b"", b"", 0, 0)
    proved = ProvedModel(version, STAGED, ())
    told = claims_model._input_words(proved, (MISSING, 256, 1))
    assert told == ("3 inputs: age missing, share 0.25, job 'cook'",)
    told = claims_model._input_words(proved, (31, 1, UNKNOWN_CATEGORY))
    assert told == ("3 inputs: age 31, share 0.001, job unknown",)
    for bad in ((1, 1), (1, MISSING, 1), (1, 1, 9)):
        with pytest.raises(ClaimError, match="does not fit the model"):
            claims_model._input_words(proved, bad)
