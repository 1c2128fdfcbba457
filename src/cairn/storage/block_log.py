"""The block log: appending an entry and syncing it is the ledger's commit point.

The log is a row of segment files, each named by the height of its first entry. A segment begins
with a head: magic, version, its first height and that of the segment before, a random salt, a
checksum. An entry is a frame: `CBLK`, version (1 byte), height (8), payload length (4), payload
checksum (16), head checksum (8), payload; numbers are big-endian. Checksums are the first bytes of
SHA-256 over the segment's salt and what they cover: SHA-256 rather than CRC32C because Python has
no CRC32C, processors have SHA-256, and its cost hides behind the sync; salted so that nobody can
submit bytes that read as a frame once they are inside a block.

Each append is synced before the next begins, and a new segment has its name on the disk before its
first entry. So a crash can tear nothing but the last entry of the last segment; that tail is cut
when the log is opened. Damage anywhere else is reported, never repaired in silence.
"""

import os
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

from cairn.storage.disk import Disk, LogFile
from cairn.storage.errors import CorruptLogError, MisuseError, disk_error, named_disk_errors
from cairn.storage.segment import (
    FRAME_HEAD_SIZE_BYTES,
    SALT_SIZE_BYTES,
    SEGMENT_HEAD_SIZE_BYTES,
    Damage,
    Salt,
    SegmentHead,
    Tail,
    TornTail,
    make_frame,
    make_segment_head,
    parse_frame_head,
    parse_segment_head,
    payload_checksum,
    scan_segment,
    segment_height,
    segment_name,
)

SEGMENT_SIZE_BYTES = 32 * 2**20
"""A segment that has reached this size is followed by a new one; the last one is read at start."""
PAYLOAD_SIZE_BYTES_MAX = 64 * 2**20
CACHED_SEGMENTS_MAX = 8
"""Older segments whose files stay open and whose offsets stay known."""
_TEMPORARY_SUFFIX = ".new"


class _Segment:
    """An open segment: its file, its salt, where its entries begin and what is wrong after them."""

    __slots__ = ("file", "first_height", "offsets", "salt", "tail")

    def __init__(
        self, file: LogFile, first_height: int, salt: Salt, scanned: tuple["array[int]", Tail]
    ) -> None:
        self.file = file
        self.first_height = first_height
        self.salt = salt
        self.offsets, self.tail = scanned


