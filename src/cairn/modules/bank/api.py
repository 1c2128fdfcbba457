"""What other modules may ask of the bank: pay, freeze, and look."""

from cairn.ledger.context import Context
from cairn.modules.bank.access import accounts_opened as accounts_opened
from cairn.modules.bank.access import check_operates as check_operates
from cairn.modules.bank.access import find_home as find_home
from cairn.modules.bank.access import home_of as home_of
from cairn.modules.bank.access import operates as operates
from cairn.modules.bank.errors import HeldByRuleError, RefusedByRuleError
from cairn.modules.bank.handlers import check_booked_at as check_booked_at
from cairn.modules.bank.handlers import put_freeze
from cairn.modules.bank.holds import list_due as list_due
from cairn.modules.bank.parameters import BOOKED_AT_SKEW_MS_MAX as BOOKED_AT_SKEW_MS_MAX
from cairn.modules.bank.parameters import FREEZE_MS_MAX
from cairn.modules.bank.records import (
    ACCOUNTS,
    ASSETS,
    BALANCES,
    HOLD_SERIES,
    HOLDS,
    OPEN_STATUSES,
    Asset,
    Balance,
    Hold,
    HoldPlacement,
)
from cairn.modules.bank.records import customer_account as customer_account
from cairn.modules.bank.settlement import check_account, pay
from cairn.modules.identity.api import get_account

VERDICT_CODES = (RefusedByRuleError.code, HeldByRuleError.code)
"""Codes of payments that would have happened, had the verdict let them."""

_NOTHING = Balance(0, 0, 0)


def transfer(
    ctx: Context, *, payer: bytes, payee: bytes, asset: str, amount_units: int
) -> bytes | None:
    """Pay under the operation's verdict; return the id of the hold, or None if it settled.

    The caller checks who may pay. A message that pays declares its movement; the verdict is good
    for exactly that movement, once.

    Raises:
        UnknownAccountError: The payee does not exist.
        AccountFrozenError: The payer is frozen.
        UnknownAssetError: There is no such asset.
        InsufficientFundsError: The payer has too little available.
        RefusedByRuleError: The verdict refuses the payment.
        MissingVerdictError: A fault: no verdict was given on this movement.
    """
    return pay(ctx, payer, payee, asset, amount_units)


def freeze(ctx: Context, account: bytes, until_ms: int, *, rule: str, version: int) -> bool:
    """Freeze an account by a rule; return whether that changed anything.

    The end is brought forward to what the parameter allows; a later end that stands is kept.

    Raises:
        UnknownAccountError: There is no such account.
    """
    row = check_account(ctx, account)
    bounded_ms = min(until_ms, ctx.time_ms + ctx.param(FREEZE_MS_MAX))
    if bounded_ms <= max(ctx.time_ms, row.frozen_until_ms):
        return False
    put_freeze(ctx, account, row, bounded_ms, rule=rule, version=version, reason="rule")
    return True


def is_account(ctx: Context, account: bytes) -> bool:
    """Return whether the bank or identity knows an account."""
    return ctx.get(ACCOUNTS, account) is not None or get_account(ctx, account) is not None


def is_frozen(ctx: Context, account: bytes) -> bool:
    """Return whether an account cannot pay at the context's time."""
    row = ctx.get(ACCOUNTS, account)
    return row is not None and ctx.time_ms < row.frozen_until_ms


def get_balance(ctx: Context, account: bytes, asset: str) -> Balance:
    """Return what an account has of an asset."""
    return ctx.get(BALANCES, account, asset) or _NOTHING


def get_asset(ctx: Context, asset: str) -> Asset | None:
    """Return an asset, or None."""
    return ctx.get(ASSETS, asset)


def get_hold(ctx: Context, hold_id: bytes) -> Hold | None:
    """Return a hold, or None."""
    return ctx.get(HOLDS, hold_id)


def list_placed(ctx: Context) -> list[HoldPlacement]:
    """Return the holds that this block placed, in order."""
    positions = range(ctx.series_head(HOLD_SERIES).size, ctx.series_size(HOLD_SERIES))
    return [ctx.series_get(HOLD_SERIES, position)[1] for position in positions]


def is_open(hold: Hold) -> bool:
    """Return whether a hold's value is still set aside."""
    return hold.status in OPEN_STATUSES
