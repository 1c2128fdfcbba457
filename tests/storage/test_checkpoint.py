"""The checkpoint: one transaction or nothing, named errors, a map that grows."""

import multiprocessing
import os
import resource
import signal
from pathlib import Path

import pytest

from cairn.ledger.changes import ChangeSet
from cairn.storage.checkpoint import Checkpoint, structure_damage
from cairn.storage.errors import (
    CheckpointFailedError,
    CorruptCheckpointError,
    NoSpaceError,
    ReadOnlyError,
    StorageError,
)
from cairn.storage.store import LedgerStore, StoreSettings, rebuild

TABLE = b"\x03toy\x04cell"
NEVER = StoreSettings(10**9, 10**9)
NOBODY = 65_534


def rows(count: int, value: bytes) -> ChangeSet:
    return ChangeSet(state={TABLE + n.to_bytes(4, "big"): value for n in range(count)})


def filled(directory: Path, count: int, value: bytes) -> None:
    checkpoint = Checkpoint(directory)
    checkpoint.write(rows(count, value), value)
    checkpoint.close()


def run_child(target: object, *arguments: object) -> int:
    """Run a function in a forked process; return its exit code."""
    worker = multiprocessing.get_context("fork").Process(target=target, args=arguments)  # type: ignore[arg-type]
    worker.start()
    worker.join(60)
    assert worker.exitcode is not None
    return worker.exitcode


def _write_and_die(directory: str, die_at: int) -> None:
    """Die inside the transaction, after `die_at` of its databases were written."""
    checkpoint = Checkpoint(Path(directory))
    changes = rows(3000, b"new" * 20)
    changes.trie[b"path"] = b"new"
    changes.index[b"id"] = b"new"
    put, calls = checkpoint._put, 0

    def dying_put(*arguments: object) -> None:
        nonlocal calls
        put(*arguments)  # type: ignore[arg-type]
        calls += 1
        if calls == die_at:
            os._exit(9) if die_at % 2 else os.kill(os.getpid(), signal.SIGKILL)

    checkpoint._put = dying_put  # type: ignore[method-assign, assignment]
    checkpoint.write(changes, b"new")


@pytest.mark.parametrize("die_at", range(1, 6))
def test_a_process_that_dies_in_a_checkpoint_leaves_the_one_before(
    tmp_path: Path, die_at: int
) -> None:
    filled(tmp_path, 500, b"old")
    assert run_child(_write_and_die, str(tmp_path), die_at) in (9, -signal.SIGKILL)
    checkpoint = Checkpoint(tmp_path)
    assert checkpoint.meta() == b"old"
    snapshot = checkpoint.snapshot()
    assert list(snapshot.scan("state", b"")) == sorted(rows(500, b"old").state.items())
    assert snapshot.get("trie", b"path") is None
    assert snapshot.count("index") == 0
    checkpoint.write(rows(1, b"next"), b"next")
    assert checkpoint.meta() == b"next"
    checkpoint.close()
    assert structure_damage(tmp_path) == []


