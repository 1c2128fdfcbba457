"""Exact models, rules and derived features beside LightGBM, scikit-learn and ONNX Runtime."""

from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import TensorProto, helper
from sklearn.ensemble import RandomForestClassifier

from bench.harness import Figure, per_second, seconds
from cairn.exact import rules
from cairn.exact.features import FEATURES as DERIVED
from cairn.exact.features import extractor
from cairn.exact.models import (
    FLOAT32_FILL_ABOVE,
    FLOAT32_FILL_BELOW,
    ExactModel,
    Trees,
    ValueColumn,
    check_form,
)
from cairn.exact.scoring import Scorer
from cairn.exact.windows import EMPTY, add, advance
from cairn.learning.conversion.convert import convert
from cairn.learning.conversion.lightgbm_models import read_lightgbm
from cairn.learning.conversion.rows import encode_rows, float32_features
from cairn.learning.conversion.sources import LEAF, SourceTree
from cairn.primitives.encoding import replace

COLUMNS = 30
FEATURES = float32_features([f"f{place}" for place in range(COLUMNS)])
ONE_ROW_CALLS = 2_000

Rows = npt.NDArray[np.float32]


def measure(*, quick: bool) -> list[Figure]:
    """Return rows per second, time of one row, of one rule and of one payment's features."""
    rows, labels = _make_rows(10_000 if quick else 40_000)
    return [
        *_boosted(rows, labels),
        _forest(rows[:10_000], labels[:10_000]),
        _rule(),
        _features(),
    ]


def _boosted(rows: Rows, labels: npt.NDArray[np.int64]) -> list[Figure]:
    settings = {"objective": "binary", "num_leaves": 64, "max_depth": 6, "verbose": -1, "seed": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, labels), 100)
    model, report = convert(booster, FEATURES, rows)
    encoded = encode_rows(FEATURES, rows)
    compiled, plain = Scorer(model, kernel="numba"), Scorer(model, kernel="numpy")
    session = _onnx_session(booster)
    wide = rows.astype(np.float64)
    first, one = tuple(encoded[0].tolist()), rows[:1]
    count = len(rows)
    return [
        Figure(
            "exact.trees100.rows_per_s",
            per_second(count, lambda: compiled.score(encoded)),
            "rows/s",
            goal=">= 2.5 x LightGBM",
            against={
                "lightgbm": per_second(count, lambda: booster.predict(wide, num_threads=1)),
                "onnxruntime": per_second(count, lambda: session.run(None, {"rows": rows})),
                "numpy kernel": per_second(count, lambda: plain.score(encoded)),
            },
            note=f"100 trees of depth 6, {COLUMNS} encoded features, 1 thread; {report.summary()}",
        ),
        Figure(
            "exact.row_us",
            _call_us(lambda: compiled.score_one(first)),
            "us",
            goal="<= 10 us",
            against={
                "lightgbm": _call_us(lambda: booster.predict(one, num_threads=1)),
                "onnxruntime": _call_us(lambda: session.run(None, {"rows": one})),
                "numpy kernel": _call_us(lambda: plain.score_one(first)),
            },
        ),
        _staged(model, encoded),
    ]


def _staged(model: ExactModel, encoded: npt.NDArray[np.int64]) -> Figure:
    """Return the speed of the same trees over inputs that may be missing, two columns for each."""
    body = model.body
    assert isinstance(body, Trees)
    fills = (FLOAT32_FILL_BELOW, FLOAT32_FILL_ABOVE)
    staged = replace(
        model,
        features=tuple(replace(feature, nullable=True) for feature in model.features),
        columns=tuple(ValueColumn(place, fill) for place in range(COLUMNS) for fill in fills),
        body=replace(body, features=bytes(2 * feature for feature in body.features)),
    )
    check_form(staged)
    with_stage, without = Scorer(staged, kernel="numba"), Scorer(model, kernel="numba")
    assert (with_stage.score(encoded)[0] == without.score(encoded)[0]).all()
    first = tuple(encoded[0].tolist())
    count = len(encoded)
    one_us = _call_us(lambda: with_stage.score_one(first))
    return Figure(
        "exact.stage60.rows_per_s",
        per_second(count, lambda: with_stage.score(encoded)),
        "rows/s",
        goal=">= 0.8 x without",
        against={"without": per_second(count, lambda: without.score(encoded))},
        note=f"the same trees behind an input stage of 60 columns; one row {one_us:.1f} us",
    )


