"""Reading identity: accounts, keys and approvals, never more than a page at once."""

from collections.abc import Iterator
from dataclasses import dataclass

from cairn.ledger.changes import StateReader
from cairn.ledger.context import Context
from cairn.ledger.records import split_key
from cairn.modules.identity.records import (
    ACCOUNTS,
    APPROVAL_SERIES,
    KEYS,
    OPEN_KEYS,
    POLICIES,
    Account,
    ApprovalEntry,
    Key,
    Policy,
)
from cairn.primitives.did import did_key

PAGE_SIZE_MAX = 500


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as people read it."""

    did: str
    """`did:key:z…`"""
    account: bytes
    from_height: int
    until_height: int | None


def get_account(ctx: Context, account: bytes) -> Account | None:
    """Return an account, or None."""
    return ctx.get(ACCOUNTS, account)


def get_key(ctx: Context, key: bytes) -> Key | None:
    """Return whose key this is or was, and from when to when; None if it was never registered."""
    return ctx.get(KEYS, key)


def list_keys(ctx: Context, account: bytes) -> list[KeyView]:
    """Return the keys that speak for an account, now or from the next height on, oldest first."""
    open_keys = ctx.get(OPEN_KEYS, account)
    views = []
    for key in () if open_keys is None else open_keys.keys:
        row = ctx.get(KEYS, key)
        if row is not None:
            views.append(KeyView(did_key(key), account, row.from_height, row.until_height))
    return views


def list_accounts(
    reader: StateReader, *, after: bytes = b"", limit: int = PAGE_SIZE_MAX
) -> list[tuple[bytes, Account]]:
    """Return accounts by id; `after` is the last id of the page before."""
    rows = ((parts[2], raw) for parts, raw in _rows(reader, ACCOUNTS.prefix))
    chosen = ((account, raw) for account, raw in rows if account > after)
    return [
        (account, ACCOUNTS.decoder.decode_trusted(raw))
        for (account, raw), _ in zip(chosen, range(min(limit, PAGE_SIZE_MAX)), strict=False)
    ]


def list_policies(reader: StateReader) -> list[tuple[str, Policy]]:
    """Return all policies by name; there are few, since each takes governance."""
    return [
        (parts[2].decode(), POLICIES.decoder.decode_trusted(raw))
        for parts, raw in _rows(reader, POLICIES.prefix)
    ]


def list_approvals(
    ctx: Context, policy: str, subject: bytes, *, start: int = 0, limit: int = PAGE_SIZE_MAX
) -> list[tuple[int, ApprovalEntry]]:
    """Return `(time_ms, entry)` of the acts on a subject, from position `start` on."""
    size = ctx.series_size(APPROVAL_SERIES, policy, subject)
    end = min(size, start + min(limit, PAGE_SIZE_MAX))
    return [
        ctx.series_get(APPROVAL_SERIES, position, policy, subject) for position in range(start, end)
    ]


def _rows(reader: StateReader, prefix: bytes) -> Iterator[tuple[tuple[bytes, ...], bytes]]:
    for key, raw in reader.scan(prefix):
        yield split_key(key), raw
