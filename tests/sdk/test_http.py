"""The HTTP transport: the same answers as in process, over a socket and over loopback."""

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cairn.modules.bank.messages import Issue
from cairn.modules.bank.records import ASSETS, BALANCES
from cairn.modules.identity.records import ACCOUNTS, member_id, organisation_id
from cairn.modules.models.records import DEPLOYMENTS
from cairn.node.api import ProofRequest, StateQuery
from cairn.node.routes import node_application
from cairn.node.server import make_server
from cairn.sdk.client import Client
from cairn.sdk.connecting import connect, is_serving, socket_of
from cairn.sdk.errors import (
    CairnError,
    NodeFaultError,
    PendingError,
    ProtocolError,
    UnavailableError,
    UsageError,
)
from cairn.sdk.http import HttpConnection
from cairn.sdk.local import LocalConnection
from cairn.sdk.workspace import Workspace
from tests.modules.founding import linear_model
from tests.sdk.conftest import PASSPHRASE
from tests.sdk.deploying import deploy

CORE = member_id(organisation_id("bank-a"), "core")


@pytest.fixture(scope="module")
def served(founded: Path) -> Iterator[tuple[Workspace, LocalConnection, str]]:
    """A node that serves its socket and a port; the directory's path is short enough for one."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(founded, Path(folder) / "b")
        workspace = Workspace(Path(folder) / "b")
        key = workspace.open_node_key(PASSPHRASE)
        with LocalConnection.open(workspace.directory, key) as local:
            unix = socket.socket(socket.AF_UNIX)
            unix.bind(str(socket_of(workspace)))
            unix.listen()
            port = socket.create_server(("127.0.0.1", 0))
            server = make_server(node_application(local.node, local.node.settings.server))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [unix, port]})
            thread.start()
            yield workspace, local, f"http://127.0.0.1:{port.getsockname()[1]}"
            server.should_exit = True
            thread.join()
            unix.close()
            port.close()


@pytest.fixture(params=["socket", "loopback"])
def remote(
    served: tuple[Workspace, LocalConnection, str], request: pytest.FixtureRequest
) -> Iterator[HttpConnection]:
    workspace, _, url = served
    over_socket = request.param == "socket"
    made = HttpConnection.over_socket(socket_of(workspace)) if over_socket else HttpConnection(url)
    with made as connection:
        yield connection


def test_decisions_and_predictions_go_over_every_transport(
    served: tuple[Workspace, LocalConnection, str], remote: HttpConnection
) -> None:
    workspace, local, _ = served

    def client_of(name: str) -> Client:
        key = workspace.open_key(name, PASSPHRASE)
        account = member_id(organisation_id("bank-a"), name)
        return Client(local, account, key, trust=workspace.trust())

    if local.row(DEPLOYMENTS.key("linear")) is None:
        deploy(client_of, "linear", linear_model({"a": 1_000}, names=("a", "b")))
    core = Client(remote, CORE, workspace.open_key("core", PASSPHRASE), trust=workspace.trust())
    scores = [one.score_ppm for one in core.predict("linear", [[n, 0] for n in range(50)])]
    assert scores == sorted(scores)
    answer = core.decide_case("linear", {"a": 5, "b": 1}, executor=CORE)
    assert answer.is_allowed
    assert core.report_execution(answer, "executed").status == "enforced"


def test_every_answer_is_the_one_in_process(
    served: tuple[Workspace, LocalConnection, str], remote: HttpConnection
) -> None:
    workspace, local, _ = served
    core = Client(
        remote, CORE, workspace.open_key("core", PASSPHRASE), trust=workspace.trust(), lanes=(0,)
    )
    final = core.submit(Issue("eur", CORE, 7))
    assert remote.charter() == local.charter()
    assert remote.receipt(final.transaction_id) == local.receipt(final.transaction_id)
    assert remote.receipt(b"\1" * 32) is None
    key = BALANCES.key(CORE, "eur")
    assert remote.row(key) == local.row(key) != None  # noqa: E711 - the third is part of the chain
    assert remote.row(key + b"x") is None
    prefix = ACCOUNTS.prefix
    first = remote.rows(prefix, cursor=b"", limit=3)
    assert first == local.rows(prefix, cursor=b"", limit=3)
    assert remote.rows(prefix, cursor=first.cursor, limit=3).rows[0] > first.rows[-1]
    assert remote.block(final.height) == local.block(final.height)
    assert remote.events(1, limit=10, wait_ms=0) == local.events(1, limit=10, wait_ms=0)
    assert remote.next_sequence(CORE, 0) == local.next_sequence(CORE, 0)
    assert remote.health().status == "ok"
    proofs = remote.prove(ProofRequest((StateQuery(ASSETS.key("eur")),)))
    assert proofs.states[0].value == local.row(ASSETS.key("eur"))
    assert remote.head() == local.head()


def test_errors_come_with_code_and_hint(remote: HttpConnection) -> None:
    with pytest.raises(UsageError, match="node/not_found"):
        remote.block(10**6)
    with pytest.raises(UsageError, match="node/bad_range"):
        remote.rows(b"\x04bank", cursor=b"\x05other", limit=1)


def test_connect_prefers_the_running_node(
    served: tuple[Workspace, LocalConnection, str],
) -> None:
    workspace, local, url = served

    def never() -> str:
        raise AssertionError("no passphrase is needed")

    assert is_serving(socket_of(workspace))
    with connect(workspace, passphrase=never) as connection:
        assert isinstance(connection, HttpConnection)
    with connect(workspace, passphrase=never, url=url) as connection:
        assert connection.head().chain_id == local.head().chain_id


def test_a_second_process_on_the_directory_is_refused(
    served: tuple[Workspace, LocalConnection, str],
) -> None:
    workspace, _, _ = served
    with pytest.raises(UnavailableError, match="in use"):
        LocalConnection.open(workspace.directory, workspace.open_node_key(PASSPHRASE))


def test_nobody_there(tmp_path: Path, workspace: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(UnavailableError, match="no node answers"):
        HttpConnection(f"http://127.0.0.1:{free}").head()
    with pytest.raises(UsageError, match="not an HTTP address"):
        HttpConnection("ftp://127.0.0.1")
    assert not is_serving(tmp_path / "node.sock")
    (tmp_path / "node.sock").write_text("")
    assert not is_serving(tmp_path / "node.sock")
    (workspace.directory / "cairn.toml").write_text("[server]\nsocket = 'other.sock'\n")
    assert socket_of(workspace).name == "other.sock"
    (workspace.directory / "cairn.toml").write_text("[server")
    with pytest.raises(UsageError, match=r"cairn\.toml"):
        socket_of(workspace)


ANSWERS: list[tuple[int, bytes, type[CairnError]]] = [
    (200, b"", ProtocolError),
    (200, b"\x91", ProtocolError),
    (200, b"{}", ProtocolError),
    (500, b"boom", ProtocolError),
    (400, b'{"error": []}', ProtocolError),
    (400, b'{"error": {"code": "node/bad_request", "message": "m", "hint": "h"}}', UsageError),
    (503, b'{"error": {"code": "engine/mempool_full", "message": "m"}}', UnavailableError),
    (503, b'{"error": {"code": "node/fault", "message": "m"}}', NodeFaultError),
    (504, b'{"error": {"code": "engine/timed_out", "message": "m"}}', PendingError),
    (404, b'{"error": {"code": "node/no_such_route", "message": "m"}}', UsageError),
]


@pytest.mark.parametrize(("status", "body", "kind"), ANSWERS)
def test_any_other_answer_has_its_error(status: int, body: bytes, kind: type[CairnError]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        with HttpConnection(url) as connection, pytest.raises(kind) as caught:
            connection.head()
        thread.join()
    assert type(caught.value) is kind