class BlockLog:
    """The log in one directory. One thread appends; any thread may read what is synced."""

    def __init__(
        self,
        disk: Disk,
        directory: Path,
        *,
        segment_size_bytes: int = SEGMENT_SIZE_BYTES,
        new_salt: Callable[[], bytes] = lambda: os.urandom(SALT_SIZE_BYTES),
    ) -> None:
        """Name the directory; `open` reads it."""
        self._disk = disk
        self._directory = directory
        self._segment_size_bytes = segment_size_bytes
        self._new_salt = new_salt
        self._first_heights: list[int] = []
        self._older: dict[int, _Segment] = {}
        self._reading = threading.Lock()  # guards the cache of older segments
        self._last: _Segment | None = None
        self._unsynced: int | None = None
        self._is_broken = False
        self.head_height = 0
        """Height of the last entry that is synced; 0 while there is none."""
        self.torn_tail: TornTail | None = None
        """What `open` cut off, if anything."""

    def open(self, durable_height: int = 0) -> None:
        """Read the last segment, cut a torn tail and make sure that what is left is durable.

        Older segments are read when an entry of theirs is; of them only the heads are checked. That
        keeps the start fast, however long the log is.

        Args:
            durable_height: Height up to which the log is known to have been synced.

        Raises:
            CorruptLogError: Damage that an interrupted append does not explain.
            ReadOnlyError, DiskFaultError: The disk refused.
        """
        with named_disk_errors(self._directory):
            self._disk.make_directory(str(self._directory))
            for name in self._disk.list_directory(str(self._directory)):
                if name.endswith(_TEMPORARY_SUFFIX):
                    self._disk.remove(str(self._directory / name))
            self._first_heights = list_segments(self._disk, self._directory)
            self._disk.sync_directory(str(self._directory))
        self._check_heads()
        if self._first_heights:
            self._open_last(self._first_heights[-1], durable_height)
        if self.head_height < durable_height:
            raise CorruptLogError(
                f"it ends before height {durable_height}, which was durable",
                segment=segment_name((self._first_heights or [1])[-1]),
                offset=0 if self._last is None else self._last.file.size(),
                height=self.head_height + 1,
            )

    def _open_last(self, first: int, durable_height: int) -> None:
        self._last = segment = self._load(first)
        tail = segment.tail
        head_height = first + len(segment.offsets) - 1
        if isinstance(tail, Damage) or (tail is not None and tail.height <= durable_height):
            raise _corrupt(tail, first)
        with named_disk_errors(self._path(first)):
            if tail is not None:
                segment.file.truncate(tail.offset)
                self.torn_tail, segment.tail = tail, None
            # An entry may have been written and not synced when the process died. It is about to be
            # served, so it must survive the next power cut.
            segment.file.sync()
        self.head_height = head_height

    def append(self, height: int, payload: bytes) -> None:
        """Append an entry; it counts only once `sync` has returned.

        After a failure the log takes nothing more until it is opened again.

        Raises:
            MisuseError: The height does not follow, or the last entry is not synced.
            NoSpaceError, ReadOnlyError, DiskFaultError: The disk refused.
        """
        if self._is_broken or self._unsynced is not None:
            raise MisuseError("an append follows one that was not synced or failed")
        if height != self.head_height + 1:
            raise MisuseError(f"entry {height} appended after entry {self.head_height}")
        if len(payload) > PAYLOAD_SIZE_BYTES_MAX:
            raise MisuseError(f"an entry of {len(payload)} bytes")
        try:
            segment = self._segment_for(height)
            offset = segment.file.size()
            segment.file.append(make_frame(segment.salt, height, payload))
        except OSError as error:
            self._is_broken = True
            raise disk_error(error, self._directory) from error
        self._unsynced = offset

    def sync(self) -> None:
        """Return when the appended entry is durable: the commit point.

        A sync that failed is not tried again: the system may have dropped the bytes and report
        success the second time.

        Raises:
            NoSpaceError, ReadOnlyError, DiskFaultError: The disk refused.
        """
        if self._unsynced is None or self._last is None or self._is_broken:
            raise MisuseError("there is nothing to sync")
        try:
            self._last.file.sync()
        except OSError as error:
            self._is_broken = True
            raise disk_error(error, self._directory) from error
        self._last.offsets.append(self._unsynced)
        self._unsynced = None
        self.head_height = self._last.first_height + len(self._last.offsets) - 1

    def read(self, height: int) -> bytes:
        """Return the payload at `height`, checked.

        Raises:
            CorruptLogError: There is no valid entry where it should be.
            MisuseError: The log does not reach there.
        """
        if not 1 <= height <= self.head_height:
            raise MisuseError(f"entry {height} of a log that ends at {self.head_height}")
        with self._reading:
            return self._read(height)

    def _read(self, height: int) -> bytes:
        segment = self._segment_of(height)
        index = height - segment.first_height
        if index >= len(segment.offsets):
            end = Damage("entries are missing", segment.file.size(), height)
            raise _corrupt(segment.tail or end, segment.first_height)
        offset = segment.offsets[index]
        with named_disk_errors(self._path(segment.first_height)):
            raw = segment.file.read(offset, FRAME_HEAD_SIZE_BYTES)
            head = parse_frame_head(segment.salt, raw)
            payload = b"" if head is None else segment.file.read(offset + len(raw), head.size)
        if (
            head is None
            or head.height != height
            or len(payload) != head.size
            or payload_checksum(segment.salt, height, payload) != head.checksum
        ):
            damage = Damage("the entry is not valid", offset, height)
            raise _corrupt(damage, segment.first_height)
        return payload

    def entries(self, from_height: int) -> Iterator[tuple[int, bytes]]:
        """Yield `(height, payload)` from a height on, up to the head as it is now.

        Raises:
            CorruptLogError: Damage at the entry that would come next.
        """
        for height in range(max(from_height, 1), self.head_height + 1):
            yield height, self.read(height)

    def close(self) -> None:
        """Close the files."""
        if self._last is not None:
            self._last.file.close()
        for segment in self._older.values():
            segment.file.close()
        self._older.clear()
        self._last = None
        self._is_broken = True

    def _check_heads(self) -> None:
        """Check that each segment names the one before.

        Raises:
            CorruptLogError: One is missing, or its head is damaged.
        """
        previous = 0
        for first in self._first_heights:
            with named_disk_errors(self._path(first)):
                file = self._disk.open(str(self._path(first)), writable=False)
                raw = file.read(0, SEGMENT_HEAD_SIZE_BYTES)
                file.close()
            head = parse_segment_head(raw)
            if head is None or head.first_height != first:
                raise _corrupt(Damage("the segment's head is not valid", 0, first), first)
            if head.previous != previous:
                raise _corrupt(Damage("a segment is missing before it", 0, first), first)
            previous = first

    def _load(self, first_height: int) -> _Segment:
        """Open a segment and read it whole."""
        path = self._path(first_height)
        with named_disk_errors(path):
            file = self._disk.open(str(path), writable=True)
            data = file.read(0, file.size())
        head = parse_segment_head(data[:SEGMENT_HEAD_SIZE_BYTES])
        if head is None or head.first_height != first_height:
            damage = Damage("the segment's head is not valid", 0, first_height)
            raise _corrupt(damage, first_height)
        return _Segment(file, first_height, head.salt, scan_segment(data, head.salt, first_height))

    def _segment_of(self, height: int) -> _Segment:
        """Return the segment with the entry, from the cache or the disk."""
        last = self._last
        if last is not None and height >= last.first_height:
            return last
        place = bisect_right(self._first_heights, height) - 1
        first = self._first_heights[place]
        segment = self._older.pop(first, None)
        if segment is None:
            segment = self._load(first)
            while len(self._older) >= CACHED_SEGMENTS_MAX:
                self._older.pop(next(iter(self._older))).file.close()
        self._older[first] = segment
        return segment

    def _segment_for(self, height: int) -> _Segment:
        """Return the segment that takes the next entry, a new one if the last is full."""
        last = self._last
        if last is not None and not (last.offsets and last.file.size() >= self._segment_size_bytes):
            return last
        segment = self._create_segment(height, 0 if last is None else last.first_height)
        with self._reading:
            if last is not None:
                self._older[last.first_height] = last
            self._first_heights.append(height)
            self._last = segment
        return segment

    def _create_segment(self, height: int, previous: int) -> _Segment:
        """Make a segment so that after any crash it is there with its head, or not at all."""
        path = str(self._path(height))
        salt = Salt(self._new_salt())
        file = self._disk.create(path + _TEMPORARY_SUFFIX)
        file.append(make_segment_head(SegmentHead(height, previous, salt)))
        file.sync()
        self._disk.rename(path + _TEMPORARY_SUFFIX, path)
        self._disk.sync_directory(str(self._directory))
        return _Segment(file, height, salt, (array("Q"), None))

    def _path(self, first_height: int) -> Path:
        return self._directory / segment_name(first_height)


def list_segments(disk: Disk, directory: Path) -> list[int]:
    """Return the first heights of the segments in a directory, in order, and nothing else there."""
    heights = [segment_height(name) for name in disk.list_directory(str(directory))]
    return sorted(height for height in heights if height is not None)


def _corrupt(damage: Damage | TornTail, first_height: int) -> CorruptLogError:
    reason = damage.reason if isinstance(damage, Damage) else "entries are cut off"
    return CorruptLogError(
        reason,
        segment=segment_name(first_height),
        offset=damage.offset,
        height=damage.height,
    )
