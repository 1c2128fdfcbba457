"""Points at which a process is killed: each operation on the block log, each step of a block.

`install` wraps the node's own functions in this process; the node knows nothing of it.
"""

import os
import random
import signal
from collections.abc import Callable
from typing import Any

from cairn.node import directory as node_directory
from cairn.node.keeper import StoreKeeper
from cairn.storage.checkpoint import Checkpoint
from cairn.storage.disk import OSDisk, OSLogFile
from cairn.storage.store import LedgerStore

POINTS = (
    "charter written",
    "segment made",
    "segment named",
    "directory synced",
    "append in part",
    "append done",
    "sync begun",
    "sync done",
    "applied",
    "block kept",
    "checkpoint begun",
    "checkpoint rows",
    "checkpoint committed",
    "truncated",
)
"""Where a process can be killed; `RANDOM` is any moment."""
RANDOM = "random moment"
KILLED = b"K"
SEGMENT_SIZE_BYTES = 40_000
"""Small segments, so that many are made."""


class KillSwitch:
    """Kills this process when a point is reached for the n-th time.

    Args:
        point: One of `POINTS`, or anything else for never.
        number: Which time.
        pipe: Descriptor that is told of the kill.
        seed: How much of a write is done is drawn from it.
    """

    def __init__(self, point: str, number: int, pipe: int, seed: int) -> None:
        """Count from now on."""
        self._point = point
        self._number = number
        self._pipe = pipe
        self._random = random.Random(seed)
        self._reached = 0

    def reach(self, point: str) -> None:
        """Count a point, and kill if it is the one."""
        if self.is_next(point):
            os.write(self._pipe, KILLED)
            os.kill(os.getpid(), signal.SIGKILL)

    def is_next(self, point: str) -> bool:
        """Count a point, and return whether the process is to be killed at it."""
        if point != self._point:
            return False
        self._reached += 1
        return self._reached == self._number

    def part_of(self, data: bytes) -> bytes:
        """Return a part of a write."""
        return data[: self._random.randrange(len(data) + 1)]

    def kill(self) -> None:
        """Kill this process."""
        self._reached = self._number - 1
        self.reach(self._point)


class KillingFile(OSLogFile):
    """A file whose writes are points."""

    __slots__ = ("switch",)

    switch: KillSwitch

    def append(self, data: bytes) -> None:
        """Write all, or a part and die."""
        if self.switch.is_next("append in part"):
            super().append(self.switch.part_of(data))
            self.switch.kill()
        super().append(data)
        self.switch.reach("append done")

    def truncate(self, size: int) -> None:
        """Cut the file."""
        super().truncate(size)
        self.switch.reach("truncated")

    def sync(self) -> None:
        """Flush."""
        self.switch.reach("sync begun")
        super().sync()
        self.switch.reach("sync done")


class KillingDisk(OSDisk):
    """The operating system's files, whose operations are points."""

    def __init__(self, switch: KillSwitch) -> None:
        """Report to `switch`."""
        self._switch = switch

    def create(self, path: str) -> OSLogFile:
        """Create the file."""
        file = self._taken_over(super().create(path))
        self._switch.reach("segment made")
        return file

    def open(self, path: str, *, writable: bool) -> OSLogFile:
        """Open the file."""
        return self._taken_over(super().open(path, writable=writable))

    def rename(self, source: str, target: str) -> None:
        """Rename the file."""
        super().rename(source, target)
        self._switch.reach("segment named")

    def sync_directory(self, path: str) -> None:
        """Flush the directory."""
        super().sync_directory(path)
        self._switch.reach("directory synced")

    def _taken_over(self, file: OSLogFile) -> KillingFile:
        killing = KillingFile(os.dup(file.descriptor))
        file.close()
        killing.switch = self._switch
        return killing


def install(switch: KillSwitch) -> KillingDisk:
    """Let this process be killed by `switch`; return the disk for its node."""
    _after(node_directory, "_write_charter", switch, "charter written")
    _after(LedgerStore, "apply", switch, "applied")
    _after(StoreKeeper, "keep", switch, "block kept")
    _after(Checkpoint, "_put", switch, "checkpoint rows")
    _before(Checkpoint, "write", switch, "checkpoint begun")
    _after(Checkpoint, "write", switch, "checkpoint committed")
    defaults = LedgerStore.__init__.__kwdefaults__
    assert defaults is not None
    defaults["segment_size_bytes"] = SEGMENT_SIZE_BYTES
    return KillingDisk(switch)


def _after(owner: Any, name: str, switch: KillSwitch, point: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        switch.reach(point)
        return result

    setattr(owner, name, wrapped)


def _before(owner: Any, name: str, switch: KillSwitch, point: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        switch.reach(point)
        return original(*arguments, **options)

    setattr(owner, name, wrapped)
