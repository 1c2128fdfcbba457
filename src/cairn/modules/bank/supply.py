"""Minting: the only file in which units come into being or cease to be."""

from cairn.ledger.context import Context
from cairn.ledger.errors import Fault
from cairn.modules.bank.errors import InsufficientFundsError, SupplyExceededError
from cairn.modules.bank.records import ASSETS, BALANCES, UNITS_MAX, Asset, Balance
from cairn.modules.bank.settlement import credit


def check_supply(asset: Asset, amount_units: int) -> None:
    """Check that `amount_units` more can exist.

    Raises:
        SupplyExceededError: They cannot.
    """
    if asset.supply_units + amount_units > UNITS_MAX:
        raise SupplyExceededError


def check_redeemable(ctx: Context, account: bytes, name: str, amount_units: int) -> None:
    """Check that an account has `amount_units` available to be taken out of existence.

    Raises:
        InsufficientFundsError: It has not.
    """
    balance = ctx.get(BALANCES, account, name)
    if balance is None or balance.available < amount_units:
        raise InsufficientFundsError


def mint(ctx: Context, account: bytes, name: str, amount_units: int) -> int:
    """Make units and credit them to an account; return the new supply."""
    supply = _change_supply(ctx, name, amount_units)
    credit(ctx, account, name, amount_units)
    return supply


def burn(ctx: Context, account: bytes, name: str, amount_units: int) -> int:
    """Take available units of an account out of existence; return the new supply."""
    balance = ctx.get(BALANCES, account, name)
    if balance is None or balance.available < amount_units:
        raise Fault("more is burnt than there is")
    left = balance.available - amount_units
    ctx.put(BALANCES, Balance(left, balance.held, balance.escrowed), account, name)
    return _change_supply(ctx, name, -amount_units)


def _change_supply(ctx: Context, name: str, change_units: int) -> int:
    asset = ctx.get(ASSETS, name)
    if asset is None:
        raise Fault("an asset that does not exist has no supply")
    supply = asset.supply_units + change_units
    ctx.put(ASSETS, Asset(asset.issuer, asset.title, asset.decimals, supply), name)
    return supply
