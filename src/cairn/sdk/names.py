"""Accounts by the names that people use, and ids by their first digits."""

import hmac
from collections.abc import Mapping
from typing import TypeVar

from cairn.ledger.records import Table
from cairn.modules.bank.records import customer_account
from cairn.modules.identity.records import ACCOUNTS, ORGANISATION, Account
from cairn.primitives.encoding import Record
from cairn.primitives.ids import ID_SIZE_BYTES, AccountId
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.quantities import parse_hex
from cairn.sdk.reading import Reader

RecordT = TypeVar("RecordT", bound=Record)

PREFIX_DIGITS_MIN = 6
"""An id may be given by at least so many of its first hex digits."""
SHORT_DIGITS = 12
"""How many digits of an id a table shows; enough to name it by."""
CUSTOMER = "customer:"


class Names:
    """The accounts of one ledger by name: `bank-a`, `bank-a/rita`, `rita`, `customer:alice`.

    A name without an organisation is looked for in `home`, the workspace's own.
    """

    def __init__(self, reader: Reader, customers: Mapping[str, bytes], home: bytes) -> None:
        """Read the members of the ledger; customers' names are known to the workspace alone."""
        self.home = home
        self.accounts: dict[bytes, Account] = {
            row.key[0]: row.record for row in reader.scan(ACCOUNTS)
        }
        self._reader = reader
        self._customers = dict(customers)
        self._shown = {account: self._title(row) for account, row in self.accounts.items()}
        self._shown |= {raw: CUSTOMER + name for name, raw in self._customers.items()}
        self._known = {title: account for account, title in self._shown.items()}

    def show(self, account: bytes) -> str:
        """Return an account's name, or the first digits of its id."""
        return self._shown.get(account) or short_id(account)

    def find(self, text: str) -> AccountId:
        """Return the account that a name, or an id in hex, stands for.

        Raises:
            NotFoundError: Nobody has this name.
        """
        home = self.accounts.get(self.home)
        own = f"{home.name}/{text}" if home is not None else text
        for spelling in (text, own):
            if spelling in self._known:
                return AccountId(self._known[spelling])
        if len(text) == 2 * ID_SIZE_BYTES:
            return AccountId(parse_hex(text, ID_SIZE_BYTES, "an account"))
        known = sorted(title for title in self._known if not title.startswith(CUSTOMER))
        raise NotFoundError(
            f"there is no account {text!r}",
            f"write a name or 40 hex digits; members: {', '.join(known[:12])}",
        )

    def _title(self, row: Account) -> str:
        if row.kind == ORGANISATION:
            return row.name
        organisation = self.accounts.get(row.organisation)
        return f"{organisation.name}/{row.name}" if organisation else row.name


def short_id(identifier: bytes) -> str:
    """Return the first digits of an id: enough to name it by on most ledgers.

    >>> short_id(bytes(range(20)))
    '000102030405'
    """
    return identifier.hex()[:SHORT_DIGITS]


def find_id(reader: Reader, table: Table[RecordT], text: str, what: str) -> bytes:
    """Return the id of the row that `text`, an id in hex or its first digits, stands for.

    Raises:
        UsageError: It is not hex, or too short, or stands for several.
        NotFoundError: No row has such an id.
    """
    text = text.lower()
    hint = f"write the {2 * ID_SIZE_BYTES} hex digits of {what}, or at least {PREFIX_DIGITS_MIN}"
    if not PREFIX_DIGITS_MIN <= len(text) <= 2 * ID_SIZE_BYTES:
        raise UsageError(f"{text!r} is not the id of {what}", hint)
    try:
        whole = bytes.fromhex(text[: len(text) // 2 * 2])
    except ValueError as error:
        raise UsageError(f"{text!r} is not the id of {what}", hint) from error
    prefix = table.prefix + bytes((ID_SIZE_BYTES,)) + whole
    found = [
        row.key[0]
        for row in reader.scan_keys(table, prefix, limit=64)
        if row.key[0].hex().startswith(text)
    ]
    if not found:
        raise NotFoundError(f"there is no {what.partition(' ')[2] or what} {text}")
    if len(found) > 1:
        raise UsageError(f"{text} stands for several", f"write more digits of the id of {what}")
    return found[0]


def customer_pseudonym(key: bytes, chain_id: str, name: str) -> bytes:
    """Return what an organisation calls one of its customers on a ledger.

    It is HMAC-SHA256 over ledger and name, cut to 20 bytes: without the key nobody can tell who it
    is or try candidates, and two ledgers see pseudonyms that have nothing in common.
    """
    scope = chain_id.encode()
    message = b"cairn/pseudonym" + len(scope).to_bytes(8, "big") + scope + name.encode()
    return hmac.digest(key, message, "sha256")[:ID_SIZE_BYTES]


def account_of_customer(key: bytes, chain_id: str, controller: bytes, name: str) -> AccountId:
    """Return the account id of a customer whom `controller` operates."""
    return customer_account(controller, customer_pseudonym(key, chain_id, name))
