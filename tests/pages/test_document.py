"""Pages: self-contained, escaped, in order, the same for the same arguments."""

import re
from html.parser import HTMLParser

import pytest

from cairn.pages import blocks
from cairn.pages.charts import line_chart
from cairn.pages.document import document, fragment
from cairn.pages.errors import PageError
from cairn.pages.markup import Html, element, escape
from cairn.pages.style import style_sheet

EVIL = '<script src="https://evil.example">alert(1)</script>"\'><img src=x onerror=alert(1)>'


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.broken: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)


def tags(page: str) -> Tags:
    found = Tags()
    found.feed(page)
    assert not found.broken
    assert not found.open
    return found


def everything(text: str) -> str:
    return document(
        text,
        blocks.note(text, tone="warn"),
        blocks.cards([blocks.Card(text, text, text)]),
        text,
        blocks.heading(text, anchor=text),
        blocks.paragraph(text, blocks.code(text), blocks.strong(text)),
        blocks.heading(text, 3),
        blocks.table([text, "n"], [[text, 1_000], [None, 2.5]], caption=text),
        blocks.definition_list([(text, text), ("b", True), ("c", blocks.badge(text, "bad"))]),
        blocks.bullets([text]),
        blocks.tree([blocks.Branch(text, (blocks.Branch(text),))]),
        blocks.figure(line_chart({text: [(0, 1)], "b": [(1, 2)]}, title=text, x_label=text), text),
        blocks.preformatted(text),
        lead=text,
        language=text,
    )


def test_whatever_the_text_says_a_page_runs_and_loads_nothing() -> None:
    found = tags(everything(EVIL))
    assert not {"script", "img", "link", "iframe", "object", "a", "base"} & set(found.names)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    assert not {"src", "href", "srcset", "style"} & {name for name, _ in found.attributes}
    assert "url(" not in style_sheet()
    assert "@import" not in style_sheet()
    assert "://" not in everything("x")


def test_a_page_has_language_title_policy_and_one_main_heading() -> None:
    page = document("A & B", blocks.heading("one"), lead="from here to there", language="en")
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert "<title>A &amp; B</title>" in page
    assert "default-src &#x27;none&#x27;" in page
    assert page.count("<h1") == 1


def test_headings_do_not_skip_a_level() -> None:
    document("T", blocks.heading("a"), blocks.heading("b", 3), blocks.heading("c"))
    with pytest.raises(PageError, match="level 3 follows one of level 1"):
        document("T", blocks.heading("a", 3))
    with pytest.raises(PageError, match="not 5"):
        blocks.heading("a", 5)


def test_a_column_of_numbers_stands_right() -> None:
    page = blocks.table(["rule", "alerts", "code"], [["a", 1_234, "7"], ["b", None, "8"]])
    assert '<th scope="col" class="n">alerts</th>' in page
    assert '<td class="n">1\u202f234</td>' in page
    assert '<td class="n">\u2013</td>' in page
    assert "<td>7</td>" in page
    assert '<td class="n">7</td>' in blocks.table(["code"], [["7"]], align=["right"])


def test_a_table_says_that_it_is_empty_and_refuses_ragged_rows() -> None:
    assert '<td colspan="2">none</td>' in blocks.table(["a", "b"], [])
    with pytest.raises(PageError, match="1 cells in a table of 2"):
        blocks.table(["a", "b"], [["x"]])


def test_colours_follow_the_system_and_paper_is_white() -> None:
    sheet = style_sheet()
    assert "@media screen and (prefers-color-scheme:dark)" in sheet
    assert "@media print" in sheet
    assert "break-inside:avoid" in sheet


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_texts_and_series_stand_out_from_their_background(theme: int) -> None:
    themes = re.findall(r"\.cairn\{(--paper[^}]*)\}", style_sheet())
    colours = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{6})", themes[theme]))
    for text in ("ink", "soft"):
        assert _contrast(colours[text], colours["paper"]) >= 4.5
        assert _contrast(colours[text], colours["wash"]) >= 4.5
    for tone in ("good", "warn", "bad"):
        assert _contrast(colours[tone], colours[f"{tone}-wash"]) >= 4.5
    for place in range(8):
        assert _contrast(colours[f"s{place}"], colours["paper"]) >= 3


def test_html_is_kept_and_everything_else_escaped() -> None:
    assert escape(Html("<b>x</b>")) == "<b>x</b>"
    assert element("p", "<", Html("<br>"), id='"') == '<p id="&quot;">&lt;<br></p>'


def test_a_fragment_brings_its_style_and_is_shown_by_notebooks() -> None:
    piece = fragment("a < b", blocks.heading("x"))
    assert piece.startswith("<style>")
    assert "<p>a &lt; b</p>" in piece
    assert piece._repr_html_() == piece
    tags(piece)


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert everything("x") == everything("x")
