"""Text that is already HTML, told apart from text that is not: everything else gets escaped."""

import html
from typing import Final

VOID: Final = ("br", "col", "hr", "meta", "path", "line", "rect", "circle", "polyline")
"""Elements that are written without children here."""


class Html(str):
    """A piece of HTML whose text is escaped; notebooks show it as it is."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


def escape(value: object) -> Html:
    """Return `value` as HTML: a piece of HTML as it is, all else as escaped text.

    >>> escape('<b onclick="x">')
    '&lt;b onclick=&quot;x&quot;&gt;'
    """
    return value if isinstance(value, Html) else Html(html.escape(str(value), quote=True))


def element(name: str, *children: object, **attributes: object) -> Html:
    """Return an element; attributes that are None are left out, `_` in their names becomes `-`.

    >>> element("p", "1 < 2", class_="note", data_day=None)
    '<p class="note">1 &lt; 2</p>'
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None:
            parts.append(f' {key.rstrip("_").replace("_", "-")}="{escape_attribute(value)}"')
    if name in VOID and not children:
        return Html("".join(parts) + ("/>" if name in VOID[4:] else ">"))
    return Html("".join([*parts, ">", *map(escape, children), f"</{name}>"]))


def escape_attribute(value: object) -> str:
    """Return `value` as it may stand between the quotes of an attribute."""
    return html.escape(str(value), quote=True)


def join(parts: object) -> Html:
    """Return pieces one after the other, each escaped unless it is HTML."""
    if not isinstance(parts, tuple | list):
        return escape(parts)
    return Html("".join(map(escape, parts)))
