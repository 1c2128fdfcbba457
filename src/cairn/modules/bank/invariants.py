"""Laws that the bank's rows keep, in full and over what one block changed."""

from collections.abc import Iterator, Mapping
from typing import Any

from cairn.ledger.changes import StateReader
from cairn.ledger.errors import InvariantError
from cairn.ledger.records import Table, split_key
from cairn.modules.bank.records import (
    ASSETS,
    BALANCES,
    DUE,
    ESCROWS,
    HOLDS,
    OPEN,
    OPEN_STATUSES,
    Asset,
    Balance,
    Escrow,
    Hold,
)

Pocket = tuple[bytes, str]
"""Account and asset."""


def check_supply(reader: StateReader) -> None:
    """Check that balances sum up to the supply of each asset, and that nothing is negative.

    Raises:
        InvariantError: They do not, or something is.
    """
    sums: dict[str, int] = {}
    for (_, asset), balance in _balances(reader):
        _check_not_negative(balance)
        total = balance.available + balance.held + balance.escrowed
        sums[asset] = sums.get(asset, 0) + total
    for key, raw in reader.scan(ASSETS.prefix):
        name = split_key(key)[2].decode()
        supply = ASSETS.decoder.decode_trusted(raw).supply_units
        if supply != sums.pop(name, 0):
            raise InvariantError(f"the balances of {name} do not sum up to its supply")
    if sums:
        raise InvariantError(f"balances of assets that do not exist: {sorted(sums)}")


def check_supply_change(changed: Mapping[bytes, tuple[Any, Any]]) -> None:
    """Check that one block's changes of balances sum up to its changes of supply.

    Raises:
        InvariantError: They do not, or something is negative.
    """
    sums: dict[str, int] = {}
    for key, (old, new) in changed.items():
        name = split_key(key)[-1].decode()
        for row, sign in ((old, -1), (new, 1)):
            if isinstance(row, Balance):
                _check_not_negative(row)
                total = row.available + row.held + row.escrowed
                sums[name] = sums.get(name, 0) + sign * total
            elif isinstance(row, Asset):
                sums[name] = sums.get(name, 0) - sign * row.supply_units
    wrong = sorted(name for name, difference in sums.items() if difference)
    if wrong:
        raise InvariantError(f"the supply changed by another amount than the balances: {wrong}")


def check_set_aside(reader: StateReader) -> None:
    """Check that what is held and escrowed is what open holds and escrows say, and falls due.

    Raises:
        InvariantError: It is not.
    """
    held: dict[Pocket, int] = {}
    escrowed: dict[Pocket, int] = {}
    due: dict[bytes, int] = {}
    for key, hold in _rows(reader, HOLDS):
        if hold.status in OPEN_STATUSES:
            pocket = (hold.payer, hold.asset)
            held[pocket] = held.get(pocket, 0) + hold.amount_units
            due[key] = hold.expires_at_ms
    for key, escrow in _rows(reader, ESCROWS):
        if escrow.status == OPEN:
            pocket = (escrow.payer, escrow.asset)
            escrowed[pocket] = escrowed.get(pocket, 0) + escrow.amount_units
            due[key] = escrow.deadline_ms
    for pocket, balance in _balances(reader):
        if balance.held != held.pop(pocket, 0):
            raise InvariantError(f"held of {pocket[0].hex()} is not the sum of its open holds")
        if balance.escrowed != escrowed.pop(pocket, 0):
            raise InvariantError(f"escrowed of {pocket[0].hex()} is not the sum of its escrows")
    if held or escrowed:
        raise InvariantError("an open hold or escrow belongs to no balance")
    for key, _ in reader.scan(DUE.prefix):
        time_ms, subject = split_key(key)[2:]
        if due.pop(subject, -1) != int.from_bytes(time_ms, "big"):
            raise InvariantError(f"{subject.hex()} is due without being open then")
    if due:
        raise InvariantError("an open hold or escrow never falls due")


def check_set_aside_change(changed: Mapping[bytes, tuple[Any, Any]]) -> None:
    """Check that one block's changes of held and escrowed are those of its holds and escrows.

    Raises:
        InvariantError: They are not.
    """
    sums: dict[tuple[bytes, str, str], int] = {}
    for key, (old, new) in changed.items():
        for row, sign in ((old, -1), (new, 1)):
            for account, asset, pocket, units in _set_aside_of(key, row):
                place = (account, asset, pocket)
                sums[place] = sums.get(place, 0) + sign * units
    if any(sums.values()):
        raise InvariantError("held or escrowed changed by another amount than holds and escrows")


def _set_aside_of(key: bytes, row: object) -> Iterator[tuple[bytes, str, str, int]]:
    """Yield `(account, asset, pocket, units)`, positive for balances, negative for what is open."""
    if isinstance(row, Balance):
        account, asset = split_key(key)[2:]
        yield account, asset.decode(), "held", row.held
        yield account, asset.decode(), "escrowed", row.escrowed
    elif isinstance(row, Hold) and row.status in OPEN_STATUSES:
        yield row.payer, row.asset, "held", -row.amount_units
    elif isinstance(row, Escrow) and row.status == OPEN:
        yield row.payer, row.asset, "escrowed", -row.amount_units


def _check_not_negative(balance: Balance) -> None:
    if min(balance.available, balance.held, balance.escrowed) < 0:
        raise InvariantError("a balance is negative")


def _balances(reader: StateReader) -> Iterator[tuple[Pocket, Balance]]:
    for key, raw in reader.scan(BALANCES.prefix):
        account, asset = split_key(key)[2:]
        yield (account, asset.decode()), BALANCES.decoder.decode_trusted(raw)


def _rows(reader: StateReader, table: Table[Any]) -> Iterator[tuple[bytes, Any]]:
    for key, raw in reader.scan(table.prefix):
        yield split_key(key)[2], table.decoder.decode_trusted(raw)
