"""Messages and other records as JSON: fields by name, bytes in hex, keys as did:key.

What the types say is all there is to know, so a new message needs no line here.
"""

import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import msgspec

from cairn.evidence.catalog import MESSAGES
from cairn.ledger.messages import Message
from cairn.primitives.did import did_key, parse_did_key
from cairn.primitives.encoding import INT_MAX, Decoder, NonCanonicalError, Record, encode
from cairn.primitives.errors import PrimitiveError
from cairn.primitives.signatures import KEY_PREFIX, PUBLIC_KEY_SIZE_BYTES
from cairn.sdk.errors import CairnError, UsageError

RecordT = TypeVar("RecordT", bound=Record)
_PLACE = re.compile(r"`\$\[(\d+)\]([^`]*)`", re.ASCII)
Resolve = Callable[[str], bytes]
"""Returns the id that a name stands for; raises a CairnError for one that stands for none."""


def message_types() -> dict[str, type[Message]]:
    """Return the message types by tag."""
    return {tag_of(kind): kind for kind in MESSAGES}


def tag_of(kind: type[Record]) -> str:
    """Return the tag of a message type, such as `bank/transfer`."""
    return str(kind.__struct_config__.tag)  # type: ignore[attr-defined]


def find_message(tag: str) -> type[Message]:
    """Return the message type of a tag.

    Raises:
        UsageError: There is none.
    """
    known = message_types()
    if tag not in known:
        module = tag.partition("/")[0]
        near = [name for name in known if name.startswith(module + "/")] or list(known)
        raise UsageError(f"there is no message {tag!r}", f"there are: {', '.join(near)}")
    return known[tag]


def describe_fields(kind: type[Record]) -> dict[str, str]:
    """Return the fields of a record type and what they hold, in words."""
    return {
        field.name: _words(field.type) + ("" if field.required else " (optional)")
        for field in msgspec.structs.fields(kind)  # type: ignore[arg-type]
    }


def from_json(kind: type[RecordT], value: object, resolve: Resolve) -> RecordT:
    """Return the record that a JSON value describes.

    Raises:
        UsageError: A field is missing, unknown or out of bounds; the message names it.
    """
    record = _record(kind, value, resolve, "")
    try:
        return Decoder[RecordT](kind).decode(encode(record))
    except NonCanonicalError as error:
        raise UsageError(
            _naming_fields(kind, str(error)), f"fields: {_listed(describe_fields(kind))}"
        ) from error


def to_json(value: Any) -> Any:
    r"""Return a record as JSON values: tagged ones with their tag under `type`.

    >>> from cairn.modules.bank.messages import ReleaseHold
    >>> to_json(ReleaseHold(b"\x01" * 20, "reviewed"))["reason"]
    'reviewed'
    """
    if isinstance(value, bytes):
        is_key = len(value) == PUBLIC_KEY_SIZE_BYTES and value.startswith(KEY_PREFIX)
        return did_key(value) if is_key else value.hex()
    if isinstance(value, tuple | list):
        return [to_json(one) for one in value]
    if isinstance(value, msgspec.Struct):
        fields = {name: to_json(getattr(value, name)) for name in value.__struct_fields__}
        tag = value.__struct_config__.tag
        return {"type": tag, **fields} if isinstance(tag, str) else fields
    return value


def _naming_fields(kind: type[Record], message: str) -> str:
    """Return a decoder's message with the field's name in place of its number."""
    names = [field.name for field in msgspec.structs.fields(kind)]  # type: ignore[arg-type]
    tagged = int(isinstance(kind.__struct_config__.tag, str))  # type: ignore[attr-defined]

    def name(match: re.Match[str]) -> str:
        place = int(match[1]) - tagged
        return f"`{names[place]}" + match[2] + "`" if 0 <= place < len(names) else match[0]

    return _PLACE.sub(name, message.partition(": ")[2] or message)


def _record(kind: type[Any], value: object, resolve: Resolve, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise UsageError(f"{where or 'the value'} is not an object", _listed(describe_fields(kind)))
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    unknown = [name for name in value if name not in fields]
    missing = [name for name, f in fields.items() if f.required and name not in value]
    if unknown or missing:
        what = (
            f"unknown field {unknown[0]!r}" if unknown else f"the field {missing[0]!r} is missing"
        )
        raise UsageError(f"{where}{': ' if where else ''}{what}", _listed(describe_fields(kind)))
    return kind(**{name: _value(fields[name].type, value[name], resolve, name) for name in value})


def _value(kind: Any, value: object, resolve: Resolve, where: str) -> Any:
    """Return a JSON value in the form that a field of type `kind` holds."""
    kind = _bare(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, resolve, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise UsageError(f"{where} is not a list")
        inner = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(inner) != len(value):
            raise UsageError(f"{where} has {len(value)} entries, not {len(inner)}")
        pairs = zip(inner, value, strict=True)
        return tuple(
            _value(one, part, resolve, f"{where}[{i}]") for i, (one, part) in enumerate(pairs)
        )
    if origin is Literal:
        if value not in arguments:
            raise UsageError(f"{where} is {value!r}", f"one of: {', '.join(map(str, arguments))}")
        return value
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _record(kind, value, resolve, where)
    if kind is bytes:
        return _bytes(value, resolve, where)
    if kind is int and type(value) is int and not -INT_MAX - 1 <= value <= INT_MAX:
        raise UsageError(f"{where} is {value}, which does not fit 64 bits")
    if type(value) is not kind:
        raise UsageError(f"{where} is {value!r}, which is no {_words(kind)}")
    return value


def _bytes(value: object, resolve: Resolve, where: str) -> bytes:
    if not isinstance(value, str):
        raise UsageError(f"{where} is {value!r}, not hex, a did:key or a name")
    if value.startswith("did:key:"):
        try:
            return parse_did_key(value)
        except PrimitiveError as error:
            raise UsageError(f"{where}: {error}") from error
    try:
        return bytes.fromhex(value)
    except ValueError:
        pass
    try:
        return resolve(value)
    except CairnError as error:
        raise UsageError(f"{where}: {error}", error.hint) from error


def _bare(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _words(kind: Any) -> str:
    kind = _bare(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if a is type(None) else _words(a) for a in arguments)
    if origin is tuple:
        return "list of " + _words(arguments[0])
    if origin is Literal:
        return "|".join(map(str, arguments))
    names = {bytes: "hex", str: "text", int: "integer", bool: "true|false"}
    return names.get(kind) or str(getattr(kind, "__name__", kind))


def _listed(fields: Mapping[str, str]) -> str:
    return ", ".join(f"{name}: {what}" for name, what in fields.items())
