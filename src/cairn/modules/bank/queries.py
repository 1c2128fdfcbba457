"""Reading the bank: balances and holds, never more than a page at once."""

from cairn.ledger.changes import StateReader
from cairn.ledger.context import Context
from cairn.ledger.records import split_key
from cairn.modules.bank.records import (
    ASSETS,
    BALANCES,
    ESCROWS,
    FREEZE_SERIES,
    HOLD_ACTION_SERIES,
    HOLD_SERIES,
    HOLDS,
    OPEN_STATUSES,
    Asset,
    Balance,
    Escrow,
    FreezeAction,
    Hold,
    HoldAction,
    HoldPlacement,
)

PAGE_SIZE_MAX = 500


def get_hold(ctx: Context, hold_id: bytes) -> Hold | None:
    """Return a hold, open or closed, or None."""
    return ctx.get(HOLDS, hold_id)


def get_escrow(ctx: Context, escrow_id: bytes) -> Escrow | None:
    """Return an escrow, open or closed, or None."""
    return ctx.get(ESCROWS, escrow_id)


def get_asset(ctx: Context, name: str) -> Asset | None:
    """Return an asset, or None."""
    return ctx.get(ASSETS, name)


def list_balances(
    reader: StateReader, account: bytes, *, after: str = "", limit: int = PAGE_SIZE_MAX
) -> list[tuple[str, Balance]]:
    """Return an account's balances by asset; `after` is the last asset of the page before."""
    found: list[tuple[str, Balance]] = []
    for key, raw in reader.scan(BALANCES.key(account)):
        asset = split_key(key)[3].decode()
        if asset <= after:
            continue
        if len(found) >= min(limit, PAGE_SIZE_MAX):
            break
        found.append((asset, BALANCES.decoder.decode_trusted(raw)))
    return found


def list_holds(
    ctx: Context, *, start: int = 0, limit: int = PAGE_SIZE_MAX
) -> list[tuple[int, HoldPlacement]]:
    """Return `(time_ms, placement)` of all holds ever placed, from position `start` on."""
    end = min(ctx.series_size(HOLD_SERIES), start + min(limit, PAGE_SIZE_MAX))
    return [ctx.series_get(HOLD_SERIES, position) for position in range(start, end)]


def list_open_holds(
    reader: StateReader, *, after: bytes = b"", limit: int = PAGE_SIZE_MAX
) -> list[tuple[bytes, Hold]]:
    """Return open holds by id; `after` is the last id of the page before."""
    found: list[tuple[bytes, Hold]] = []
    for key, raw in reader.scan(HOLDS.prefix):
        hold_id = split_key(key)[2]
        if hold_id <= after:
            continue
        if len(found) >= min(limit, PAGE_SIZE_MAX):
            break
        hold = HOLDS.decoder.decode_trusted(raw)
        if hold.status in OPEN_STATUSES:
            found.append((hold_id, hold))
    return found


def list_hold_actions(
    ctx: Context, *, start: int = 0, limit: int = PAGE_SIZE_MAX
) -> list[tuple[int, HoldAction]]:
    """Return `(time_ms, action)` of everything done about holds, from position `start` on."""
    end = min(ctx.series_size(HOLD_ACTION_SERIES), start + min(limit, PAGE_SIZE_MAX))
    return [ctx.series_get(HOLD_ACTION_SERIES, position) for position in range(start, end)]


def list_freezes(
    ctx: Context, *, start: int = 0, limit: int = PAGE_SIZE_MAX
) -> list[tuple[int, FreezeAction]]:
    """Return `(time_ms, action)` of all freezes and their ends, from position `start` on."""
    end = min(ctx.series_size(FREEZE_SERIES), start + min(limit, PAGE_SIZE_MAX))
    return [ctx.series_get(FREEZE_SERIES, position) for position in range(start, end)]
