"""The narrow interface of files that the block log needs, and the real disk behind it.

It is narrow so that a power cut can be simulated. Failures are `OSError`, as from the system.
"""

import os
from typing import Protocol


class LogFile(Protocol):
    """A file that grows at its end."""

    def append(self, data: bytes) -> None:
        """Write all of `data` at the end; on failure any part of it may have been written."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end of the file."""
        ...

    def size(self) -> int:
        """Return the size in bytes."""
        ...

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def sync(self) -> None:
        """Return when content and size are on the disk (fdatasync)."""
        ...

    def close(self) -> None:
        """Close the file; this does not make anything durable."""
        ...


class Disk(Protocol):
    """Directories and files by path."""

    def make_directory(self, path: str) -> None:
        """Make the directory and its parents unless they exist, durably."""
        ...

    def list_directory(self, path: str) -> list[str]:
        """Return the names in the directory, sorted."""
        ...

    def create(self, path: str) -> LogFile:
        """Create the file, empty if it was there, and open it for writing."""
        ...

    def open(self, path: str, *, writable: bool) -> LogFile:
        """Open a file that exists."""
        ...

    def rename(self, source: str, target: str) -> None:
        """Rename within one directory, replacing `target`."""
        ...

    def remove(self, path: str) -> None:
        """Remove the file."""
        ...

    def sync_directory(self, path: str) -> None:
        """Return when the directory's entries are on the disk (fsync)."""
        ...


class OSLogFile:
    """A file of the operating system."""

    __slots__ = ("_descriptor", "_size")

    def __init__(self, descriptor: int) -> None:
        """Take over the descriptor."""
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @property
    def descriptor(self) -> int:
        """The system's descriptor."""
        return self._descriptor

    def append(self, data: bytes) -> None:
        """Write at the end; the system may take the bytes in several parts."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, self._size)
            self._size += written
            rest = rest[written:]

    def read(self, offset: int, size: int) -> bytes:
        """Read at `offset`; the system may give the bytes in several parts."""
        data = os.pread(self._descriptor, size, offset)
        while len(data) < size:
            more = os.pread(self._descriptor, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def size(self) -> int:
        """Return the size as written by this object."""
        return self._size

    def truncate(self, size: int) -> None:
        """Cut the file."""
        os.ftruncate(self._descriptor, size)
        self._size = size

    def sync(self) -> None:
        """Flush content and size."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


class OSDisk:
    """The operating system's files."""

    def make_directory(self, path: str) -> None:
        """Make missing directories from the top, syncing each parent."""
        if os.path.isdir(path):
            return
        parent = os.path.dirname(os.path.abspath(path))
        self.make_directory(parent)
        os.mkdir(path)
        self.sync_directory(parent)

    def list_directory(self, path: str) -> list[str]:
        """List the names."""
        return sorted(os.listdir(path))

    def create(self, path: str) -> OSLogFile:
        """Create or empty the file."""
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        return OSLogFile(os.open(path, flags, 0o600))

    def open(self, path: str, *, writable: bool) -> OSLogFile:
        """Open the file."""
        flags = os.O_RDWR if writable else os.O_RDONLY
        return OSLogFile(os.open(path, flags | os.O_CLOEXEC))

    def rename(self, source: str, target: str) -> None:
        """Rename the file."""
        os.replace(source, target)

    def remove(self, path: str) -> None:
        """Unlink the file."""
        os.unlink(path)

    def sync_directory(self, path: str) -> None:
        """Flush the directory's entries."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
