"""Charts as SVG that follows the page's theme: lines, bars, distributions, curves, days.

A number that cannot be drawn, NaN or infinite, is refused: a picture with a silent gap would lie.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from cairn.pages.errors import PageError
from cairn.pages.markup import Html, element
from cairn.pages.numbers import checked, day_text, nice_ticks, short
from cairn.pages.plot import (
    CHARACTER,
    WIDTH,
    Frame,
    Labels,
    Point,
    Scale,
    clipped,
    colour,
    dot,
    empty,
    frame,
    path,
    picture,
    thinned,
    ticks_of,
)

Shape = Literal["line", "step", "points"]
Lines = Mapping[str, Sequence[tuple[float, float]]]
Range = tuple[float, float]

UNIT: Range = (0.0, 1.0)
MARKED_MAX = 60
"""A line of at most this many points shows each of them."""
DAY_BARS_MAX = 120


def line_chart(
    series: Lines,
    *,
    title: str,
    x_label: str = "",
    y_label: str = "",
    shape: Shape = "line",
    x_range: Range | None = None,
    y_range: Range | None = None,
) -> Html:
    """Return lines through points, one for each series, in the order that the points have.

    Args:
        series: Name of each line and its points.
        title: What the chart shows.
        x_label: What stands along the chart.
        y_label: What stands up the chart.
        shape: "step" keeps each value until the next point; "points" draws no line.
        x_range: The least that the axis covers; by default what the points cover.
        y_range: The same, up.

    Raises:
        PageError: A number is NaN, infinite or too large.
    """
    lines = _checked_lines(series, title)
    labels = Labels(title, x_label, y_label, tuple(lines))
    points = [point for line in lines.values() for point in line]
    if not points:
        return empty(labels)
    plot = frame(
        labels,
        ticks_of([x for x, _ in points], _reach(x_range, [x for x, _ in points])),
        ticks_of([y for _, y in points], _reach(y_range, [y for _, y in points])),
    )
    parts = [*plot.parts]
    for place, line in enumerate(lines.values()):
        parts += _line(line, plot, place, shape)
    return picture(labels, _described(lines), parts)


def pr_curve(
    series: Lines,
    *,
    title: str,
    points: Mapping[str, tuple[float, float]] | None = None,
    base_rate: float | None = None,
) -> Html:
    """Return precision over recall as steps, with single points such as a rule that has no score.

    Args:
        series: Name of each ranking and its (recall, precision), by rising recall.
        title: What the chart shows.
        points: Names and (recall, precision) of what alerts or does not; a point that has the name
            of a ranking has its colour.
        base_rate: Precision of alerting at random, drawn as a dotted line.
    """
    lines = _checked_lines(series, title)
    single = _checked_lines({name: [at] for name, at in (points or {}).items()}, title)
    alone = [name for name in single if name not in lines]
    labels = Labels(title, "recall", "precision", (*lines, *alone), dots=len(alone))
    if not lines and not single:
        return empty(labels)
    plot = frame(labels, nice_ticks(*UNIT), nice_ticks(*UNIT))
    parts = [*plot.parts]
    if base_rate is not None:
        height = plot.y(checked([base_rate], title)[0])
        parts.append(
            element("line", x1=plot.x.start, x2=plot.x.end, y1=height, y2=height, class_="diagonal")
        )
    for place, line in enumerate(lines.values()):
        parts += _line(line, plot, place, "step")
    for name, line in single.items():
        parts += _dots(line, plot, labels.series.index(name), 6)
    return picture(labels, _described({**lines, **single}), parts)


def calibration_chart(series: Lines, *, title: str) -> Html:
    """Return how often what got a score came true: points, and the diagonal where both agree.

    Args:
        series: Name of each model and its (mean score, share that came true), both 0 to 1.
        title: What the chart shows.
    """
    lines = _checked_lines(series, title)
    labels = Labels(title, "mean score", "share that came true", tuple(lines))
    points = [point for line in lines.values() for point in line]
    if not points:
        return empty(labels)
    top = max(1e-6, *(value for point in points for value in point))
    ticks = nice_ticks(0.0, min(1.0, top))
    plot = frame(labels, ticks, ticks)
    parts = [*plot.parts]
    ends = (plot.x(ticks[0]), plot.y(ticks[0]), plot.x(ticks[-1]), plot.y(ticks[-1]))
    x1, y1, x2, y2 = ends
    parts.append(element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="diagonal"))
    for place, line in enumerate(lines.values()):
        parts += _line(line, plot, place, "line")
    return picture(labels, _described(lines), parts)


def histogram(
    series: Mapping[str, Iterable[float]],
    *,
    title: str,
    x_label: str = "",
    bins: int = 30,
    shares: bool = False,
    x_range: Range | None = None,
) -> Html:
    """Return how values are distributed, several series over each other.

    Args:
        series: Name of each series and its values.
        title: What the chart shows.
        x_label: What the values are.
        bins: Into how many stretches of equal width the values are sorted.
        shares: Show the share of each series instead of its count, to compare unequal series.
        x_range: The least that the axis covers.

    Raises:
        PageError: A number cannot be drawn, or `bins` is not above 0.
    """
    if bins < 1:
        raise PageError("a histogram needs at least one bin")
    values = {name: checked(found, title) for name, found in series.items()}
    labels = Labels(title, x_label, "share" if shares else "count", tuple(values))
    together = [value for found in values.values() for value in found]
    if not together:
        return empty(labels)
    low, high = _reach(x_range, together) or (min(together), max(together))
    if low == high:
        low, high = low - 0.5, high + 0.5
        if low == high:
            low, high = low * 0.999, high * 1.001
    width = (high - low) / bins
    heights: dict[str, list[float]] = {}
    for name, found in values.items():
        counts = [0.0] * bins
        for value in found:
            counts[min(bins - 1, max(0, int((value - low) / width)))] += 1
        heights[name] = [n / len(found) for n in counts] if shares and found else counts
    top = max(max(found) for found in heights.values())
    plot = frame(
        labels,
        nice_ticks(min(low, high), max(low, high)),
        nice_ticks(0.0, top),
        y_text=percent_text if shares else short,
    )
    parts = [*plot.parts]
    for place, found in enumerate(heights.values()):
        edges = [(low + at * width, height) for at, height in enumerate(found)]
        outline = path([(low, 0.0), *edges, (high, found[-1]), (high, 0.0)], plot, steps=True)
        parts.append(element("path", d=outline + "Z", class_=f"area {colour(place)}"))
    told = [f"{name}: {len(found)} values" for name, found in values.items()]
    about = f"{'; '.join(told)}; from {short(min(together))} to {short(max(together))}."
    return picture(labels, about, parts)


def bar_chart(
    pairs: Iterable[tuple[str, float]], *, title: str, unit: str = "", sort: bool = False
) -> Html:
    """Return a bar for each name, across; negative values go to the left.

    Args:
        pairs: Names and values.
        title: What the chart shows.
        unit: Written after each value.
        sort: Largest magnitude first.
    """
    found = [(str(name), value) for name, value in pairs]
    checked((value for _, value in found), title)
    if sort:
        found.sort(key=lambda pair: -abs(pair[1]))
    labels = Labels(title)
    if not found:
        return empty(labels)
    row, top = 24, 32
    height = top + row * len(found) + 4
    left = min(330.0, 16 + CHARACTER * max(len(name) for name, _ in found))
    texts = [f"{short(value)} {unit}".rstrip() for _, value in found]
    room = 14 + CHARACTER * max(len(text) for text in texts)
    low, high = min(0.0, *(v for _, v in found)), max(0.0, *(v for _, v in found))
    if low == high:
        high = 1.0
    across = Scale((), low, high, left + (room if low < 0 else 0.0), WIDTH - room)
    zero = across(0.0)
    parts = [element("text", title, x=0, y=14, class_="title")]
    for place, ((name, value), text) in enumerate(zip(found, texts, strict=True)):
        middle, end = top + row * place + row / 2, across(value)
        label_at, name_class = (end - 6, "strong end") if value < 0 else (end + 6, "strong")
        parts += [
            element("text", clipped(name, left - 8), x=left - 10, y=middle + 4, class_="end"),
            element(
                "rect",
                x=min(zero, end),
                y=middle - 8,
                width=round(max(1.0, abs(end - zero)), 1),
                height=16,
                rx=2,
                class_="bar s1" if value < 0 else "bar s0",
            ),
            element("text", text, x=label_at, y=middle + 4, class_=name_class),
        ]
    parts.append(element("line", x1=zero, x2=zero, y1=top, y2=height - 4, class_="axis"))
    shown = zip(found, texts, strict=True)
    about = "; ".join(f"{name}: {text}" for (name, _), text in shown)
    return picture(labels, about, parts, height)


def day_chart(
    series: Mapping[str, Sequence[tuple[int, float]]],
    *,
    title: str,
    y_label: str = "",
    limit: float | None = None,
) -> Html:
    """Return values by day: bars for one series, lines for several.

    Args:
        series: Name of each series, its days (counted from 1 January 1970) and their values.
        title: What the chart shows.
        y_label: What the values are.
        limit: Drawn as a dotted line, for a cap or a budget.
    """
    lines = _checked_lines(series, title)
    labels = Labels(title, "", y_label, tuple(lines))
    points = [point for line in lines.values() for point in line]
    if not points:
        return empty(labels)
    extra = [] if limit is None else checked([limit], title)
    first, last = int(min(x for x, _ in points)), int(max(x for x, _ in points))
    low = min(0.0, *(y for _, y in points))
    high = max(0.0, *(y for _, y in points), *extra) or 1.0
    plot = frame(
        labels,
        _day_ticks(first, last),
        nice_ticks(low, high),
        x_text=lambda at: day_text(int(at)),
        x_margin=0.6,
    )
    parts = [*plot.parts]
    if len(lines) == 1 and last - first < DAY_BARS_MAX:
        parts += _day_bars(points, plot)
    else:
        for place, line in enumerate(lines.values()):
            parts += _line(line, plot, place, "line")
    for height in map(plot.y, extra):
        parts.append(
            element("line", x1=plot.x.start, x2=plot.x.end, y1=height, y2=height, class_="diagonal")
        )
    return picture(
        labels, f"From {day_text(first)} to {day_text(last)}. {_described(lines)}", parts
    )


def percent_text(share: float) -> str:
    """Return a share as the text of a tick."""
    return f"{share * 100:.3g} %"


def _checked_lines(
    series: Mapping[str, Sequence[tuple[float, float]]], title: str
) -> dict[str, list[Point]]:
    lines = {}
    for name, points in series.items():
        across = checked((x for x, _ in points), title)
        up = checked((y for _, y in points), title)
        lines[str(name)] = list(zip(across, up, strict=True))
    return lines


def _reach(fixed: Range | None, values: Sequence[float]) -> Range | None:
    """Return a fixed range, made wider if values lie outside."""
    return None if fixed is None else (min(fixed[0], *values), max(fixed[1], *values))


def _line(points: Sequence[Point], plot: Frame, place: int, shape: Shape) -> list[Html]:
    if not points:
        return []
    parts = []
    if shape != "points" and len(points) > 1:
        line = path(thinned(points), plot, steps=shape == "step")
        parts.append(element("path", d=line, class_=f"line {colour(place)}"))
    if shape == "points" or len(points) == 1 or (shape == "line" and len(points) <= MARKED_MAX):
        parts += _dots(points, plot, place, 5 if len(points) == 1 else 3.5)
    return parts


def _dots(points: Sequence[Point], plot: Frame, place: int, radius: float) -> list[Html]:
    return [
        element("circle", cx=plot.x(x), cy=plot.y(y), r=radius, class_=dot(place))
        for x, y in thinned(points)
    ]


def _day_ticks(first: int, last: int) -> list[float]:
    """Return days that a week, or another round number of days, lies between."""
    span = last - first + 1
    every = next((step for step in (1, 2, 7, 14, 28, 91, 182) if span / step <= 8), 0)
    if not every:
        every = 364 * max(1, span // (364 * 8))
    ticks = [float(day) for day in range(first, last + 1, every)]
    return ticks if ticks[-1] == last else [*ticks, float(last)]


def _day_bars(points: Sequence[Point], plot: Frame) -> list[Html]:
    days = plot.x.high - plot.x.low
    width = round(min(26.0, (plot.x.end - plot.x.start) / days * 0.72), 1)
    zero = plot.y(0.0)
    parts = []
    for day, value in points:
        end = plot.y(value)
        at = plot.x(day) - width / 2
        tip = element("title", f"{day_text(int(day))}: {short(value)}")
        parts.append(
            element(
                "rect",
                tip,
                x=round(at, 1),
                y=min(zero, end),
                width=width,
                height=round(abs(end - zero), 1),
                class_="bar s0",
            )
        )
    return parts


def _described(lines: Mapping[str, Sequence[Point]]) -> str:
    """Return what a screen reader says of lines: their ends and extremes."""
    told = []
    for name, points in lines.items():
        if not points:
            told.append(f"{name}: no points")
            continue
        ups = [y for _, y in points]
        told.append(
            f"{name}: {len(points)} points, first {short(ups[0])}, last {short(ups[-1])}, "
            f"lowest {short(min(ups))}, highest {short(max(ups))}"
        )
    return "; ".join(told) + "."
