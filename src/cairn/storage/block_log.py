"""The block log: appending an entry and syncing it is the ledger's commit point.

The log is a row of segment files, named by the height of their first entry. An entry is a frame:
`CBLK`, version (1 byte), height (8), payload length (4), the first 16 bytes of SHA-256 over all
that and the payload, then the payload; numbers are big-endian. SHA-256 rather than a CRC because
the disk is also an adversary's place to write, and its cost is hidden behind the sync.

Only the last entry of the last segment can be torn by a crash: each append is synced before the
next begins. What is damaged anywhere else is reported, never repaired in silence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cairn.primitives.hashes import sha256
from cairn.storage.disk import Disk, LogFile
from cairn.storage.errors import CorruptLogError, MisuseError, named_disk_errors

MAGIC = b"CBLK"
VERSION = 1
DIGEST_SIZE_BYTES = 16
HEADER_SIZE_BYTES = len(MAGIC) + 1 + 8 + 4 + DIGEST_SIZE_BYTES
SEGMENT_SIZE_BYTES = 256 * 2**20
"""A segment that has reached this size is followed by a new one."""
PAYLOAD_SIZE_BYTES_MAX = 2**30
_NAME = "blocks-{:016d}.log"
_PREFIX, _SUFFIX = "blocks-", ".log"


@dataclass(frozen=True, slots=True)
class Position:
    """Where an entry begins: the first height of its segment, and the offset in it."""

    segment: int
    offset: int


def frame(height: int, payload: bytes) -> bytes:
    """Return the bytes of an entry."""
    head = MAGIC + bytes((VERSION,)) + height.to_bytes(8, "big") + len(payload).to_bytes(4, "big")
    return head + sha256(head + payload)[:DIGEST_SIZE_BYTES] + payload


class BlockLog:
    """The log in one directory; one writer."""

    def __init__(
        self, disk: Disk, directory: Path, *, segment_size_bytes: int = SEGMENT_SIZE_BYTES
    ) -> None:
        """Name the directory; `open` reads it."""
        self._disk = disk
        self._directory = directory
        self._segment_size_bytes = segment_size_bytes
        self._segments: list[int] = []
        self._files: dict[int, LogFile] = {}
        self._positions: dict[int, Position] = {}
        self._unsynced = False
        self._repair = True
        self.head_height = 0
        """Height of the last entry, 0 while there is none."""

    def open(
        self, known_height: int = 0, known: Position | None = None, *, repair: bool = True
    ) -> dict[int, Position]:
        """Read the log from the entry at `known_height` on; cut a torn tail.

        Args:
            known_height: Height of an entry whose position is remembered from before, or 0.
            known: That position.
            repair: Whether a torn tail is cut; else it is left and reported as damage.

        Returns:
            Positions of the entries from there on, that one included.

        Raises:
            CorruptLogError: Damage that an interrupted append does not explain.
        """
        self._repair = repair
        with named_disk_errors(self._directory):
            self._disk.make_directory(str(self._directory))
            names = self._disk.list_directory(str(self._directory))
        self._segments = sorted(
            int(name[len(_PREFIX) : -len(_SUFFIX)])
            for name in names
            if name.startswith(_PREFIX) and name.endswith(_SUFFIX)
        )
        height, offset = 1, 0
        if known is not None:
            height, offset = known_height, known.offset
            if known.segment not in self._segments:
                raise self._corrupt("the segment is missing", known.segment, offset, height)
        first = known.segment if known is not None else (self._segments or [1])[0]
        for segment in [one for one in self._segments if one >= first]:
            if segment != first:
                offset = 0
            if offset == 0 and segment != height:
                if segment == self._segments[-1] and self._is_blank(segment):
                    break  # a crash between making the segment and its first entry
                raise self._corrupt("a segment is missing before", segment, 0, height)
            height = self._scan(segment, offset, height)
        self.head_height = height - 1
        return dict(self._positions)

    def append(self, height: int, payload: bytes) -> Position:
        """Append an entry; it counts only once `sync` has returned.

        Raises:
            MisuseError: The height does not follow, or the last entry is not synced.
            NoSpaceError, ReadOnlyError, DiskFaultError: The disk refused; the log is as before.
        """
        if height != self.head_height + 1 or self._unsynced:
            raise MisuseError(f"entry {height} after {self.head_height}")
        if len(payload) > PAYLOAD_SIZE_BYTES_MAX:
            raise MisuseError(f"an entry of {len(payload)} bytes")
        with named_disk_errors(self._directory):
            segment, file = self._segment_for(height)
            offset = file.size()
            try:
                file.append(frame(height, payload))
            except OSError:
                file.truncate(offset)
                raise
        self._unsynced = True
        position = Position(segment, offset)
        self._positions[height] = position
        self.head_height = height
        return position

    def sync(self) -> None:
        """Return when the last entry is durable: the commit point."""
        with named_disk_errors(self._directory):
            self._file(self._segments[-1]).sync()
        self._unsynced = False

    def read(self, height: int, position: Position | None = None) -> bytes:
        """Return the payload at `height`.

        Raises:
            CorruptLogError: There is no valid entry where it should be.
        """
        at = position if position is not None else self._positions.get(height)
        if at is None:
            raise MisuseError(f"the position of entry {height} is not known")
        entry = self._entry(at.segment, at.offset, height)
        if entry is None:
            raise self._corrupt("the entry is not valid", at.segment, at.offset, height)
        return entry

    def forget_positions(self, up_to_height: int) -> dict[int, Position]:
        """Return and drop the positions up to a height, which the caller now keeps."""
        dropped = {h: p for h, p in self._positions.items() if h <= up_to_height}
        for height in dropped:
            del self._positions[height]
        return dropped

    def position(self, height: int) -> Position | None:
        """Return where an entry begins, if this object still remembers it."""
        return self._positions.get(height)

    def entries(self) -> Iterator[tuple[int, Position, bytes]]:
        """Yield every entry of all segments, checked, from the first one on.

        Raises:
            CorruptLogError: Damage anywhere.
        """
        height = self._segments[0] if self._segments else 1
        for segment in self._segments:
            offset = 0
            size = self._file(segment).size()
            while offset < size:
                payload = self._entry(segment, offset, height)
                if payload is None:
                    raise self._corrupt("the entry is not valid", segment, offset, height)
                yield height, Position(segment, offset), payload
                offset += HEADER_SIZE_BYTES + len(payload)
                height += 1

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _scan(self, segment: int, offset: int, height: int) -> int:
        """Remember the entries from `offset` on; cut a torn tail; return the height after them."""
        file = self._file(segment)
        while offset < file.size():
            payload = self._entry(segment, offset, height)
            if payload is None:
                torn = segment == self._segments[-1] and self._repair
                if not torn or self._has_entry_after(segment, offset, height):
                    raise self._corrupt("the entry is not valid", segment, offset, height)
                with named_disk_errors(self._directory):
                    file.truncate(offset)
                    file.sync()
                break
            self._positions[height] = Position(segment, offset)
            offset += HEADER_SIZE_BYTES + len(payload)
            height += 1
        return height

    def _entry(self, segment: int, offset: int, height: int) -> bytes | None:
        """Return the payload of the entry at `offset`, or None if none of this height is there."""
        file = self._file(segment)
        with named_disk_errors(self._directory):
            head = file.read(offset, HEADER_SIZE_BYTES)
            if len(head) < HEADER_SIZE_BYTES or not head.startswith(MAGIC):
                return None
            if head[4] != VERSION or int.from_bytes(head[5:13], "big") != height:
                return None
            size = int.from_bytes(head[13:17], "big")
            if size > PAYLOAD_SIZE_BYTES_MAX or offset + HEADER_SIZE_BYTES + size > file.size():
                return None
            payload = file.read(offset + HEADER_SIZE_BYTES, size)
        digest = sha256(head[:17] + payload)[:DIGEST_SIZE_BYTES]
        return payload if len(payload) == size and digest == head[17:] else None

    def _has_entry_after(self, segment: int, offset: int, height: int) -> bool:
        """Return whether a valid entry of a later height follows: then it is no torn tail."""
        file = self._file(segment)
        with named_disk_errors(self._directory):
            rest = file.read(offset, file.size() - offset)
        at = rest.find(MAGIC, 1)
        while at >= 0:
            later = int.from_bytes(rest[at + 5 : at + 13], "big")
            if later > height and self._entry(segment, offset + at, later) is not None:
                return True
            at = rest.find(MAGIC, at + 1)
        return False

    def _segment_for(self, height: int) -> tuple[int, LogFile]:
        """Return the segment that takes the next entry, a new one if the last is full."""
        if self._segments:
            last = self._segments[-1]
            file = self._file(last)
            if file.size() < self._segment_size_bytes and (file.size() or last == height):
                return last, file
        if height not in self._segments:
            self._segments.append(height)
        path = str(self._path(height))
        if height in self._files:
            self._files.pop(height).close()
        self._files[height] = self._disk.create(path)
        self._disk.sync_directory(str(self._directory))
        return height, self._files[height]

    def _is_blank(self, segment: int) -> bool:
        return self._file(segment).size() == 0

    def _file(self, segment: int) -> LogFile:
        file = self._files.get(segment)
        if file is None:
            with named_disk_errors(self._path(segment)):
                file = self._disk.open(str(self._path(segment)), writable=True)
            self._files[segment] = file
        return file

    def _path(self, segment: int) -> Path:
        return self._directory / _NAME.format(segment)

    def _corrupt(self, reason: str, segment: int, offset: int, height: int) -> CorruptLogError:
        return CorruptLogError(reason, segment=_NAME.format(segment), offset=offset, height=height)
