"""The block log under power cuts, torn tails, full disks and damage."""

import errno
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from cairn.storage.block_log import BlockLog
from cairn.storage.disk import OSDisk
from cairn.storage.errors import (
    CorruptLogError,
    DiskFaultError,
    MisuseError,
    NoSpaceError,
    ReadOnlyError,
    StorageError,
)
from cairn.storage.segment import (
    FRAME_HEAD_SIZE_BYTES,
    SEGMENT_HEAD_SIZE_BYTES,
    Salt,
    SegmentHead,
    make_frame,
    make_segment_head,
    segment_name,
)
from cairn.storage.simulated_disk import PowerCutError, SimulatedDisk

DIRECTORY = Path("/ledger/blocks")
SALT = Salt(b"0123456789abcdef")
SEGMENT_SIZE_BYTES = 700
BLOCKS = 24


def payload(height: int) -> bytes:
    return bytes((height % 251,)) * (20 + height * 7)


def open_log(disk: SimulatedDisk) -> BlockLog:
    salts = count()
    log = BlockLog(
        disk,
        DIRECTORY,
        segment_size_bytes=SEGMENT_SIZE_BYTES,
        new_salt=lambda: next(salts).to_bytes(16, "big"),
    )
    log.open()
    return log


def frame(height: int, content: bytes) -> bytes:
    return make_frame(SALT, height, content)


HEAD = make_segment_head(SegmentHead(1, 0, SALT))


def write_until_cut(disk: SimulatedDisk) -> int:
    """Write blocks until the power goes; return the last height whose sync returned."""
    acknowledged = 0
    try:
        log = open_log(disk)
        for height in range(1, BLOCKS + 1):
            log.append(height, payload(height))
            log.sync()
            acknowledged = height
    except PowerCutError:
        pass
    return acknowledged


def check_after_cut(disk: SimulatedDisk, acknowledged: int, seed: int) -> None:
    """Check that what was acknowledged is there, and the log is a prefix of what was written."""
    log = open_log(disk)
    served = log.head_height
    assert acknowledged <= served <= acknowledged + 1
    assert list(log.entries(1)) == [(h, payload(h)) for h in range(1, served + 1)]
    # What was served once is there after the next power cut, although nothing was written.
    log = open_log(disk.after_power_cut(seed + 1))
    assert log.head_height == served
    for height in range(served + 1, BLOCKS + 3):
        log.append(height, payload(height))
        log.sync()
    assert list(log.entries(1)) == [(h, payload(h)) for h in range(1, BLOCKS + 3)]


def operation_count() -> int:
    disk = SimulatedDisk()
    assert write_until_cut(disk) == BLOCKS
    return disk.operations


@pytest.mark.parametrize("cut_at", range(1, operation_count() + 1))
def test_a_power_cut_at_any_operation_loses_nothing_acknowledged(cut_at: int) -> None:
    for seed in range(12):
        disk = SimulatedDisk(seed, cut_at=cut_at)
        acknowledged = write_until_cut(disk)
        check_after_cut(disk.after_power_cut(seed), acknowledged, seed)


def failures_when(disks: Iterator[SimulatedDisk]) -> int:
    failures = 0
    for seed, disk in enumerate(disks):
        acknowledged = write_until_cut(disk)
        try:
            check_after_cut(disk.after_power_cut(seed), acknowledged, seed)
        except (AssertionError, CorruptLogError):
            failures += 1
    return failures


def test_a_disk_that_does_not_sync_is_caught() -> None:
    cuts = range(10, operation_count(), 3)
    assert failures_when(SimulatedDisk(cut, cut_at=cut, ignore_sync=True) for cut in cuts) > 10
    assert failures_when(SimulatedDisk(cut, cut_at=cut) for cut in cuts) == 0


class LogWithoutSync(BlockLog):
    """The log with its one fdatasync taken out."""

    def sync(self) -> None:
        assert self._last is not None
        assert self._unsynced is not None
        self._last.offsets.append(self._unsynced)
        self._unsynced = None
        self.head_height += 1


def test_a_log_without_its_one_sync_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BlockLog, "sync", LogWithoutSync.sync)
    cuts = range(10, BLOCKS + 5)
    assert failures_when(SimulatedDisk(cut, cut_at=cut) for cut in cuts) > 5


