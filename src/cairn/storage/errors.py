"""Errors of the storage: each one stops the node and carries a hint on how to go on.

No error loses data: what was synced before it is still there when the directory is opened again.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cairn.ledger.errors import Fault

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class StorageError(Fault):
    """The disk or what lies on it does not allow the node to go on.

    Args:
        message: What happened, with the path.
        hint: What a person can do about it.
    """

    def __init__(self, message: str, *, hint: str) -> None:
        """Keep the message and the hint."""
        super().__init__(message)
        self.message = message
        self.hint = hint


class NoSpaceError(StorageError):
    """The disk, a quota or a file size limit is full."""


class ReadOnlyError(StorageError):
    """The directory cannot be written: read-only file system or missing permission."""


class DiskFaultError(StorageError):
    """The operating system reports any other failure of the disk."""


class WrongFormatError(StorageError):
    """The directory is not a ledger directory, or one of a format that this version cannot read."""


class DirectoryInUseError(StorageError):
    """Another process has the directory open."""

    def __init__(self, path: Path, pid: int | None) -> None:
        """Name the process if its number can be read."""
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(
            f"{path} is in use by {who}",
            hint="stop the other node, or choose another directory with --dir",
        )
        self.pid = pid


class CorruptLogError(StorageError):
    """The block log is damaged where an interrupted write cannot explain it."""

    def __init__(
        self, reason: str, *, height: int | None, segment: str = "", offset: int | None = None
    ) -> None:
        """Name the place as far as it is known: segment, byte offset, the height expected there."""
        place = [segment] if segment else []
        place += [f"offset {offset}"] if offset is not None else []
        place += [f"height {height}"] if height is not None else []
        super().__init__(
            f"block log damaged: {reason} ({', '.join(place)})",
            hint="restore the log from a backup; `cairn debug fsck` says what is damaged",
        )
        self.segment = segment
        self.offset = offset
        self.height = height


class CorruptCheckpointError(StorageError):
    """The checkpoint cannot be read, or does not fit the block log; it can be rebuilt."""

    def __init__(self, reason: str, path: Path) -> None:
        """Say why, and how to rebuild."""
        super().__init__(
            f"checkpoint damaged: {reason} ({path})",
            hint="delete the checkpoint (`cairn debug rebuild`): it is made again from the log",
        )
        self.path = path


class CheckpointFailedError(StorageError):
    """Writing a checkpoint failed earlier; the node must not go on without one."""


class ViewExpiredError(StorageError):
    """A read view was closed, because the checkpoint's map had to grow or the store was closed."""


class MisuseError(Fault):
    """The caller broke the order of calls that the storage states; a bug."""


def disk_error(error: OSError, path: Path | str) -> StorageError:
    """Return the named error for what the operating system said about `path`."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _NO_SPACE:
        return NoSpaceError(
            f"no space to write {path}: {reason}",
            hint="free some space and start the node again; nothing acknowledged is lost",
        )
    if error.errno in _READ_ONLY:
        return ReadOnlyError(
            f"cannot write {path}: {reason}",
            hint="give this user write access to the directory, or remount it writable",
        )
    return DiskFaultError(
        f"disk failure at {path}: {reason}",
        hint="check the disk and its file system, then start the node again",
    )


@contextmanager
def named_disk_errors(path: Path | str) -> Iterator[None]:
    """Turn any `OSError` of the block into its named error."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error
