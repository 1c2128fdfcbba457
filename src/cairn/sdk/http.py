"""The HTTP transport: a running node behind its Unix socket or a loopback address."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx
import msgspec

from cairn.engine.base import Outcome
from cairn.node.api import (
    BlockInfo,
    EventPage,
    HeadInfo,
    Health,
    ProofRequest,
    Proofs,
    RowPage,
    SeriesPage,
)
from cairn.primitives.encoding import Decoder, NonCanonicalError, Record, encode
from cairn.sdk.errors import (
    CairnError,
    NodeFaultError,
    PendingError,
    ProtocolError,
    UnavailableError,
    UsageError,
)

T = TypeVar("T")

MSGPACK = "application/msgpack"
CONNECT_SECONDS_MAX = 5.0
ANSWER_SECONDS_MAX = 60.0
"""How long an answer may take beside the time that was asked to be waited."""


class _NextSequence(Record):
    """Answer of the sequence route."""

    sequence: int


_outcomes: Decoder[tuple[Outcome, ...]] = Decoder(tuple[Outcome, ...])


class HttpConnection:
    """A node behind HTTP; it is an `api.Connection`, and raises the client's errors."""

    def __init__(self, url: str, *, socket: Path | None = None) -> None:
        """Talk to the node at `url`, or through its Unix socket.

        Raises:
            UsageError: The URL is none of HTTP.
        """
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"{url!r} is not an HTTP address", "write http://127.0.0.1:7460")
        transport = httpx.HTTPTransport(uds=str(socket)) if socket is not None else None
        self._where = str(socket) if socket is not None else url
        timeout = httpx.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX)
        self._http = httpx.Client(
            base_url=url,
            transport=transport,
            timeout=timeout,
            headers={"accept": MSGPACK},
            trust_env=False,
        )

    @classmethod
    def over_socket(cls, path: Path) -> "HttpConnection":
        """Return a connection through a node's Unix socket."""
        return cls("http://localhost", socket=path)

    def close(self) -> None:
        """Let the connection go."""
        self._http.close()

    def __enter__(self) -> "HttpConnection":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def head(self) -> HeadInfo:
        """Return where the ledger stands."""
        return self._get("/v1/head", HeadInfo)

    def charter(self) -> bytes:
        """Return the charter file's bytes."""
        return self._request("GET", "/v1/charter")

    def health(self) -> Health:
        """Return how the node is."""
        return self._get("/v1/health", Health)

    def submit(self, raws: Sequence[bytes], *, wait_ms: int) -> list[Outcome]:
        """Submit transactions and return their outcomes when all are final."""
        body = msgspec.msgpack.encode(list(raws))
        answer = self._request(
            "POST", "/v1/transactions", content=body, params={"wait_ms": str(wait_ms)}
        )
        return list(_parsed_outcomes(answer))

    def receipt(self, transaction_id: bytes) -> Outcome | None:
        """Return what became of a transaction, or None if no block holds it."""
        answer = self._request("GET", f"/v1/transactions/{transaction_id.hex()}", none_on_404=True)
        return _parsed(Decoder(Outcome), answer) if answer else None

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key` after the last block."""
        return self._request("GET", f"/v1/rows/{key.hex()}", none_on_404=True) or None

    def rows(self, prefix: bytes, *, cursor: bytes, limit: int) -> RowPage:
        """Return state rows under a prefix, in key order."""
        return self._get(
            "/v1/rows", RowPage, prefix=prefix.hex(), cursor=cursor.hex(), limit=str(limit)
        )

    def series(self, key: bytes, *, start: int, limit: int) -> SeriesPage:
        """Return entries of the series with head key `key`."""
        return self._get(f"/v1/series/{key.hex()}", SeriesPage, start=str(start), limit=str(limit))

    def prove(self, request: ProofRequest) -> Proofs:
        """Return proofs from one head."""
        return _parsed(
            Decoder(Proofs), self._request("POST", "/v1/proofs", content=encode(request))
        )

    def events(self, from_height: int, *, limit: int, wait_ms: int) -> EventPage:
        """Return events of blocks from a height on."""
        return self._get(
            "/v1/events",
            EventPage,
            from_height=str(from_height),
            limit=str(limit),
            wait_ms=str(wait_ms),
        )

    def block(self, height: int) -> BlockInfo:
        """Return the block at a height."""
        return self._get(f"/v1/blocks/{height}", BlockInfo)

    def next_sequence(self, sender: bytes, lane: int) -> int:
        """Return the sequence number that a lane's next transaction must have."""
        return self._get(f"/v1/sequences/{sender.hex()}/{lane}", _NextSequence).sequence

    def _get(self, path: str, kind: type[T], **params: str) -> T:
        return _parsed(Decoder(kind), self._request("GET", path, params=params))

    def _request(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        content: bytes | None = None,
        none_on_404: bool = False,
    ) -> bytes:
        """Return the answer's body; empty for a thing that is not there, if that is expected."""
        try:
            answer = self._http.request(method, path, params=params, content=content)
        except httpx.ConnectError as error:
            raise UnavailableError(
                f"no node answers at {self._where}", "start it with `cairn node start`"
            ) from error
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"the node at {self._where} broke off: {str(error) or type(error).__name__}",
                "see whether it still runs: `cairn node status`",
            ) from error
        if answer.status_code == 404 and none_on_404 and _code_of(answer) == "node/not_found":
            return b""
        if answer.status_code != 200:
            raise _error_of(answer)
        return answer.content


def _parsed(decoder: Decoder[T], raw: bytes) -> T:
    try:
        return decoder.decode(raw)
    except NonCanonicalError as error:
        raise ProtocolError(f"the node's answer does not parse: {error}") from error


def _parsed_outcomes(raw: bytes) -> tuple[Outcome, ...]:
    try:
        return _outcomes.decode(raw)
    except NonCanonicalError as error:
        raise ProtocolError(f"the node's answer does not parse: {error}") from error


def _fields(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    fields = document.get("error") if isinstance(document, dict) else None
    return fields if isinstance(fields, dict) else {}


def _code_of(answer: httpx.Response) -> str:
    return str(_fields(answer).get("code", ""))


def _error_of(answer: httpx.Response) -> CairnError:
    """Return the client's error for an answer of the node's error shape."""
    fields = _fields(answer)
    code = str(fields.get("code", ""))
    message, hint = str(fields.get("message", "")), str(fields.get("hint", ""))
    if not code:
        return ProtocolError(f"the node answers with status {answer.status_code} and no code")
    if code == "engine/timed_out":
        return PendingError(b"")
    if code == "node/fault":
        return NodeFaultError(message, hint)
    if answer.status_code >= 500:
        return UnavailableError(message, hint)
    return UsageError(f"{message} ({code})", hint)