def test_an_entry_found_after_a_crash_survives_the_next_power_cut() -> None:
    """The process died between append and sync: the entry is in the cache and will be served."""
    lost = 0
    for seed in range(30):
        disk = SimulatedDisk()
        log = written(disk, 3)
        log.append(4, payload(4))
        assert open_log(disk).head_height == 4
        assert open_log(disk.after_power_cut(seed)).head_height == 4
        unsynced = SimulatedDisk()
        written(unsynced, 3).append(4, payload(4))
        lost += open_log(unsynced.after_power_cut(seed)).head_height == 3
    assert lost > 5, "without the sync at opening, the power cut would take it"


def written(disk: SimulatedDisk, count: int) -> BlockLog:
    log = open_log(disk)
    for height in range(1, count + 1):
        log.append(height, payload(height))
        log.sync()
    return log


def write_all(log: BlockLog) -> None:
    for height in range(1, BLOCKS + 1):
        log.append(height, payload(height))
        log.sync()
        assert log.head_height == height


def acknowledged_by(log: BlockLog) -> int:
    """Return the last height whose sync returned: a log serves that and no more."""
    with pytest.raises(MisuseError):
        log.read(log.head_height + 1)
    return log.head_height


def write_segment(directory: Path, data: bytes, name: str = segment_name(1)) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / name).write_bytes(data)
    return directory / name


def test_a_tail_torn_at_any_byte_is_cut(tmp_path: Path) -> None:
    entries = [frame(height, payload(height)) for height in (1, 2, 3)]
    start = SEGMENT_HEAD_SIZE_BYTES + len(entries[0]) + len(entries[1])
    whole = HEAD + b"".join(entries)
    for size in range(start, len(whole)):
        directory = tmp_path / str(size)
        write_segment(directory, whole[:size])
        log = BlockLog(OSDisk(), directory)
        log.open()
        assert log.head_height == 2
        tail = log.torn_tail
        assert (tail is None) == (size == start)
        assert tail is None or (tail.offset, tail.size, tail.height) == (start, size - start, 3)
        log.append(3, b"anew")
        log.sync()
        log.close()
        again = BlockLog(OSDisk(), directory)
        again.open()
        assert again.read(3) == b"anew"
        again.close()


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes((data[position] ^ 0x40,)) + data[position + 1 :]


def test_a_garbled_last_entry_is_cut_but_one_in_the_middle_is_reported(tmp_path: Path) -> None:
    entries = [frame(height, payload(height)) for height in (1, 2, 3)]
    whole = HEAD + b"".join(entries)
    second = SEGMENT_HEAD_SIZE_BYTES + len(entries[0])
    third = second + len(entries[1])
    path = write_segment(tmp_path, flipped(whole, third + FRAME_HEAD_SIZE_BYTES + 2))
    log = BlockLog(OSDisk(), tmp_path)
    log.open()
    assert log.head_height == 2
    log.close()
    for position in range(second, third):
        damaged = flipped(whole, position)
        path.write_bytes(damaged)
        with pytest.raises(CorruptLogError) as caught:
            BlockLog(OSDisk(), tmp_path).open()
        assert (caught.value.segment, caught.value.offset) == (path.name, second)
        assert caught.value.height == 2
        assert caught.value.hint
        assert path.read_bytes() == damaged, "a damaged log is reported, never shortened"
    for position in range(SEGMENT_HEAD_SIZE_BYTES):
        path.write_bytes(flipped(whole, position))
        with pytest.raises(CorruptLogError, match="head is not valid"):
            BlockLog(OSDisk(), tmp_path).open()


def test_a_tail_that_was_durable_is_damage(tmp_path: Path) -> None:
    """A checkpoint at height 3 says that entry 3 was synced, so no interrupted append broke it."""
    whole = HEAD + b"".join(frame(height, payload(height)) for height in (1, 2, 3))
    path = write_segment(tmp_path, flipped(whole, len(whole) - 1))
    with pytest.raises(CorruptLogError) as caught:
        BlockLog(OSDisk(), tmp_path).open(durable_height=3)
    assert caught.value.height == 3
    assert len(path.read_bytes()) == len(whole)
    log = BlockLog(OSDisk(), tmp_path)
    log.open(durable_height=2)
    assert log.head_height == 2


