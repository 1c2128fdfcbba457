"""A disk in memory that loses power: for tests and for the fault script.

What was not synced when the power goes may be lost, kept in part, or kept although something
earlier was lost; a file whose directory was not synced may vanish. Which of these happens is drawn
from a seed, so that a failing cut can be repeated.
"""

import errno
import os
import random
from dataclasses import dataclass, field


class PowerCutError(Exception):
    """The power went; nothing more reaches the disk."""


@dataclass(slots=True)
class _Content:
    """One file: what is on the platters, and what is only in the cache."""

    durable: bytearray = field(default_factory=bytearray)
    current: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes `(offset, data)` and truncations `(size, None)` since the last sync."""
    linked: bool = False
    """Whether the directory entry is durable."""


class SimulatedDisk:
    """A `Disk` in memory.

    Args:
        seed: What a power cut keeps is drawn from it.
        cut_at: Number of the operation at which the power goes; None for never.
        ignore_sync: Whether syncs return without doing anything, as a lying disk's do.
        fail_at: Number of the operation that fails with `fail_errno` instead.
        fail_errno: Error of the operating system, such as `errno.ENOSPC`.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        cut_at: int | None = None,
        ignore_sync: bool = False,
        fail_at: int | None = None,
        fail_errno: int = errno.ENOSPC,
    ) -> None:
        """Start with an empty disk."""
        self._random = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        self._cut_at = cut_at
        self._ignore_sync = ignore_sync
        self._fail_at = fail_at
        self._fail_errno = fail_errno
        self._files: dict[str, _Content] = {}
        self._off = False
        self.operations = 0
        """Operations that change something, so far."""

    def after_power_cut(self, seed: int) -> "SimulatedDisk":
        """Return the disk as the next start finds it."""
        other = SimulatedDisk(seed)
        draw = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        for path, content in sorted(self._files.items()):
            if not content.linked and draw.random() < 0.5:
                continue
            kept = bytearray(content.durable)
            for offset, data in content.pending:
                _keep_some(kept, offset, data, draw)
            other._files[path] = _Content(bytearray(kept), kept, [], linked=True)
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
        self._step()
        content = self._files.get(path)
        if content is None:
            self._files[path] = content = _Content()
        else:
            content.pending.append((0, None))
            content.current.clear()
        return SimulatedFile(self, content)

    def open(self, path: str, *, writable: bool) -> "SimulatedFile":
        """Open a file that exists."""
        if path not in self._files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return SimulatedFile(self, self._files[path])

    def rename(self, source: str, target: str) -> None:
        """Rename the file; the new entry is not durable before its directory is synced."""
        self._step()
        content = self._files.pop(source)
        content.linked = False
        self._files[target] = content

    def remove(self, path: str) -> None:
        """Remove the file."""
        self._step()
        del self._files[path]

    def sync_directory(self, path: str) -> None:
        """Make the directory's entries durable."""
        self._step()
        if self._ignore_sync:
            return
        for name in self.list_directory(path):
            self._files[path.rstrip("/") + "/" + name].linked = True

    def _step(self) -> None:
        """Count an operation; fail or cut the power if it is the one."""
        if self._off:
            raise PowerCutError
        self.operations += 1
        if self.operations == self._fail_at:
            raise OSError(self._fail_errno, os.strerror(self._fail_errno))
        if self.operations == self._cut_at:
            self._off = True
            raise PowerCutError

    def write(self, content: _Content, data: bytes) -> None:
        """Append to a file; when the power goes during it, some of it may be in the cache."""
        offset = len(content.current)
        try:
            self._step()
        except OSError:
            part = data[: self._random.randrange(len(data) + 1)]
            content.pending.append((offset, part))
            content.current.extend(part)
            raise
        except PowerCutError:
            if self.operations == self._cut_at:
                content.pending.append((offset, data[: self._random.randrange(len(data) + 1)]))
            raise
        content.pending.append((offset, data))
        content.current.extend(data)

    def truncate(self, content: _Content, size: int) -> None:
        """Cut a file."""
        self._step()
        content.pending.append((size, None))
        del content.current[size:]

    def sync(self, content: _Content) -> None:
        """Make a file's content durable."""
        self._step()
        if not self._ignore_sync:
            content.durable = bytearray(content.current)
            content.pending.clear()


class SimulatedFile:
    """A `LogFile` on a simulated disk."""

    __slots__ = ("_content", "_disk")

    def __init__(self, disk: SimulatedDisk, content: _Content) -> None:
        """Open the content."""
        self._disk = disk
        self._content = content

    def append(self, data: bytes) -> None:
        """Write at the end."""
        self._disk.write(self._content, data)

    def read(self, offset: int, size: int) -> bytes:
        """Read what was written."""
        return bytes(self._content.current[offset : offset + size])

    def size(self) -> int:
        """Return the size as written."""
        return len(self._content.current)

    def truncate(self, size: int) -> None:
        """Cut the file."""
        self._disk.truncate(self._content, size)

    def sync(self) -> None:
        """Make the content durable."""
        self._disk.sync(self._content)

    def close(self) -> None:
        """Do nothing."""


def _keep_some(kept: bytearray, offset: int, data: bytes | None, draw: random.Random) -> None:
    """Apply a write that was never synced: in whole, in part, or not at all."""
    fate = draw.randrange(4)
    if fate == 0:
        return
    if data is None:
        del kept[offset:]
        return
    end = len(data) if fate == 1 else draw.randrange(len(data) + 1)
    start = draw.randrange(end + 1) if fate == 3 else 0
    if start == end:
        return
    if len(kept) < offset + end:
        kept.extend(bytes(offset + end - len(kept)))
    kept[offset + start : offset + end] = data[start:end]
