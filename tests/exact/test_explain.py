"""Contributions: exact, largest first, and together the distance from the reference."""

from hypothesis import given, settings

from cairn.exact.explain import Contribution, contributions
from cairn.exact.models import (
    MISSING,
    UNKNOWN_CATEGORY,
    Bins,
    ExactModel,
    Feature,
    IndicatorColumn,
    Linear,
    Scorecard,
    Trees,
    ValueColumn,
    Weight,
    check_form,
)
from cairn.exact.reference import score_one_pure
from tests.exact.model_cases import FEATURE_COUNT, MODELS, ROWS, model_of, pack_trees, staged_cases


def output_at_reference(model: ExactModel) -> int:
    body = model.body
    if isinstance(body, Linear):
        total = sum(entry.weight * entry.reference for entry in body.weights)
        return body.base + (total >> body.shift_bits)
    assert isinstance(body, Scorecard)
    points = body.base_points + sum(bins.reference_points for bins in body.bins)
    return body.base + points * body.raw_per_point


def check_contributions(model: ExactModel, row: tuple[int, ...]) -> None:
    found = contributions(model, row, FEATURE_COUNT)
    if isinstance(model.body, Trees):
        assert found == ()
        return
    raw, _ = score_one_pure(model, row)
    missing = raw - output_at_reference(model) - sum(one.raw for one in found)
    # Each contribution, and the output at the reference, is rounded down by less than one.
    slack = len(row) + 1 if isinstance(model.body, Linear) else 0
    assert -1 <= missing <= slack if slack else missing == 0
    sizes = [(-abs(one.raw), one.feature_index) for one in found]
    assert sizes == sorted(sizes)
    assert all(one.raw for one in found)
    assert contributions(model, row, 1) == found[:1]


@settings(max_examples=200, deadline=None)
@given(MODELS, ROWS)
def test_contributions_make_up_the_raw_output(
    model: ExactModel, rows: list[tuple[int, ...]]
) -> None:
    for row in rows:
        check_contributions(model, row)


@settings(max_examples=200, deadline=None)
@given(staged_cases())
def test_the_columns_of_an_input_contribute_together(
    case: tuple[ExactModel, list[tuple[int, ...]]],
) -> None:
    model, rows = case
    for row in rows:
        check_contributions(model, row)


def test_a_linear_model_contributes_what_lies_off_the_reference() -> None:
    weights = (Weight(0, 10, 8, 4), Weight(-5, 5, -16), Weight(0, 9, 8, 9))
    model = model_of(Linear(100, 3, weights), 3)
    check_form(model)
    assert contributions(model, (6, 1, 9)) == (Contribution(0, 2), Contribution(1, -2))
    assert contributions(model, (2, -99, 9)) == (Contribution(1, 10), Contribution(0, -2))
    assert contributions(model, (4, 0, 9)) == ()
    # Rounded down, so that one eighth below nothing is one whole.
    eighth = model_of(Linear(0, 3, (Weight(-1, 1, 1),)), 1)
    assert contributions(eighth, (-1,)) == (Contribution(0, -1),)
    assert contributions(eighth, (1,)) == ()


def test_a_scorecard_contributes_points_and_shows_no_more_than_four() -> None:
    bins = tuple(Bins(place, (0,), (0, place - 3), 1) for place in range(6))
    model = model_of(Scorecard(7, 0, 10, bins), 6)
    found = contributions(model, (1,) * 6)
    assert found == tuple(Contribution(place, 10 * (place - 4)) for place in (0, 1, 2, 3))
    assert len(contributions(model, (1,) * 6, 99)) == 5  # what contributes nothing is left out


def test_missing_and_unknown_values_have_their_contribution() -> None:
    features = (
        Feature("age", "integer", nullable=True),
        Feature("colour", "category", 0, ("red", "green"), True, True),
    )
    columns = (
        ValueColumn(0, 40),
        IndicatorColumn(0, (MISSING,)),
        IndicatorColumn(1, (MISSING, UNKNOWN_CATEGORY)),
        IndicatorColumn(1, (0,)),
    )
    weights = (Weight(0, 99, 2, 30), Weight(0, 1, 500), Weight(0, 1, 70), Weight(0, 1, -7))
    model = ExactModel(1, features, "identity", Linear(0, 0, weights), columns)
    check_form(model)
    assert contributions(model, (MISSING, 0)) == (Contribution(0, 520), Contribution(1, -7))
    assert contributions(model, (30, UNKNOWN_CATEGORY)) == (Contribution(1, 70),)
    trees = ExactModel(1, features, "identity", pack_trees([(0, 1, 2, 3)]), columns)
    assert contributions(trees, (30, 0)) == ()
