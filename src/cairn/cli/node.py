"""`cairn node`: the process that makes blocks and answers."""

import os
import signal
import time
from typing import Annotated

import typer
from typer import Option

from cairn.cli.errors import UNREACHABLE
from cairn.cli.session import Session, command, new_app
from cairn.node.api import Connection
from cairn.sdk.connecting import is_serving, socket_of
from cairn.sdk.errors import UnavailableError, UsageError
from cairn.sdk.quantities import format_time

app = new_app("The process that makes blocks and answers.")

STOP_SECONDS_MAX = 30
SettingOption = Annotated[
    list[str] | None,
    Option("--set", metavar="NAME=VALUE", help="A setting, such as engine.interval_ms=50."),
]


@command(app, "start")
def start(
    session: Session,
    port: Annotated[int, Option(min=-1, help="HTTP port; 0 for none, -1 as in cairn.toml.")] = -1,
    setting: SettingOption = None,
) -> None:
    """Run the node until it is told to stop (Ctrl-C, SIGTERM, or `cairn node stop`)."""
    from cairn.node.node import Node, NodeOptions
    from cairn.node.server import serve_node
    from cairn.node.settings import load_settings
    from cairn.sdk.local import node_errors

    workspace = session.workspace
    flags = dict(_setting(text) for text in setting or ())
    if port >= 0:
        flags["server.port"] = port
    key = workspace.open_node_key(session.passphrase())
    with node_errors():
        settings = load_settings(workspace.directory, flags=flags, environment=os.environ)
        node = Node.open(workspace.directory, key, NodeOptions(settings=settings))

        def ready() -> None:
            head = node.head()
            where = [str(workspace.directory / settings.server.socket)] * bool(
                settings.server.socket
            )
            if settings.server.port:
                where.append(f"http://{settings.server.host}:{settings.server.port}")
            session.out.talk(f"{head.chain_id} at height {head.height}, on {' and '.join(where)}")

        serve_node(node, settings.server, ready)
        if node.fault is not None:
            raise node.fault
    session.out.talk("stopped")


@command(app, "status")
def status(session: Session) -> None:
    """Show whether the node runs, and how it is."""
    from cairn.sdk.http import HttpConnection

    if session.url:
        with HttpConnection(session.url) as connection:
            _show_status(session, connection, session.url)
        return
    socket = socket_of(session.workspace)
    if not is_serving(socket):
        session.out.record({"running": False, "directory": str(session.workspace.directory)})
        raise typer.Exit(UNREACHABLE)
    with HttpConnection.over_socket(socket) as connection:
        _show_status(session, connection, str(socket))


@command(app, "stop")
def stop(session: Session) -> None:
    """Tell the workspace's node to finish its block, write a checkpoint and end."""
    from cairn.sdk.local import process_of

    workspace = session.workspace
    socket = socket_of(workspace)
    if not is_serving(socket):
        raise UnavailableError("no node runs here", "there is nothing to stop")
    process = process_of(workspace.directory)
    if process is None:
        raise UnavailableError("the node's process is not known", "end it by hand")
    os.kill(process, signal.SIGTERM)
    until = time.monotonic() + STOP_SECONDS_MAX
    while is_serving(socket) or socket.exists():
        if time.monotonic() > until:
            raise UnavailableError(f"process {process} has not ended yet", "ask again in a moment")
        time.sleep(0.05)
    session.out.talk(f"process {process} has ended")


@command(app, "checkpoint")
def checkpoint(session: Session) -> None:
    """Write a checkpoint, so that the next start is fast; a running node writes its own."""
    workspace = session.workspace
    if is_serving(socket_of(workspace)):
        raise UsageError("the node runs and writes checkpoints itself", "`cairn node stop` ends it")
    with session.connection() as connection:
        height = connection.head().height
    session.out.record({"height": height, "directory": str(workspace.directory)})


def _show_status(session: Session, connection: Connection, where: str) -> None:
    head, health = connection.head(), connection.health()
    session.out.record(
        {
            "running": True,
            "status": health.status,
            "fault": health.fault,
            "address": where,
            "chain_id": head.chain_id,
            "height": head.height,
            "time": format_time(head.time_ms),
            "app_hash": head.app_hash.hex(),
            "waiting": health.waiting,
            "witnesses": dict(health.witnesses),
        }
    )


def _setting(text: str) -> tuple[str, int | str | tuple[str, ...]]:
    """Return a setting that a flag gives, in the setting's own type."""
    from cairn.node.settings import SETTINGS

    name, _, value = text.partition("=")
    declared = {one.name: one.default for one in SETTINGS}
    if name not in declared:
        raise UsageError(f"there is no setting {name!r}", "`cairn config show` lists them")
    if isinstance(declared[name], tuple):
        return name, tuple(part for part in value.split(",") if part)
    if isinstance(declared[name], str):
        return name, value
    try:
        return name, int(value)
    except ValueError as error:
        raise UsageError(f"{name} is a number, not {value!r}") from error
