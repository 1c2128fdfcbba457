"""The node's process: serves the routes on a Unix socket and on loopback HTTP until it is told to end.

Ends in good order on SIGTERM and SIGINT, with a checkpoint; exit code 70 if a fault stopped the node.
"""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from cairn.node.errors import ConfigurationError
from cairn.node.node import Node
from cairn.node.routes import node_application
from cairn.node.settings import ServerSettings

EXIT_DONE = 0
EXIT_FAULT = 70
CONNECTIONS_MAX = 512
SHUTDOWN_SECONDS_MAX = 5


class _Server(uvicorn.Server):
    """Uvicorn, with signals left to the process that it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signal handlers alone: the process installs its own."""
        yield


def serve_node(node: Node, settings: ServerSettings) -> int:
    """Serve a node until a signal or a fault, close it, and return the exit code.

    Raises:
        ConfigurationError: An address cannot be listened on.
    """
    try:
        sockets = _listen(node.directory, settings)
        application = node_application(node, settings)
        serve_application(application, sockets, stop_on=node.call_on_fault)
    finally:
        fault = node.fault
        node.close()
    return EXIT_DONE if fault is None else EXIT_FAULT


def serve_application(application, sockets, *, stop_on=None) -> None:
    """Serve an application on sockets until SIGTERM or SIGINT."""
