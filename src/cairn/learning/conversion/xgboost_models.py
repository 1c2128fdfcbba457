"""Reads XGBoost's models from its own JSON form, with or without the library.

Where a value goes: float32, left if below the threshold; missing values by `default_left`; a
category right if it is in the node's set. Source: the JSON model schema,
https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

import json
from dataclasses import dataclass
from itertools import pairwise
from math import isnan, log
from typing import Any

import numpy as np

from cairn.learning.conversion.errors import ConversionError, UnsupportedModelError
from cairn.learning.conversion.rows import Floats
from cairn.learning.conversion.sources import (
    LEAF,
    CategorySplit,
    Predict,
    SourceTree,
    TreeSource,
    walk,
)

_LOGISTIC = ("binary:logistic", "reg:logistic")
_IDENTITY = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror")


@dataclass(frozen=True, slots=True)
class XGBoostFile:
    """A model that XGBoost saved as JSON, and the library's own form of it, if it is installed."""

    document: dict[str, Any]
    booster: Any = None


@dataclass(frozen=True, slots=True)
class XGBoostSchema:
    """The columns of an XGBoost model."""

    names: tuple[str, ...]
    types: tuple[str, ...]
    """`c` for categories."""
    categories: dict[int, list[Any]]
    """By column, where the model holds them; else they are whole numbers from 0."""


def read_xgboost(source: Any) -> tuple[TreeSource, XGBoostSchema, tuple[str, ...]]:
    """Return the parts of a Booster, of a model of its scikit-learn interface, or of a file.

    Raises:
        UnsupportedModelError: It has several classes or outputs, another objective or booster.
        ConversionError: It is not as XGBoost writes it.
    """
    booster, document, rounds = _open(source)
    notes: list[str] = []
    try:
        learner = document["learner"]
        objective = str(learner["objective"]["name"])
        schema = _schema(learner)
        trees, base = _read(learner, objective, rounds)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConversionError(
            f"the XGBoost model is not as the library writes it: {error!r}",
            hint="save it by Booster.save_model('model.json')",
        ) from error
    if rounds is not None:
        notes.append(f"XGBoost: the trees up to the best iteration, {rounds - 1}, as it predicts")
    parts: dict[str, Any] = {
        "library": "xgboost",
        "kind": "XGBoost",
        "link": "logistic" if objective in _LOGISTIC else "identity",
        "takes_missing": True,
        "trees": trees,
        "base": base,
        "is_strict": True,
        "is_narrow": True,
    }
    if booster is not None:
        return (
            TreeSource(
                raw=_predict(booster, schema, rounds, margin=True),
                score=_predict(booster, schema, rounds, margin=False),
                **parts,
            ),
            schema,
            tuple(notes),
        )
    notes.append("xgboost is not installed: compared with the file's trees in floating point")
    model = TreeSource(raw=np.asarray, score=np.asarray, **parts)

    def raw(rows: Any) -> Floats:
        return walk(model, np.asarray(rows, np.float64))

    def score(rows: Any) -> Floats:
        output = raw(rows)
        result: Floats = 1 / (1 + np.exp(-output)) if objective in _LOGISTIC else output
        return result

    return TreeSource(raw=raw, score=score, **parts), schema, tuple(notes)


def _open(source: Any) -> tuple[Any, dict[str, Any], int | None]:
    """Return the booster, its JSON form, and how many rounds it predicts from, None for all."""
    best: Any = None
    if isinstance(source, XGBoostFile):
        best = source.document.get("learner", {}).get("attributes", {}).get("best_iteration")
        return source.booster, source.document, None if best is None else int(best) + 1
    booster = source
    if hasattr(source, "get_booster"):
        booster = source.get_booster()
        missing = getattr(source, "missing", None)
        if missing is not None and not isnan(float(missing)):
            raise UnsupportedModelError(
                f"the XGBoost model takes {missing} for missing",
                hint="train with missing=nan, and leave cells empty where there is no value",
            )
        best = booster.attributes().get("best_iteration")
    document = json.loads(bytes(booster.save_raw("json")))
    return booster, document, None if best is None else int(best) + 1


