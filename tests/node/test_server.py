"""The routes over real sockets: what they answer, and how they refuse."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import httpx
import msgspec
import pytest

from cairn.engine.base import Outcome
from cairn.engine.errors import EngineFault
from cairn.evidence.steps import verify_head, verify_state, verify_transaction
from cairn.node.api import (
    BlockInfo,
    EventPage,
    HeadInfo,
    ProofRequest,
    Proofs,
    RowPage,
    SeriesPage,
    StateQuery,
    TransactionQuery,
)
from cairn.node.errors import ConfigurationError
from cairn.node.node import Node
from cairn.node.routes import ROUTES, NextSequence, node_application
from cairn.node.server import listening
from cairn.node.settings import ServerSettings, load_settings
from cairn.primitives.encoding import Decoder, encode
from tests.engine.toy import (
    CHAIN_ID,
    NOTES,
    TOTALS,
    USER_KEYS,
    Add,
    Note,
    account_of,
    transaction,
)
from tests.node.ledgers import CHARTER_FILE, create
from tests.node.serving import served
from tests.node.test_witnesses import TRUST

ACCOUNT = account_of(USER_KEYS[0].public_key)
TOTAL_KEY = TOTALS.key(ACCOUNT)
BINARY = {"accept": "application/msgpack"}
SETTINGS = ServerSettings("127.0.0.1", 0, "node.sock", 70_000, 20_000)
OUTCOMES: Decoder[tuple[Outcome, ...]] = Decoder(tuple[Outcome, ...])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:  # type: ignore[misc]
    with create(tmp_path_factory.mktemp("node") / "n", start=True) as node:
        yield node


@pytest.fixture(scope="module")
def http(node: Node) -> httpx.Client:  # type: ignore[misc]
    with (
        served(node_application(node, SETTINGS)) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
    ):
        http.post(
            "/v1/transactions",
            content=msgspec.msgpack.encode([transaction(Add(5), Note("first"), sequence=1)]),
        )
        yield http


def submit(http: httpx.Client, *raws: bytes, wait_ms: int = 20_000) -> tuple[Outcome, ...]:
    answer = http.post(
        "/v1/transactions",
        params={"wait_ms": wait_ms},
        content=msgspec.msgpack.encode(list(raws)),
        headers=BINARY,
    )
    assert answer.status_code == 200, answer.text
    return OUTCOMES.decode(answer.content)


def get(http: httpx.Client, path: str, record: type, **params: object):  # type: ignore[no-untyped-def] # noqa: ANN201
    answer = http.get(path, params=params, headers=BINARY)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return Decoder(record).decode(answer.content)


def test_a_transaction_is_answered_when_it_is_final(http: httpx.Client, node: Node) -> None:
    (outcome,) = submit(http, transaction(Add(1), sequence=1, lane=1))
    assert (outcome.code, outcome.height > 0) == ("ok", True)
    again = get(http, f"/v1/transactions/{outcome.transaction_id.hex()}", Outcome)
    assert again == outcome
    block = get(http, f"/v1/blocks/{outcome.height}", BlockInfo)
    assert block.receipts[outcome.position] == outcome.receipt


def test_refusals_are_outcomes_too(http: httpx.Client) -> None:
    outcomes = submit(
        http,
        b"junk",
        transaction(Add(1), sequence=1, lane=2, chain_id="other-chain"),
        transaction(Add(1), sequence=1, lane=2)[:-1] + b"\0",
        transaction(Add(-9), sequence=1, lane=2),
    )
    assert [outcome.code for outcome in outcomes] == [
        "ledger/malformed_transaction",
        "ledger/wrong_chain",
        "ledger/bad_signature",
        "ledger/operation_refused",
    ]


def test_json_names_fields_and_spells_bytes_in_hex(http: httpx.Client, node: Node) -> None:
    head = http.get("/v1/head").json()
    assert head["chain_id"] == CHAIN_ID
    assert len(head["block_hash"]) == 64
    health = http.get("/v1/health").json()
    assert (health["status"], health["fault"]) == ("ok", "")


def test_what_is_read_is_what_was_written(http: httpx.Client, node: Node) -> None:
    assert http.get("/v1/charter").content == CHARTER_FILE
    row = http.get(f"/v1/rows/{TOTAL_KEY.hex()}")
    assert row.content == node.row(TOTAL_KEY)
    page = get(http, "/v1/rows", RowPage, prefix=TOTALS.prefix.hex())
    assert page.rows[0][0] == TOTAL_KEY
    series = get(http, f"/v1/series/{NOTES.key().hex()}", SeriesPage)
    assert series.size == 1
    assert get(http, f"/v1/sequences/{ACCOUNT.hex()}/0", NextSequence).sequence == 2
    assert get(http, "/v1/head", HeadInfo).chain_id == CHAIN_ID


def test_proofs_verify_at_the_client(http: httpx.Client) -> None:
    (outcome,) = submit(http, transaction(Add(1), sequence=1, lane=3))
    request = ProofRequest((TransactionQuery(outcome.transaction_id), StateQuery(TOTAL_KEY)))
    answer = http.post("/v1/proofs", content=encode(request), headers=BINARY)
    proofs: Proofs = Decoder(Proofs).decode(answer.content)
    head = verify_head(proofs.head, TRUST)
    assert verify_transaction(proofs.transactions[0], head).id == outcome.transaction_id
    assert verify_state(proofs.states[0], head) is not None


def test_events_are_waited_for(http: httpx.Client, node: Node) -> None:
    newest = get(http, "/v1/events", EventPage, from_height=10**9, wait_ms=0)
    assert newest.events == ()
    height = node.head().height
    sender = threading.Timer(0.05, submit, (http, transaction(Add(2), sequence=1, lane=4)))
    sender.start()
    seen: list[bytes] = []
    while not seen:
        page = get(http, "/v1/events", EventPage, from_height=height + 1, wait_ms=10_000)
        seen += [item.event for item in page.events]
        height = page.next_height - 1
    sender.join()
    assert len(seen) == 1


def test_every_error_has_one_shape(http: httpx.Client) -> None:
    a_key = TOTAL_KEY.hex()
    cases = [
        ("GET", "/v1/nothing", None, 404, "node/no_such_route"),
        ("DELETE", "/v1/head", None, 405, "node/wrong_method"),
        ("GET", "/v1/transactions/xyz", None, 400, "node/bad_request"),
        ("GET", "/v1/transactions/" + "00" * 31, None, 400, "node/bad_request"),
        ("GET", "/v1/transactions/" + "00" * 32, None, 404, "node/not_found"),
        ("GET", "/v1/rows/ff", None, 404, "node/not_found"),
        ("GET", f"/v1/rows?prefix={a_key}&cursor=00", None, 400, "node/bad_range"),
        ("GET", "/v1/rows?limit=0", None, 400, "node/bad_request"),
        ("GET", "/v1/rows?limit=1001", None, 400, "node/bad_request"),
        ("GET", f"/v1/series/{a_key}", None, 400, "node/bad_request"),
        ("GET", "/v1/events?from_height=-1", None, 400, "node/bad_request"),
        ("GET", "/v1/events?wait_ms=99999999", None, 400, "node/bad_request"),
        ("GET", "/v1/blocks/0", None, 404, "node/not_found"),
        ("GET", "/v1/blocks/999999", None, 404, "node/not_found"),
        ("GET", "/v1/blocks/٣", None, 400, "node/bad_request"),
        ("GET", f"/v1/sequences/{ACCOUNT.hex()}/16", None, 400, "node/bad_request"),
        ("POST", "/v1/transactions", b"\x91\xa1a", 400, "node/bad_request"),
        ("POST", "/v1/transactions", b"\x91" * 50_000, 400, "node/bad_request"),
        ("POST", "/v1/transactions", b"", 400, "node/bad_request"),
        ("POST", "/v1/transactions", b"x" * 80_000, 413, "node/too_large"),
        (
            "POST",
            "/v1/transactions",
            msgspec.msgpack.encode([b"x" * 66_000]),
            413,
            "node/too_large",
        ),
        ("POST", "/v1/proofs", b"", 400, "node/bad_request"),
        ("POST", "/v1/proofs", b"\x91" * 50_000, 400, "node/bad_request"),
        (
            "POST",
            "/v1/proofs",
            encode(ProofRequest((), min_time_ms=2**52)),
            400,
            "engine/future_time",
        ),
        (
            "POST",
            "/v1/proofs",
            encode(ProofRequest((TransactionQuery(b"\1" * 32),))),
            404,
            "node/not_found",
        ),
    ]
    for method, path, body, status, code in cases:
        answer = http.request(method, path, content=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code), (path, error)
        assert set(error) == {"code", "message", "hint"}
        assert error["message"]
        assert "Traceback" not in answer.text


def test_only_this_nodes_name_is_answered(http: httpx.Client) -> None:
    answer = http.get("/v1/head", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "node/wrong_host")
    assert http.get("/v1/head", headers={"host": "localhost:1"}).status_code == 200


def test_each_route_stands_once_in_the_table() -> None:
    assert len({(spec.method, spec.path) for spec in ROUTES}) == len(ROUTES)
    assert all(spec.gives for spec in ROUTES)


def test_a_stopped_node_says_so(tmp_path: Path) -> None:
    node = create(tmp_path / "n")
    with (
        served(node_application(node, SETTINGS)) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        slow = http.post(
            "/v1/transactions",
            params={"wait_ms": 1},
            content=msgspec.msgpack.encode([transaction(Add(1), sequence=1)]),
        )
        assert (slow.status_code, slow.json()["error"]["code"]) == (504, "engine/timed_out")
        node.engine.fail(EngineFault("a test"))
        assert http.get("/v1/health").json()["fault"] == "EngineFault: a test"
        refused = http.post("/v1/transactions", content=msgspec.msgpack.encode([b"x"]))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "node/fault")
    node.close()


def test_the_socket_is_for_this_user_and_goes_away(tmp_path: Path) -> None:
    with listening(tmp_path, SETTINGS) as sockets:
        path = tmp_path / "node.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        assert len(sockets) == 1
    assert not path.exists()


SERVE = """
import sys
from pathlib import Path
from cairn.node.server import serve_node
from tests.node.ledgers import create, reopen
directory = Path(sys.argv[1])
node = (reopen if directory.exists() else create)(directory, start=True, server__port=0)
sys.exit(serve_node(node, node.settings.server, lambda: print("ready", flush=True)))
"""


def serving(directory: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "src:."},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def unix_client(directory: Path) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(directory / "node.sock"))
    return httpx.Client(transport=transport, base_url="http://localhost", timeout=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_in_good_order(tmp_path: Path, number: signal.Signals) -> None:
    directory = tmp_path / "n"
    process = serving(directory)
    with unix_client(directory) as http:
        (outcome,) = submit(http, transaction(Add(1), sequence=1))
        assert outcome.code == "ok"
    process.send_signal(number)
    assert process.wait(timeout=20) == 0
    assert process.stdout is not None
    process.stdout.close()
    assert not (directory / "node.sock").exists()
    from tests.node.ledgers import reopen

    with reopen(directory) as node:
        assert node._opened.store.checkpoint_height == node.head().height >= outcome.height


def test_a_fault_ends_the_process_with_70(tmp_path: Path) -> None:
    from tests.engine.toy import Crash

    directory = tmp_path / "n"
    process = serving(directory)
    with unix_client(directory) as http:
        answer = http.post(
            "/v1/transactions",
            content=msgspec.msgpack.encode([transaction(Crash(), sequence=1)]),
        )
        assert answer.status_code == 503
    assert process.wait(timeout=20) == 70
    assert process.stdout is not None
    process.stdout.close()


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    directory = tmp_path / "n"
    acknowledged: list[Outcome] = []
    sequence = 1
    for round_index in range(4):
        process = serving(directory)
        with unix_client(directory) as http:
            for outcome in acknowledged[-5:]:
                again = get(http, f"/v1/transactions/{outcome.transaction_id.hex()}", Outcome)
                assert again == outcome
            sequence = get(http, f"/v1/sequences/{ACCOUNT.hex()}/0", NextSequence).sequence
            assert sequence > len(acknowledged)
            killer = threading.Timer(0.03 * (round_index + 1), process.kill)
            killer.start()
            try:
                while True:
                    acknowledged += submit(http, transaction(Add(1), sequence=sequence))
                    sequence += 1
            except httpx.HTTPError:
                pass
            killer.join()
        process.wait(timeout=20)
        assert process.stdout is not None
        process.stdout.close()
    assert {outcome.code for outcome in acknowledged} == {"ok"}
    from cairn.node.opening import replay_from_genesis
    from tests.engine.toy import registry

    report = replay_from_genesis(directory, registry=registry())
    assert report.transactions >= len(acknowledged) > 0


def test_a_bug_in_a_route_is_answered_in_the_same_shape(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(node, "head", broken)
    with (
        served(node_application(node, SETTINGS)) as url,
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        answer = http.get("/v1/head")
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, "node/internal")
        assert "ZeroDivision" not in answer.text


def test_a_socket_path_that_no_system_takes_is_named(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 120)
    directory.mkdir()
    settings = replace(load_settings(directory).server, port=0)
    with (
        pytest.raises(ConfigurationError, match=r"set server\.socket to a shorter absolute path"),
        listening(directory, settings),
    ):
        pytest.fail("it listened")
