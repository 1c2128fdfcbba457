"""Every message with extreme field values: only declared refusals come out, and the laws hold.

The values follow from the types of the fields: both ends of each bound and what lies beside them,
the shortest and the longest texts and tuples, and ids of things that exist, of the right kind and
of every other. Whoever sends them holds every role, so that handlers are reached.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from msgspec.inspect import (
    BoolType,
    BytesType,
    IntType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
    type_info,
)

from cairn.exact import models as exact_models
from cairn.exact.models import encode_model
from cairn.exact.rules import Compare, Emit, Freeze, Hold, Refuse, encode_rule
from cairn.ledger.messages import Message
from cairn.ledger.transactions import ATOMIC, INDEPENDENT
from cairn.modules.bank.events import EscrowOpened, HoldPlaced
from cairn.modules.bank.messages import CreateAsset, Issue, OpenEscrow
from cairn.modules.identity.messages import Approve, Delegate, GrantRole, subject_of
from cairn.modules.models.messages import UploadChunk
from cairn.modules.models.records import model_digest
from cairn.modules.rules.messages import SubmitRule
from cairn.primitives.hashes import sha256
from cairn.primitives.signatures import KEY_PREFIX
from tests.modules.founding import (
    CUSTOMERS,
    HOUR_MS,
    activate,
    amount_model,
    customer,
    found,
    go_live,
    hold_rule,
    pay,
    register_dataset,
)
from tests.modules.harness import Harness, key_of

INT64 = (-(2**63), -(2**63) + 1, -(2**53), -1, 0, 1, 2**31, 2**32, 2**53, 2**63 - 1)
ROLES = (
    "admin",
    "agent",
    "compliance",
    "data-owner",
    "developer",
    "risk",
    "treasurer",
    "validator",
)
TEXTS = ("", "a", "x" * 256, "é" * 256, "\U0010ffff" * 256, "\x00", "\ufeff\u202e", "1.0", "x/y")
MODEL = encode_model(amount_model())
RULES = (
    hold_rule("edge", Compare("field:amount_units", ">", -(2**63)), actions=[Refuse("é" * 200)]),
    hold_rule(
        "edge",
        Compare("feature:amount_over_payer_mean_ppm", ">=", 2**63 - 1),
        Compare("model:fraud", "!=", -(2**63)),
        actions=[Hold(1, "settle"), Freeze("payer", 1), Freeze("payee", 90 * 86_400_000)],
    ),
    hold_rule("a" * 64, Compare("model:" + "a" * 64, "==", 0), actions=[Emit("a" * 64)]),
)
MESSAGES_PER_KIND = 60
OPERATIONS = 6


class Choices:
    """Choices that follow from a text, without end."""

    def __init__(self, seed: str) -> None:
        self._numbers = self._stream(seed)

    def pick(self, options: Sequence[Any]) -> Any:
        """Return one of the options."""
        return options[next(self._numbers) % len(options)]

    def number(self, bound: int) -> int:
        """Return a number from 0 to `bound` - 1."""
        return next(self._numbers) % bound

    @staticmethod
    def _stream(seed: str) -> Iterator[int]:
        position = 0
        while True:
            digest = sha256(f"{seed} {position}".encode())
            for start in range(0, 32, 4):
                yield int.from_bytes(digest[start : start + 4], "big")
            position += 1


@dataclass
class Things:
    """What exists on the ledger, by size in bytes, and the names and numbers that mean something."""

    ids: list[bytes] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    blobs: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def of_size(self, size: int) -> list[bytes]:
        """Return values of `size` bytes."""
        known = {20: self.ids, 32: self.digests, 34: self.keys}.get(size, [])
        return [*known, bytes(size), b"\xff" * size]


def extreme(kind: Type, things: Things, choices: Choices) -> Any:
    """Return an extreme value of a type, as the decoder would accept it."""
    if isinstance(kind, UnionType):
        return extreme(choices.pick(kind.types), things, choices)
    if isinstance(kind, StructType):
        return kind.cls(*(extreme(f.type, things, choices) for f in kind.fields))
    if isinstance(kind, VarTupleType):
        longest = kind.max_length or 64
        count = choices.pick((kind.min_length or 0, 1, 2, min(longest, 48), longest))
        values = [extreme(kind.item_type, things, choices) for _ in range(count)]
        ordered = choices.number(4) and not isinstance(kind.item_type, StructType)
        return tuple(sorted(dict.fromkeys(values)) if ordered else values)[: kind.max_length]
    if isinstance(kind, BytesType):
        return _bytes(kind, things, choices)
    if isinstance(kind, StrType):
        return _text(kind, things, choices)
    if isinstance(kind, IntType):
        low = kind.ge if kind.ge is not None else -(2**63) if kind.gt is None else kind.gt + 1
        high = kind.le if kind.le is not None else 2**63 - 1 if kind.lt is None else kind.lt - 1
        likely = [n for n in (*INT64, *things.numbers, low + 1, high - 1) if low <= n <= high]
        return choices.pick((low, high, *likely))
    if isinstance(kind, LiteralType):
        return choices.pick(kind.values)
    if isinstance(kind, BoolType):
        return bool(choices.number(2))
    assert isinstance(kind, NoneType), f"a field of a type without extremes: {kind}"
    return None


def _bytes(kind: BytesType, things: Things, choices: Choices) -> bytes:
    low, high = kind.min_length or 0, kind.max_length or 64
    if low == high:
        value: bytes = choices.pick(things.of_size(low))
        return value
    likely = [blob for blob in (*things.ids, *things.blobs) if low <= len(blob) <= high]
    return choices.pick((bytes(low), b"\xff" * high, *likely))  # type: ignore[no-any-return]


def _text(kind: StrType, things: Things, choices: Choices) -> str:
    if kind.pattern is None:
        low, high = kind.min_length or 0, kind.max_length or 256
        return choices.pick([text[:high] for text in TEXTS if len(text) >= low])  # type: ignore[no-any-return]
    options = [*things.names, "a" * 64, "a" * (kind.max_length or 64), "0", "person", "bank/transfer"]
    decoder = msgspec.msgpack.Decoder(
        _annotated(kind.pattern, kind.min_length, kind.max_length)
    )
    return choices.pick([o for o in options if _accepts(decoder, o)])  # type: ignore[no-any-return]


def _annotated(pattern: str, low: int | None, high: int | None) -> Any:
    from typing import Annotated

    return Annotated[str, msgspec.Meta(pattern=pattern, min_length=low, max_length=high)]


def _accepts(decoder: Any, text: str) -> bool:
    try:
        decoder.decode(msgspec.msgpack.encode(text))
    except msgspec.ValidationError:
        return False
    return True
