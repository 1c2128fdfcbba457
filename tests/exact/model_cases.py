"""Models for the tests of `exact`: written by hand, and drawn at random."""

from struct import pack
from typing import Any, get_args

from hypothesis import assume
from hypothesis import strategies as st

from cairn.exact.models import (
    FLOAT32_FILL_ABOVE,
    FLOAT32_FILL_BELOW,
    FLOAT32_KEY_MAX,
    FLOAT32_KEY_MIN,
    FLOAT32_KEY_MINUS_ZERO,
    LEFT_IS_LEAF,
    MISSING,
    RIGHT_IS_LEAF,
    UNKNOWN_CATEGORY,
    Bins,
    Column,
    ExactModel,
    Feature,
    IndicatorColumn,
    Linear,
    Scorecard,
    Trees,
    ValueColumn,
    Weight,
    arrange_columns,
    leaf_index_width,
)

Tree = int | tuple[int, int, "Tree", "Tree"]
"""A leaf's value, or feature, threshold, left and right."""


def schema(count: int) -> tuple[Feature, ...]:
    """Return integer features f0, f1 and so on."""
    return tuple(Feature(f"f{place}", "integer") for place in range(count))


def pack_trees(trees: list[Tree], *, base: int = 0, divisor: int = 1) -> Trees:
    """Return the columns of nested trees; the test's own writer, apart from the converter's."""
    sizes, flags, features, thresholds, leaves = [], bytearray(), bytearray(), [], []
    for tree in trees:
        if isinstance(tree, int):
            sizes.append(0)
            leaves.append(tree)
            continue
        level = [tree]
        for feature, threshold, left, right in level:
            bits = 0
            for child, bit in ((left, LEFT_IS_LEAF), (right, RIGHT_IS_LEAF)):
                if isinstance(child, int):
                    bits |= bit
                    leaves.append(child)
                else:
                    level.append(child)
            flags.append(bits)
            features.append(feature)
            thresholds.append(threshold)
        sizes.append(len(level))
    is_narrow = all(-(2**31) <= threshold < 2**31 for threshold in thresholds)
    values, index = leaves, b""
    if width := leaf_index_width(len(leaves), len(set(leaves))):
        values = sorted(set(leaves))
        index = b"".join(values.index(leaf).to_bytes(width, "little") for leaf in leaves)
    return Trees(
        base=base,
        divisor=divisor,
        tree_sizes=pack(f"<{len(sizes)}I", *sizes),
        leaf_flags=bytes(flags),
        features=bytes(features),
        thresholds=pack(f"<{len(thresholds)}{'i' if is_narrow else 'q'}", *thresholds),
        leaf_values=pack(f"<{len(values)}q", *values),
        leaf_index=index,
    )


LINKS: tuple[Any, ...] = get_args(ExactModel.__annotations__["link"])


def model_of(body: Trees | Linear | Scorecard, count: int, link: Any = "identity") -> ExactModel:
    """Return a model with this body over `count` integer features."""
    assert link in LINKS
    return ExactModel(1, schema(count), link, body)


FEATURE_COUNT = 3
SMALL = st.integers(-20, 20)
INT64 = st.integers(-(2**63), 2**63 - 1)
INPUTS = st.integers(-(2**63) + 1, 2**63 - 1)
"""What an input of kind integer can be that is never missing."""
LEAVES = st.one_of(st.integers(-3, 3), st.integers(-(2**34), 2**34))
THRESHOLDS = st.one_of(SMALL, SMALL, st.integers(-(2**31), 2**31 - 1), INT64)


def _chain(values: list[tuple[int, int, int, bool]]) -> Tree:
    """Return a tree that goes on at one side only, as deep as there are values."""
    tree: Tree = 0
    for feature, threshold, leaf, is_left in values:
        tree = (feature, threshold, tree, leaf) if is_left else (feature, threshold, leaf, tree)
    return tree


_FEATURES = st.integers(0, FEATURE_COUNT - 1)
TREES: st.SearchStrategy[Tree] = st.one_of(
    st.recursive(
        LEAVES,
        lambda below: st.tuples(_FEATURES, THRESHOLDS, below, below),
        max_leaves=12,
    ),
    st.lists(st.tuples(_FEATURES, THRESHOLDS, LEAVES, st.booleans()), min_size=9, max_size=20).map(
        _chain
    ),
)

