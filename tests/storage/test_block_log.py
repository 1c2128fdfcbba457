"""The block log under power cuts, torn tails, full disks and damage."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from cairn.storage.block_log import HEADER_SIZE_BYTES, BlockLog, frame
from cairn.storage.disk import OSDisk
from cairn.storage.errors import CorruptLogError, MisuseError, NoSpaceError, ReadOnlyError
from cairn.storage.simulated_disk import PowerCutError, SimulatedDisk

DIRECTORY = Path("/ledger/blocks")
SEGMENT_SIZE_BYTES = 700
BLOCKS = 24


def payload(height: int) -> bytes:
    return bytes((height % 251,)) * (20 + height * 7)


def open_log(disk: SimulatedDisk) -> BlockLog:
    log = BlockLog(disk, DIRECTORY, segment_size_bytes=SEGMENT_SIZE_BYTES)
    log.open()
    return log


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


def check_after_cut(disk: SimulatedDisk, acknowledged: int) -> None:
    """Check that what was acknowledged is there, and the log is a prefix of what was written."""
    log = open_log(disk)
    assert acknowledged <= log.head_height <= acknowledged + 1
    for height in range(1, log.head_height + 1):
        assert log.read(height) == payload(height)
    for height in range(log.head_height + 1, BLOCKS + 3):
        log.append(height, payload(height))
        log.sync()
    again = open_log(disk)
    assert [entry[2] for entry in again.entries()] == [payload(h) for h in range(1, BLOCKS + 3)]


def operation_count() -> int:
    disk = SimulatedDisk()
    assert write_until_cut(disk) == BLOCKS
    return disk.operations


@pytest.mark.parametrize("cut_at", range(1, operation_count() + 1))
def test_a_power_cut_at_any_operation_loses_nothing_acknowledged(cut_at: int) -> None:
    for seed in range(12):
        disk = SimulatedDisk(seed, cut_at=cut_at)
        acknowledged = write_until_cut(disk)
        check_after_cut(disk.after_power_cut(seed), acknowledged)


def failures_when(disks: Iterator[SimulatedDisk]) -> int:
    failures = 0
    for seed, disk in enumerate(disks):
        acknowledged = write_until_cut(disk)
        try:
            check_after_cut(disk.after_power_cut(seed), acknowledged)
        except (AssertionError, CorruptLogError):
            failures += 1
    return failures


def test_a_disk_that_does_not_sync_is_caught() -> None:
    cuts = range(10, operation_count(), 3)
    assert failures_when(SimulatedDisk(cut, cut_at=cut, ignore_sync=True) for cut in cuts) > 10
    assert failures_when(SimulatedDisk(cut, cut_at=cut) for cut in cuts) == 0


def test_a_log_without_its_one_sync_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sync(log: BlockLog) -> None:
        log._unsynced = False

    monkeypatch.setattr(BlockLog, "sync", no_sync)
    cuts = range(10, BLOCKS + 5)
    assert failures_when(SimulatedDisk(cut, cut_at=cut) for cut in cuts) > 5


def written(disk: SimulatedDisk, count: int) -> BlockLog:
    log = open_log(disk)
    for height in range(1, count + 1):
        log.append(height, payload(height))
        log.sync()
    return log


def test_a_tail_torn_at_any_byte_is_cut(tmp_path: Path) -> None:
    entries = [frame(height, payload(height)) for height in (1, 2, 3)]
    whole = b"".join(entries)
    for size in range(len(entries[0]) + len(entries[1]), len(whole)):
        directory = tmp_path / str(size)
        directory.mkdir()
        (directory / "blocks-0000000000000001.log").write_bytes(whole[:size])
        log = BlockLog(OSDisk(), directory)
        log.open()
        assert log.head_height == 2
        log.append(3, b"anew")
        log.sync()
        log.close()
        again = BlockLog(OSDisk(), directory)
        again.open()
        assert again.read(3) == b"anew"
        again.close()


def test_a_garbled_last_entry_is_cut_but_one_in_the_middle_is_reported(tmp_path: Path) -> None:
    entries = [frame(height, payload(height)) for height in (1, 2, 3)]
    whole = bytearray(b"".join(entries))
    path = tmp_path / "blocks-0000000000000001.log"
    last = len(entries[0]) + len(entries[1]) + HEADER_SIZE_BYTES + 2
    path.write_bytes(bytes(whole[:last]) + bytes((whole[last] ^ 1,)) + bytes(whole[last + 1 :]))
    log = BlockLog(OSDisk(), tmp_path)
    log.open()
    assert log.head_height == 2
    log.close()
    for position in range(len(entries[0])):
        damaged = bytearray(whole)
        damaged[position] ^= 0x40
        path.write_bytes(bytes(damaged))
        with pytest.raises(CorruptLogError) as caught:
            BlockLog(OSDisk(), tmp_path).open()
        assert caught.value.height == 1
        assert path.read_bytes() == bytes(damaged), "a damaged log is reported, never shortened"


def test_a_missing_segment_is_reported() -> None:
    disk = SimulatedDisk()
    written(disk, BLOCKS)
    names = disk.list_directory(str(DIRECTORY))
    assert len(names) > 3
    disk.remove(f"{DIRECTORY}/{names[1]}")
    with pytest.raises(CorruptLogError, match="a segment is missing"):
        open_log(disk)


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, NoSpaceError), (errno.EROFS, ReadOnlyError)]
)
def test_a_disk_that_refuses_leaves_the_log_as_it_was(number: int, error: type[Exception]) -> None:
    for fail_at in range(8, 30):
        disk = SimulatedDisk(fail_at, fail_at=fail_at, fail_errno=number)
        log = open_log(disk)
        for height in range(1, BLOCKS):
            try:
                log.append(height, payload(height))
                log.sync()
            except error:
                break
        else:
            pytest.fail("the disk never refused")
        recovered = open_log(disk.after_power_cut(fail_at))
        assert height - 1 <= recovered.head_height <= height
        for at in range(1, height):
            assert recovered.read(at) == payload(at)


def test_entries_follow_each_other() -> None:
    log = written(SimulatedDisk(), 3)
    with pytest.raises(MisuseError):
        log.append(5, b"")
    log.append(4, b"")
    with pytest.raises(MisuseError):
        log.append(5, b"not synced before")
