"""Laws that identity's rows keep."""

from cairn.ledger.changes import StateReader
from cairn.ledger.errors import InvariantError
from cairn.ledger.records import split_key
from cairn.modules.identity.records import (
    ACCOUNTS,
    ACTIVE,
    ADMIN,
    KEYS,
    OPEN_KEYS,
    ORGANISATION,
)


def check_open_keys(reader: StateReader) -> None:
    """Check that `open_keys` lists exactly the keys without an end, and that each has its account.

    Raises:
        InvariantError: A key is listed wrongly, or ends before it begins.
    """
    spoken: dict[bytes, dict[bytes, None]] = {}
    for row_key, raw in reader.scan(KEYS.prefix):
        key = KEYS.decoder.decode_trusted(raw)
        if key.until_height is None:
            spoken.setdefault(key.account, {})[split_key(row_key)[2]] = None
        elif key.until_height < key.from_height:
            raise InvariantError(f"a key of {key.account.hex()} ends before it begins")
    for row_key, raw in reader.scan(OPEN_KEYS.prefix):
        account = split_key(row_key)[2]
        listed = OPEN_KEYS.decoder.decode_trusted(raw).keys
        if sorted(listed) != sorted(spoken.pop(account, {})):
            raise InvariantError(f"the open keys of {account.hex()} are not those listed")
    if spoken:
        raise InvariantError("a key speaks for an account that lists none")


def check_administrators(reader: StateReader) -> None:
    """Check that every organisation has an administrator who is not suspended.

    Raises:
        InvariantError: One has none, or an account belongs to no organisation.
    """
    organisations: dict[bytes, int] = {}
    members = []
    for row_key, raw in reader.scan(ACCOUNTS.prefix):
        account = ACCOUNTS.decoder.decode_trusted(raw)
        if account.kind == ORGANISATION:
            organisations[split_key(row_key)[2]] = 0
        else:
            members.append(account)
    for member in members:
        if member.organisation not in organisations:
            raise InvariantError(f"the organisation of {member.name} does not exist")
        if ADMIN in member.roles and member.status == ACTIVE:
            organisations[member.organisation] += 1
    if not all(organisations.values()):
        raise InvariantError("an organisation has no active administrator")
