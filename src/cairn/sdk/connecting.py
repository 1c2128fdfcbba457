"""Finds the node of a workspace: the running one behind its socket, else one in this process."""

import os
import socket
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cairn.node.api import Connection
from cairn.sdk.errors import UsageError
from cairn.sdk.workspace import Workspace

CONNECT_SECONDS_MAX = 5.0
SETTINGS_FILE = "cairn.toml"
SOCKET_FILE = "node.sock"
SOCKET_VARIABLE = "CAIRN_SERVER_SOCKET"


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
    # Each transport brings libraries of its own, so only the one that is used is imported.
    if url:
        from cairn.sdk.http import HttpConnection

        with HttpConnection(url) as remote:
            remote.head()
            yield remote
        return
    path = socket_of(workspace)
    if is_serving(path):
        from cairn.sdk.http import HttpConnection

        with HttpConnection.over_socket(path) as served:
            yield served
        return
    from cairn.sdk.local import LocalConnection

    with LocalConnection.open(workspace.directory, workspace.open_node_key(passphrase())) as opened:
        yield opened


def socket_of(workspace: Workspace) -> Path:
    """Return where the workspace's node listens, as the node's settings say.

    Raises:
        UsageError: The settings file is not TOML.
    """
    name = os.environ.get(SOCKET_VARIABLE, "")
    path = workspace.directory / SETTINGS_FILE
    if not name and path.exists():
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{path}: {error}", "mend the file, or remove the line") from error
        server = document.get("server")
        name = str(server.get("socket", "")) if isinstance(server, dict) else ""
    return workspace.directory / (name or SOCKET_FILE)


def is_serving(path: Path) -> bool:
    """Return whether a node listens at a Unix socket; a dead process may have left the file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_SECONDS_MAX)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
