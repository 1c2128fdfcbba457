"""Nodes over the toy ledger, in directories of their own."""

from pathlib import Path

from cairn.engine.embedded import SystemClock
from cairn.ledger.charter import sign_charter
from cairn.node.node import Node, NodeOptions
from cairn.node.settings import Value, load_settings
from cairn.primitives.encoding import encode
from tests.engine.toy import NODE_KEY, USER_KEYS, ManualClock, charter, registry

CHARTER_FILE = encode(sign_charter(charter(), [USER_KEYS[0]]))


def options(
    directory: Path, clock: ManualClock | None = None, *, start: bool = False, **flags: Value
) -> NodeOptions:
    named = {name.replace("__", "."): value for name, value in flags.items()}
    named.setdefault("engine.signature_workers", 0)
    return NodeOptions(
        registry=registry(),
        settings=load_settings(directory, flags=named),
        clock=clock or (SystemClock() if start else ManualClock()),
        start=start,
    )


def create(
    directory: Path, clock: ManualClock | None = None, *, start: bool = False, **flags: Value
) -> Node:
    return Node.create(
        directory, CHARTER_FILE, NODE_KEY, options(directory, clock, start=start, **flags)
    )


def reopen(
    directory: Path, clock: ManualClock | None = None, *, start: bool = False, **flags: Value
) -> Node:
    return Node.open(directory, NODE_KEY, options(directory, clock, start=start, **flags))


def settle(node: Node, clock: ManualClock) -> None:
    """Make blocks, an interval apart, until the engine rests."""
    while True:
        clock.now += 20
        if not node.engine.step():
            return
