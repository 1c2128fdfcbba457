"""A real disk that kills its own process at a chosen write: for tests and for the fault script.

What the process had written is in the system's cache and stays; what it was about to write is there
in part or not at all. Power cuts, which lose the cache too, are `simulated_disk`'s.
"""

import os
import random
import signal

from cairn.storage.disk import OSDisk, OSLogFile


class KillingDisk(OSDisk):
    """The operating system's files, until the `kill_at`-th operation that changes something.

    Args:
        kill_at: Number of the operation, from 1; 0 counts and never kills.
        seed: How much of a write is done before the kill is drawn from it.
    """

    def __init__(self, kill_at: int, seed: int = 0) -> None:
        """Count from the start."""
        self._kill_at = kill_at
        self._random = random.Random(seed)  # noqa: S311 - a simulation, not a secret
        self.operations = 0
        """Operations that change something, so far."""

    def create(self, path: str) -> OSLogFile:
        """Create or empty the file."""
        self.step()
        return KillingFile.over(super().create(path), self)

    def open(self, path: str, *, writable: bool) -> OSLogFile:
        """Open the file."""
        return KillingFile.over(super().open(path, writable=writable), self)

    def rename(self, source: str, target: str) -> None:
        """Rename the file."""
        self.step()
        super().rename(source, target)

    def remove(self, path: str) -> None:
        """Unlink the file."""
        self.step()
        super().remove(path)

    def sync_directory(self, path: str) -> None:
        """Flush the directory's entries."""
        self.step()
        super().sync_directory(path)

    def part_before_kill(self, size: int) -> int | None:
        """Count a write; return how much of it to do before the kill, None for all and no kill."""
        if self.operations + 1 == self._kill_at:
            return self._random.randrange(size + 1)
        self.operations += 1
        return None

    def step(self) -> None:
        """Count an operation, and kill the process if it is the one."""
        self.operations += 1
        if self.operations == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingFile(OSLogFile):
    """A file on such a disk."""

    __slots__ = ("_disk",)

    _disk: KillingDisk

    @classmethod
    def over(cls, file: OSLogFile, disk: KillingDisk) -> "KillingFile":
        """Take over an open file."""
        killing = cls(os.dup(file.descriptor))
        file.close()
        killing._disk = disk
        return killing

    def append(self, data: bytes) -> None:
        """Write at the end, or a part and die."""
        part = self._disk.part_before_kill(len(data))
        super().append(data if part is None else data[:part])
        if part is not None:
            self._disk.step()

    def truncate(self, size: int) -> None:
        """Cut the file."""
        self._disk.step()
        super().truncate(size)

    def sync(self) -> None:
        """Flush content and size."""
        self._disk.step()
        super().sync()
