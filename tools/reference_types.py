"""Field types in words, for the reference pages: what bytes a field may hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import inspect as types

from tools.docs_source import field_docs

SLUG = r"^[a-z0-9][a-z0-9._-]*\Z"
PATTERNS = {SLUG: "a slug"}
INT64_MAX = 2**63 - 1
TIME_MAX = 2**53
_TWO_COLUMNS = ("| field | type |", "|---|---|")
NAMED = {INT64_MAX: "2^63 - 1", TIME_MAX: "2^53", -INT64_MAX - 1: "-2^63", 2**31: "2^31"}


@dataclass(slots=True)
class Words:
    """Writes types; keeps the records that it met, so that the page can show them, too."""

    known: frozenset[type] = frozenset()
    seen: list[type[msgspec.Struct]] = field(default_factory=list)

    def of(self, kind: Any) -> str:
        """Return a type in words."""
        match kind:
            case types.BytesType():
                return f"{self._size(kind)}bytes"
            case types.StrType():
                return f"text, {self._text(kind)}" if self._text(kind) else "text"
            case types.IntType():
                return f"integer, {self._number(kind)}" if self._number(kind) else "integer"
            case types.BoolType():
                return "boolean"
            case types.NoneType():
                return "nil"
            case types.LiteralType():
                return "one of " + ", ".join(f"`{value}`" for value in kind.values)
            case types.UnionType():
                return " or ".join(self.of(one) for one in kind.types)
            case types.VarTupleType():
                size = self._size(kind).strip()
                return f"array{f' ({size})' if size else ''} of {self.of(kind.item_type)}"
            case types.TupleType():
                return "array: " + "; ".join(self.of(one) for one in kind.item_types)
            case types.StructType():
                return self._struct(kind.cls)
        raise TypeError(f"no words for {kind}")

    def _struct(self, record: type[msgspec.Struct]) -> str:
        if record not in self.known and record not in self.seen:
            self.seen.append(record)
            for one in types.type_info(record).fields:  # type: ignore[union-attr]
                self.of(one.type)
        return f"`{record.__name__}`"

    def _size(self, kind: Any) -> str:
        low, high = kind.min_length or 0, kind.max_length
        if high is None:
            return f"at least {low:,} " if low else ""
        if low == high:
            return f"{low:,} "
        return f"{low:,} to {high:,} "

    def _text(self, kind: types.StrType) -> str:
        parts = []
        if kind.max_length is not None:
            parts.append(f"{kind.min_length or 0} to {kind.max_length} characters")
        if kind.pattern is not None:
            parts.append(PATTERNS.get(kind.pattern, f"`{kind.pattern}`".replace("|", "\\|")))
        return ", ".join(parts)

    def _number(self, kind: types.IntType) -> str:
        low = kind.ge if kind.ge is not None else None if kind.gt is None else kind.gt + 1
        high = kind.le if kind.le is not None else None if kind.lt is None else kind.lt - 1
        if low is None and high is None:
            return ""
        if high is None:
            return f"at least {_shown(low)}"
        return f"{_shown(low)} to {_shown(high)}" if low is not None else f"at most {_shown(high)}"


def _shown(number: int | None) -> str:
    assert number is not None
    return NAMED.get(number, f"{number:,}")


def fields_table(record: type[Any], words: Words) -> Iterator[str]:
    """Yield the table of a record's fields: name, type, docstring."""
    info = types.type_info(record)
    assert isinstance(info, types.StructType)
    if not info.fields:
        yield "No fields."
        return
    docs = field_docs(record)
    yield from ("| field | type | meaning |", "|---|---|---|") if docs else _TWO_COLUMNS
    for one in info.fields:
        meaning = f" {docs.get(one.name, '')} |" if docs else ""
        yield f"| `{one.name}` | {words.of(one.type)} |{meaning}"
