"""The form of exact models: one spelling each, every limit, nothing that can overflow."""

from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings

from cairn.exact import models
from cairn.exact.errors import ModelFormError, ModelInputError
from cairn.exact.models import (
    Bins,
    ExactModel,
    Feature,
    Linear,
    Scorecard,
    Trees,
    Weight,
    check_form,
    check_row,
    count_steps,
    decode_model,
    encode_model,
    tree_depths,
)
from cairn.primitives.encoding import NonCanonicalError, encode, replace
from tests.exact.model_cases import MODELS, model_of, pack_trees, schema

STUMP = pack_trees([(0, 5, -7, 7)])
CARD = Scorecard(0, 10, 2, (Bins(0, (1, 5), (3, 4, 5)),))
LINE = Linear(0, 4, (Weight(-10, 10, 3),))


def changed(record: Any, **fields: Any) -> Any:
    return replace(record, **fields)


@settings(max_examples=100, deadline=None)
@given(MODELS)
def test_decoding_gives_back_what_was_encoded(model: ExactModel) -> None:
    assert decode_model(encode_model(model)) == model


def test_a_full_model_of_a_hundred_trees_fits_in_ninety_kilobytes() -> None:
    leaves = iter(range(10**12, 2 * 10**12, 10**6))

    def grow(depth: int) -> Any:
        return (depth, depth * 1000, grow(depth - 1), grow(depth - 1)) if depth else next(leaves)

    model = model_of(pack_trees([grow(6) for _ in range(100)]), 30)
    check_form(model)
    assert len(encode_model(model)) < 90_000
    assert count_steps(model) == 600


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (changed(STUMP, tree_sizes=b""), "1 to 4096 trees"),
        (changed(STUMP, tree_sizes=b"\x01\x00\x00"), "1 to 4096 trees"),
        (changed(STUMP, divisor=0), "divisor"),
        (changed(STUMP, divisor=4097), "divisor"),
        (changed(STUMP, tree_sizes=pack("<I", 2)), "do not add up"),
        (changed(STUMP, leaf_flags=b"\x04"), "unknown leaf flags"),
        (changed(STUMP, features=b"\x00\x00"), "column of features"),
        (changed(STUMP, thresholds=b"\x00" * 5), "column of thresholds"),
        (changed(STUMP, leaf_values=b""), "column of leaf values"),
        (changed(STUMP, leaf_values=b"\x00" * 7), "column of leaf values"),
        (changed(STUMP, leaf_flags=b"\x00"), "do not form one tree"),
        (changed(STUMP, leaf_flags=b"\x01"), "do not form one tree"),
        (changed(STUMP, features=b"\x03"), "compares column 3 of 3"),
        (changed(STUMP, thresholds=pack("<q", 5)), "fit in 32 bits"),
        (changed(STUMP, leaf_values=pack("<3q", 1, 2, 3)), "3 leaf values for 2 leaves"),
        (changed(STUMP, leaf_values=pack("<2q", 0, 2**62)), "leaves can overflow"),
        (changed(STUMP, leaf_values=pack("<2q", 0, -(2**63))), "leaves can overflow"),
        (changed(STUMP, base=-(2**62)), "leaves can overflow"),
        (changed(CARD, bins=()), "at least one"),
        (changed(CARD, bins=CARD.bins * 2), "not ascending within the model"),
        (changed(CARD, bins=(Bins(3, (), (1,)),)), "not ascending within the model"),
        (changed(CARD, bins=(Bins(0, (1,), (1,)),)), "do not match"),
        (changed(CARD, bins=(Bins(0, (2, 2), (1, 1, 1)),)), "bounds are not ascending"),
        (changed(CARD, raw_per_point=2**60), "overflow"),
        (changed(CARD, bins=(Bins(0, (), (-(2**63),)),)), "overflow"),
        (changed(CARD, bins=(Bins(0, (), (0,), 2**62),)), "overflow"),
        (changed(LINE, weights=LINE.weights * 2), "one weight per column"),
        (changed(LINE, weights=LINE.weights * 3, shift_bits=49), "shift_bits"),
        (changed(LINE, weights=(Weight(1, 0, 0), *LINE.weights * 2)), "low is above"),
        (changed(LINE, weights=(Weight(0, 2**31, 2**32), *LINE.weights * 2)), "overflow"),
        (changed(LINE, weights=(Weight(1, 3, 1, 0), *LINE.weights * 2)), "reference is not within"),
        (changed(LINE, weights=(Weight(1, 3, 1, 4), *LINE.weights * 2)), "reference is not within"),
        (
            changed(LINE, weights=(Weight(-(2**30), 2**30, 2**32, 2**30), *LINE.weights * 2)),
            "overflow",
        ),
        (changed(LINE, weights=LINE.weights * 3, base=2**62), "overflow"),
    ],
)
def test_a_broken_body_is_refused_by_name(body: Any, reason: str) -> None:
    with pytest.raises(ModelFormError, match=reason):
        decode_model(encode(model_of(body, 3)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "format version 2"),
        ({"features": ()}, "1 to 1024 features"),
        ({"features": schema(1025)}, "1 to 1024 features"),
        ({"features": (Feature("F0", "integer"),)}, "not a name"),
        ({"features": (Feature("a", "integer", 41),)}, "scale_bits"),
        ({"features": (Feature("a", "float32", 1),)}, "scale_bits"),
        ({"features": (Feature("a", "integer"), Feature("a", "float32"))}, "same name"),
    ],
)
def test_a_broken_schema_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFormError, match=reason):
        check_form(changed(model_of(STUMP, 1), **changes))


