"""Finds the node of a workspace: the running one behind its socket, else one in this process."""

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cairn.node.api import Connection
from cairn.sdk.errors import UnavailableError
from cairn.sdk.http import HttpConnection
from cairn.sdk.workspace import Workspace

SOCKET_FILE = "node.sock"


@contextmanager
def connect(
    workspace: Workspace, *, passphrase: Callable[[], str], url: str = ""
) -> Iterator[Connection]:
    """Yield a connection to the workspace's ledger.

    Args:
        workspace: Whose ledger.
        passphrase: Asked for if the node has to run in this process, which takes its key.
        url: Address of a running node; empty looks for the workspace's own.

    Raises:
        UnavailableError: No node answers there, or another process has the directory open.
        NodeFaultError: What lies on the disk is damaged.
        KeyFileError: The node's key does not open.
    """
    if url:
        with HttpConnection(url) as remote:
            remote.head()
            yield remote
        return
    socket = workspace.directory / SOCKET_FILE
    if is_serving(socket):
        with HttpConnection.over_socket(socket) as served:
            yield served
        return
    from cairn.sdk.local import LocalConnection

    with LocalConnection.open(
        workspace.directory, workspace.open_node_key(passphrase())
    ) as opened:
        yield opened


def is_serving(socket: Path) -> bool:
    """Return whether a node answers behind a Unix socket; a dead process may have left the file."""
    try:
        if not stat.S_ISSOCK(socket.stat().st_mode):
            return False
    except OSError:
        return False
    try:
        with HttpConnection.over_socket(socket) as connection:
            connection.head()
    except UnavailableError:
        return False
    return True
