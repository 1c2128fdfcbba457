"""A workspace: the directory in which one organisation keeps its ledger, keys and trust.

    charter.cairn        the signed charter from which the ledger began
    cairn.toml           settings of the node
    ledger/              the block log and its checkpoint, which the node alone writes
    node.key             the validator's key, encrypted
    keys/NAME.json       the keys of people and services, encrypted
    pseudonym.key        the secret by which customers get their pseudonyms
    customers.json       which account is which customer's, for people; it stays here
    trust.json           what a verifier of this ledger has to trust
    data/                manifests, commitments and salts of data sets

`cairn init` makes it. One passphrase opens all of its keys.
"""

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cairn.evidence.errors import TrustFileError
from cairn.evidence.trust import Trust, dump_trust, load_trust
from cairn.ledger.charter import Charter, open_charter
from cairn.primitives.did import parse_did_key
from cairn.primitives.errors import PrimitiveError
from cairn.primitives.ids import is_name
from cairn.primitives.signatures import PublicKey, SigningKey
from cairn.sdk.errors import KeyFileError, UsageError
from cairn.sdk.keys import open_key_file, public_key_text

CHARTER_FILE = "charter.cairn"
KEYS_FOLDER = "keys"
NODE_KEY_FILE = "node.key"
PSEUDONYM_FILE = "pseudonym.key"
CUSTOMERS_FILE = "customers.json"
TRUST_FILE = "trust.json"
DATA_FOLDER = "data"
VARIABLE = "CAIRN_DIR"
PSEUDONYM_KEY_SIZE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace by its directory; files are read when they are asked for."""

    directory: Path

    # The ledger

    def charter(self) -> tuple[Charter, str]:
        """Return the charter and the chain id.

        Raises:
            UsageError: The charter file is damaged.
        """
        path = self.directory / CHARTER_FILE
        try:
            return open_charter(path.read_bytes())
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        except PrimitiveError as error:
            raise UsageError(
                f"{path} is damaged: {error}", "restore it from another member's copy"
            ) from error

    @property
    def chain_id(self) -> str:
        """The ledger's chain id."""
        return self.charter()[1]

    def trust(self) -> Trust:
        """Return the workspace's own trust file.

        Raises:
            UsageError: It is missing or malformed.
        """
        try:
            return load_trust(self.directory / TRUST_FILE)
        except TrustFileError as error:
            raise UsageError(str(error), "`cairn trust export` writes it anew") from error

    def save_trust(self, trust: Trust) -> None:
        """Write the workspace's trust file."""
        write_file(self.directory / TRUST_FILE, dump_trust(trust).encode(), mode=0o644)

    # Keys

    def key_path(self, person: str) -> Path:
        """Return where a person's key file stands.

        Raises:
            UsageError: It is no name.
        """
        if not is_name(person):
            raise UsageError(
                f"{person!r} is not a name",
                "use up to 64 of a-z 0-9 . _ - and begin with a letter or digit",
            )
        return self.directory / KEYS_FOLDER / f"{person}.json"

    def people(self) -> dict[str, PublicKey]:
        """Return the public keys of the key files, by name."""
        found = {}
        for path in sorted((self.directory / KEYS_FOLDER).glob("*.json")):
            with contextlib.suppress(KeyFileError, PrimitiveError):
                found[path.stem] = parse_did_key(public_key_text(path))
        return found

    def open_key(self, person: str, passphrase: str) -> SigningKey:
        """Return a person's signing key.

        Raises:
            KeyFileError: There is none, it is damaged, or the passphrase is wrong.
        """
        path = self.key_path(person)
        if not path.exists():
            names = ", ".join(self.people()) or "nobody"
            raise KeyFileError(f"there is no key of {person!r}", f"there are keys of: {names}")
        return open_key_file(path, passphrase)

    def open_node_key(self, passphrase: str) -> SigningKey:
        """Return the validator's signing key.

        Raises:
            KeyFileError: It is missing, damaged, or the passphrase is wrong.
        """
        return open_key_file(self.directory / NODE_KEY_FILE, passphrase)

    # Customers

    def pseudonym_key(self) -> bytes:
        """Return the secret by which customers get pseudonyms, making it the first time.

        Raises:
            UsageError: The file cannot be read or written, or is damaged.
        """
        path = self.directory / PSEUDONYM_FILE
        try:
            if not path.exists():
                raw = secrets.token_bytes(PSEUDONYM_KEY_SIZE_BYTES)
                write_file(path, (raw.hex() + "\n").encode(), mode=0o600)
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except OSError as error:
            raise UsageError(f"{path} cannot be used: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{path} is damaged", "restore it from a backup") from error
        if len(key) != PSEUDONYM_KEY_SIZE_BYTES:
            raise UsageError(f"{path} is damaged", "restore it from a backup")
        return key

    def customers(self) -> dict[str, bytes]:
        """Return the accounts of customers whose names are known here.

        Raises:
            UsageError: The file is damaged.
        """
        path = self.directory / CUSTOMERS_FILE
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return {str(name): bytes.fromhex(account) for name, account in document.items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"{path} is damaged: {error}") from error

    def add_customers(self, accounts: dict[str, bytes]) -> None:
        """Write down which account is which customer's."""
        merged = {**self.customers(), **accounts}
        text = json.dumps({name: raw.hex() for name, raw in merged.items()}, indent=1)
        write_file(self.directory / CUSTOMERS_FILE, (text + "\n").encode(), mode=0o600)

    # Data

    @property
    def data_directory(self) -> Path:
        """Where manifests and salts stand."""
        return self.directory / DATA_FOLDER


def find_workspace(directory: Path | None = None) -> Workspace:
    """Return the workspace of a directory, else of CAIRN_DIR, else around the current directory.

    Else it is the only one that stands in the current directory.

    Raises:
        UsageError: There is none.
    """
    named = directory or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    if named is not None:
        if not (named / CHARTER_FILE).is_file():
            raise UsageError(f"{named} is no workspace", f"`cairn init {named}` makes one")
        return Workspace(named.absolute())
    here = Path.cwd()
    for candidate in (here, *here.parents):
        if (candidate / CHARTER_FILE).is_file():
            return Workspace(candidate)
    below = sorted(path.parent for path in here.glob(f"*/{CHARTER_FILE}"))
    if len(below) == 1:
        return Workspace(below[0])
    if below:
        names = ", ".join(path.name for path in below)
        raise UsageError(f"which workspace? there are {names}", f"choose with --dir, or {VARIABLE}")
    raise UsageError(
        "no workspace here, above, or just below", "`cairn init DIR` makes one; or give --dir"
    )


def write_file(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file as a whole; when this returns it is on the disk.

    Raises:
        UsageError: It cannot be written.
    """
    temporary = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "choose a place that you may write to"
        ) from error