def test_bytes_submitted_to_a_block_cannot_pass_for_a_frame(tmp_path: Path) -> None:
    """Else a stranger's operation could turn a torn tail into damage and keep a node down."""
    forged = make_frame(Salt(b"another segment."), 9, b"forged")
    whole = HEAD + frame(1, b"first") + frame(2, forged * 3)
    write_segment(tmp_path, flipped(whole, SEGMENT_HEAD_SIZE_BYTES + len(frame(1, b"first")) + 6))
    log = BlockLog(OSDisk(), tmp_path)
    log.open()
    assert log.head_height == 1


def test_damage_in_an_older_segment_is_reported_when_it_is_read() -> None:
    disk = SimulatedDisk()
    written(disk, BLOCKS)
    name = disk.list_directory(str(DIRECTORY))[1]
    path = f"{DIRECTORY}/{name}"
    data = disk.open(path, writable=False).read(0, 10**6)
    for damaged in (flipped(data, len(data) - 1), data[:-1], data[:SEGMENT_HEAD_SIZE_BYTES]):
        disk.create(path).append(damaged)
        log = open_log(disk)
        assert log.head_height == BLOCKS
        with pytest.raises(CorruptLogError) as caught:
            list(log.entries(1))
        assert caught.value.segment == name


def test_a_missing_segment_is_reported() -> None:
    for missing in range(3):
        disk = SimulatedDisk()
        written(disk, BLOCKS)
        names = disk.list_directory(str(DIRECTORY))
        assert len(names) > 3
        disk.remove(f"{DIRECTORY}/{names[missing]}")
        with pytest.raises(CorruptLogError, match="a segment is missing"):
            open_log(disk)


def test_a_segment_under_another_name_is_reported() -> None:
    disk = SimulatedDisk()
    written(disk, BLOCKS)
    names = disk.list_directory(str(DIRECTORY))
    disk.rename(f"{DIRECTORY}/{names[1]}", f"{DIRECTORY}/{names[2]}")
    with pytest.raises(CorruptLogError, match="head is not valid"):
        open_log(disk)


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, NoSpaceError), (errno.EROFS, ReadOnlyError), (errno.EIO, DiskFaultError)],
)
def test_a_disk_that_refuses_costs_nothing_acknowledged(
    number: int, error: type[StorageError]
) -> None:
    for fail_at in range(6, operation_count()):
        disk = SimulatedDisk(fail_at, fail_at=fail_at, fail_errno=number)
        log = open_log(disk)
        with pytest.raises(error) as caught:
            write_all(log)
        acknowledged = acknowledged_by(log)
        assert caught.value.hint
        with pytest.raises(MisuseError):
            log.append(acknowledged + 1, b"a failed log takes nothing more")
        with pytest.raises(MisuseError):
            log.sync()
        check_after_cut(disk.after_power_cut(fail_at), acknowledged, fail_at)


def test_a_full_disk_is_named_and_the_log_goes_on_when_there_is_space() -> None:
    for free_bytes in range(0, 3600, 137):
        disk = SimulatedDisk(free_bytes=free_bytes)
        log = open_log(disk)
        with pytest.raises(NoSpaceError, match="no space"):
            write_all(log)
        disk.free_bytes = None
        check_after_cut(disk, acknowledged_by(log), free_bytes)


def test_a_read_only_disk_is_named() -> None:
    disk = SimulatedDisk()
    written(disk, 3)
    disk.is_read_only = True
    with pytest.raises(ReadOnlyError):
        open_log(disk)


def test_entries_follow_each_other() -> None:
    log = written(SimulatedDisk(), 3)
    for height in (0, 3, 5):
        with pytest.raises(MisuseError):
            log.append(height, b"")
    with pytest.raises(MisuseError):
        log.sync()
    log.append(4, b"")
    with pytest.raises(MisuseError):
        log.append(5, b"the one before is not synced")
    with pytest.raises(MisuseError):
        log.read(4)
    log.sync()
    assert log.read(4) == b""
    with pytest.raises(MisuseError):
        log.read(5)


def test_old_entries_are_read_through_a_few_open_files() -> None:
    disk = SimulatedDisk()
    log = written(disk, 200)
    assert len(disk.list_directory(str(DIRECTORY))) > 20
    for height in (*range(200, 0, -1), 1, 100, 1, 200):
        assert log.read(height) == payload(height)
    assert next(log.entries(150)) == (150, payload(150))
