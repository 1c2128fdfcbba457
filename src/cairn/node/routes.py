"""The node's HTTP interface: one table of routes over `api.Connection`, each with its limits.

Every answer is msgpack with `Accept: application/msgpack`, else JSON. Keys and ids stand in paths
and queries in hex. Every error has one shape, `{"error": {"code", "message", "hint"}}`.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cairn.engine.base import Outcome
from cairn.engine.errors import EngineRequestError, TimedOutError
from cairn.ledger.errors import Fault
from cairn.ledger.transactions import LANES, TRANSACTION_SIZE_BYTES_MAX
from cairn.node.api import (
    PAGE_SIZE_MAX,
    PROOFS_MAX,
    SUBMIT_TRANSACTIONS_MAX,
    EventPage,
    ProofRequest,
)
from cairn.node.errors import (
    BadRequestError,
    NodeRequestError,
    NotFoundError,
    TooLargeError,
    WrongHostError,
)
from cairn.node.node import Node
from cairn.node.settings import ServerSettings
from cairn.node.wire import MSGPACK, answer, error_answer, error_response
from cairn.primitives.encoding import Decoder, NonCanonicalError, Record

KEY_SIZE_BYTES_MAX = 2_048
NUMBER_MAX = 2**53

_PROOF_REQUEST: Decoder[ProofRequest] = Decoder(ProofRequest)
_raw_transactions = msgspec.msgpack.Decoder(list[bytes])

Handler = Callable[["Served", Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Served:
    """What handlers work with."""

    node: Node
    settings: ServerSettings


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One route: how it is called, what it takes and what answers it."""

    method: str
    path: str
    takes: str
    gives: str
    handler: Handler


async def _head(served: Served, request: Request) -> Response:
    return _answer(request, served.node.head())


async def _health(served: Served, request: Request) -> Response:
    return _answer(request, served.node.health())


async def _charter(served: Served, request: Request) -> Response:
    return Response(served.node.charter(), media_type="application/octet-stream")


async def _submit(served: Served, request: Request) -> Response:
    wait_ms = _number(request, "wait_ms", served.settings.wait_ms_max, served.settings.wait_ms_max)
    raws = _decode_transactions(await _body(served, request))
    future = await run_in_threadpool(served.node.submit_later, raws)
    wrapped = asyncio.wrap_future(future)
    done, _ = await asyncio.wait({wrapped}, timeout=wait_ms / 1000)
    if not done:
        raise TimedOutError("the transactions were taken and are not all final yet")
    outcomes: list[Outcome] = wrapped.result()
    return answer(outcomes, request.headers.get("accept", ""))


async def _receipt(served: Served, request: Request) -> Response:
    identifier = _hex(request.path_params["id"], 32, 32)
    outcome = await run_in_threadpool(served.node.receipt, identifier)
    if outcome is None:
        raise NotFoundError(f"no block holds transaction {identifier.hex()}")
    return _answer(request, outcome)


async def _row(served: Served, request: Request) -> Response:
    key = _hex(request.path_params["key"], 1, KEY_SIZE_BYTES_MAX)
    value = await run_in_threadpool(served.node.row, key)
    if value is None:
        raise NotFoundError("there is no such row")
    return Response(value, media_type=MSGPACK)


async def _rows(served: Served, request: Request) -> Response:
    prefix = _hex(request.query_params.get("prefix", ""), 0, KEY_SIZE_BYTES_MAX)
    cursor = _hex(request.query_params.get("cursor", ""), 0, KEY_SIZE_BYTES_MAX)
    limit = _limit(request)
    page = await run_in_threadpool(partial(served.node.rows, prefix, cursor=cursor, limit=limit))
    return _answer(request, page)


async def _series(served: Served, request: Request) -> Response:
    key = _hex(request.path_params["key"], 1, KEY_SIZE_BYTES_MAX)
    start, limit = _number(request, "start", 0, NUMBER_MAX), _limit(request)
    page = await run_in_threadpool(partial(served.node.series, key, start=start, limit=limit))
    return _answer(request, page)


async def _proofs(served: Served, request: Request) -> Response:
    wanted = _PROOF_REQUEST.decode(await _body(served, request))
    if len(wanted.queries) > PROOFS_MAX:
        raise BadRequestError(f"{len(wanted.queries)} proofs, more than {PROOFS_MAX}")
    return _answer(request, await run_in_threadpool(served.node.prove, wanted))


async def _events(served: Served, request: Request) -> Response:
    height = _number(request, "from_height", 1, NUMBER_MAX)
    wait_ms = _number(request, "wait_ms", 0, served.settings.wait_ms_max)
    limit = _limit(request)
    await _until_height(served.node, height, wait_ms)
    page: EventPage = await run_in_threadpool(
        partial(served.node.events, height, limit=limit, wait_ms=0)
    )
    return _answer(request, page)


async def _block(served: Served, request: Request) -> Response:
    height = _parse_number(request.path_params["height"], NUMBER_MAX)
    return _answer(request, await run_in_threadpool(served.node.block, height))


async def _next_sequence(served: Served, request: Request) -> Response:
    sender = _hex(request.path_params["sender"], 20, 20)
    lane = _parse_number(request.path_params["lane"], LANES - 1)
    number = await run_in_threadpool(served.node.next_sequence, sender, lane)
    return _answer(request, NextSequence(number))


class NextSequence(Record):
    """Answer of the sequence route."""

    sequence: int


