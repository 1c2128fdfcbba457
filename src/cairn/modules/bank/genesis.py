"""The founding of the bank: assets, customers' accounts and first balances of the charter."""

from cairn.ledger.context import Context
from cairn.modules.bank.errors import InvalidGenesisError, SupplyExceededError
from cairn.modules.bank.records import (
    ACCOUNTS,
    ASSETS,
    Asset,
    BankAccount,
    BankGenesis,
    FoundingBalance,
    customer_account,
)
from cairn.modules.bank.supply import check_supply, mint
from cairn.modules.identity.api import get_account


def found(ctx: Context, section: BankGenesis | None) -> None:
    """Write the assets, accounts and balances of the charter's section; none is needed.

    Raises:
        InvalidGenesisError: Something stands twice or refers to what does not exist.
    """
    if section is None:
        return
    for asset in section.assets:
        issuer = get_account(ctx, asset.issuer)
        if ctx.get(ASSETS, asset.name) is not None or issuer is None:
            raise InvalidGenesisError
        if issuer.organisation != asset.issuer:
            raise InvalidGenesisError
        ctx.put(ASSETS, Asset(asset.issuer, asset.title, asset.decimals, 0), asset.name)
    for founding in section.accounts:
        account = customer_account(founding.controller, founding.pseudonym)
        if get_account(ctx, founding.controller) is None:
            raise InvalidGenesisError
        if ctx.get(ACCOUNTS, account) is not None:
            raise InvalidGenesisError
        ctx.put(ACCOUNTS, BankAccount(founding.controller, 0), account)
    for balance in section.balances:
        _found_balance(ctx, balance)


def _found_balance(ctx: Context, balance: FoundingBalance) -> None:
    asset = ctx.get(ASSETS, balance.asset)
    known = ctx.get(ACCOUNTS, balance.account) or get_account(ctx, balance.account)
    if asset is None or known is None:
        raise InvalidGenesisError
    try:
        check_supply(asset, balance.amount_units)
    except SupplyExceededError as error:
        raise InvalidGenesisError from error
    mint(ctx, balance.account, balance.asset, balance.amount_units)
