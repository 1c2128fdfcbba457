"""The store: rows over layers and checkpoint, replay after a crash, views, the lock."""

import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from cairn.ledger.changes import ChangeSet
from cairn.storage.errors import (
    CorruptCheckpointError,
    CorruptLogError,
    DirectoryInUseError,
    MisuseError,
    WrongFormatError,
)
from cairn.storage.killing_disk import KillingDisk
from cairn.storage.simulated_disk import PowerCutError, SimulatedDisk
from cairn.storage.store import LedgerStore, StoreSettings, rebuild

TABLE = b"\x03toy\x04cell"
OFTEN = StoreSettings(checkpoint_blocks=5, checkpoint_rows=1_000_000)
NEVER = StoreSettings(checkpoint_blocks=10**9, checkpoint_rows=10**9)


def key(number: int) -> bytes:
    return TABLE + b"\x08" + number.to_bytes(8, "big")


def changes_of(height: int) -> ChangeSet:
    """Return what block `height` changes: the same for every caller."""
    draw = random.Random(height)
    changes = ChangeSet()
    for _ in range(20):
        row = None if draw.random() < 0.3 else draw.randbytes(6)
        changes.state[key(draw.randrange(150))] = row
    changes.leaves[b"leaf%d" % height] = b"l%d" % height
    changes.nodes[b"node%d" % height] = b"n%d" % height
    changes.index[b"t%d" % height] = b"i%d" % height
    return changes


def expected(height: int) -> dict[bytes, bytes]:
    rows: dict[bytes, bytes] = {key(1000): b"founding"}
    for at in range(1, height + 1):
        for name, value in changes_of(at).state.items():
            if value is None:
                rows.pop(name, None)
            else:
                rows[name] = value
    return rows


def found(store: LedgerStore) -> None:
    store.apply(0, ChangeSet(state={key(1000): b"founding"}), b"meta 0")


def write(store: LedgerStore, first: int, last: int) -> None:
    for height in range(first, last + 1):
        store.append_block(height, b"block %d" % height)
        store.apply(height, changes_of(height), b"meta %d" % height)
        store.maybe_checkpoint()


def replay(store: LedgerStore) -> None:
    """Do what a node does after opening: execute and apply again what the checkpoint lacks."""
    if store.checkpoint_meta is None:
        found(store)
    for height, payload in store.blocks(store.checkpoint_height + 1):
        assert payload == b"block %d" % height
        store.apply(height, changes_of(height), b"meta %d" % height)


@pytest.mark.parametrize("settings", [OFTEN, NEVER])
def test_rows_are_the_same_before_and_after_checkpoints_and_reopening(
    tmp_path: Path, settings: StoreSettings
) -> None:
    store = LedgerStore(tmp_path, settings=settings)
    found(store)
    for height in range(1, 40):
        write(store, height, height)
        assert list(store.reader.scan(TABLE)) == sorted(expected(height).items())
    store.close()
    again = LedgerStore(tmp_path, settings=settings)
    assert again.head_height == 39
    replay(again)
    assert list(again.reader.scan(b"")) == sorted(expected(39).items())
    assert again.reader.leaf(b"leaf7") == b"l7"
    assert again.reader.node(b"node39") == b"n39"
    assert again.reader.index(b"t1") == b"i1"
    assert again.reader.get(key(99_999)) is None
    again.close()


def test_replayed_blocks_are_in_the_next_checkpoint(tmp_path: Path) -> None:
    """Replayed rows that were not pending again would be lost with the second crash."""
    store = LedgerStore(tmp_path, settings=NEVER)
    found(store)
    write(store, 1, 10)
    store.checkpoint()
    write(store, 11, 20)
    store.close()  # as a crash: what is pending is not written
    second = LedgerStore(tmp_path, settings=NEVER)
    assert second.checkpoint_height == 10
    replay(second)
    second.checkpoint()
    second.close()
    third = LedgerStore(tmp_path, settings=NEVER)
    assert third.checkpoint_height == 20
    assert third.checkpoint_meta == b"meta 20"
    assert list(third.reader.scan(b"")) == sorted(expected(20).items())
    third.close()


def test_a_view_does_not_change_under_its_reader(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, settings=OFTEN)
    found(store)
    views = {}
    for height in range(1, 31):
        write(store, height, height)
        views[height] = store.view()
    for height, view in views.items():
        assert list(view.scan(TABLE)) == sorted(expected(height).items())
        view.close()
    store.close()


def test_blocks_are_readable_wherever_their_position_is_kept(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, settings=OFTEN)
    found(store)
    write(store, 1, 23)
    store.checkpoint()
    assert [payload for _, payload in store.blocks(1)] == [b"block %d" % h for h in range(1, 24)]
    with pytest.raises(MisuseError):
        store.block(24)
    store.close()
    again = LedgerStore(tmp_path)
    assert again.block(3) == b"block 3"
    again.close()


def test_a_second_opener_is_told_who_has_the_directory(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path)
    with pytest.raises(DirectoryInUseError, match=str(os.getpid())):
        LedgerStore(tmp_path)
    store.close()
    LedgerStore(tmp_path).close()


