"""The frame of a chart: a scale in each direction, ticks, grid, labels and a legend, as SVG."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cairn.pages.markup import Html, element, join
from cairn.pages.numbers import nice_ticks, short
from cairn.pages.style import SERIES_COLOURS

WIDTH: Final = 720
HEIGHT: Final = 340
CHARACTER: Final = 6.8
"""About how wide a character of the charts' text is, in the units of the picture."""
DASHES: Final = 4
POINTS_MAX: Final = 600
"""More points of a line than this are thinned to what the picture can show."""

Point = tuple[float, float]
TickText = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places in the picture."""

    ticks: tuple[float, ...]
    low: float
    """The value that stands at `start`."""
    high: float
    """The value that stands at `end`."""
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return where a value stands."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the lines of a chart go, and what stands around them."""

    x: Scale
    y: Scale
    parts: tuple[Html, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """What is written on a chart."""

    title: str
    x: str = ""
    y: str = ""
    series: tuple[str, ...] = ()
    """For the legend; one name alone is not shown."""
    dots: int = 0
    """How many of the last names stand for single points."""


def ticks_of(values: Iterable[float], fixed: tuple[float, float] | None = None) -> list[float]:
    """Return ticks around values, or around a fixed range; 0 is included if it is near."""
    if fixed is not None:
        return nice_ticks(*fixed)
    found = list(values)
    if not found:
        return nice_ticks(0.0, 1.0)
    low, high = min(found), max(found)
    if 0 < low < 0.6 * high:
        low = 0.0
    elif 0.6 * low < high < 0:
        high = 0.0
    return nice_ticks(low, high)


def frame(
    labels: Labels,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    *,
    x_text: TickText = short,
    y_text: TickText = short,
    x_margin: float = 0.0,
) -> Frame:
    """Return the frame of a chart; with a margin, the first tick is not at the very edge."""
    names, top = _legend(labels, 40.0)
    left = 26 + CHARACTER * max(len(y_text(tick)) for tick in y_ticks)
    top += 26 if labels.y else 6
    bottom = HEIGHT - (44 if labels.x else 26)
    x_ends = (x_ticks[0] - x_margin, x_ticks[-1] + x_margin)
    x = Scale(tuple(x_ticks), *x_ends, round(left, 1), WIDTH - 24)
    y = Scale(tuple(y_ticks), y_ticks[0], y_ticks[-1], bottom, top)
    parts = [element("text", labels.title, x=0, y=14, class_="title"), *names]
    if labels.y:
        parts.append(element("text", labels.y, x=0, y=top - 15))
    if labels.x:
        parts.append(element("text", labels.x, x=(x.start + x.end) / 2, y=HEIGHT - 6, class_="mid"))
    for tick in y_ticks:
        parts.append(element("line", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(element("text", y_text(tick), x=x.start - 8, y=y(tick) + 4, class_="end"))
    parts += _x_axis(x, bottom, x_text)
    return Frame(x, y, tuple(parts))


def picture(labels: Labels, description: str, parts: Iterable[Html], height: int = HEIGHT) -> Html:
    """Return a whole picture, with what a screen reader says of it."""
    return element(
        "svg",
        element("title", labels.title),
        element("desc", description),
        *parts,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=labels.title,
    )


def colour(place: int) -> str:
    """Return the classes of a series' colour and dashes."""
    dash = f" d{place % DASHES}" if place % DASHES else ""
    return f"s{place % SERIES_COLOURS}{dash}"


def dot(place: int) -> str:
    """Return the classes of a series' points."""
    return f"dot s{place % SERIES_COLOURS}"


def path(points: Iterable[Point], frame: Frame, *, steps: bool = False) -> str:
    """Return the points as the data of a path; with steps, each value stays until the next."""
    text: list[str] = []
    for x, y in points:
        place, height = frame.x(x), frame.y(y)
        if text and steps:
            text.append(f"H{place:g}V{height:g}")
        else:
            text.append(f"{'L' if text else 'M'}{place:g} {height:g}")
    return "".join(text)


def thinned(points: Sequence[Point], limit: int = POINTS_MAX) -> list[Point]:
    """Return points in order; of many, in each stretch the first, last, lowest and highest.

    So nothing that the full line reaches is lost.
    """
    if len(points) <= limit:
        return list(points)
    size = math.ceil(len(points) / (limit // 4))
    kept: list[Point] = []
    for start in range(0, len(points), size):
        part = range(start, min(start + size, len(points)))
        chosen = {
            part[0],
            part[-1],
            min(part, key=lambda at: points[at][1]),
            max(part, key=lambda at: points[at][1]),
        }
        kept += [points[at] for at in sorted(chosen)]
    return kept


def clipped(text: str, width: float) -> str:
    """Return a text that is cut to about this width."""
    room = max(1, int(width / CHARACTER))
    return text if len(text) <= room else text[: room - 1] + "…"


def empty(labels: Labels) -> Html:
    """Return the picture of no data: its title, and that there is none."""
    parts = [
        element("text", labels.title, x=0, y=14, class_="title"),
        element("rect", x=0, y=28, width=WIDTH, height=60, rx=6, class_="grid"),
        element("text", "There is no data to show.", x=WIDTH / 2, y=62, class_="mid"),
    ]
    return picture(labels, "There is no data to show.", parts, 96)


def _x_axis(x: Scale, bottom: float, text: TickText) -> list[Html]:
    parts = [element("line", x1=x.start, x2=x.end, y1=bottom, y2=bottom, class_="axis")]
    free = -math.inf
    for tick in x.ticks:
        label, at = text(tick), x(tick)
        half = len(label) * CHARACTER / 2 + 6
        if at - half < free:
            continue
        free = at + half
        anchor, place = ("end", WIDTH) if at + half - 6 > WIDTH else ("mid", at)
        parts.append(element("line", x1=at, x2=at, y1=bottom, y2=bottom + 4, class_="axis"))
        parts.append(element("text", label, x=place, y=bottom + 18, class_=anchor))
    return parts


def _legend(labels: Labels, top: float) -> tuple[list[Html], float]:
    """Return the legend's lines and where the picture below it may begin."""
    names = labels.series
    if len(names) < 2:
        return [], top - 14
    parts, across = [], 0.0
    for place, name in enumerate(names):
        shown = clipped(name, WIDTH - 60)
        width = 40 + len(shown) * CHARACTER + 10
        if across and across + width > WIDTH:
            across, top = 0.0, top + 18
        style = f"line {colour(place)}"
        line = element("line", x1=across, x2=across + 26, y1=top - 4, y2=top - 4, class_=style)
        if place >= len(names) - labels.dots:
            line = element("circle", cx=across + 13, cy=top - 4, r=5, class_=dot(place))
        parts.append(join([line, element("text", shown, x=across + 33, y=top, class_="strong")]))
        across += width
    return parts, top + 12
