"""Messages of every kind that decode and mean little: fields at their bounds, names that exist.

What a field may hold is read from the message's own type, so that a new message is attacked too.
"""

import random
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import inspect

from cairn.ledger.messages import Message

DEPTH_MAX = 3
ITEMS_MAX = 4


class Attacker:
    """Makes messages from a seed.

    Args:
        seed: All that is drawn follows from it.
        ids: Byte strings that exist: accounts, objects, keys, digests.
        names: Names that exist: assets, policies, roles, deployments, rules.
        blobs: Bytes that parse as something: models, rules.
    """

    def __init__(
        self, seed: int, ids: Sequence[bytes], names: Sequence[str], blobs: Sequence[bytes]
    ) -> None:
        self._draw = random.Random(seed)
        self._ids = list(ids)
        self._names = list(names)
        self._blobs = list(blobs)

    def learn(self, *ids: bytes) -> None:
        """Remember byte strings that now exist."""
        self._ids += ids
        del self._ids[: max(0, len(self._ids) - 400)]

    def message(self, kind: type[Message]) -> Message:
        """Return a message of a type, which may refuse to validate."""
        return self._value(inspect.type_info(kind))  # type: ignore[no-any-return]

    def _value(self, kind: inspect.Type) -> Any:
        if isinstance(kind, inspect.Metadata):
            return self._value(kind.type)
        if isinstance(kind, inspect.StructType):
            return kind.cls(**{field.name: self._value(field.type) for field in kind.fields})
        if isinstance(kind, inspect.UnionType):
            return self._value(self._draw.choice(kind.types))
        if isinstance(kind, inspect.VarTupleType):
            least, most = kind.min_length or 0, kind.max_length or ITEMS_MAX
            count = self._draw.choice((least, least, 1, 2, min(most, ITEMS_MAX)))
            count = min(max(count, least), most)
            return tuple(self._value(kind.item_type) for _ in range(count))
        if isinstance(kind, inspect.LiteralType):
            return self._draw.choice(kind.values)
        if isinstance(kind, inspect.BoolType):
            return self._draw.random() < 0.5
        if isinstance(kind, inspect.NoneType):
            return None
        if isinstance(kind, inspect.IntType):
            return self._number(kind)
        if isinstance(kind, inspect.BytesType):
            return self._bytes(kind)
        if isinstance(kind, inspect.StrType):
            return self._text(kind)
        raise AssertionError(f"no way to make {kind}")

    def _number(self, kind: inspect.IntType) -> int:
        least = -(2**63) if kind.ge is None else int(kind.ge)
        least = least if kind.gt is None else int(kind.gt) + 1
        most = 2**63 - 1 if kind.le is None else int(kind.le)
        most = most if kind.lt is None else int(kind.lt) - 1
        near = 1_760_000_000_000 + self._draw.randrange(10**7)
        number = self._draw.choice(
            (least, most, 0, 1, 2, 100, near, least + self._draw.randrange(most - least + 1))
        )
        return min(max(number, least), most)

    def _bytes(self, kind: inspect.BytesType) -> bytes:
        least = kind.min_length or 0
        most = kind.max_length if kind.max_length is not None else least + 64
        fitting = [one for one in self._ids if least <= len(one) <= most]
        fate = self._draw.random()
        if fate < 0.7 and fitting:
            return self._draw.choice(fitting)
        if fate < 0.9 and most > 1_000 and self._blobs:
            return self.mangled(self._draw.choice(self._blobs))[:most] or bytes(least or 1)
        return self._draw.randbytes(self._draw.choice((least, min(most, least + 9), min(most, 99))))

    def mangled(self, blob: bytes) -> bytes:
        """Return bytes that are nearly those: as they are, with some changed, cut or doubled."""
        changed = bytearray(blob)
        for _ in range(self._draw.choice((0, 1, 1, 2, 8))):
            place = self._draw.randrange(len(changed))
            changed[place] = self._draw.choice((0, 0x7F, 0x80, 0xFF, changed[place] ^ 1))
        if self._draw.random() < 0.1:
            start = self._draw.randrange(len(changed))
            changed[start:start] = changed[start : start + self._draw.randrange(40)]
        return bytes(changed)

    def _text(self, kind: inspect.StrType) -> str:
        texts = [*self._names, "a", "a" * 64, "", "\u0000\ud7ff\u202e", "bank/transfer", "person"]
        least = kind.min_length or 0
        most = 64 if kind.max_length is None else kind.max_length
        fitting = [text for text in texts if least <= len(text) <= most]
        if kind.pattern is not None:
            fitting = [text for text in fitting if _matches(kind.pattern, text)]
        return self._draw.choice(fitting)


def _matches(pattern: str, text: str) -> bool:
    import re

    return re.search(pattern, text) is not None


def weird_values() -> list[object]:
    """Return values that no field expects."""
    deep: object = 0
    for _ in range(40):
        deep = [deep]
    return [
        None,
        True,
        -1,
        0,
        2**63 - 1,
        2**64 - 1,
        -(2**63),
        1.5,
        float("nan"),
        "",
        "x" * 300,
        "\x00",
        b"",
        b"\xff" * 300,
        [],
        [[]],
        [0] * 1_000,
        {},
        {"a": 1},
        deep,
        msgspec.msgpack.Ext(5, b"data"),
    ]
