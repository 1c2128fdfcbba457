"""Features and columns: one spelling each, every limit, and errors that name the feature."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact import models
from cairn.exact.errors import ModelFormError, ModelInputError
from cairn.exact.models import (
    CATEGORY_COUNT_MAX,
    CATEGORY_TOTAL_MAX,
    COLUMN_COUNT_MAX,
    FEATURE_COUNT_MAX,
    FLOAT32_FILL_ABOVE,
    FLOAT32_FILL_BELOW,
    MEMBER_TOTAL_MAX,
    MISSING,
    UNKNOWN_CATEGORY,
    Bins,
    Column,
    ExactModel,
    Feature,
    IndicatorColumn,
    Linear,
    Scorecard,
    ValueColumn,
    Weight,
    arrange_columns,
    check_form,
    check_row,
    column_count,
    column_order,
    count_steps,
    decode_model,
    encode_model,
)
from cairn.primitives.encoding import NonCanonicalError, replace
from tests.exact.model_cases import columns_of, model_of, pack_trees, staged_cases

AGE = Feature("age", "integer", nullable=True)
RATIO = Feature("ratio", "float32", nullable=True)
COLOUR = Feature("colour", "category", 0, ("red", "green"), False, True)
FEATURES = (AGE, RATIO, COLOUR)
COLUMNS: tuple[Column, ...] = (ValueColumn(0, 5), ValueColumn(1, 0), IndicatorColumn(2, (-1, 1)))


def staged(columns: tuple[Column, ...], features: tuple[Feature, ...] = FEATURES) -> ExactModel:
    return ExactModel(1, features, "identity", pack_trees([(0, 1, 2, 3)]), columns)


def leaf_of(columns: tuple[Column, ...]) -> ExactModel:
    return replace(staged(columns), body=pack_trees([5]))


@settings(max_examples=100, deadline=None)
@given(staged_cases())
def test_decoding_gives_back_an_input_stage(case: tuple[ExactModel, Any]) -> None:
    model, rows = case
    assert decode_model(encode_model(model)) == model
    for row in rows:
        check_row(model, row)


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        (Feature("a", "integer", 0, ("x",)), "a: only features of kind category"),
        (Feature("a", "float32", 0, (), False, True), "a: only features of kind category"),
        (Feature("a", "category"), "a: not 1 to 1024 categories"),
        (
            Feature("a", "category", 0, tuple(map(str, range(CATEGORY_COUNT_MAX + 1)))),
            "a: not 1 to 1024 categories",
        ),
        (Feature("a", "category", 0, ("x", "y", "x")), "a: two categories are the same"),
        (Feature("a", "category", 0, ("x" * 65,)), "at most 64 characters"),
        (Feature("a", "category", 0, ("x\ny",)), "no control characters"),
        (Feature("a", "category", 0, ("\x9b",)), "no control characters"),
        (Feature("a", "category", 1, ("x",)), "scale_bits"),
    ],
)
def test_a_broken_feature_is_refused_by_name(feature: Feature, reason: str) -> None:
    with pytest.raises(ModelFormError, match=reason):
        check_form(staged((IndicatorColumn(0, (0,)),), (feature,)))


def test_all_features_together_have_a_limited_number_of_categories() -> None:
    texts = tuple(map(str, range(CATEGORY_COUNT_MAX)))
    count = CATEGORY_TOTAL_MAX // CATEGORY_COUNT_MAX
    features = tuple(Feature(f"f{place}", "category", 0, texts) for place in range(count))
    check_form(staged((IndicatorColumn(0, (0,)),), features))
    more = (*features, Feature("more", "category", 0, ("x",)))
    with pytest.raises(ModelFormError, match=f"more than {CATEGORY_TOTAL_MAX} categories"):
        check_form(staged((IndicatorColumn(0, (0,)),), more))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ((), "need columns"),
        ((ValueColumn(3),), "of feature 3"),
        ((ValueColumn(-1),), "of feature -1"),
        ((ValueColumn(0), ValueColumn(0)), "not in order"),
        ((ValueColumn(1, 1), ValueColumn(0)), "not in order"),
        ((ValueColumn(0, 2), ValueColumn(0, 1)), "not in order"),
        ((IndicatorColumn(0, (1,)), ValueColumn(0)), "not in order"),
        ((IndicatorColumn(2, (1,)), IndicatorColumn(2, (0, 1))), "not in order"),
        ((ValueColumn(0, 2**63),), "age: .* cannot fill"),
        ((ValueColumn(1, FLOAT32_FILL_BELOW - 1),), "ratio: .* cannot fill"),
        ((ValueColumn(1, FLOAT32_FILL_ABOVE + 1),), "ratio: .* cannot fill"),
        ((ValueColumn(1, -1),), "ratio: .* cannot fill"),
        ((ValueColumn(1, MISSING),), "ratio: .* cannot fill"),
        ((ValueColumn(2, 1),), "colour: 1 cannot fill"),
        ((IndicatorColumn(2, ()),), "colour: the members"),
        ((IndicatorColumn(2, (1, 0)),), "colour: the members"),
        ((IndicatorColumn(2, (0, 0)),), "colour: the members"),
        ((IndicatorColumn(2, (2,)),), "colour: a member"),
        ((IndicatorColumn(2, (MISSING,)),), "colour: a member"),
        ((IndicatorColumn(1, (-1,)),), "ratio: a member"),
        ((IndicatorColumn(0, (2**63,)),), "age: a member"),
    ],
)
def test_a_broken_column_is_refused_by_name(columns: Any, reason: str) -> None:
    with pytest.raises(ModelFormError, match=reason):
        check_form(staged(columns))


def test_columns_that_say_nothing_are_refused() -> None:
    plain = (Feature("a", "integer"), Feature("b", "integer"))
    for columns in ((ValueColumn(0), ValueColumn(1)),):
        with pytest.raises(ModelFormError, match="goes without saying"):
            check_form(staged(columns, plain))
    check_form(staged((ValueColumn(0),), plain))
    check_form(staged((ValueColumn(0), IndicatorColumn(1, (7,))), plain))


def test_bodies_refer_to_columns() -> None:
    model = staged(COLUMNS)
    assert column_count(model) == 3
    check_form(model)
    with pytest.raises(ModelFormError, match="compares column 3 of 3"):
        check_form(replace(model, body=pack_trees([(3, 1, 2, 3)])))
    two = (COLUMNS[0], COLUMNS[2])
    weights = (Weight(0, 9, 3, 5), Weight(0, 1, 2**30))
    check_form(replace(staged(two), body=Linear(0, 0, weights)))
    with pytest.raises(ModelFormError, match="one weight per column"):
        check_form(replace(staged(COLUMNS), body=Linear(0, 0, weights)))
    with pytest.raises(ModelFormError, match="no value of kind float32"):
        check_form(replace(staged(COLUMNS[:2]), body=Linear(0, 0, weights)))
    # Whether a float32 is missing is a yes or no, and can be weighted.
    is_missing = (COLUMNS[0], IndicatorColumn(1, (MISSING,)))
    check_form(replace(staged(is_missing), body=Linear(0, 0, weights)))
    card = Scorecard(0, 0, 1, (Bins(2, (0,), (5, 6)),))
    check_form(replace(staged(COLUMNS), body=card))
    with pytest.raises(ModelFormError, match="not ascending within the model"):
        check_form(replace(staged(two), body=card))


def test_columns_and_members_are_bounded() -> None:
    wide = tuple(IndicatorColumn(0, (place,)) for place in range(COLUMN_COUNT_MAX))
    check_form(leaf_of(wide))
    with pytest.raises(ModelFormError, match="at most 4096 columns"):
        check_form(leaf_of((*wide, IndicatorColumn(0, (COLUMN_COUNT_MAX,)))))
    half = tuple(range(MEMBER_TOTAL_MAX // 2))
    check_form(
        leaf_of((IndicatorColumn(0, half), IndicatorColumn(0, (*half[1:], -half[0] + 2**20))))
    )
    with pytest.raises(ModelFormError, match=f"more than {MEMBER_TOTAL_MAX} members"):
        check_form(leaf_of((IndicatorColumn(0, half), IndicatorColumn(0, (*half, 2**20)))))


def _elements(value: Any) -> int:
    if isinstance(value, tuple):
        return len(value) + sum(map(_elements, value))
    fields = getattr(value, "__struct_fields__", None)
    if fields is None:
        return 0
    tag = int(value.__struct_config__.tag is not None)
    return tag + len(fields) + sum(_elements(getattr(value, name)) for name in fields)


def test_the_largest_model_has_no_more_elements_than_are_decoded() -> None:
    texts = tuple(map(str, range(CATEGORY_TOTAL_MAX // 4)))
    features = [Feature(f"f{place}", "category", 0, texts) for place in range(4)]
    features += [Feature(f"f{p}", "integer") for p in range(4, FEATURE_COUNT_MAX)]
    share = MEMBER_TOTAL_MAX // COLUMN_COUNT_MAX
    columns = tuple(
        IndicatorColumn(4, tuple(range(place * share, (place + 1) * share)))
        for place in range(COLUMN_COUNT_MAX)
    )
    few = models.BIN_TOTAL_MAX // COLUMN_COUNT_MAX
    bins = tuple(
        Bins(place, tuple(range(few - 1)), (1,) * few) for place in range(COLUMN_COUNT_MAX)
    )
    model = ExactModel(1, tuple(features), "identity", Scorecard(0, 0, 1, bins), columns)
    check_form(model)
    assert models.ELEMENT_COUNT_MAX - 5_000 < _elements(model) <= models.ELEMENT_COUNT_MAX
    more = (*bins[:-1], Bins(COLUMN_COUNT_MAX - 1, tuple(range(few)), (1,) * (few + 1)))
    with pytest.raises(ModelFormError, match=f"more than {models.BIN_TOTAL_MAX} bins"):
        check_form(replace(model, body=Scorecard(0, 0, 1, more)))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((1, 2), "2 values, the model 3"),
        ((2**63, 2, 0), "age: 9223372036854775808 does not fit"),
        ((1, FLOAT32_FILL_BELOW, 0), "ratio: .* not the key of a float32"),
        ((1, -1, 0), "ratio: -1 is not the key"),
        ((1, 2, 2), "colour: 2 is not the index of a category, 0 to 1"),
        ((1, 2, -2), "colour: -2 is not the index"),
        ((1, 2, MISSING), "colour: the value is missing"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_the_name_of_its_feature(
    row: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(ModelInputError, match=reason):
        check_row(staged(COLUMNS), row)


def test_missing_and_unknown_are_inputs_only_where_they_are_allowed() -> None:
    check_row(staged(COLUMNS), (MISSING, MISSING, UNKNOWN_CATEGORY))
    strict = tuple(replace(f, nullable=False, unknown_allowed=False) for f in FEATURES)
    model = staged((ValueColumn(0), ValueColumn(1), ValueColumn(2)), strict)
    check_form(model)
    check_row(model, (-1, 0, 1))
    for place, value in ((0, MISSING), (1, MISSING), (2, MISSING), (2, UNKNOWN_CATEGORY)):
        row = [0, 0, 0]
        row[place] = value
        with pytest.raises(ModelInputError, match=f"{strict[place].name}: the "):
            check_row(model, row)


def test_the_input_stage_costs_steps() -> None:
    body = pack_trees([(0, 1, 2, 3)])
    assert count_steps(model_of(body, 3)) == 1
    assert count_steps(staged(COLUMNS)) == 1 + 1 + 2 + 1
    wide = (IndicatorColumn(0, tuple(range(1_000))),)
    assert count_steps(staged(wide)) == 10 + 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(columns_of(0, AGE), columns_of(1, RATIO), columns_of(2, COLOUR))))
def test_columns_can_be_arranged(wanted: list[Column]) -> None:
    arranged, places = arrange_columns(wanted)
    assert [arranged[place] for place in places] == wanted
    orders = [column_order(column) for column in arranged]
    assert orders == sorted(set(orders))
    if wanted:
        check_form(staged(arranged))


@settings(max_examples=300, deadline=None)
@given(staged_cases(), st.data())
def test_damaged_bytes_raise_what_is_declared(case: tuple[ExactModel, Any], data: Any) -> None:
    raw = bytearray(encode_model(case[0]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        how = data.draw(st.sampled_from(("set", "cut", "insert", "swap")))
        byte = data.draw(st.one_of(st.integers(0, 255), st.sampled_from((0x80, 0xC0, 0xCB, 0xDD))))
        if how == "set":
            raw[place] = byte
        elif how == "cut":
            del raw[place : place + data.draw(st.integers(1, 9))]
        elif how == "insert":
            raw.insert(place, byte)
        else:
            raw[place:] = raw[place:][::-1]
        raw = raw or bytearray(b"\x90")
    try:
        model = decode_model(bytes(raw))
    except (ModelFormError, NonCanonicalError):
        return
    assert encode_model(model) == raw
