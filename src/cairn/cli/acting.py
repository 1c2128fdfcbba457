"""Who acts in commands that need several roles: whoever is named, else the one person who may."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from cairn.cli.session import PERSON_VARIABLE, Session, account_of
from cairn.modules.identity.records import ACCOUNTS, KEYS
from cairn.sdk.client import Client
from cairn.sdk.errors import UsageError
from cairn.sdk.reading import Reader


@contextmanager
def clients_for(session: Session, *roles: str) -> Iterator[tuple[Client, ...]]:
    """Yield a client for each role, all through one connection.

    Each acts for the person that `--as` names, if he has the role; else for the one person whose
    key the workspace has and who does.

    Raises:
        UsageError: Nobody has a role, or several do and none was named.
    """
    trust = session.workspace.trust()
    acting = session.person or os.environ.get(PERSON_VARIABLE, "")
    with session.connection() as connection:
        reader = Reader(connection, trust=trust)
        known: dict[str, Client] = {}
        clients = []
        for role in roles:
            name = acting if acting and has_role(session, reader, acting, role) else ""
            name = name or holder_of(session, reader, role, "--as")
            if name not in known:
                key = session.workspace.open_key(name, session.passphrase())
                account = account_of(reader, key.public_key, name)
                known[name] = Client(connection, account, key, trust=trust)
            clients.append(known[name])
        yield tuple(clients)


def has_role(session: Session, reader: Reader, name: str, role: str) -> bool:
    """Return whether a person whose key the workspace has holds a role."""
    key = session.workspace.people().get(name)
    row = None if key is None else reader.get(KEYS, key)
    return row is not None and role in reader.require(ACCOUNTS, row.account).roles


def holder_of(session: Session, reader: Reader, role: str, option: str) -> str:
    """Return the one person who holds a role and whose key the workspace has.

    Raises:
        UsageError: There is none, or there are several.
    """
    people = session.workspace.people()
    found = [name for name in people if has_role(session, reader, name, role)]
    if len(found) != 1:
        known = f"who may: {', '.join(found)}" if found else f"nobody here has the role {role}"
        raise UsageError(f"who acts as {role}?", f"choose with {option}; {known}")
    return found[0]
