"""Where a passphrase comes from: a file, the environment, or a person at a terminal."""

import getpass
import os
import sys
from pathlib import Path

from cairn.sdk.errors import KeyFileError

VARIABLE = "CAIRN_PASSPHRASE"
FILE_VARIABLE = "CAIRN_PASSPHRASE_FILE"
PASSPHRASE_CHARACTERS_MIN = 8
PASSPHRASE_SIZE_BYTES_MAX = 1_024
_HINT = f"set {VARIABLE}, or give --passphrase-file"


def read_passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """Return the passphrase of a file, else of the environment, else of whoever sits there.

    Args:
        file: A file whose first line it is; None looks further.
        confirm: Whether it is for new keys: a person types it twice, and a short one is refused.

    Raises:
        KeyFileError: There is none, the file cannot be read, or it is too short for new keys.
    """
    path = file or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    if path is not None:
        passphrase = _from_file(path)
    elif os.environ.get(VARIABLE):
        passphrase = os.environ[VARIABLE]
    else:
        passphrase = _from_terminal(confirm)
    if not passphrase:
        raise KeyFileError("the passphrase is empty", _HINT)
    if confirm and len(passphrase) < PASSPHRASE_CHARACTERS_MIN:
        raise KeyFileError(
            f"the passphrase has fewer than {PASSPHRASE_CHARACTERS_MIN} characters",
            "choose a longer one, such as four random words",
        )
    return passphrase


def _from_file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline(PASSPHRASE_SIZE_BYTES_MAX).rstrip("\r\n")
    except OSError as error:
        raise KeyFileError(
            f"the passphrase file {path} cannot be read: {error.strerror}", _HINT
        ) from error
    except UnicodeDecodeError as error:
        raise KeyFileError(f"the passphrase file {path} is not UTF-8", _HINT) from error


def _from_terminal(confirm: bool) -> str:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise KeyFileError("no passphrase, and no terminal to ask for one at", _HINT)
    try:
        passphrase = getpass.getpass("Passphrase: ", stream=sys.stderr)
        if confirm and getpass.getpass("Once more: ", stream=sys.stderr) != passphrase:
            raise KeyFileError("the two passphrases differ", "try again")
    except (EOFError, KeyboardInterrupt) as error:
        raise KeyFileError("no passphrase was given", _HINT) from error
    return passphrase
