"""The witness over HTTP: `add-checkpoint` of C2SP tlog-witness, and what it last cosigned."""

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cairn.node.witness import (
    REQUEST_SIZE_BYTES_MAX,
    MalformedRequestError,
    SizeConflictError,
    Witness,
    WitnessError,
)

SIZE_CONTENT_TYPE = "text/x.tlog.size"


def witness_application(witness: Witness) -> Starlette:
    """Return the HTTP application of a witness."""

    async def add_checkpoint(request: Request) -> Response:
        try:
            body = await _bounded_body(request)
            lines = await run_in_threadpool(witness.add_checkpoint, body)
        except SizeConflictError as error:
            # No charset: the content type is compared whole.
            headers = {"content-type": SIZE_CONTENT_TYPE}
            return Response(f"{error.size}\n".encode(), status_code=error.status, headers=headers)
        except WitnessError as error:
            return _refusal(error)
        return Response(lines, media_type="text/plain; charset=utf-8")

    async def checkpoint(request: Request) -> Response:
        try:
            note = witness.latest(request.query_params.get("origin", ""))
        except WitnessError as error:
            return _refusal(error)
        if note is None:
            return PlainTextResponse("no checkpoint yet\n", status_code=404)
        return Response(note, media_type="text/plain; charset=utf-8")

    async def origins(_: Request) -> Response:
        return PlainTextResponse("".join(origin + "\n" for origin in witness.origins()))

    async def key(_: Request) -> Response:
        return PlainTextResponse(witness.verifier_key + "\n")

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/checkpoint", checkpoint),
            Route("/origins", origins),
            Route("/key", key),
        ]
    )


async def _bounded_body(request: Request) -> bytes:
    """Return the request's body, refusing a long one before it is read to its end.

    Raises:
        MalformedRequestError: It is longer than any valid request.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > REQUEST_SIZE_BYTES_MAX:
            raise MalformedRequestError(f"more than {REQUEST_SIZE_BYTES_MAX} bytes")
    return bytes(body)


def _refusal(error: WitnessError) -> Response:
    return PlainTextResponse(f"{error.code}: {error}\n", status_code=error.status)