ROUTES = (
    RouteSpec("GET", "/v1/head", "", "HeadInfo", _head),
    RouteSpec("GET", "/v1/health", "", "Health", _health),
    RouteSpec("GET", "/v1/charter", "", "the charter file", _charter),
    RouteSpec(
        "POST",
        "/v1/transactions",
        f"msgpack list of at most {SUBMIT_TRANSACTIONS_MAX} envelopes; wait_ms",
        "list of Outcome, when all are final",
        _submit,
    ),
    RouteSpec("GET", "/v1/transactions/{id}", "32 bytes in hex", "Outcome", _receipt),
    RouteSpec("GET", "/v1/rows/{key}", "row key in hex", "the row's canonical bytes", _row),
    RouteSpec(
        "GET",
        "/v1/rows",
        f"prefix and cursor in hex, limit up to {PAGE_SIZE_MAX}",
        "RowPage",
        _rows,
    ),
    RouteSpec(
        "GET",
        "/v1/series/{key}",
        f"head key in hex, start, limit up to {PAGE_SIZE_MAX}",
        "SeriesPage",
        _series,
    ),
    RouteSpec(
        "POST", "/v1/proofs", f"ProofRequest of at most {PROOFS_MAX} queries", "Proofs", _proofs
    ),
    RouteSpec(
        "GET",
        "/v1/events",
        f"from_height, limit up to {PAGE_SIZE_MAX}, wait_ms (long poll)",
        "EventPage",
        _events,
    ),
    RouteSpec("GET", "/v1/blocks/{height}", "height", "BlockInfo", _block),
    RouteSpec(
        "GET",
        "/v1/sequences/{sender}/{lane}",
        "account in hex, lane",
        "NextSequence",
        _next_sequence,
    ),
)


def node_application(node: Node, settings: ServerSettings) -> Starlette:
    """Return the HTTP application of a node."""
    served = Served(node, settings)

    def endpoint(spec: RouteSpec) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            try:
                _check_host(request, settings)
                return await spec.handler(served, request)
            except (NodeRequestError, EngineRequestError, NonCanonicalError, Fault) as error:
                return error_answer(error)

        return handle

    async def not_found(request: Request, _: Exception) -> Response:
        return error_response(
            404, "node/no_such_route", f"no route {request.url.path}", "routes begin with /v1/"
        )

    async def wrong_method(request: Request, _: Exception) -> Response:
        return error_response(
            405, "node/wrong_method", f"not {request.method}", "see the table of routes"
        )

    async def internal(request: Request, _: Exception) -> Response:
        return error_response(
            500,
            "node/internal",
            f"{request.url.path} failed",
            "see the node's log; please report it",
        )

    routes = [Route(spec.path, endpoint(spec), methods=[spec.method]) for spec in ROUTES]
    return Starlette(
        routes=routes, exception_handlers={404: not_found, 405: wrong_method, 500: internal}
    )


async def _until_height(node: Node, height: int, wait_ms: int) -> None:
    """Return once there is a block at `height`, or after `wait_ms`; holds no thread."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()

    def listen(newest: int) -> None:
        if newest >= height:
            loop.call_soon_threadsafe(arrived.set)

    with node.listening(listen):
        if node.head().height >= height or not wait_ms:
            return
        try:
            await asyncio.wait_for(arrived.wait(), wait_ms / 1000)
        except TimeoutError:
            return


def _check_host(request: Request, settings: ServerSettings) -> None:
    """Check that the request names this machine, not a name that somebody points at it.

    Raises:
        WrongHostError: The Host header is another name: a web page may be behind it.
    """
    host = request.url.hostname or ""
    if host in ("localhost", settings.host):
        return
    try:
        ipaddress.ip_address(host)
    except ValueError as error:
        raise WrongHostError(f"this node does not answer to {host!r}") from error


async def _body(served: Served, request: Request) -> bytes:
    """Return the request's body.

    Raises:
        TooLargeError: It is longer than the setting allows; the rest was not read.
    """
    limit = served.settings.body_size_bytes_max
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise TooLargeError(f"more than {limit} bytes")
    return bytes(body)


def _decode_transactions(body: bytes) -> list[bytes]:
    try:
        raws = _raw_transactions.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequestError("the body is a msgpack list of byte strings") from error
    if len(raws) > SUBMIT_TRANSACTIONS_MAX:
        raise BadRequestError(f"{len(raws)} transactions, more than {SUBMIT_TRANSACTIONS_MAX}")
    if any(len(raw) > TRANSACTION_SIZE_BYTES_MAX for raw in raws):
        raise TooLargeError(f"a transaction of more than {TRANSACTION_SIZE_BYTES_MAX} bytes")
    return raws


def _answer(request: Request, value: Record) -> Response:
    return answer(value, request.headers.get("accept", ""))


def _limit(request: Request) -> int:
    limit = _number(request, "limit", PAGE_SIZE_MAX, PAGE_SIZE_MAX)
    if not limit:
        raise BadRequestError("limit is at least 1")
    return limit


def _number(request: Request, name: str, default: int, maximum: int) -> int:
    text = request.query_params.get(name)
    return default if text is None else _parse_number(text, maximum)


def _parse_number(text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16) or int(text) > maximum:
        raise BadRequestError(f"not a whole number from 0 to {maximum}")
    return int(text)


def _hex(text: str, minimum: int, maximum: int) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError as error:
        raise BadRequestError("keys and ids are given in hex") from error
    if not minimum <= len(raw) <= maximum:
        raise BadRequestError(f"{len(raw)} bytes, not {minimum} to {maximum}")
    return raw
