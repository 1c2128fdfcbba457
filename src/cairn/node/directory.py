"""A node's directory: made once from a signed charter, read at every start."""

import os
from dataclasses import dataclass
from pathlib import Path

from cairn.ledger.charter import Charter, open_charter
from cairn.node.errors import CharterError, DirectoryError
from cairn.node.settings import SETTINGS_FILE, settings_text
from cairn.primitives.errors import PrimitiveError
from cairn.primitives.light import Validator, ValidatorSet, validator_set_of

CHARTER_FILE = "charter.cairn"
_UNFINISHED_CHARTER = CHARTER_FILE + ".new"
"""What a founding leaves that was interrupted; it is begun anew."""
LEDGER_FOLDER = "ledger"


@dataclass(frozen=True, slots=True)
class Founding:
    """What a ledger began from."""

    file: bytes
    """The charter file's bytes."""
    charter: Charter
    chain_id: str

    @property
    def validators(self) -> ValidatorSet:
        """The charter's validators, in the order in which commits list them."""
        members = (Validator(entry.key, entry.power) for entry in self.charter.validators)
        return validator_set_of(members)


def parse_founding(file: bytes) -> Founding:
    """Return what a charter file says.

    Raises:
        CharterError: It is malformed, or a founder's signature is missing or wrong.
    """
    try:
        charter, chain_id = open_charter(file)
    except PrimitiveError as error:
        raise CharterError(f"the charter is not acceptable: {error}") from error
    return Founding(file, charter, chain_id)


def create_directory(directory: Path, founding: Founding) -> None:
    """Make a node's directory, with the charter and a settings file that says nothing yet.

    Raises:
        DirectoryError: It holds a ledger or anything else, or cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        names = sorted(one.name for one in directory.iterdir())
        others = [name for name in names if name not in (SETTINGS_FILE, _UNFINISHED_CHARTER)]
        if others:
            raise DirectoryError(f"{directory} is not empty: it holds {others[0]}")
        if not (directory / SETTINGS_FILE).exists():
            (directory / SETTINGS_FILE).write_text(settings_text(), encoding="utf-8")
        _write_charter(directory, founding.file)
    except OSError as error:
        raise DirectoryError(f"{directory} cannot be written: {error.strerror}") from error


def read_founding(directory: Path) -> Founding:
    """Return what the ledger in a directory began from.

    Raises:
        DirectoryError: There is no ledger.
        CharterError: The charter file is damaged.
    """
    try:
        file = (directory / CHARTER_FILE).read_bytes()
    except FileNotFoundError as error:
        raise DirectoryError(f"{directory} holds no ledger") from error
    except OSError as error:
        raise DirectoryError(f"{directory} cannot be read: {error.strerror}") from error
    return parse_founding(file)


def _write_charter(directory: Path, file: bytes) -> None:
    """Write the charter under its name once all of it is on the disk."""
    temporary = directory / _UNFINISHED_CHARTER
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(directory / CHARTER_FILE)
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
