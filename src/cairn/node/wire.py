"""How answers and errors look on the wire: msgpack records for programs, JSON for people."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from cairn.engine.errors import (
    EngineRequestError,
    EngineStoppedError,
    FutureTimeError,
    MempoolFullError,
    TimedOutError,
)
from cairn.ledger.errors import Fault
from cairn.node.errors import BadRequestError, NodeRequestError
from cairn.primitives.encoding import NonCanonicalError, Record, encode

MSGPACK = "application/msgpack"
JSON = "application/json"

FAULT_CODE = "node/fault"
FAULT_HINT = "the node has stopped; see its log, then start it again"
UNAVAILABLE = 503
_ENGINE_STATUS: dict[type[EngineRequestError], int] = {
    MempoolFullError: 503,
    EngineStoppedError: 503,
    TimedOutError: 504,
    FutureTimeError: 400,
}


def answer(value: Record | Sequence[Record] | None, accept: str) -> Response:
    """Return a value as canonical msgpack if that is asked for, else as JSON."""
    if MSGPACK in accept:
        body = encode(tuple(value) if isinstance(value, list) else value)
        return Response(body, media_type=MSGPACK)
    return Response(json.dumps(as_json(value)), media_type=JSON)


def as_json(value: Any) -> Any:
    """Return a record as JSON values: fields by name, bytes in hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | list):
        return [as_json(one) for one in value]
    if isinstance(value, msgspec.Struct):
        fields = {name: as_json(getattr(value, name)) for name in value.__struct_fields__}
        tag = value.__struct_config__.tag
        return {"type": tag, **fields} if isinstance(tag, str) else fields
    return value


def error_answer(error: Exception) -> Response:
    """Return the one shape of every error."""
    status, code, hint = _describe(error)
    message = str(error) or (type(error).__doc__ or "").partition("\n")[0]
    return error_response(status, code, message, hint)


def error_response(status: int, code: str, message: str, hint: str) -> Response:
    """Return `{"error": {"code", "message", "hint"}}`."""
    body = {"error": {"code": code, "message": message, "hint": hint}}
    return Response(json.dumps(body), status_code=status, media_type=JSON)


def _describe(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, NodeRequestError):
        return error.status, error.code, error.hint
    if isinstance(error, EngineRequestError):
        return _ENGINE_STATUS.get(type(error), 400), error.code, error.hint
    if isinstance(error, NonCanonicalError):
        return 400, BadRequestError.code, BadRequestError.hint
    assert isinstance(error, Fault)
    return UNAVAILABLE, FAULT_CODE, FAULT_HINT
