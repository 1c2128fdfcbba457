"""Whole nodes whose power goes at every operation of the block log.

The log lies on a simulated disk. LMDB cannot be simulated: its file is copied after each completed
checkpoint, and after a cut the last copy or the one before is put back, as LMDB promises.
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cairn.engine.base import Outcome
from cairn.ledger.errors import Fault
from cairn.node.node import Node
from cairn.storage.block_log import BlockLog
from cairn.storage.checkpoint import Checkpoint
from cairn.storage.simulated_disk import PowerCutError, SimulatedDisk
from cairn.storage.store import LedgerStore
from tests.engine.toy import (
    NODE_KEY,
    USER_KEYS,
    Add,
    ManualClock,
    Note,
    account_of,
    transaction,
)
from tests.node.ledgers import CHARTER_FILE, options

TRANSACTIONS = 14
SEEDS = int(os.environ.get("CAIRN_POWER_CUT_SEEDS", "1"))
"""Cuts at each operation; more of them find rarer ways to lose."""
SENDER = account_of(USER_KEYS[0].public_key)
SEGMENT_SIZE_BYTES = 3_000


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = LedgerStore.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "segment_size_bytes", SEGMENT_SIZE_BYTES)


@dataclass
class World:
    """A directory with a node on a disk, and what became known of it outside."""

    directory: Path
    disk: SimulatedDisk
    clock: ManualClock = field(default_factory=ManualClock)
    acknowledged: list[Outcome] = field(default_factory=list)
    roots: dict[int, bytes] = field(default_factory=dict)
    checkpoints: list[bytes] = field(default_factory=list)
    """LMDB's file after each completed checkpoint; the first is empty."""

    @property
    def data(self) -> Path:
        return self.directory / "ledger" / "checkpoint" / "data.mdb"

    def live(self, first: int = 1, last: int = TRANSACTIONS) -> None:
        """Found or open the node and submit, until all is done or the power goes."""
        try:
            node = self.open()
        except (Fault, PowerCutError):
            return
        try:
            self._submit_all(node, first, last)
            node.close()
        except (Fault, PowerCutError):
            let_go(node)

    def open(self) -> Node:
        given = options(self.directory, self.clock, storage__checkpoint_blocks=4)
        given = replace(given, disk=self.disk)
        if (self.directory / "charter.cairn").exists():
            return Node.open(self.directory, NODE_KEY, given)
        return Node.create(self.directory, CHARTER_FILE, NODE_KEY, given)

    def _submit_all(self, node: Node, first: int, last: int) -> None:
        for sequence in range(first, last + 1):
            future = node.submit_later([transaction(Add(sequence), Note("n"), sequence=sequence)])
            self._settle(node, future)

    def _settle(self, node: Node, future: "Future[list[Outcome]]") -> None:
        try:
            while True:
                self.clock.now += 20
                if not node.engine.step():
                    break
                self.roots[node.head().height] = node.head().app_hash
                if (writer := node._opened.store._writer) is not None:
                    writer.join()
        finally:
            # What was answered counts, even if the power went with the block after it.
            if future.done() and future.exception() is None:
                self.acknowledged += future.result()


def let_go(node: Node) -> None:
    """Close files without a checkpoint, as the end of a process does."""
    node.engine.stop()
    node._opened.store._checkpoint.close()
    node._opened.store.close()


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> "list[World]":
    """Give a list to which tests add worlds; the last one gets copies of its checkpoints."""
    made: list[World] = []
    write = Checkpoint.write

    def write_and_copy(checkpoint: Checkpoint, changes: object, meta: bytes) -> None:
        write(checkpoint, changes, meta)  # type: ignore[arg-type]
        made[-1].checkpoints.append(made[-1].data.read_bytes())

    monkeypatch.setattr(Checkpoint, "write", write_and_copy)
    return made


def world_with(worlds: list[World], directory: Path, disk: SimulatedDisk) -> World:
    shutil.rmtree(directory, ignore_errors=True)
    worlds.append(World(directory, disk, checkpoints=[b""]))
    return worlds[-1]


def cut(world: World, seed: int) -> None:
    """Let the power go: the disk loses what it may lose, and so does LMDB."""
    world.disk = world.disk.after_power_cut(seed)
    kept = world.checkpoints[-1 - seed % min(2, len(world.checkpoints))]
    if kept:
        world.data.write_bytes(kept)
    else:
        shutil.rmtree(world.data.parent, ignore_errors=True)
    world.checkpoints = [kept]