def _schema(learner: dict[str, Any]) -> XGBoostSchema:
    count = int(learner["learner_model_param"]["num_feature"])
    names = tuple(learner.get("feature_names") or (f"f{place}" for place in range(count)))
    types = tuple(learner.get("feature_types") or ("q",) * count)
    lists: dict[int, list[Any]] = {}
    model = learner["gradient_booster"].get("model", {})
    for place, encoded in enumerate((model.get("cats") or {}).get("enc", ())):
        values = encoded.get("values") or []
        if values and encoded.get("offsets"):
            raw, offsets = bytes(value % 256 for value in values), encoded["offsets"]
            if not raw.isascii():
                raise UnsupportedModelError(
                    f"XGBoost did not keep all categories of {names[place]!r}: it counts letters "
                    f"and cuts bytes, so names that are not plain ASCII lose their ends",
                    hint="write them without accents (São Paulo as Sao Paulo), in the rows too, "
                    "and train again; or encode them with a OneHotEncoder in a Pipeline",
                )
            lists[place] = [raw[start:end].decode() for start, end in pairwise(offsets)]
        elif values:
            lists[place] = list(values)
    return XGBoostSchema(names, types, lists)


def _read(
    learner: dict[str, Any], objective: str, rounds: int | None
) -> tuple[tuple[SourceTree, ...], float]:
    settings = learner["learner_model_param"]
    booster = learner["gradient_booster"]
    if booster["name"] != "gbtree":
        raise UnsupportedModelError(
            f"the XGBoost booster {booster['name']} has no exact form",
            hint="train with booster='gbtree' (for gblinear use LogisticRegression)",
        )
    if int(settings["num_class"]) > 1 or int(settings.get("num_target", "1")) > 1:
        raise UnsupportedModelError(
            "the XGBoost model has several classes or outputs",
            hint="train one binary model per class",
        )
    if objective not in (*_LOGISTIC, *_IDENTITY):
        raise UnsupportedModelError(
            f"the XGBoost objective {objective} has no exact form",
            hint="train with binary:logistic or reg:squarederror",
        )
    model = booster["model"]
    trees = model["trees"]
    if rounds is not None:
        bounds = model.get("iteration_indptr")
        parallel = int(model["gbtree_model_param"].get("num_parallel_tree", "1"))
        trees = trees[: bounds[rounds] if bounds else rounds * max(parallel, 1)]
    base = _base_score(settings["base_score"])
    if objective in _LOGISTIC:
        base = log(base / (1 - base))
    return tuple(_tree(tree) for tree in trees), base


def _base_score(spelled: Any) -> float:
    """Return the one number of `5E-1`, `[5E-1]` or a list."""
    values = json.loads(spelled) if isinstance(spelled, str) else spelled
    values = values if isinstance(values, list) else [values]
    if len(values) != 1:
        raise UnsupportedModelError(
            "the XGBoost model has several base scores", hint="train one model per output"
        )
    return float(np.float32(values[0]))


def _tree(tree: dict[str, Any]) -> SourceTree:
    if int(tree["tree_param"].get("size_leaf_vector", "1") or "1") > 1:
        raise UnsupportedModelError(
            "the XGBoost model has trees with several outputs", hint="train one model per output"
        )
    left = np.array(tree["left_children"], np.int64)
    numbers = np.array(tree["split_conditions"], np.float32).astype(np.float64)
    splits = {}
    segments = zip(
        tree.get("categories_nodes", ()),
        tree.get("categories_segments", ()),
        tree.get("categories_sizes", ()),
        strict=True,
    )
    for node, start, size in segments:
        codes = frozenset(int(code) for code in tree["categories"][start : start + size])
        splits[int(node)] = CategorySplit(codes, codes_go_left=False)
    return SourceTree(
        left=np.where(left < 0, LEAF, left),
        right=np.array(tree["right_children"], np.int64),
        features=np.array(tree["split_indices"], np.int64),
        thresholds=numbers,
        values=numbers,
        missing_left=np.array(tree["default_left"], np.int64).astype(bool),
        categories=splits,
    )


def _predict(booster: Any, schema: XGBoostSchema, rounds: int | None, *, margin: bool) -> Predict:
    def predict(rows: Any) -> Floats:
        import xgboost

        # Codes stand for categories here, in the order of the model's own lists.
        data = xgboost.DMatrix(
            np.asarray(rows, np.float64),
            feature_names=booster.feature_names,
            feature_types=booster.feature_types,
            enable_categorical="c" in schema.types,
        )
        limits = (0, rounds or 0)
        output = booster.predict(data, output_margin=margin, iteration_range=limits)
        return np.asarray(output, np.float64).ravel()

    return predict
