"""Files that a command reads and writes, with errors that name them."""

import contextlib
import os
from pathlib import Path

from cairn.sdk.errors import UsageError


def read_file(path: Path, *, size_bytes_max: int = 1 << 30) -> bytes:
    """Return a file's bytes.

    Raises:
        UsageError: It is missing, cannot be read, or is too large.
    """
    try:
        if path.stat().st_size > size_bytes_max:
            raise UsageError(
                f"{path} is larger than {size_bytes_max:,} bytes", "is it the file you meant?"
            )
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            "name a file that exists and that this user may read",
        ) from error


def read_text(path: Path) -> str:
    """Return a file's text.

    Raises:
        UsageError: It is missing, cannot be read, or is not UTF-8.
    """
    try:
        return read_file(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text", "save it as UTF-8: iconv -f latin1 -t utf-8 FILE"
        ) from error


def write_output(path: Path, content: bytes) -> None:
    """Write a file that the user named, replacing what was there as a whole.

    Raises:
        UsageError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "choose a place that you may write to"
        ) from error
