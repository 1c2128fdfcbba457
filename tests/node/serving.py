"""Servers on loopback, in a thread of the test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette

from cairn.node.server import listen_on_port, make_server


@contextmanager
def served(application: Starlette) -> Iterator[str]:
    """Serve an application on a free port; give its URL."""
    listener = listen_on_port("127.0.0.1", 0)
    server = make_server(application)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
