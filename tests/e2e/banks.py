"""Small banks in directories of their own, on real nodes with the standard modules."""

from dataclasses import dataclass, replace
from pathlib import Path

from cairn.engine.base import Outcome
from cairn.engine.embedded import SystemClock
from cairn.node.node import Node, NodeOptions
from cairn.node.settings import Value, load_settings
from cairn.storage.disk import Disk
from tools.crash_bank import CHARTER_FILE, CLERK_ACCOUNT, VALIDATOR, BankClock, transaction

WAIT_MS = 20_000
LEDGER = "ledger"


@dataclass(frozen=True)
class Story:
    """What a node acknowledged before something happened to its directory."""

    directory: Path
    outcomes: tuple[Outcome, ...]
    height: int

    @property
    def log(self) -> Path:
        """The log's first segment."""
        return self.directory / LEDGER / "blocks" / "blocks-0000000000000001.log"

    @property
    def checkpoint(self) -> Path:
        """The folder of the checkpoint."""
        return self.directory / LEDGER / "checkpoint"

    def check_intact(self, disk: Disk | None = None) -> None:
        """Check that everything acknowledged is there, and that the ledger goes on."""
        with open_bank(self.directory, disk=disk) as node:
            assert node.head().height >= self.height
            for outcome in self.outcomes:
                assert node.receipt(outcome.transaction_id) == outcome
            submit(node, 2)
            node.check()


def options(directory: Path, *, disk: Disk | None = None, **flags: Value) -> NodeOptions:
    """Return options of a node on which little waits and checkpoints are rare."""
    named = {name.replace("__", "."): value for name, value in flags.items()}
    named = {"engine.interval_ms": 1, "engine.signature_workers": 0, **named}
    settings = load_settings(directory, flags=named)
    clock = BankClock(SystemClock().now_ms() - 3_600_000)
    return NodeOptions(settings=settings, clock=clock, disk=disk)


def found_bank(directory: Path, *, disk: Disk | None = None, **flags: Value) -> Node:
    """Found a bank."""
    given = options(directory, disk=disk, **flags)
    return Node.create(directory, CHARTER_FILE, VALIDATOR, given)


def open_bank(directory: Path, *, disk: Disk | None = None, **flags: Value) -> Node:
    """Open a bank."""
    return Node.open(directory, VALIDATOR, options(directory, disk=disk, **flags))


def submit(node: Node, count: int, lane: int = 0) -> list[Outcome]:
    """Let the clerk's next transactions of a lane enter blocks, one after the other."""
    first = node.next_sequence(CLERK_ACCOUNT, lane)
    outcomes: list[Outcome] = []
    for sequence in range(first, first + count):
        outcomes += node.submit([transaction(lane, sequence)], wait_ms=WAIT_MS)
    assert {outcome.code for outcome in outcomes} <= {"ok"}
    return outcomes


def story(directory: Path, count: int = 12, *, checkpointed: bool = True) -> Story:
    """Found a bank, let it take transactions, and end its node: in good order, or as if killed."""
    node = found_bank(directory)
    outcomes = submit(node, count)
    if checkpointed:
        node.close()
    else:
        let_go(node)
    return Story(directory, tuple(outcomes), node.head().height)


def let_go(node: Node) -> None:
    """Close the files without a checkpoint, as the end of a process does."""
    node._witnesses.stop()
    node.engine.stop()
    node._application.stop()
    node._signatures.close()
    node._opened.store.close()


def with_clock(given: NodeOptions, clock: object) -> NodeOptions:
    """Return options with another clock."""
    return replace(given, clock=clock)  # type: ignore[arg-type]
