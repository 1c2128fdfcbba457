"""Three ways to score give the same bits: the readable one, NumPy's and the compiled one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from cairn.exact import reference, scoring
from cairn.exact.errors import KernelUnavailableError, ModelInputError
from cairn.exact.layouts import PERFECT_DEPTH_MAX, PerfectTrees, SparseTrees, lay_out
from cairn.exact.models import (
    FLOAT32_FILL_ABOVE,
    FLOAT32_FILL_BELOW,
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
from cairn.exact.reference import RAW_ONE, ReferenceScorer, score_of_raw, score_one_pure
from cairn.exact.scoring import Kernel, Scorer, scores_of_raw
from tests.exact.model_cases import (
    COLOURS,
    LINKS,
    MODELS,
    ROWS,
    Tree,
    model_of,
    pack_trees,
    staged_cases,
)

KERNELS: tuple[Kernel, ...] = ("numba", "numpy")


def walk(tree: Tree, row: tuple[int, ...]) -> int:
    while not isinstance(tree, int):
        tree = tree[2] if row[tree[0]] <= tree[1] else tree[3]
    return tree


@settings(max_examples=150, deadline=None)
@given(MODELS, ROWS)
def test_every_path_gives_the_same_bits(model: ExactModel, rows: list[tuple[int, ...]]) -> None:
    check_paths(model, rows)


@settings(max_examples=150, deadline=None)
@given(staged_cases())
def test_every_path_makes_the_same_columns(case: tuple[ExactModel, list[tuple[int, ...]]]) -> None:
    check_paths(*case)


def check_paths(model: ExactModel, rows: list[tuple[int, ...]]) -> None:
    check_form(model)
    plain = ReferenceScorer(model)
    expected = [plain.score(row) for row in rows]
    for kernel in KERNELS:
        scorer = Scorer(model, kernel=kernel)
        raw, scores = scorer.score(np.array(rows, np.int64))
        assert list(zip(raw.tolist(), scores.tolist(), strict=True)) == expected
        assert [scorer.score_one(row) for row in rows] == expected


@pytest.mark.parametrize("row", [(4, 0), (5, 0), (6, 9), (6, 10), (1 - 2**63, 2**63 - 1)])
def test_a_row_at_the_threshold_goes_left(row: tuple[int, int]) -> None:
    trees: list[Tree] = [(0, 5, 100, (1, 9, 200, 300)), 1, (1, 2**40, -7, -9)]
    model = model_of(pack_trees(trees, base=50), 2)
    expected = 50 + sum(walk(tree, row) for tree in trees)
    assert score_one_pure(model, row)[0] == expected
    for kernel in KERNELS:
        assert Scorer(model, kernel=kernel).score_one(row)[0] == expected


def test_an_average_rounds_half_up() -> None:
    for total, divisor, expected in ((3, 2, 2), (-3, 2, -1), (5, 3, 2), (-5, 3, -2), (7, 5, 1)):
        model = model_of(pack_trees([total], divisor=divisor), 1)
        for kernel in KERNELS:
            assert Scorer(model, kernel=kernel).score_one((0,))[0] == expected
        assert score_one_pure(model, (0,))[0] == expected


def test_a_scorecard_adds_the_points_of_the_bins() -> None:
    card = Scorecard(1000, 5, 10, (Bins(0, (10, 20), (1, 2, 3)), Bins(1, (), (7,))))
    model = model_of(card, 2)
    check_form(model)
    for value, points in ((9, 1), (10, 1), (11, 2), (20, 2), (21, 3)):
        assert score_one_pure(model, (value, 0))[0] == 1000 + 10 * (5 + points + 7)


def test_a_linear_model_clamps_and_rounds_down() -> None:
    model = model_of(Linear(100, 1, (Weight(-4, 4, 3), Weight(0, 9, -1))), 2)
    check_form(model)
    for row, raw in (((4, 0), 106), ((5, 0), 106), ((1, 0), 101), ((-9, 0), 94), ((0, 1), 99)):
        assert score_one_pure(model, row)[0] == raw


def test_scores_of_raw_outputs_are_those_of_the_specification() -> None:
    edges = [0, 1, RAW_ONE // 2, RAW_ONE - 1, RAW_ONE, RAW_ONE + 1, 16 * RAW_ONE, 2**63 - 1]
    raw = [*edges, *(-edge for edge in edges), -(2**63), *range(-(2**37), 2**37, 2**31 + 12345)]
    for link in LINKS:
        expected = [score_of_raw(value, link) for value in raw]
        assert scores_of_raw(np.array(raw, np.int64), link).tolist() == expected
        assert min(expected) == 0
        assert max(expected) == 1_000_000
    assert score_of_raw(0, "logistic") == 500_000
    assert score_of_raw(RAW_ONE * 6 // 10, "identity") == 600_000
    assert score_of_raw(RAW_ONE, "isolation") == 500_000
    assert score_of_raw(-RAW_ONE, "isolation") == 1_000_000


def test_rows_of_another_shape_or_type_are_refused() -> None:
    scorer = Scorer(model_of(pack_trees([(0, 1, 2, 3)]), 2))
    for rows in (np.zeros((1, 3), np.int64), np.zeros(2, np.int64), np.zeros((1, 2), np.int32)):
        with pytest.raises(ModelInputError, match=r"shape \(n, 2\)"):
            scorer.score(rows)  # type: ignore[arg-type]
    with pytest.raises(ModelInputError, match="1 values"):
        scorer.score_one((1,))


@pytest.mark.parametrize("kernel", KERNELS)
def test_rows_may_be_strided_read_only_or_none(kernel: Kernel) -> None:
    model = model_of(pack_trees([(0, 3, 10, (1, 5, 20, 30))]), 2)
    scorer = Scorer(model, kernel=kernel)
    wide = np.arange(24, dtype=np.int64).reshape(6, 4)
    strided = wide[::2, ::2]
    frozen = strided.copy()
    frozen.flags.writeable = False
    assert scorer.score(strided)[0].tolist() == scorer.score(frozen)[0].tolist() == [10, 30, 30]
    assert not frozen.flags.writeable
    assert scorer.score(np.zeros((0, 2), np.int64))[0].tolist() == []


@pytest.mark.parametrize("kernel", KERNELS)
def test_many_rows_cross_the_batches(kernel: Kernel) -> None:
    deep: Tree = 0
    for value in range(12):
        deep = (value % 3, value * 10, deep, value)
    trees: list[Tree] = [deep, (0, 50, 1, (2, 20, 2, 4)), 9]
    model = model_of(pack_trees(trees), 3)
    rows = (np.arange(3 * 12_000, dtype=np.int64) * 7919 % 127).reshape(-1, 3)
    expected = [sum(walk(tree, tuple(row)) for tree in trees) for row in rows.tolist()]
    assert Scorer(model, kernel=kernel).score(rows)[0].tolist() == expected


def test_numba_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "has_numba", lambda: False)
    model = model_of(pack_trees([(0, 1, 2, 3)]), 1)
    assert Scorer(model).kernel == "numpy"
    with pytest.raises(KernelUnavailableError):
        Scorer(model, kernel="numba")


def test_warm_up_compiles_and_changes_nothing() -> None:
    model = ExactModel(1, (Feature("a", "float32"),), "logistic", pack_trees([(0, 1, -9, 9)]))
    scorer = Scorer(model)
    scorer.warm_up()
    assert scorer.kernel == "numba"
    assert scorer.score_one((2,)) == score_one_pure(model, (2,))


def test_the_specification_needs_no_arrays() -> None:
    source = Path(reference.__file__).parents[2]
    probe = "import sys, cairn.exact.reference; print({'numpy', 'numba'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env={"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


def test_one_deep_tree_does_not_make_thousands_of_leaves_as_big_as_itself() -> None:
    deep: Tree = 1
    for threshold in range(PERFECT_DEPTH_MAX):
        deep = (0, threshold, deep, threshold)
    model = model_of(pack_trees([deep, *range(4_000)]), 1)
    assert isinstance(model.body, Trees)
    assert isinstance(lay_out(model.body, 1), SparseTrees)
    few = model_of(pack_trees([deep, *range(100)]), 1)
    assert isinstance(few.body, Trees)
    assert isinstance(lay_out(few.body, 1), PerfectTrees)
    for row in ((-1,), (3,), (9,)):
        expected = score_one_pure(model, row)
        assert [Scorer(model, kernel=kernel).score_one(row) for kernel in KERNELS] == [expected] * 2


STAGED = ExactModel(
    1,
    (
        Feature("age", "integer", nullable=True),
        Feature("ratio", "float32", nullable=True),
        Feature("colour", "category", 0, COLOURS, True, True),
    ),
    "identity",
    pack_trees([(0, 30, 1, 2), (1, -5, 10, 20), (2, 40, 100, 200), (3, 0, 1_000, 2_000)]),
    (
        ValueColumn(0, 35),
        ValueColumn(1, FLOAT32_FILL_BELOW),
        ValueColumn(1, FLOAT32_FILL_ABOVE),
        IndicatorColumn(2, (MISSING, UNKNOWN_CATEGORY, 2)),
    ),
)


@pytest.mark.parametrize(
    ("row", "raw"),
    [
        ((30, 0, 0), 1 + 20 + 100 + 1_000),
        ((MISSING, 50, 2), 2 + 20 + 200 + 2_000),
        ((31, MISSING, MISSING), 2 + 10 + 200 + 2_000),
        ((0, -6, UNKNOWN_CATEGORY), 1 + 10 + 100 + 2_000),
    ],
)
def test_missing_values_go_where_the_column_sends_them(row: tuple[int, ...], raw: int) -> None:
    check_paths(STAGED, [row])
    assert score_one_pure(STAGED, row)[0] == raw


@pytest.mark.parametrize("kernel", KERNELS)
def test_many_rows_cross_the_blocks_of_the_stage(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "_STAGE_CELLS", 1)
    rows = [(place % 60, place % 9 - 30, place % 4) for place in range(1_000)]
    rows[7:900:7] = [(MISSING, MISSING, UNKNOWN_CATEGORY)] * len(rows[7:900:7])
    plain = ReferenceScorer(STAGED)
    found = Scorer(STAGED, kernel=kernel).score(np.array(rows, np.int64))[0]
    assert found.tolist() == [plain.score(row)[0] for row in rows]
    assert Scorer(STAGED, kernel=kernel).score(np.zeros((0, 3), np.int64))[0].tolist() == []


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_input_that_is_none_is_no_member(kernel: Kernel) -> None:
    # Callers check rows. Should one forget, nothing is read that is not there.
    body = pack_trees([(0, 0, 1, 2), (1, 0, 10, 20)])
    columns = (IndicatorColumn(0, (0, 3)), IndicatorColumn(0, (1,)))
    model = ExactModel(1, (Feature("colour", "category", 0, COLOURS),), "identity", body, columns)
    check_form(model)
    scorer = Scorer(model, kernel=kernel)
    for value in (4, 2**62, 2**63 - 1, -1, -(2**40), MISSING):
        assert scorer.score_one((value,))[0] == 11
        assert scorer.score(np.array([(value,)], np.int64))[0].tolist() == [11]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_wide_linear_model_gives_the_same_for_one_row(kernel: Kernel) -> None:
    count = 300
    weights = tuple(Weight(-place, place, 7919 * place - 10**6) for place in range(count))
    model = model_of(Linear(-3, 5, weights), count)
    check_form(model)
    row = tuple(range(-(count // 2), count - count // 2))
    assert Scorer(model, kernel=kernel).score_one(row) == score_one_pure(model, row)
