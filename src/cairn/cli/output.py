"""What commands print: data on stdout as tables or JSON, talk on stderr."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

ID_DIGITS = 12
"""How many hex digits of an id a table shows; commands take an id by its first digits."""
_ID = re.compile(r"\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b", re.ASCII)


class Output:
    """Where a command's data and talk go; nothing is coloured."""

    def __init__(self, *, as_json: bool) -> None:
        """Print tables, or JSON for programs."""
        self.as_json = as_json

    def rows(self, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """Print rows: as a table of `columns`, or as a JSON list with every field there is."""
        if self.as_json:
            write(json.dumps([_jsonable(row) for row in rows], indent=2))
            return
        if not rows:
            self.talk("(none)")
            return
        write(table(columns, [[brief(row.get(name)) for name in columns] for row in rows]))

    def record(self, fields: Mapping[str, Any]) -> None:
        """Print one thing: a field on each line, or a JSON object."""
        if self.as_json:
            write(json.dumps(_jsonable(fields), indent=2))
            return
        names = [name for name in fields if not name.startswith("_")]
        width = max((len(name) for name in names), default=0)
        lines = []
        for name in names:
            first, *more = shown(fields[name]).split("\n")
            lines.append(f"{label(name):<{width}}  {first}".rstrip())
            lines += [" " * (width + 2) + line for line in more]
        write("\n".join(lines))

    def value(self, text: str, **fields: Any) -> None:
        """Print one value: bare for people, an object of `fields` as JSON."""
        write(json.dumps(_jsonable(fields), indent=2) if self.as_json else text)

    def talk(self, text: str) -> None:
        """Tell people what goes on."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def write(text: str) -> None:
    """Write data to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return an aligned table; columns that hold numbers alone stand right."""
    heads = [label(name) for name in columns]
    widths = [max(len(head), *(len(row[at]) for row in cells)) for at, head in enumerate(heads)]
    right = [all(is_number(row[at]) for row in cells) for at in range(len(heads))]
    lines = []
    for row in (heads, *cells):
        padded = (
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(row, widths, right, strict=True)
        )
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def shown(value: Any) -> str:
    """Return a value as people read it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        lines = [shown(one) for one in value]
        return ("\n" if any(" " in line for line in lines) else " ").join(lines) or "-"
    if isinstance(value, bytes):
        return value.hex() or "-"
    if isinstance(value, Mapping):
        return "\n".join(f"{label(key)}: {shown(one)}" for key, one in value.items()) or "-"
    return str(value)


def brief(value: Any) -> str:
    """Return a value for a cell of a table: of an id its first digits.

    >>> brief("0102030405060708090a0b0c0d0e0f1011121314")
    '010203040506'
    """
    return _ID.sub(lambda match: match[0][:ID_DIGITS], shown(value).replace("\n", ", "))


def label(name: str) -> str:
    """Return a field's name as people read it."""
    return name.replace("_", " ")


def is_number(text: str) -> bool:
    """Return whether a cell is a number, or empty."""
    return text == "-" or text.replace(".", "", 1).replace("-", "", 1).isdigit()


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    return value
