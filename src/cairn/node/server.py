"""The process of a node or a witness: serves HTTP on sockets until it is told to end.

It ends in good order on SIGTERM and SIGINT; a node then writes a checkpoint. The exit code is 70 if
a fault stopped the node.
"""

import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from cairn.node.errors import ConfigurationError
from cairn.node.node import Node
from cairn.node.routes import node_application
from cairn.node.settings import ServerSettings
from cairn.node.witness import Witness
from cairn.node.witness_server import witness_application

EXIT_DONE = 0
EXIT_FAULT = 70
CONNECTIONS_MAX = 512
SOCKET_PATH_BYTES_MAX = 103
"""What every system takes: 104 bytes on macOS and 108 on Linux, with the final zero."""
BACKLOG = 128
SHUTDOWN_SECONDS_MAX = 5


class _Server(uvicorn.Server):
    """Uvicorn, with signals left to the process that it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signal handlers alone: the process installs its own."""
        yield


def serve_node(node: Node, settings: ServerSettings, ready: Callable[[], None]) -> int:
    """Serve a node until a signal or a fault, close it, and return the exit code.

    Args:
        node: The node; it is closed in any case.
        settings: Where to listen.
        ready: Called once the sockets listen.

    Raises:
        ConfigurationError: An address cannot be listened on.
        StorageError: The last checkpoint could not be written.
    """
    try:
        with listening(node.directory, settings) as sockets:
            ready()
            serve(node_application(node, settings), sockets, stop_when=node.call_on_fault)
    finally:
        node.close()
    return EXIT_DONE if node.fault is None else EXIT_FAULT


def serve_witness(witness: Witness, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve a witness until a signal, then close it; `ready` is called with the port.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    try:
        with listen_on_port(host, port) as listener:
            ready(listener.getsockname()[1])
            serve(witness_application(witness), [listener])
    finally:
        witness.close()


def serve(
    application: Starlette,
    sockets: list[socket.socket],
    *,
    stop_when: Callable[[Callable[[], None]], None] | None = None,
) -> None:
    """Serve an application until SIGTERM or SIGINT, or until what `stop_when` gets is called."""
    server = make_server(application)

    def stop(_signal: int = 0, _frame: FrameType | None = None) -> None:
        server.should_exit = True

    if stop_when is not None:
        stop_when(stop)
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=sockets)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_server(application: Starlette) -> uvicorn.Server:
    """Return the server of an application; it ends once its `should_exit` is set."""
    return _Server(
        uvicorn.Config(
            application,
            log_level="warning",
            access_log=False,
            lifespan="off",
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            backlog=BACKLOG,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS_MAX,
        )
    )


@contextmanager
def listening(directory: Path, settings: ServerSettings) -> Iterator[list[socket.socket]]:
    """Listen on the Unix socket and on the port that the settings name.

    Raises:
        ConfigurationError: Neither is wanted, or one cannot be listened on.
    """
    sockets: list[socket.socket] = []
    path = directory / settings.socket if settings.socket else None
    try:
        if path is not None:
            sockets.append(_listen_on_path(path))
        if settings.port:
            sockets.append(listen_on_port(settings.host, settings.port))
        if not sockets:
            raise ConfigurationError("neither server.socket nor server.port is set")
        yield sockets
    finally:
        for one in sockets:
            one.close()
        if path is not None:
            path.unlink(missing_ok=True)


def listen_on_port(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a TCP port; port 0 takes a free one.

    Raises:
        ConfigurationError: The address cannot be listened on.
    """
    try:
        listener = socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # Connections inherit it. asyncio does not set it itself on sockets that it did not make, and
    # an answer in two writes would then wait 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _listen_on_path(path: Path) -> socket.socket:
    """Return a socket that listens on a Unix path, open to this user alone.

    A socket that a dead process left is replaced: the directory's lock says that no other is alive.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise ConfigurationError(
            f"{path} is too long for a socket, whose path has at most {SOCKET_PATH_BYTES_MAX} "
            "bytes: set server.socket to a shorter absolute path"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"cannot listen on {path}: {error.strerror or error}") from error
    return listener
