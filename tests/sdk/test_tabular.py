"""Any table: floats, categories and missing values train, convert and score as they are."""

import random

import numpy as np
import pytest

from cairn.exact.models import decode_model
from cairn.learning.conversion.errors import ConversionError
from cairn.learning.errors import TrainingError
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.tables import Table
from cairn.learning.training import TrainedModel, TrainingSettings, score_rows, train_model
from cairn.learning.values import Value
from cairn.sdk.tabular import TabularRecipe, input_name, matrix_of

SCHEMA = Schema(
    (
        Column("LIMIT_BAL", Kind.FLOAT64, 0, True),
        Column("Kind Of", Kind.TEXT, 0, True),
        Column("price", Kind.DECIMAL, 2),
        Column("age", Kind.INTEGER),
        Column("same", Kind.INTEGER),
        Column("when", Kind.TIMESTAMP),
        Column("bad", Kind.BOOLEAN),
    )
)
SMALL = {
    "lightgbm": {"num_iterations": 15},
    "xgboost": {"num_boost_round": 15},
    "logistic": {},
    "scorecard": {"num_iterations": 30},
    "random_forest": {"n_estimators": 8, "max_depth": 5},
}


def table(count: int = 700, seed: int = 1) -> Table:
    numbers = random.Random(seed)
    limit = [numbers.lognormvariate(3, 1) if numbers.random() > 0.1 else None for _ in range(count)]
    kinds = ("red", "blue", "green", "x y")
    kind = [numbers.choice(kinds) if numbers.random() > 0.05 else None for _ in range(count)]
    price = [numbers.randrange(100, 9_999) for _ in range(count)]
    age = [numbers.randrange(100) for _ in range(count)]
    bad = [
        bool(((one or 30) > 40 and word == "red") or old > 80 or cents > 9_000)
        for one, word, cents, old in zip(limit, kind, price, age, strict=True)
    ]
    columns: list[list[Value]] = [[*limit], [*kind], [*price], [*age], [1] * count, [0] * count]
    return Table(SCHEMA, (*columns, [*bad]), count)


@pytest.mark.parametrize("algorithm", list(SMALL))
@pytest.mark.parametrize("calibration", ["none", "platt"])
def test_mixed_columns_train_and_score_again(algorithm: str, calibration: str) -> None:
    rows = table()
    recipe = TabularRecipe("bad", validation_ppm=200_000)
    prepared = recipe.build([rows])
    assert prepared.names == ("limit_bal", "kind-of", "price", "age")
    made: TrainedModel = train_model(
        prepared, TrainingSettings(algorithm, SMALL[algorithm], calibration=calibration)
    )
    model = decode_model(made.model_bytes)
    assert model.features[1].categories == ("blue", "green", "red", "x y")
    again = score_rows(model, matrix_of(rows, model.features))
    assert (again[-len(prepared.test) :] == made.test_scores_ppm).all()
    positive = prepared.test_labels == 1
    scores = made.test_scores_ppm
    assert scores[positive].mean() > scores[~positive].mean() + 100_000


def test_fractions_are_not_cut_off() -> None:
    count = 400
    values = np.random.default_rng(1).random(count)
    schema = Schema((Column("rate", Kind.FLOAT64), Column("bad", Kind.BOOLEAN)))
    rows = Table(schema, (values.tolist(), (values > 0.6).tolist()), count)
    prepared = TabularRecipe("bad").build([rows])
    made = train_model(prepared, TrainingSettings("logistic"))
    again = score_rows(made.model, matrix_of(rows, made.model.features))
    assert len(np.unique(again)) > 300
    assert (again[280:] == made.test_scores_ppm).all()


def test_unknown_categories_score_and_missing_numbers_say_what_to_do() -> None:
    rows = table()
    made = train_model(TabularRecipe("bad").build([rows]), TrainingSettings("logistic"))
    columns = list(rows.columns)
    columns[1] = ["purple"] * rows.row_count
    score_rows(made.model, matrix_of(Table(SCHEMA, tuple(columns), 700), made.model.features))
    columns[3] = [None, *rows.columns[3][1:]]
    with pytest.raises(TrainingError, match="row 0, column 'age': the value is missing") as raised:
        matrix_of(Table(SCHEMA, tuple(columns), 700), made.model.features)
    assert "fill it in" in raised.value.hint


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (("when",), "of kind timestamp"),
        (("nothing",), "no column 'nothing'"),
        (("same", "Same"), "no column 'Same'"),
    ],
)
def test_columns_that_cannot_be_inputs(inputs: tuple[str, ...], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TabularRecipe("bad", inputs).build([table()])


def test_text_where_numbers_are_expected() -> None:
    rows = table()
    made = train_model(TabularRecipe("bad").build([rows]), TrainingSettings("logistic"))
    schema = Schema((Column("LIMIT_BAL", Kind.TEXT), *SCHEMA.columns[1:]))
    texts: list[Value] = ["a lot"] * 700
    columns = (texts, *rows.columns[1:])
    with pytest.raises(TrainingError, match="the model wants a number"):
        matrix_of(Table(schema, columns, 700), made.model.features)
    objects = np.array([["a lot", "red", 1, 2]], object)
    with pytest.raises(ConversionError):
        score_rows(made.model, objects)


def test_names_and_many_texts() -> None:
    assert input_name("_Größe (m)") == "gr-e-m"
    schema = Schema(
        (Column("A b", Kind.INTEGER), Column("a-b", Kind.INTEGER), Column("y", Kind.BOOLEAN))
    )
    rows = Table(schema, ([1, 2], [3, 4], [True, False]), 2)
    with pytest.raises(TrainingError, match="would both be called 'a-b'"):
        TabularRecipe("y").build([rows])
    words = Schema((Column("word", Kind.TEXT), Column("y", Kind.BOOLEAN)))
    many = Table(words, ([f"w{n}" for n in range(80)], [n % 2 == 0 for n in range(80)]), 80)
    with pytest.raises(TrainingError, match="80 different texts"):
        TabularRecipe("y", ("word",)).build([many])
    with pytest.raises(TrainingError, match="no column can be an input"):
        TabularRecipe("y").build([many])
