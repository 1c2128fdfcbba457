"""Charts: what they show, what they refuse, and that odd data does not break them."""

import math
import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.pages import charts
from cairn.pages.errors import PageError
from cairn.pages.numbers import nice_ticks, number, percent, short
from cairn.pages.plot import POINTS_MAX, thinned

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e299, max_value=1e299)


def parsed(picture: str) -> ElementTree.Element:
    return ElementTree.fromstring(picture)


def texts(picture: str) -> list[str]:
    return [found.text or "" for found in parsed(picture).iter("text")]


def test_a_line_chart_shows_its_labels_and_a_line_for_each_series() -> None:
    lines = {"model": [(0.0, 1.0), (1.0, 3.0)], "rule": [(0.0, 2.0), (1.0, 2.5)]}
    picture = charts.line_chart(lines, title="Loss & gain", x_label="step", y_label="loss")
    assert {"Loss & gain", "step", "loss", "model", "rule"} <= set(texts(picture))
    drawn = [p for p in parsed(picture).iter("path") if "line" in p.attrib["class"]]
    assert len(drawn) == 2
    assert parsed(picture).attrib["role"] == "img"
    assert parsed(picture).find("title") is not None
    assert "model: 2 points, first 1, last 3" in (parsed(picture).findtext("desc") or "")


def test_the_same_data_gives_the_same_bytes() -> None:
    one, two = (charts.bar_chart([("a", 1), ("b", -2)], title="T", unit="x") for _ in range(2))
    assert one == two


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e301])
def test_what_cannot_be_drawn_is_refused(bad: float) -> None:
    draws: list[Callable[[], object]] = [
        lambda: charts.line_chart({"a": [(0, bad)]}, title="T"),
        lambda: charts.bar_chart([("a", bad)], title="T"),
        lambda: charts.histogram({"a": [bad]}, title="T"),
        lambda: charts.pr_curve({"a": [(bad, 0)]}, title="T"),
        lambda: charts.calibration_chart({"a": [(0, bad)]}, title="T"),
        lambda: charts.day_chart({"a": [(0, bad)]}, title="T"),
        lambda: charts.day_chart({"a": [(0, 1)]}, title="T", limit=bad),
    ]
    for draw in draws:
        with pytest.raises(PageError, match="cannot be drawn"):
            draw()


def test_no_data_is_said() -> None:
    for picture in (
        charts.line_chart({}, title="T"),
        charts.line_chart({"a": []}, title="T"),
        charts.bar_chart([], title="T"),
        charts.histogram({"a": []}, title="T"),
        charts.pr_curve({}, title="T"),
        charts.calibration_chart({"a": []}, title="T"),
        charts.day_chart({}, title="T"),
    ):
        assert "There is no data to show." in texts(picture)


def test_a_bar_is_as_long_as_its_value() -> None:
    picture = charts.bar_chart([("a", 4), ("b", 2), ("c", -1)], title="T")
    widths = [float(bar.attrib["width"]) for bar in parsed(picture).iter("rect")]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.3)
    assert widths[2] == pytest.approx(widths[1] / 2, abs=0.3)


def test_a_histogram_counts_every_value_once() -> None:
    picture = charts.histogram({"a": [0, 0.1, 0.1, 1.0]}, title="T", bins=10, x_range=(0, 1))
    assert parsed(picture).findtext("desc") == "a: 4 values; from 0 to 1."
    (area,) = [p for p in parsed(picture).iter("path") if "area" in p.attrib["class"]]
    heights = [float(h) for h in re.findall(r"V([\d.]+)", area.attrib["d"])]
    grid = [float(line.attrib["y1"]) for line in parsed(picture).iter("line")]
    per_value = (max(grid) - min(grid)) / 2
    counts = [round((max(grid) - height) / per_value) for height in heights]
    assert (counts[0], counts[1], counts[9]) == (1, 2, 1)


def test_days_are_written_as_dates_and_a_bar_says_its_day() -> None:
    picture = charts.day_chart({"alerts": [(20_000, 3), (20_001, 5)]}, title="T", limit=4)
    assert "2024-10-04" in texts(picture)
    assert "<title>2024-10-05: 5</title>" in picture
    assert 'class="diagonal"' in picture


def test_names_are_escaped_and_long_ones_cut() -> None:
    picture = charts.bar_chart([('<script>"&' + "x" * 200, 1)], title="<b>")
    assert "<script" not in picture
    assert "<b>" not in picture
    assert max(map(len, texts(picture))) < 60


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=30))
def test_any_numbers_give_a_picture_within_its_frame(points: list[tuple[float, float]]) -> None:
    picture = charts.line_chart({"a": points}, title="T", shape="step")
    for circle in parsed(picture).iter("circle"):
        assert -1 <= float(circle.attrib["cx"]) <= 721
        assert -1 <= float(circle.attrib["cy"]) <= 341
    assert "nan" not in picture
    parsed(charts.bar_chart([(str(x), y) for x, y in points], title="T"))
    parsed(charts.histogram({"a": [x for x, _ in points]}, title="T"))


@settings(max_examples=200, deadline=None)
@given(NUMBERS, NUMBERS)
def test_ticks_reach_around_the_range_and_are_few(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    ticks = nice_ticks(low, high)
    slack = (ticks[-1] - ticks[0]) * 1e-5
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= 14
    assert ticks == sorted(ticks)


def test_thinning_keeps_ends_and_extremes() -> None:
    points = [(float(at), math.sin(at / 50)) for at in range(20_000)]
    points[777] = (777.0, 9.0)
    kept = thinned(points)
    assert len(kept) <= POINTS_MAX + 4
    assert (points[0], points[-1], points[777]) == (
        kept[0],
        kept[-1],
        max(kept, key=lambda p: p[1]),
    )
    assert kept == sorted(kept)


def test_numbers_as_people_read_them() -> None:
    assert [short(v) for v in (0, 1234, 2_500_000, 7.5e9)] == [
        "0",
        "1\u202f234",
        "2.5\u202fM",
        "7.5\u202fG",
    ]
    assert number(-1234.5) == "-1\u202f234.5"
    assert number(float("nan")) == "nan"
    assert percent(0.5) == "50.0 %"
