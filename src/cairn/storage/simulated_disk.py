"""A disk in memory that loses power, fills up or refuses: for tests and for the fault script.

When the power goes, what was not synced may be lost, kept in part, or kept although something
earlier was lost; a name that was made, changed or removed may be as it was before, until its
directory is synced. Which of these happens is drawn from a seed, so that a cut can be repeated.
"""

import errno
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field

_FATES = ("lost", "kept", "kept from its beginning", "kept in the middle")


class PowerCutError(Exception):
    """The power went; nothing more reaches the disk."""


@dataclass(slots=True)
class _Content:
    """One file: what is on the platters, and what is only in the cache."""

    durable: bytearray = field(default_factory=bytearray)
    current: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes `(offset, data)` and truncations `(size, None)` since the last sync."""


_Renaming = dict[str, _Content | None]
"""A change of names that a power cut keeps whole or not at all; None is a name taken away."""


class SimulatedDisk:
    """A `Disk` in memory.

    Args:
        seed: Parts of writes that the system takes before it fails are drawn from it.
        cut_at: Number of the operation at which the power goes; None for never.
        ignore_sync: Whether syncs return without doing anything, as a lying disk's do.
        fail_at: Number of the operation that fails with `fail_errno` instead.
        fail_errno: Error of the operating system, such as `errno.EIO`.
        free_bytes: Bytes that may still be written before the disk is full; None for no bound.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        cut_at: int | None = None,
        ignore_sync: bool = False,
        fail_at: int | None = None,
        fail_errno: int = errno.ENOSPC,
        free_bytes: int | None = None,
    ) -> None:
        """Start with an empty disk."""
        self._random = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        self._cut_at = cut_at
        self._ignore_sync = ignore_sync
        self._fail_at = fail_at
        self._fail_errno = fail_errno
        self._files: dict[str, _Content] = {}
        self._durable_files: dict[str, _Content] = {}
        self._renamings: list[_Renaming] = []
        self._off = False
        self.operations = 0
        """Operations that change something, so far."""
        self.free_bytes = free_bytes
        """What may still be written; may be set."""
        self.is_read_only = False
        """Whether changes fail with EROFS; may be set."""

    def after_power_cut(self, seed: int) -> "SimulatedDisk":
        """Return the disk as the next start finds it; what it lost is drawn from `seed`."""
        draw = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        names = dict(self._durable_files)
        for renaming in self._renamings:
            if draw.random() < 0.5:
                _rename(names, renaming)
        other = SimulatedDisk(seed)
        for path, content in sorted(names.items()):
            kept = bytearray(content.durable)
            for offset, data in content.pending:
                _keep_some(kept, offset, data, draw)
            other._files[path] = _Content(bytearray(kept), kept)
        other._durable_files = dict(other._files)
        return other

    # Disk

    def make_directory(self, path: str) -> None:
        """Do nothing: directories exist."""

    def list_directory(self, path: str) -> list[str]:
        """List the files of the directory."""
        prefix = path.rstrip("/") + "/"
        names = [name[len(prefix) :] for name in self._files if name.startswith(prefix)]
        return sorted(name for name in names if "/" not in name)

    def create(self, path: str) -> "SimulatedFile":
        """Create or empty the file."""
        content = self._files.get(path)
        if content is None:
            content = _Content()
            self._change_names({path: content})
        else:
            self.truncate(content, 0)
        return SimulatedFile(self, content, writable=True)

    def open(self, path: str, *, writable: bool) -> "SimulatedFile":
        """Open a file that exists."""
        if path not in self._files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if writable and self.is_read_only:
            raise _os_error(errno.EROFS)
        return SimulatedFile(self, self._files[path], writable=writable)

    def rename(self, source: str, target: str) -> None:
        """Rename the file; the new name is not durable before its directory is synced."""
        self._change_names({source: None, target: self._files[source]})

    def remove(self, path: str) -> None:
        """Remove the file; the name may come back before its directory is synced."""
        self._change_names({path: None})

    def sync_directory(self, path: str) -> None:
        """Make the names durable."""
        self._step()
        if not self._ignore_sync:
            self._durable_files = dict(self._files)
            self._renamings.clear()

    # What files do

    def write(self, content: _Content, data: bytes) -> None:
        """Append to a file; if it fails or the power goes, the cache may have some of it."""
        offset = len(content.current)
        taken = len(data)
        failure: Exception | None = None
        try:
            self._step()
            if self.free_bytes is not None and self.free_bytes < len(data):
                taken, failure = self.free_bytes, _os_error(errno.ENOSPC)
        except OSError as error:
            taken, failure = self._random.randrange(len(data) + 1), error
        except PowerCutError as error:
            if self.operations != self._cut_at:
                raise
            taken, failure = len(data), error
        content.pending.append((offset, data[:taken]))
        content.current.extend(data[:taken])
        if self.free_bytes is not None:
            self.free_bytes -= taken
        if failure is not None:
            raise failure

    def truncate(self, content: _Content, size: int) -> None:
        """Cut a file."""
        self._step(lambda: content.pending.append((size, None)))
        content.pending.append((size, None))
        del content.current[size:]

    def sync(self, content: _Content) -> None:
        """Make a file's content durable."""
        self._step()
        if not self._ignore_sync:
            content.durable = bytearray(content.current)
            content.pending.clear()

    def _change_names(self, renaming: _Renaming) -> None:
        self._step(lambda: self._renamings.append(renaming))
        self._renamings.append(renaming)
        _rename(self._files, renaming)

    def _step(self, leave_in_cache: Callable[[], None] | None = None) -> None:
        """Count an operation; fail or cut the power if it is the one.

        Args:
            leave_in_cache: What the operation may have done when the power goes during it.
        """
        if self._off:
            raise PowerCutError
        self.operations += 1
        if self.is_read_only:
            raise _os_error(errno.EROFS)
        if self.operations == self._fail_at:
            raise _os_error(self._fail_errno)
        if self.operations == self._cut_at:
            self._off = True
            if leave_in_cache is not None:
                leave_in_cache()
            raise PowerCutError