def problems_after(world: World) -> list[str]:
    """Return what is lost or wrong after a cut, and let the node go on."""
    try:
        node = world.open()
    except Fault as fault:
        return [f"the node does not open: {fault!r}"]
    try:
        found = _problems(world, node)
        node.close()
        return found
    except Fault as fault:
        let_go(node)
        return [f"the node stops: {fault!r}"]


def _problems(world: World, node: Node) -> list[str]:
    problems = []
    head = node.head()
    if world.roots.get(head.height, head.app_hash) != head.app_hash:
        problems.append(f"another application hash at {head.height}")
    for outcome in world.acknowledged:
        if outcome.height > head.height:
            problems.append(f"block {outcome.height} is lost")
        elif node.receipt(outcome.transaction_id) != outcome:
            problems.append(f"another receipt in block {outcome.height}")
    next_sequence = node.next_sequence(SENDER, 0)
    if next_sequence <= len(world.acknowledged):
        problems.append(f"sequence {len(world.acknowledged)} is free again")
    before = len(world.acknowledged)
    world._submit_all(node, next_sequence, next_sequence)
    if [one.code for one in world.acknowledged[before:]] != ["ok"]:
        problems.append("the next transaction has no block")
    node.check()
    return problems


def operation_count(worlds: list[World], directory: Path) -> int:
    world = world_with(worlds, directory, SimulatedDisk())
    world.live()
    assert len(world.acknowledged) == TRANSACTIONS
    assert len(world.checkpoints) > 3
    assert len(world.disk.list_directory(str(directory / "ledger" / "blocks"))) > 1
    return world.disk.operations


def cuts(
    worlds: list[World], directory: Path, *, step: int = 1, seeds: int = 1, **disk: bool
) -> Iterator[str]:
    """Cut the power at every operation, open and go on, sometimes twice; yield what goes wrong."""
    for number in range(1, operation_count(worlds, directory) + 1, step):
        for seed in range(number, number + seeds):
            world = world_with(worlds, directory, SimulatedDisk(seed, cut_at=number, **disk))
            world.live()
            for again in range(1 + (seed % 4 == 0)):
                cut(world, seed + again)
                for problem in problems_after(world):
                    yield f"cut at {number}, seed {seed}, {again} cuts before: {problem}"


def test_a_power_cut_at_any_operation_loses_nothing_acknowledged(
    memory_path: Path, worlds: list[World]
) -> None:
    assert list(cuts(worlds, memory_path / "n", seeds=SEEDS)) == []


def test_a_node_on_a_disk_that_does_not_sync_is_caught(
    memory_path: Path, worlds: list[World]
) -> None:
    found = list(cuts(worlds, memory_path / "n", step=9, ignore_sync=True))
    assert any("lost" in problem or "does not open" in problem for problem in found)


def test_a_node_without_the_one_fdatasync_is_caught(
    memory_path: Path, worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync_nothing(log: BlockLog) -> None:
        assert log._last is not None
        assert log._unsynced is not None
        log._last.offsets.append(log._unsynced)
        log._unsynced = None
        log.head_height = log._last.first_height + len(log._last.offsets) - 1

    monkeypatch.setattr(BlockLog, "sync", sync_nothing)
    found = list(cuts(worlds, memory_path / "n", step=9))
    assert any("lost" in problem or "does not open" in problem for problem in found)


def test_a_block_that_a_killed_process_had_not_synced_is_durable_once_it_is_shown(
    memory_path: Path, worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_with(worlds, memory_path / "n", SimulatedDisk())
    world.live(1, 3)
    raw = transaction(Add(4), Note("n"), sequence=4)
    node = world.open()
    node.submit_later([raw])

    def die(_: BlockLog) -> None:
        raise PowerCutError  # only the process: the disk keeps its cache

    with monkeypatch.context() as patch:
        patch.setattr(BlockLog, "sync", die)
        world.clock.now += 20
        with pytest.raises(Fault):
            node.engine.step()
    let_go(node)
    again = world.open()
    shown = again.head()
    page = again.events(shown.height, limit=10, wait_ms=0)
    assert page.events, "the block is shown"
    let_go(again)
    for seed in range(8):
        after = replace(world, disk=world.disk.after_power_cut(seed))
        last = after.open()
        assert last.head() == shown
        let_go(last)