def test_foreign_directories_and_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("not a ledger")
    with pytest.raises(WrongFormatError, match=r"thesis\.txt"):
        LedgerStore(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "not a ledger"
    other = tmp_path / "other"
    LedgerStore(other).close()
    (other / "FORMAT").write_text("cairn ledger directory 9\n")
    with pytest.raises(WrongFormatError, match="directory 9"):
        LedgerStore(other)


def test_a_damaged_checkpoint_is_named_and_can_be_rebuilt(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path)
    found(store)
    write(store, 1, 5)
    store.checkpoint()
    store.close()
    data = tmp_path / "checkpoint" / "data.mdb"
    data.write_bytes(b"\xff" * len(data.read_bytes()))
    with pytest.raises(CorruptCheckpointError, match="damaged"):
        LedgerStore(tmp_path)
    rebuild(tmp_path)
    again = LedgerStore(tmp_path)
    assert (again.checkpoint_height, again.head_height) == (0, 5)
    replay(again)
    assert list(again.reader.scan(b"")) == sorted(expected(5).items())
    again.close()


def test_a_log_shorter_than_the_checkpoint_is_refused(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path)
    found(store)
    write(store, 1, 4)
    store.checkpoint()
    store.close()
    log = tmp_path / "blocks" / "blocks-0000000000000001.log"
    log.write_bytes(log.read_bytes()[:-60])
    with pytest.raises(CorruptLogError):
        LedgerStore(tmp_path)


def _write_for_ever(directory: str, pipe: int) -> None:
    store = LedgerStore(Path(directory), settings=StoreSettings(3, 10**9))
    replay(store)
    for height in range(store.head_height + 1, 10**9):
        write(store, height, height)
        os.write(pipe, height.to_bytes(8, "big"))


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_at_a_random_moment_keeps_everything_acknowledged(tmp_path: Path, seed: int) -> None:
    context = multiprocessing.get_context("fork")
    draw = random.Random(seed)
    acknowledged = 0
    for _ in range(3):
        reading, writing = os.pipe()
        worker = context.Process(target=_write_for_ever, args=(str(tmp_path), writing))
        worker.start()
        os.close(writing)
        for _ in range(draw.randrange(1, 40)):
            acknowledged = int.from_bytes(os.read(reading, 8), "big")
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        while last := os.read(reading, 8):
            acknowledged = int.from_bytes(last, "big")
        os.close(reading)
        store = LedgerStore(tmp_path)
        assert acknowledged <= store.head_height <= acknowledged + 1
        replay(store)
        assert list(store.reader.scan(b"")) == sorted(expected(store.head_height).items())
        store.close()


def _write_until_killed(directory: str, pipe: int, kill_at: int) -> None:
    disk = KillingDisk(kill_at, seed=kill_at)
    settings = StoreSettings(4, 10**9)
    store = LedgerStore(Path(directory), disk=disk, settings=settings, segment_size_bytes=300)
    replay(store)
    for height in range(store.head_height + 1, 20):
        write(store, height, height)
        os.write(pipe, height.to_bytes(8, "big"))
    os.write(pipe, disk.operations.to_bytes(8, "big"))


def run_until_killed(directory: Path, kill_at: int) -> tuple[int | None, list[int]]:
    reading, writing = os.pipe()
    worker = multiprocessing.get_context("fork").Process(
        target=_write_until_killed, args=(str(directory), writing, kill_at)
    )
    worker.start()
    os.close(writing)
    numbers = []
    while raw := os.read(reading, 8):
        numbers.append(int.from_bytes(raw, "big"))
    worker.join()
    os.close(reading)
    return worker.exitcode, numbers


def test_kill_9_at_every_write_of_the_log_keeps_everything_acknowledged(tmp_path: Path) -> None:
    exit_code, numbers = run_until_killed(tmp_path / "whole", kill_at=0)
    assert exit_code == 0
    operations = numbers[-1]
    assert operations > 50
    for kill_at in range(1, operations + 1):
        directory = tmp_path / str(kill_at)
        exit_code, acknowledged = run_until_killed(directory, kill_at)
        assert exit_code == -signal.SIGKILL
        store = LedgerStore(directory)
        assert len(acknowledged) <= store.head_height <= len(acknowledged) + 1
        replay(store)
        assert list(store.reader.scan(b"")) == sorted(expected(store.head_height).items())
        store.close()


def test_a_power_cut_never_leaves_the_log_behind_the_checkpoint(tmp_path: Path) -> None:
    for cut_at in range(1, 75, 2):
        directory = tmp_path / str(cut_at)
        disk = SimulatedDisk(cut_at=cut_at)
        acknowledged = 0
        settings = StoreSettings(3, 10**9)
        try:
            store = LedgerStore(directory, disk=disk, settings=settings, segment_size_bytes=300)
        except PowerCutError:
            continue
        found(store)
        try:
            for height in range(1, 30):
                write(store, height, height)
                acknowledged = height
                if height % 7 == 0:
                    store.checkpoint()
        except PowerCutError:
            store.close()
        again = LedgerStore(directory, disk=disk.after_power_cut(cut_at))
        assert again.checkpoint_height <= acknowledged <= again.head_height
        replay(again)
        assert list(again.reader.scan(b"")) == sorted(expected(again.head_height).items())
        again.close()


def test_views_of_other_threads_are_whole_while_the_writer_goes_on(tmp_path: Path) -> None:
    """Each block sets all rows to its height: a view that mixes two blocks would show both."""
    store = LedgerStore(tmp_path, settings=StoreSettings(3, 10**9))
    keys = [key(number) for number in range(50)]

    def block(height: int) -> ChangeSet:
        value = b"%d" % height
        return ChangeSet(state=dict.fromkeys(keys, value), trie={b"root": value})

    store.apply(0, block(0), b"0")
    done = threading.Event()
    seen: list[set[bytes | None]] = []

    def read() -> None:
        while not done.is_set():
            view = store.view()
            scanned = {value for _, value in view.scan(TABLE)}
            seen.append({view.trie_node(b"root"), *map(view.get, keys), *scanned})
            view.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for height in range(1, 120):
        store.append_block(height, b"")
        store.apply(height, block(height), b"%d" % height)
        store.maybe_checkpoint()
    done.set()
    for reader in readers:
        reader.join()
    assert all(len(values) == 1 for values in seen)
    assert len({value for values in seen for value in values}) > 5
    store.close()
