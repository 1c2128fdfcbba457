"""A whole page: one file that needs nothing from outside and runs nothing.

The page forbids its reader's browser to load or run anything, so that a name that somebody chose
could not reach out even if it slipped through the escaping.
"""

import re

from cairn.pages.blocks import paragraph
from cairn.pages.errors import PageError
from cairn.pages.markup import Html, element, escape, join
from cairn.pages.style import style_sheet

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_HEADING = re.compile(r"<h([1-6])[ >]")


def document(title: str, *blocks: object, lead: object = "", language: str = "en") -> str:
    """Return a self-contained page.

    Args:
        title: Of the page, its one heading of level 1.
        blocks: What `cairn.pages.blocks` and `charts` return; plain text becomes a paragraph.
        lead: A sentence below the title.
        language: Of the text, as browsers and screen readers name it.

    Raises:
        PageError: A heading skips a level.
    """
    body = [block if isinstance(block, Html) else paragraph(block) for block in blocks]
    _check_headings(body)
    top = [element("h1", title), paragraph(lead, lead=True) if lead else ""]
    head = join(
        [
            Html('<meta charset="utf-8">'),
            Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("meta", http_equiv="Content-Security-Policy", content=POLICY),
            Html('<meta name="color-scheme" content="light dark">'),
            element("title", title),
            _style(),
        ]
    )
    main = element("main", *top, *body)
    page = join([element("head", head), "\n", element("body", main, class_="cairn")])
    return f'<!doctype html>\n<html lang="{escape(language)}">{page}</html>\n'


def fragment(*blocks: object) -> Html:
    """Return blocks with their style, to be shown within another page such as a notebook."""
    body = [block if isinstance(block, Html) else paragraph(block) for block in blocks]
    return join([_style(), element("div", *body, class_="cairn")])


def _style() -> Html:
    return element("style", Html(style_sheet()))


def _check_headings(body: list[Html]) -> None:
    before = 1
    for found in _HEADING.finditer("".join(body)):
        level = int(found[1])
        if level > before + 1:
            raise PageError(f"a heading of level {level} follows one of level {before}")
        before = level
