"""Generated rows with missing values, categories, unknown ones, whole numbers and heavy tails."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas

from cairn.exact.models import ExactModel, Trees, tree_columns
from cairn.exact.schema import ValueColumn
from cairn.learning.conversion.rows import decode_keys

CITIES = ("Bern", "Kyiv", "Oslo", "Rome")


def make_table(count: int, seed: int, *, unknown: bool = False, missing: bool = True) -> Any:
    """Return a table and labels that depend on it."""
    random = np.random.default_rng(seed)
    table = pandas.DataFrame(
        {
            "Age": random.integers(18, 90, count).astype(float),
            "amount": np.exp(2 * random.normal(size=count)),
            "city": random.choice(CITIES, count).astype(object),
            "EDU": random.integers(0, 5, count),
            "change": -random.normal(size=count),
        }
    )
    margin = (table.Age > 50) + (table.city == "Rome") + (table.EDU == 2) + table.change
    labels = (margin + 0.5 * random.normal(size=count) > 1).astype(int).to_numpy()
    if missing:
        for name in ("Age", "amount", "city"):
            table.loc[random.random(count) < 0.1, name] = None if name == "city" else np.nan
    if unknown:
        table.loc[random.random(count) < 0.05, "city"] = "Atlantis"
    return table, labels


def beside_thresholds(model: ExactModel, table: Any, count: int = 600) -> Any:
    """Return rows of which one number each is the last to go left at a node, or the first not to.

    These are the rows at which a threshold that is one step off would show.
    """
    body = model.body
    assert isinstance(body, Trees)
    columns = model.columns or tuple(map(ValueColumn, range(len(model.features))))
    nodes = tree_columns(body, len(columns))
    random = np.random.default_rng(5)
    rows = table.iloc[random.integers(0, len(table), count)].reset_index(drop=True)
    names = {name.lower(): name for name in table.columns}
    picked = random.integers(0, len(nodes.thresholds), count)
    for row, node in enumerate(picked.tolist()):
        column = columns[nodes.features[node]]
        feature = model.features[column.feature]
        if isinstance(column, ValueColumn) and feature.kind != "category":
            key = np.array([nodes.thresholds[node] + row % 2], np.int64)
            value = decode_keys(feature, key)[0]
            if rows[names[feature.name]].dtype.kind == "f" and np.isfinite(value):
                rows.loc[row, names[feature.name]] = value
    return rows


def as_array(table: Any) -> npt.NDArray[np.float64]:
    """Return the numbers of a table."""
    numbers: npt.NDArray[np.float64] = table.drop(columns="city").to_numpy(np.float64)
    return numbers
