"""A real node's ledger of random valid and invalid messages of all modules."""

from pathlib import Path

from cairn.engine.base import Outcome
from cairn.ledger.charter import sign_charter
from cairn.node.node import Node, NodeOptions
from cairn.node.settings import load_settings
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from tests.engine.toy import ManualClock
from tests.modules.everything import Everything
from tests.modules.harness import key_of
from tests.modules.sequences import HOUR_MS, STEP_SIZE_BYTES

FOUNDER = key_of("founder")
ADVANCES_MS = (1, 1_000, HOUR_MS, 9 * HOUR_MS)
SETTINGS = {"engine.signature_workers": 0, "storage.checkpoint_blocks": 60}


def record(directory: Path, seed: int, blocks: int) -> list[Outcome]:
    """Make a ledger in `directory`; return what became of every transaction.

    A ledger in memory goes ahead, to make messages that mean something; the node gets the same
    transactions at the same times.
    """
    world = Everything(check_invariants=False)
    clock = ManualClock(world.ledger.head.time_ms)
    charter = encode(sign_charter(world.ledger.charter, [FOUNDER]))
    options = NodeOptions(
        settings=load_settings(directory, flags=SETTINGS), clock=clock, start=False
    )
    outcomes: list[Outcome] = []
    with Node.create(directory, charter, FOUNDER, options) as node:
        assert node.chain_id == world.ledger.chain_id
        for position in range(blocks):
            stream = b"".join(sha256(b"%d %d %d" % (seed, position, i)) for i in range(8))
            for offset in range(1 + stream[0] % 8):
                start = offset * STEP_SIZE_BYTES
                world.submit(stream[start : start + STEP_SIZE_BYTES])
            raws = list(world.ledger._queue)
            world.block(ADVANCES_MS[stream[1] % 4])
            clock.now = max(clock.now, world.ledger.head.time_ms)
            outcomes += _run(node, clock, raws)
    return outcomes


def _run(node: Node, clock: ManualClock, raws: list[bytes]) -> list[Outcome]:
    future = node.submit_later(raws)
    while not future.done() or node.engine.step():
        clock.now += 20
        node.engine.step()
    return future.result()