class SimulatedFile:
    """A `LogFile` on a simulated disk."""

    __slots__ = ("_content", "_disk", "_writable")

    def __init__(self, disk: SimulatedDisk, content: _Content, *, writable: bool) -> None:
        """Open the content."""
        self._disk = disk
        self._content = content
        self._writable = writable

    def append(self, data: bytes) -> None:
        """Write at the end."""
        self._check_writable()
        self._disk.write(self._content, data)

    def read(self, offset: int, size: int) -> bytes:
        """Read what was written."""
        return bytes(self._content.current[offset : offset + size])

    def size(self) -> int:
        """Return the size as written."""
        return len(self._content.current)

    def truncate(self, size: int) -> None:
        """Cut the file."""
        self._check_writable()
        self._disk.truncate(self._content, size)

    def sync(self) -> None:
        """Make the content durable."""
        self._disk.sync(self._content)

    def close(self) -> None:
        """Do nothing."""

    def _check_writable(self) -> None:
        if not self._writable:
            raise _os_error(errno.EBADF)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _rename(names: dict[str, _Content], renaming: _Renaming) -> None:
    for path, content in renaming.items():
        if content is None:
            names.pop(path, None)
        else:
            names[path] = content


def _keep_some(kept: bytearray, offset: int, data: bytes | None, draw: random.Random) -> None:
    """Apply a write that was never synced: in whole, in part, or not at all."""
    fate = _FATES[draw.randrange(len(_FATES))]
    if fate == "lost":
        return
    if data is None:
        del kept[offset:]
        return
    end = len(data) if fate == "kept" else draw.randrange(len(data) + 1)
    start = draw.randrange(end + 1) if fate == "kept in the middle" else 0
    if start == end:
        return
    if len(kept) < offset + end:
        kept.extend(bytes(offset + end - len(kept)))
    kept[offset + start : offset + end] = data[start:end]