def test_damaged_files_are_named_and_never_read(tmp_path: Path) -> None:
    filled(tmp_path, 5000, b"old")
    data = tmp_path / "data.mdb"
    whole = data.read_bytes()
    damaged = {
        "cut in half": whole[: len(whole) // 2],
        "cut to one page": whole[:4096],
        "cut to a few bytes": whole[:10],
        "zeros": bytes(len(whole)),
        "noise": bytes(range(256)) * (len(whole) // 256),
        "text": b"not a database",
    }
    for name, content in damaged.items():
        data.write_bytes(content)
        with pytest.raises(CorruptCheckpointError, match="damaged") as caught:
            Checkpoint(tmp_path)
        assert "rebuild" in caught.value.hint, name
    data.write_bytes(whole)
    Checkpoint(tmp_path).close()


def test_the_map_grows_by_itself(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, settings=NEVER, map_size_bytes=2**20)
    store.apply(0, ChangeSet(), b"")
    for height in range(1, 4):
        store.append_block(height, b"")
        store.apply(height, rows(20_000, b"%d" % height * 100), b"%d" % height)
        store.checkpoint()
    assert (tmp_path / "checkpoint" / "data.mdb").stat().st_size > 2**21
    assert store.reader.get(TABLE + bytes(4)) == b"3" * 100
    store.close()
    again = LedgerStore(tmp_path, map_size_bytes=2**20)
    assert again.checkpoint_height == 3
    again.close()


def test_a_map_that_open_views_keep_small_stops_the_node_and_loses_nothing(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, settings=NEVER, map_size_bytes=2**20)
    store.apply(0, ChangeSet(), b"0")
    view = store.view()
    store.append_block(1, b"block")
    store.apply(1, rows(20_000, b"v" * 100), b"1")
    with pytest.raises(CheckpointFailedError, match="is full"):
        store.checkpoint()
    assert view.get(TABLE + bytes(4)) is None
    with pytest.raises(CheckpointFailedError):
        store.append_block(2, b"")
    store.close()
    again = LedgerStore(tmp_path, settings=NEVER, map_size_bytes=2**20)
    assert (again.checkpoint_meta, again.head_height) == (None, 1)
    again.apply(0, ChangeSet(), b"0")
    again.apply(1, rows(20_000, b"v" * 100), b"1")
    again.checkpoint()
    assert again.checkpoint_height == 1
    again.close()


def test_a_checkpoint_that_fails_in_the_background_stops_the_node_at_its_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LedgerStore(tmp_path, settings=StoreSettings(1, 10**9))
    store.apply(0, ChangeSet(), b"0")
    store.append_block(1, b"block")
    store.apply(1, rows(3, b"v"), b"1")

    def full(*_: object) -> None:
        raise NoSpaceError("no space to write the checkpoint", hint="free some")

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "write", full)
        store.maybe_checkpoint()
        assert store._writer is not None
        store._writer.join()
    with pytest.raises(NoSpaceError, match="no space to write the checkpoint"):
        store.append_block(2, b"never acknowledged")
    with pytest.raises(CheckpointFailedError):
        store.apply(2, ChangeSet(), b"2")
    assert store.head_height == 1
    store.close()
    again = LedgerStore(tmp_path)
    assert (again.checkpoint_meta, again.head_height) == (None, 1)
    again.close()


def _checkpoint_on_full_disk(directory: str) -> None:
    """Write a checkpoint of which the system takes only the first MiB, as a full disk does."""
    full = os.statvfs_result((4096, 4096, 1000, 0, 0, 0, 0, 0, 0, 255))
    os.statvfs = lambda _: full  # type: ignore[assignment]
    store = LedgerStore(Path(directory), settings=NEVER)
    store.apply(0, ChangeSet(), b"0")
    store.append_block(1, b"block")
    store.apply(1, rows(50_000, b"v" * 100), b"1")
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
    try:
        store.checkpoint()
    except NoSpaceError:
        os._exit(7)


def test_a_full_disk_under_the_checkpoint_is_named_and_costs_nothing(tmp_path: Path) -> None:
    assert run_child(_checkpoint_on_full_disk, str(tmp_path)) == 7
    store = LedgerStore(tmp_path, settings=NEVER)
    assert (store.checkpoint_meta, store.head_height) == (None, 1)
    store.apply(0, ChangeSet(), b"0")
    store.apply(1, rows(50_000, b"v" * 100), b"1")
    store.checkpoint()
    store.close()


def _open_as_nobody(directory: str) -> None:
    if os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        LedgerStore(Path(directory))
    except ReadOnlyError as error:
        os._exit(7 if error.hint else 8)
    except StorageError:
        os._exit(9)


def test_a_directory_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    for ancestor in [tmp_path, *tmp_path.parents][:3]:
        ancestor.chmod(0o755)
    ledger = tmp_path / "ledger"
    LedgerStore(ledger).close()
    closed = (ledger, ledger / "checkpoint", ledger / "blocks")
    try:
        for path in closed:
            path.chmod(0o555)
        assert run_child(_open_as_nobody, str(ledger)) == 7
        assert run_child(_open_as_nobody, str(ledger / "new")) == 7
    finally:
        for path in closed:
            path.chmod(0o755)
    LedgerStore(ledger).close()


def test_rebuilding_needs_a_ledger_that_nobody_uses(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not a ledger directory"):
        rebuild(tmp_path / "nothing")
    assert not (tmp_path / "nothing").exists()
    store = LedgerStore(tmp_path / "ledger")
    with pytest.raises(StorageError, match="in use"):
        rebuild(tmp_path / "ledger")
    store.close()
