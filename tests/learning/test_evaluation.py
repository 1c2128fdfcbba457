"""Evaluation reports: text, JSON and a page that hold the same figures."""

import json
from pathlib import Path

import numpy as np
import pytest

from cairn.learning.errors import TrainingError
from cairn.learning.evaluation import EvaluationReport, Protocol, evaluate
from cairn.learning.resampling import FIGURES, Resampling


def report(**options: object) -> EvaluationReport:
    rng = np.random.default_rng(0)
    labels = (rng.random(800) < 0.2).astype(int)
    scores = rng.integers(0, 600_000, 800) + labels * 300_000
    protocol = Protocol(threshold_ppm=550_000, alert_budget_per_day=9)
    return evaluate(
        labels,
        scores,
        protocol,
        days=np.arange(800) // 100,
        resampling=Resampling(60),
        title="Cards <1>",
        facts={"plan": "abc"},
    )


def test_text_json_and_page_hold_the_figures(tmp_path: Path) -> None:
    made = report()
    content = json.loads(made.to_json())
    assert tuple(content["figures_ppm"]) == FIGURES
    for name, value, lower, upper in made.figures_ppm():
        assert content["figures_ppm"][name] == {"lower": lower, "upper": upper, "value": value}
        assert f"{made.figures[name].value:.4f}" in made.describe()
    assert "average_precision" in made.describe().split("<- judged by")[0].splitlines()[-1]
    made.write_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "Cards &lt;1&gt;" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "<script" not in page
    assert "<svg" in made._repr_html_()
    assert len(content["calibration_ppm"]) == 10


def test_the_digest_is_that_of_the_json() -> None:
    import hashlib

    made = report()
    assert made.digest == hashlib.sha256(made.to_json().encode()).digest()
    assert made.digest == report().digest


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metric": "accuracy"}, "no figure 'accuracy'"),
        ({"metric": "recall_at_budget"}, "needs an alert budget"),
        ({"threshold_ppm": 1_000_001}, "a threshold is 0 to 1"),
    ],
)
def test_protocols_that_no_test_can_follow(fields: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        Protocol(**fields)  # type: ignore[arg-type]


def test_a_test_of_one_class_is_refused() -> None:
    with pytest.raises(TrainingError, match="0 of 2 test rows"):
        evaluate([0, 0], [1, 2])
