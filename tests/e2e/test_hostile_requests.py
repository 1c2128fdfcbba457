"""Random requests to a node's HTTP server: each has an answer of the one shape, none halts it."""

import random
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import pytest

from cairn.node.api import ProofRequest
from cairn.node.node import Node
from cairn.node.routes import ROUTES, node_application
from cairn.node.server import listen_on_port
from cairn.primitives.encoding import encode
from tests.e2e.banks import found_bank, submit
from tests.e2e.messages import Attacker, weird_values
from tests.node.serving import served
from tools.crash_bank import CLERK_ACCOUNT, transaction

REQUESTS = 1_200
HEX = ("", "00", "ff" * 32, "0" * 31, "zz", CLERK_ACCOUNT.hex(), "ab" * 2_048, "ab" * 2_049)
NUMBERS = ("0", "1", "-1", "15", "16", "2.5", "9" * 16, "9" * 17, "1e3", "٣", "0x1", "", "nan")
TEXTS = (*HEX, *NUMBERS, "..", "%2e%2e", "a/b", "\x00", "é", "' OR 1=1")


@pytest.fixture
def node(memory_path: Path) -> Iterator[Node]:
    with found_bank(memory_path / "n") as running:
        submit(running, 5)
        yield running
        assert running.fault is None
        submit(running, 1, lane=1)


@pytest.fixture
def client(node: Node) -> Iterator[httpx.Client]:
    with (
        served(node_application(node, node.settings.server)) as url,
        httpx.Client(base_url=url, timeout=20) as made,
    ):
        yield made


def check_answer(answer: httpx.Response) -> None:
    """Check that an answer is what was asked for, or an error of the one shape."""
    assert answer.status_code < 500 or answer.status_code == 504, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert error["code"]
        assert set(error) >= {"code", "message", "hint"}
        assert "Traceback" not in answer.text


def body_of(draw: random.Random, attacker: Attacker) -> bytes:
    """Return a body that some route takes, or nearly."""
    good = (
        msgspec.msgpack.encode([transaction(0, draw.randrange(1, 6))]),
        msgspec.msgpack.encode([b"x"] * draw.choice((0, 1, 50))),
        encode(ProofRequest(())),
        msgspec.msgpack.encode(draw.choice(weird_values())),
        msgspec.msgpack.encode([draw.choice(weird_values())]),
        b"\x91" * 10_000,
        b"\xdd\xff\xff\xff\xff",
        b"",
    )
    raw = draw.choice(good)
    return attacker.mangled(raw) if raw and draw.random() < 0.5 else raw


def test_random_requests_have_answers(client: httpx.Client, node: Node) -> None:
    draw, attacker = random.Random(5), Attacker(5, [], [], [])
    before = node.head().app_hash
    statuses: set[int] = set()
    for _ in range(REQUESTS):
        route = draw.choice(ROUTES)
        parts = [
            quote(draw.choice(TEXTS), safe="%/") if part.startswith("{") else part
            for part in route.path.split("/")
        ]
        names = ("prefix", "cursor", "limit", "start", "from_height", "wait_ms", "nothing")
        query = {name: draw.choice(TEXTS) for name in draw.sample(names, draw.randrange(4))}
        query["wait_ms"] = draw.choice(("0", "1", "x", "-1"))
        method = draw.choice((route.method, route.method, "GET", "POST", "DELETE"))
        accept = draw.choice(("application/json", "application/msgpack", "*/*", "\x7f"))
        content = body_of(draw, attacker) if method == "POST" else None
        answer = client.request(
            method,
            "/".join(parts),
            params=query,
            content=content,
            headers={"accept": accept} if accept.isprintable() else {},
        )
        statuses.add(answer.status_code)
        if "msgpack" not in answer.headers.get("content-type", ""):
            check_answer(answer)
        assert answer.status_code != 500, (method, parts, query)
    assert statuses >= {200, 400, 404, 405}
    assert node.head().app_hash == before, "nothing of it was a new transaction"


def test_bodies_that_are_too_large_or_too_many_are_refused(client: httpx.Client) -> None:
    answer = client.post("/v1/transactions", content=bytes(9_000_000))
    assert answer.status_code in (400, 413)
    check_answer(answer)
    answer = client.post("/v1/transactions", content=msgspec.msgpack.encode([b""] * 10_001))
    assert answer.status_code == 400
    check_answer(answer)
    answer = client.post("/v1/transactions", content=msgspec.msgpack.encode([bytes(65_537)]))
    assert answer.status_code == 413
    check_answer(answer)


def test_connections_send_at_once() -> None:
    """Without it each answer waits 40 ms for the client's delayed acknowledgement."""
    with (
        listen_on_port("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
