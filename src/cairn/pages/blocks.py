"""What a page is made of. Every function returns HTML whose text is escaped."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from cairn.pages.errors import PageError
from cairn.pages.markup import Html, element, join
from cairn.pages.numbers import number

Tone = Literal["", "good", "warn", "bad"]
Align = Literal["", "left", "right"]
HEADING_LEVELS = (2, 3, 4)
NOTHING = "\u2013"
"""What a cell without a value shows."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A node of a tree: its text, and what hangs below it."""

    text: object
    children: tuple["Branch", ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A key figure."""

    label: str
    value: object
    note: str = ""


def heading(text: object, level: int = 2, *, anchor: str | None = None) -> Html:
    """Return a heading; the page's title is the one of level 1.

    Raises:
        PageError: The level is not 2, 3 or 4.
    """
    if level not in HEADING_LEVELS:
        raise PageError(f"a heading has level 2, 3 or 4, not {level}")
    return element(f"h{level}", text, id=anchor)


def paragraph(*parts: object, lead: bool = False) -> Html:
    """Return a paragraph of texts and pieces, one after the other."""
    return element("p", *parts, class_="lead" if lead else None)


def code(text: object) -> Html:
    """Return a piece of text as it is typed, within a line."""
    return element("code", text)


def preformatted(text: object) -> Html:
    """Return lines as they are, for commands and rules."""
    return element("pre", text)


def strong(text: object) -> Html:
    """Return a text that stands out."""
    return element("strong", text)


def badge(text: object, tone: Tone = "") -> Html:
    """Return a short mark such as a status; the text says it, the colour only helps."""
    return element("span", text, class_=f"badge {tone}".strip())


def note(*parts: object, tone: Tone = "") -> Html:
    """Return a box beside the text, for what a reader must not miss."""
    body = [part if _is_block(part) else element("p", part) for part in parts]
    return element("div", *body, class_=f"note {tone}".strip(), role="note")


def bullets(items: Iterable[object]) -> Html:
    """Return a list of points."""
    return element("ul", *[element("li", item) for item in items])


def definition_list(pairs: Iterable[tuple[object, object]]) -> Html:
    """Return names and what they stand for, one below the other."""
    parts = [join([element("dt", name), element("dd", _cell(value))]) for name, value in pairs]
    return element("dl", *parts)


def cards(items: Iterable[Card]) -> Html:
    """Return key figures side by side."""
    parts = []
    for item in items:
        small = element("small", item.note) if item.note else ""
        parts.append(
            element("li", element("span", item.label), element("b", _cell(item.value)), small)
        )
    return element("ul", *parts, class_="cards")


def tree(roots: Iterable[Branch]) -> Html:
    """Return things that hang below others, as an indented list."""
    return element("ul", *[_branch(root) for root in roots], class_="tree")


def figure(picture: Html, caption: object = "") -> Html:
    """Return a picture with its caption."""
    text = element("figcaption", caption) if caption else ""
    return element("figure", element("div", picture, class_="scroll"), text)


def table(
    headers: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: object = "",
    align: Sequence[Align] = (),
    empty: str = "none",
) -> Html:
    """Return a table; a column that holds numbers alone stands right unless `align` says else.

    Args:
        headers: What stands above each column.
        rows: Cells: numbers are written with their thousands apart, None as a dash.
        caption: What the table shows.
        align: "left", "right" or "" for each column.
        empty: What to say if there is no row.

    Raises:
        PageError: A row has another number of cells than there are headers.
    """
    cells = [tuple(row) for row in rows]
    for row in cells:
        if len(row) != len(headers):
            raise PageError(f"a row of {len(row)} cells in a table of {len(headers)} columns")
    classes = [_column_class(cells, at, align[at] if align else "") for at in range(len(headers))]
    head = [
        element("th", text, scope="col", class_=name)
        for text, name in zip(headers, classes, strict=True)
    ]
    body = [
        element(
            "tr",
            *[
                element("td", _cell(value), class_=name)
                for value, name in zip(row, classes, strict=True)
            ],
        )
        for row in cells
    ]
    if not body:
        body = [element("tr", element("td", empty, colspan=len(headers)))]
    title = element("caption", caption) if caption else ""
    content = (title, element("thead", element("tr", *head)), element("tbody", *body))
    return element("div", element("table", *content), class_="scroll")


def _branch(branch: Branch) -> Html:
    below = element("ul", *[_branch(child) for child in branch.children])
    return element("li", branch.text, below if branch.children else "")


def _column_class(rows: Sequence[Sequence[object]], at: int, align: Align) -> str | None:
    if align:
        return "n" if align == "right" else None
    values = [row[at] for row in rows if row[at] is not None]
    return "n" if values and all(_is_number(value) for value in values) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> object:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else value


def _is_block(part: object) -> bool:
    return isinstance(part, Html) and part.startswith(("<p", "<ul", "<dl", "<div", "<pre"))