def _forest(rows: Rows, labels: npt.NDArray[np.int64]) -> Figure:
    forest = RandomForestClassifier(40, random_state=1, n_jobs=1).fit(rows, labels)
    model, report = convert(forest, FEATURES, rows)
    encoded = encode_rows(FEATURES, rows)
    scorer = Scorer(model, kernel="numba")
    depth = max(tree.get_depth() for tree in forest.estimators_)
    return Figure(
        "exact.forest.rows_per_s",
        per_second(len(rows), lambda: scorer.score(encoded), runs=3),
        "rows/s",
        goal=">= 1 x scikit-learn",
        against={"sklearn": per_second(len(rows), lambda: forest.predict_proba(rows), runs=3)},
        note=f"40 trees, depth {depth}, one thread; {report.summary()}",
    )


def _rule() -> Figure:
    condition = (
        rules.Compare("model:card-risk", ">=", 600_000),
        rules.Compare("field:amount_units", ">", 5_000),
        rules.Compare("feature:payer_count_1h", ">=", 5),
        rules.Compare("feature:payee_first_seen", "==", 1),
        rules.Any(2),
        rules.All(3),
    )
    rule = rules.Rule(1, "hold", condition, (rules.Hold(86_400_000, "settle"),), 200)
    inputs = {
        "model:card-risk": 700_000,
        "field:amount_units": 9_000,
        "feature:payer_count_1h": 1,
        "feature:payee_first_seen": 1,
    }
    run = rules.compile_rule(rule)
    return Figure(
        "rule.eval_us",
        _call_us(lambda: run(inputs)),
        "us",
        goal="<= 5 us",
        against={"plain evaluator": _call_us(lambda: rules.evaluate(rule, inputs))},
        note="six nodes, all looked at, and the rule fires",
    )


def _features() -> Figure:
    random = np.random.default_rng(1)
    times = (1_700_000_000_000 + np.cumsum(random.integers(1, 1_800_000, 6_000))).tolist()
    tags = [random.bytes(8) for _ in range(50)]
    names = (*DERIVED[:24], *(name for name in DERIVED if name.startswith("terminal_fraud")))

    def fold(names: tuple[str, ...]) -> None:
        extract = extractor(names)
        payer = payee = terminal = EMPTY
        for number, now in enumerate(times):
            payer, payee = advance(payer, now), advance(payee, now)
            terminal, tag = advance(terminal, now), tags[number % 50]
            extract(payer, payee, terminal, 5_000, now, tag)
            payer, payee = add(payer, now, 5_000, tag), add(payee, now, 5_000, tag)
            terminal = add(terminal, now, 5_000, tag)

    return Figure(
        "exact.features_us",
        seconds(lambda: fold(names)) / len(times) * 1e6,
        "us",
        goal="<= 20 us",
        against={"all features": seconds(lambda: fold(DERIVED)) / len(times) * 1e6},
        note=f"advance, {len(names)} features and add of payer, payee and terminal, all busy",
    )


def _call_us(call: Any) -> float:
    def work() -> None:
        for _ in range(ONE_ROW_CALLS):
            call()

    return seconds(work) / ONE_ROW_CALLS * 1e6


def _make_rows(count: int) -> tuple[Rows, npt.NDArray[np.int64]]:
    random = np.random.default_rng(1)
    rows = random.normal(size=(count, COLUMNS)).astype(np.float32)
    margin = rows[:, 0] + 0.5 * rows[:, 5] - rows[:, 1] * rows[:, 2] + np.sin(3 * rows[:, 7]) - 2
    labels = (random.random(count) < 1 / (1 + np.exp(-margin))).astype(np.int64)
    return rows, labels


def _onnx_session(booster: Any) -> Any:
    """Return an ONNX Runtime session with the same trees, on one thread."""
    source = read_lightgbm(booster)
    columns: dict[str, Any] = {}
    for tree_id, tree in enumerate(source.trees):
        for name, values in _onnx_columns(tree_id, tree).items():
            columns.setdefault(name, []).extend(values)
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["rows"],
        ["raw"],
        domain="ai.onnx.ml",
        n_targets=1,
        post_transform="LOGISTIC",
        **columns,
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, COLUMNS])],
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, [None, 1])],
    )
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _onnx_columns(tree_id: int, tree: SourceTree) -> dict[str, list[Any]]:
    count = len(tree.left)
    is_leaf = tree.left == LEAF
    leaves = np.flatnonzero(is_leaf)
    return {
        "nodes_treeids": [tree_id] * count,
        "nodes_nodeids": list(range(count)),
        "nodes_featureids": tree.features.tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        "nodes_values": tree.thresholds.astype(np.float32).tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, tree.left).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, tree.right).tolist(),
        "target_treeids": [tree_id] * len(leaves),
        "target_nodeids": leaves.tolist(),
        "target_ids": [0] * len(leaves),
        "target_weights": tree.values[leaves].astype(np.float32).tolist(),
    }
