"""`cairn key`: key files, and which keys speak for whom."""

import os
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.session import Session, account_of, command, new_app
from cairn.modules.identity.messages import AddKey, Recover, RevokeKey, RotateKey
from cairn.modules.identity.records import KEYS, OPEN_KEYS
from cairn.primitives.did import did_key, parse_did_key
from cairn.primitives.signatures import PublicKey
from cairn.sdk.errors import KeyFileError
from cairn.sdk.keys import create_key_file, public_key_text

app = new_app("Key files, and which keys speak for whom.")

PersonArgument = Annotated[str, Argument(metavar="NAME", help="A person or service.")]
AccountOption = Annotated[
    str, Option("--account", help="The account; else that of whoever acts.", show_default=False)
]
KeyArgument = Annotated[str, Argument(metavar="KEY", help="A did:key, or the name of a key file.")]


@command(app, "new")
def new(session: Session, name: PersonArgument) -> None:
    """Make a key file, encrypted under the workspace's passphrase.

    The key speaks for nobody until an administrator registers it.
    """
    path = session.workspace.key_path(name)
    key = create_key_file(path, session.passphrase(confirm=True))
    text = did_key(key.public_key)
    session.out.record({"name": name, "key": text, "file": str(path)})


@command(app, "show")
def show(session: Session, name: PersonArgument) -> None:
    """Show a key file's public key, without opening it."""
    text = public_key_text(session.workspace.key_path(name))
    session.out.value(text, name=name, key=text)


@command(app, "list")
def list_keys(
    session: Session,
    account: Annotated[str, Argument(help="An account; else the key files here.")] = "",
) -> None:
    """List the key files here and whom they speak for, or the keys of an account."""
    rows: list[dict[str, Any]] = []
    with session.reader() as reader:
        names = session.names(reader)
        if account:
            open_keys = reader.get(OPEN_KEYS, names.find(account))
            keys = [("", key) for key in (open_keys.keys if open_keys else ())]
        else:
            keys = list(session.workspace.people().items())
        for name, key in keys:
            row = reader.get(KEYS, key)
            rows.append(
                {
                    "name": name,
                    "key": did_key(key),
                    "account": names.show(row.account) if row else "",
                    "account_id": row.account.hex() if row else "",
                    "from_height": row.from_height if row else None,
                    "until_height": row.until_height if row else None,
                }
            )
    session.out.rows(("name", "account", "key", "from_height", "until_height"), rows)


@command(app, "rotate")
def rotate(session: Session, name: PersonArgument) -> None:
    """Replace a person's key by a new one; the old key file is kept under keys/retired."""
    workspace = session.workspace
    path = workspace.key_path(name)
    draft = path.with_name(f"{name}.next")
    session.person = name
    with session.client() as client:
        old = workspace.open_key(name, session.passphrase())
        # A draft is what an interrupted rotation left: perhaps the ledger knows it already.
        if draft.exists():
            raise KeyFileError(
                f"{draft} is left of a rotation that broke off",
                "see `cairn key list`: if the ledger has it, rename it, else remove it",
            )
        new_key = create_key_file(draft, session.passphrase())
        try:
            final = session.send(
                client, RotateKey(client.account, old.public_key, new_key.public_key)
            )
        except BaseException:
            known = client.get(KEYS, new_key.public_key) is not None
            if not known:
                draft.unlink()
            raise
    retired = path.parent / "retired" / f"{name}-{final.height}.json"
    _keep(path, retired)
    draft.replace(path)
    session.out.record(
        {"name": name, "key": did_key(new_key.public_key), "speaks_from": final.height + 1}
    )


@command(app, "add")
def add(session: Session, key: KeyArgument, account: AccountOption = "") -> None:
    """Let another key speak for an account, from the next block on."""
    with session.client() as client:
        target = session.names(client).find(account) if account else client.account
        final = session.send(client, AddKey(target, _public_key(session, key)))
    session.out.record({"account": target.hex(), "speaks_from": final.height + 1})


@command(app, "revoke")
def revoke(session: Session, key: KeyArgument, account: AccountOption = "") -> None:
    """Let a key no longer speak for its account, from the next block on."""
    public = _public_key(session, key)
    with session.client() as client:
        target = account_of(client, public, key) if not account else b""
        target = target or session.names(client).find(account)
        session.confirm(f"revoke {did_key(public)}")
        final = session.send(client, RevokeKey(target, public))
    session.out.record({"key": did_key(public), "silent_from": final.height + 1})


@command(app, "recover")
def recover(
    session: Session,
    account: Annotated[str, Argument(help="The account whose keys are lost.")],
    key: KeyArgument,
    proposal: Annotated[str, Option(help="A name for this recovery.")],
    approve: Annotated[bool, Option("--approve", help="Approve it, carry nothing out.")] = False,
) -> None:
    """Replace all keys of an account whose keys are lost, once people have approved it."""
    from cairn.cli.org import carry_out

    with session.client() as client:
        target = session.names(client).find(account)
        message = Recover(target, (_public_key(session, key),), proposal)
        carry_out(session, client, message, "recovery", approve=approve)


def _public_key(session: Session, text: str) -> PublicKey:
    if text.startswith("did:key:"):
        return parse_did_key(text)
    return parse_did_key(public_key_text(session.workspace.key_path(text)))


def _keep(path: Path, target: Path) -> None:
    """Move a key file aside, never over another one."""
    target.parent.mkdir(exist_ok=True)
    os.link(path, target)