def test_linear_models_refuse_float32() -> None:
    model = changed(model_of(LINE, 1), features=(Feature("a", "float32"),))
    with pytest.raises(ModelFormError, match="no value of kind float32"):
        check_form(model)


def test_leaves_have_one_form() -> None:
    tree = (0, 1, (0, 0, 5, 6), (0, 2, 5, (0, 3, 6, 5)))
    table = pack_trees([tree, tree, tree])
    check_form(model_of(table, 1))
    assert table.leaf_index
    values = [int.from_bytes(table.leaf_values[place : place + 8], "little") for place in (0, 8)]
    direct = b"".join(pack("<q", values[place]) for place in table.leaf_index)
    for body, reason in (
        (changed(table, leaf_values=direct, leaf_index=b""), "smaller of their two forms"),
        (changed(table, leaf_values=pack("<2q", 6, 5)), "not ascending"),
        (changed(table, leaf_values=pack("<3q", 5, 6, 7)), "no value, or a value no leaf"),
        (changed(table, leaf_index=b"\x02" + table.leaf_index[1:]), "no value, or a value no leaf"),
    ):
        with pytest.raises(ModelFormError, match=reason):
            check_form(model_of(body, 1))


def test_a_tree_that_is_too_deep_is_refused() -> None:
    deep: Any = 0
    for _ in range(models.TREE_DEPTH_MAX):
        deep = (0, 1, deep, 1)
    assert tree_depths(pack_trees([deep, 3])) == (64, 0)
    with pytest.raises(ModelFormError, match="deeper than 64"):
        check_form(model_of(pack_trees([(0, 1, deep, 1)]), 1))
    check_form(model_of(pack_trees([deep] * 2048), 1))
    with pytest.raises(ModelFormError, match="more than 131072 comparisons"):
        check_form(model_of(pack_trees([deep] * 2049), 1))


def test_nodes_that_wait_for_each_other_are_refused() -> None:
    # Two roots in one tree: the first has two leaves, the second would be its own child.
    flags = bytes((3, 1))
    body = Trees(
        0, 1, pack("<I", 2), flags, b"\x00\x00", pack("<2i", 1, 2), pack("<3q", 1, 2, 3), b""
    )
    with pytest.raises(ModelFormError, match="do not form one tree"):
        check_form(model_of(body, 1))


def test_bytes_beyond_the_limit_are_refused_before_they_are_decoded() -> None:
    with pytest.raises(ModelFormError, match="4000001 bytes"):
        decode_model(bytes(4_000_001))


def test_a_second_spelling_is_refused() -> None:
    raw = encode_model(model_of(STUMP, 1))
    assert raw[1] == 1
    with pytest.raises(NonCanonicalError):
        decode_model(raw[:1] + b"\xcc\x01" + raw[2:])
    with pytest.raises(NonCanonicalError):
        decode_model(raw.replace(b"integer", b"integre"))


def test_rows_must_fit_the_schema() -> None:
    features = (Feature("count", "integer"), Feature("size", "float32"))
    model = changed(model_of(STUMP, 1), features=features)
    for row in ((2**63 - 1, 0), (1 - 2**63, models.FLOAT32_KEY_MAX), (0, models.FLOAT32_KEY_MIN)):
        check_row(model, row)
    for bad, reason in (
        ((1,), "has 1 values"),
        ((2**63, 0), "count: 9223372036854775808"),
        ((0, models.FLOAT32_KEY_MAX + 1), "size"),
        ((0, models.FLOAT32_KEY_MIN - 1), "size"),
        ((0, models.FLOAT32_KEY_MINUS_ZERO), "size"),
    ):
        with pytest.raises(ModelInputError, match=reason):
            check_row(model, bad)


def test_cost_counts_the_longest_way() -> None:
    assert count_steps(model_of(pack_trees([(0, 1, (0, 0, 1, 2), 3), 4]), 1)) == 3
    assert count_steps(model_of(LINE, 1)) == 1
    assert count_steps(model_of(CARD, 1)) == 8 + 3
