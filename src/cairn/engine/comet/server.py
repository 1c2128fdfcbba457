"""The socket on which CometBFT finds its application: four connections, one thread for each.

Frames are a varint of length and a message. Replies go out in the order of the requests, gathered
until CometBFT asks for them to be flushed or nothing more has arrived. Only one connection may ask
for consensus: a second one is closed, so that two CometBFTs never drive one ledger.
"""

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cairn.engine.comet.bridge import CONSENSUS_REQUESTS
from cairn.engine.comet.codec import decode_request, encode_response, frame, split_frames
from cairn.engine.comet.errors import SocketPathError, WireError
from cairn.engine.comet.messages import RequestFlush, ResponseException

_log = logging.getLogger(__name__)

SOCKET_PATH_BYTES_MAX = 104
"""Longest path of a Unix socket on every system that CometBFT runs on."""
RECEIVE_SIZE_BYTES = 1 << 18
CONNECTIONS_MAX = 8
"""CometBFT opens four; the others are room for its successor while they close."""


class AbciServer:
    """Listens on a Unix socket and lets `answer` serve what comes.

    Args:
        path: Where the socket is made, in a directory that only this user may enter.
        answer: Gives the response to a request, or None if the connection is to be closed.
    """

    def __init__(self, path: Path, answer: Callable[[Any], Any | None]) -> None:
        """Listen on nothing yet."""
        if len(str(path).encode()) > SOCKET_PATH_BYTES_MAX:
            raise SocketPathError(f"{path} is longer than {SOCKET_PATH_BYTES_MAX} bytes")
        self._path = path
        self._answer = answer
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._connections: dict[int, socket.socket] = {}
        self._consensus: int | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Accept connections from now on."""
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self._path))
        self._path.chmod(0o600)
        listener.listen(CONNECTIONS_MAX)
        self._listener = listener
        thread = threading.Thread(
            target=self._accept, args=(listener,), name="cairn-abci", daemon=True
        )
        thread.start()
        self._threads = [thread]

    def stop(self) -> None:
        """Close every connection and the socket."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        _shut(listener)
        with self._lock:
            for connection in self._connections.values():
                _shut(connection)
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        number = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # `stop` has shut the listener.
            number += 1
            thread = threading.Thread(
                target=self._serve, args=(number, connection), name=f"cairn-abci-{number}"
            )
            thread.daemon = True
            with self._lock:
                if self._listener is None or len(self._connections) >= CONNECTIONS_MAX:
                    connection.close()
                    continue
                self._connections[number] = connection
                self._threads = [one for one in self._threads if one.is_alive()]
                self._threads.append(thread)
                thread.start()

    def _serve(self, number: int, connection: socket.socket) -> None:
        """Answer one connection until it ends, or until something on it cannot be answered."""
        buffer = bytearray()
        try:
            while chunk := connection.recv(RECEIVE_SIZE_BYTES):
                buffer += chunk
                if not self._answer_all(number, connection, buffer):
                    return
        except OSError as error:
            _log.info("connection %d ended: %s", number, error)
        except WireError as error:
            _log.warning("connection %d sent what is no request: %s", number, error)
            _try_to_send(connection, ResponseException(f"no request: {error}"))
        finally:
            with self._lock:
                del self._connections[number]
                if self._consensus == number:
                    self._consensus = None
            connection.close()

    def _answer_all(self, number: int, connection: socket.socket, buffer: bytearray) -> bool:
        """Answer what has arrived whole, in order; False if the connection is to be closed."""
        replies: list[bytes] = []
        for raw in split_frames(buffer):
            request = decode_request(raw)
            if isinstance(request, CONSENSUS_REQUESTS) and not self._may_ask(number):
                _log.warning("connection %d asks for consensus, which another one holds", number)
                return False
            response = self._answer(request)
            if response is None:
                return False
            replies.append(frame(encode_response(response)))
            if isinstance(request, RequestFlush):
                connection.sendall(b"".join(replies))
                replies.clear()
        if replies:
            connection.sendall(b"".join(replies))
        return True

    def _may_ask(self, number: int) -> bool:
        with self._lock:
            if self._consensus is None:
                self._consensus = number
            return self._consensus == number


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        _log.debug("a connection was closed already: %s", error)


def _try_to_send(connection: socket.socket, message: ResponseException) -> None:
    try:
        connection.sendall(frame(encode_response(message)))
    except OSError as error:
        _log.debug("the other end does not listen any more: %s", error)
