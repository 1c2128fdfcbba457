"""Founding a home ledger: new keys, a signed charter, and a workspace around the ledger."""

import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from cairn.evidence.trust import trust_of_charter
from cairn.ledger.charter import charter_digest
from cairn.primitives.encoding import Record, encode
from cairn.sdk.charters import Plan, check_plan, sign_plan
from cairn.sdk.errors import UsageError
from cairn.sdk.keys import INTERACTIVE, KeyCost, create_key_file, generate_key
from cairn.sdk.local import LocalConnection
from cairn.sdk.workspace import KEYS_FOLDER, NODE_KEY_FILE, Workspace


def found_workspace(
    directory: Path,
    plan: Plan,
    passphrase: str,
    *,
    sections: Mapping[str, Record] | None = None,
    cost: KeyCost = INTERACTIVE,
) -> Workspace:
    """Make a workspace with new keys, and found its ledger.

    Nothing is left behind if it fails.

    Args:
        directory: It does not exist yet, or is empty.
        plan: People, policies and assets.
        passphrase: Seals all keys.
        sections: Further sections of the charter by module, such as a `BankGenesis`.
        cost: Of turning the passphrase into a key.

    Raises:
        UsageError: The plan is not acceptable, or the directory is not empty or not writable.
        NodeFaultError: The disk refuses.
    """
    check_plan(plan)
    keys = {member.name: generate_key() for member in plan.members}
    node_key = generate_key()
    charter = sign_plan(plan, keys, node_key, sections or {})
    _check_directory(directory)
    draft = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        LocalConnection.create(draft, encode(charter), node_key).close()
        workspace = Workspace(draft)
        for name, key in keys.items():
            create_key_file(draft / KEYS_FOLDER / f"{name}.json", passphrase, key=key, cost=cost)
        create_key_file(draft / NODE_KEY_FILE, passphrase, key=node_key, cost=cost)
        workspace.pseudonym_key()
        opened, chain_id = workspace.charter()
        digest = charter_digest(charter.charter)
        workspace.save_trust(trust_of_charter(opened, chain_id, digest, plan.witnesses))
        draft.replace(directory)
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be made: {error.strerror}", "choose a place that you may write to"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Workspace(directory.absolute())


def _check_directory(directory: Path) -> None:
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} is not empty", "choose a new directory")
    except OSError as error:
        raise UsageError(f"{directory} cannot be read: {error.strerror}") from error