TREE_BODIES = st.builds(
    lambda trees, base, divisor: pack_trees(trees, base=base, divisor=divisor),
    st.lists(TREES, min_size=1, max_size=6),
    st.integers(-(2**40), 2**40),
    st.integers(1, 7),
)
LINEAR_BODIES = st.builds(
    lambda base, shift, weights: Linear(
        base,
        shift,
        tuple(
            Weight(min(a, b), max(a, b), weight, min(a, b) + abs(a - b) * part // 4)
            for a, b, weight, part in weights
        ),
    ),
    st.integers(-(2**40), 2**40),
    st.integers(0, 20),
    st.lists(
        st.tuples(
            st.integers(-(2**20), 2**20),
            SMALL,
            st.integers(-(2**38), 2**38),
            st.integers(0, 4),
        ),
        min_size=FEATURE_COUNT,
        max_size=FEATURE_COUNT,
    ),
)


def _bins(feature: int, bounds: list[int], points: list[int]) -> Bins:
    ordered = tuple(sorted(set(bounds)))
    return Bins(feature, ordered, tuple(points[: len(ordered) + 1]), points[-1])


SCORECARD_BODIES = st.builds(
    lambda base, points, factor, lists, features: Scorecard(
        base,
        points,
        factor,
        tuple(
            _bins(feature, *entry) for feature, entry in zip(sorted(features), lists, strict=False)
        ),
    ),
    st.integers(-(2**40), 2**40),
    SMALL,
    st.integers(-(2**34), 2**34),
    st.lists(
        st.tuples(
            st.lists(st.one_of(SMALL, INT64), max_size=6), st.lists(SMALL, min_size=7, max_size=7)
        ),
        min_size=FEATURE_COUNT,
        max_size=FEATURE_COUNT,
    ),
    st.sets(_FEATURES, min_size=1),
)

BODIES = st.one_of(TREE_BODIES, TREE_BODIES, LINEAR_BODIES, SCORECARD_BODIES)
MODELS = st.builds(
    lambda body, link: model_of(body, FEATURE_COUNT, link), BODIES, st.sampled_from(LINKS)
)
ROWS = st.lists(
    st.tuples(*[st.one_of(SMALL, SMALL, INPUTS)] * FEATURE_COUNT), min_size=1, max_size=7
)

KEYS = st.integers(FLOAT32_KEY_MIN, FLOAT32_KEY_MAX).filter(FLOAT32_KEY_MINUS_ZERO.__ne__)
COLOURS = ("red", "green", "blue", "")


def inputs_of(feature: Feature) -> st.SearchStrategy[int]:
    """Return what an input can be."""
    kinds: dict[str, st.SearchStrategy[int]] = {
        "integer": st.one_of(SMALL, SMALL, INPUTS),
        "float32": st.one_of(SMALL.filter(FLOAT32_KEY_MINUS_ZERO.__ne__), KEYS),
        "category": st.integers(0, len(feature.categories) - 1),
    }
    rest = [st.just(MISSING)] if feature.nullable else []
    rest += [st.just(UNKNOWN_CATEGORY)] if feature.unknown_allowed else []
    return st.one_of(kinds[feature.kind], *rest)


def columns_of(place: int, feature: Feature) -> st.SearchStrategy[Column]:
    """Return what columns there can be of a feature."""
    fills: st.SearchStrategy[int] = st.just(0)
    if feature.nullable:
        sentinels = st.sampled_from((FLOAT32_FILL_BELOW, FLOAT32_FILL_ABOVE))
        fills = st.one_of(sentinels, KEYS) if feature.kind == "float32" else st.one_of(SMALL, INT64)
    members = st.lists(inputs_of(feature), min_size=1, max_size=6, unique=True)
    return st.one_of(
        st.builds(ValueColumn, st.just(place), fills),
        st.builds(IndicatorColumn, st.just(place), members.map(lambda m: tuple(sorted(m)))),
    )


@st.composite
def staged_cases(draw: st.DrawFn) -> tuple[ExactModel, list[tuple[int, ...]]]:
    """Return a model with an input stage of three columns, and rows that fit it."""
    flag = st.booleans()
    features = (
        Feature("amount", "integer", nullable=draw(flag)),
        Feature("ratio", "float32", nullable=draw(flag)),
        Feature("colour", "category", 0, COLOURS, draw(flag), draw(flag)),
    )
    wanted = [columns_of(place, feature) for place, feature in enumerate(features)]
    columns, _ = arrange_columns(draw(st.lists(st.one_of(wanted), min_size=3, max_size=5)))
    columns = columns[:FEATURE_COUNT]
    body = draw(BODIES)
    assume(len(columns) == FEATURE_COUNT)
    weighted = [column for column in columns if isinstance(column, ValueColumn)]
    assume(not (isinstance(body, Linear) and any(column.feature == 1 for column in weighted)))
    row = st.tuples(*map(inputs_of, features))
    rows = draw(st.lists(row, min_size=1, max_size=7))
    return ExactModel(1, features, draw(st.sampled_from(LINKS)), body, columns), rows
