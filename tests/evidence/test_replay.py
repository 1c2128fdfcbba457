"""Scores computed again: with arrays and without, the same bits; a difference is named."""

import pytest

from cairn.evidence import replay
from cairn.evidence.errors import ReplayError
from cairn.evidence.replay import ROWS_FOR_ARRAYS, Scorer, check_scores
from cairn.exact.models import ExactModel
from cairn.primitives.hashes import sha256
from tests.modules.founding import amount_model, tree_model

MODELS = [amount_model(3), tree_model(20, 4)]


def rows(count: int) -> list[tuple[int, ...]]:
    """Return rows of pseudo-random features."""
    made = []
    for number in range(count):
        stream = b"".join(sha256(b"row %d %d" % (number, part)) for part in range(3))
        made.append(
            tuple(int.from_bytes(stream[4 * i : 4 * i + 3], "big") % 5_000 for i in range(24))
        )
    return made


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
@pytest.mark.parametrize("row", [(), (1,) * 23, (1,) * 25, (2**63 - 1,) * 23])
def test_an_input_that_does_not_fit_is_found(count: int, row: tuple[int, ...]) -> None:
    with pytest.raises(ReplayError, match="does not fit"):
        Scorer(MODELS[0]).scores([*rows(count)[1:], row])
