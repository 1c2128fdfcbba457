"""Model files of strangers: what is opened, what is refused, and that nothing in them runs."""

import json
import pickle
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from sklearn import linear_model
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from cairn.learning.conversion.convert import convert
from cairn.learning.conversion.errors import ConversionError
from cairn.learning.model_files import load_model
from cairn.sdk.conversions import convert_file, read_rows
from cairn.sdk.errors import UsageError
from tests.learning.conversion_data import as_array, make_table

TRAIN, LABELS = make_table(500, 11)
TEST, _ = make_table(600, 12)
ARRAY = as_array(TRAIN)


def pipeline(estimator: Any) -> Any:
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), StandardScaler()), ["Age", "amount"]),
            (OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ),
        estimator,
    ).fit(TRAIN, LABELS)


def save(folder: Path, kind: str) -> tuple[Path, Any]:
    """Save a model of a kind; return the file and the model."""
    if kind.endswith(".skops"):
        estimators: dict[str, Any] = {
            "logistic.skops": linear_model.LogisticRegression(),
            "forest.skops": RandomForestClassifier(5),
            "lightgbm.skops": lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, n_jobs=1),
            "xgboost.skops": xgboost.XGBClassifier(n_estimators=5, n_jobs=1),
        }
        source = pipeline(estimators[kind])
        skops.io.dump(source, folder / kind)
    elif kind.endswith(".txt"):
        source = lightgbm.train(
            {"objective": "binary", "verbose": -1, "num_threads": 1},
            lightgbm.Dataset(ARRAY, LABELS, feature_name=["Age", "amount", "EDU", "change"]),
            5,
        )
        source.save_model(folder / kind)
    else:
        rows = TRAIN.drop(columns="city")
        source = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(rows, LABELS)
        source.save_model(folder / kind)
    return folder / kind, source


KINDS = ("logistic.skops", "forest.skops", "lightgbm.skops", "xgboost.skops", "m.txt", "m.json",
         "m.ubj")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_saved_model_converts_as_in_memory(kind: str, suffix: str, tmp_path: Path) -> None:
    file, source = save(tmp_path, kind)
    data = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        TEST.assign(label=1).to_csv(data, index=False)
    else:
        TEST.assign(label=1).to_parquet(data)
    found = convert_file(file, data)
    assert found.report.largest_difference <= 2e-6
    assert found.report.row_count == len(TEST)
    direct = convert(source, rows=TEST)
    assert found.model.body == direct.model.body
    assert [one.name for one in found.model.features] == [one.name for one in direct.model.features]


class Boom:
    """Something whose unpickling would be noticed."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("boom"),))


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.pickle"])
def test_pickles_are_never_opened(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(pickle.dumps(Boom()))
    with pytest.raises(ConversionError, match="runs whatever program is in it") as caught:
        load_model(tmp_path / name)
    assert not (tmp_path / "boom").exists()
    lines = caught.value.hint.splitlines()[1:]
    assert len(lines) == 2
    assert "skops.io.dump" in lines[1]
    assert name in lines[1]


def test_the_two_lines_for_a_pickle_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = pipeline(linear_model.LogisticRegression())
    with Path("model.pkl").open("wb") as file:
        pickle.dump(source, file)
    with pytest.raises(ConversionError) as caught:
        load_model(Path("model.pkl"))
    lines = [line.strip() for line in caught.value.hint.splitlines()[1:]]
    with pytest.warns(ResourceWarning):
        exec("\n".join([*lines, "import gc", "gc.collect()"]), {})
    assert convert(load_model(Path("model.skops")), rows=TEST).report.flips_at_threshold == 0


def test_untrusted_types_are_named(tmp_path: Path) -> None:
    source = make_pipeline(FunctionTransformer(_own), linear_model.LogisticRegression())
    source.fit(np.nan_to_num(ARRAY), LABELS)
    skops.io.dump(source, tmp_path / "model.skops")
    with pytest.raises(ConversionError, match=r"not trusted: .*_own") as caught:
        load_model(tmp_path / "model.skops")
    assert "scikit-learn's own steps" in caught.value.hint


def _own(rows: Any) -> Any:
    return rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.skops", b"PK\x03\x04 cut off", "no skops file"),
        ("model.txt", b"\xff\xfe", "text form"),
        ("model.txt", b"hello", "text form"),
        ("model.json", b"{", "is not JSON"),
        ("model.json", b"[1, 2]", "not a model that XGBoost saved"),
        ("model.json", b'{"learner": {}}', "not a model that this XGBoost reads"),
        ("model.ubj", b"no", "not a model that this XGBoost reads"),
        ("model.onnx", b"", "no model file"),
    ],
)
def test_damaged_files_are_refused_with_a_hint(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConversionError, match=message) as caught:
        load_model(tmp_path / name)
    assert caught.value.hint


def test_a_truncated_lightgbm_model_is_refused(tmp_path: Path) -> None:
    file, _ = save(tmp_path, "m.txt")
    text = file.read_text()
    for damaged in (
        text[: len(text) // 2],
        text.replace("num_leaves", "num_lives"),
        text.replace("tree_sizes=", "tree_sizes=9"),
        text.replace("tree_sizes=", "tree_sizes=x "),
        text.replace("end of trees", ""),
    ):
        file.write_text(damaged)
        with pytest.raises(ConversionError, match="not a whole model in LightGBM's text form"):
            load_model(file)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="cannot be read"):
        load_model(tmp_path / "none.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_rows(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="no data file"):
        read_rows(tmp_path / "rows.xlsx")
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(UsageError, match="malformed"):
        read_rows(tmp_path / "rows.csv")


def test_text_in_a_column_of_numbers_is_named(tmp_path: Path) -> None:
    file, _ = save(tmp_path, "logistic.skops")
    rows = TEST.astype({"Age": object})
    rows.loc[5, "Age"] = "old"
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(ConversionError, match="row 5, column 'Age' holds 'old'"):
        convert_file(file, tmp_path / "rows.csv")


def test_the_command_writes_model_and_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from cairn.cli.main import run
    from cairn.exact.models import decode_model

    file, _ = save(tmp_path, "forest.skops")
    TEST.to_csv(tmp_path / "rows.csv", index=False)
    common = ["--data", str(tmp_path / "rows.csv")]
    target, report = tmp_path / "model.cairn", tmp_path / "report.json"
    arguments = ["model", "convert", str(file), *common, "-o", str(target)]
    assert run([*arguments, "--report", str(report), "--threshold", "0.4"]) == 0
    assert "decisions that flip at 0.4" in capsys.readouterr().out
    assert decode_model(target.read_bytes()).features
    assert json.loads(report.read_text())["threshold"] == 0.4
    step = make_pipeline(FunctionTransformer(np.sign), linear_model.LogisticRegression())
    skops.io.dump(step.fit(np.nan_to_num(ARRAY), LABELS), tmp_path / "step.skops")
    rows = TEST.drop(columns="city").fillna(0)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert run(["model", "convert", str(tmp_path / "step.skops"), *common]) == 2
    told = capsys.readouterr().err
    assert "FunctionTransformer" in told
    assert "hint: apply the function to the data before" in told
