"""Where value moves: every change of a balance that is not issuance goes through this file.

Each way in asks for the operation's verdict first, so value cannot move past the rules. The verdict
on a declared movement is good for that movement, once.
"""

from cairn.ledger.context import Context
from cairn.ledger.errors import Fault, MissingVerdictError
from cairn.ledger.hooks import Allow, Hold, Refuse
from cairn.modules.bank import events
from cairn.modules.bank.errors import (
    AccountFrozenError,
    HeldByRuleError,
    InsufficientFundsError,
    RefusedByRuleError,
    UnknownAccountError,
    UnknownAssetError,
)
from cairn.modules.bank.parameters import HOLD_MS_MAX
from cairn.modules.bank.records import (
    ACCOUNTS,
    ASSETS,
    BALANCES,
    DUE,
    DUE_HOLD,
    HOLD_SERIES,
    HOLDS,
    OPEN,
    Balance,
    BankAccount,
    Due,
    HoldPlacement,
)
from cairn.modules.bank.records import Hold as HoldRow
from cairn.modules.identity.api import get_account

_BALANCE = BALANCES.prefix
_ACCOUNT = ACCOUNTS.prefix
_ID_LENGTH = b"\x14"


def pay(ctx: Context, payer: bytes, payee: bytes, asset: str, amount_units: int) -> bytes | None:
    """Carry out the verdict on a payment; return the id of the hold, or None if it settled.

    Authority is the caller's to check. Value can always be received, also by a frozen account.
    The verdict is looked at last: what a rule refuses would have happened without it.

    Raises:
        UnknownAccountError: The payee does not exist.
        AccountFrozenError: The payer is frozen.
        UnknownAssetError: There is no such asset.
        InsufficientFundsError: The payer has too little available.
        RefusedByRuleError: The verdict refuses the payment.
        MissingVerdictError: No verdict was given on this movement.
    """
    _check_parties(ctx, payer, payee)
    payer_key = _balance_key(payer, asset)
    balance = check_funds(ctx, payer_key, asset, amount_units)
    verdict = _check_verdict(ctx, payer, payee, asset, amount_units)

    _use_verdict(ctx)
    left = balance.available - amount_units
    state = ctx.state
    if type(verdict) is Hold:
        held = balance.held + amount_units
        state.put(BALANCES, payer_key, Balance(left, held, balance.escrowed))
        return _place_hold(ctx, payer, payee, asset, amount_units, verdict)
    state.put(BALANCES, payer_key, Balance(left, balance.held, balance.escrowed))
    credit(ctx, payee, asset, amount_units)
    ctx.emit(events.TransferSettled(payer, payee, asset, amount_units))
    return None


def _check_parties(ctx: Context, payer: bytes, payee: bytes) -> None:
    """Check that the payee exists and that the payer is not frozen."""
    state = ctx.state
    if state.get(ACCOUNTS, _ACCOUNT + _ID_LENGTH + payee) is None:
        check_account(ctx, payee)
    account = state.get(ACCOUNTS, _ACCOUNT + _ID_LENGTH + payer)
    if account is not None and ctx.time_ms < account.frozen_until_ms:
        raise AccountFrozenError


def _check_verdict(
    ctx: Context, payer: bytes, payee: bytes, asset: str, amount_units: int
) -> Allow | Hold:
    """Return the verdict under which a payment goes on.

    Raises:
        RefusedByRuleError: The verdict refuses the payment.
        MissingVerdictError: No verdict was given on this movement.
    """
    verdict = ctx.check_verdict()
    movement = ctx.movement
    if movement is not None and (
        movement.amount_units != amount_units
        or movement.payer != payer
        or movement.payee != payee
        or movement.asset != asset
    ):
        raise MissingVerdictError("the verdict is on another movement")
    if type(verdict) is Refuse:
        raise RefusedByRuleError
    assert not isinstance(verdict, Refuse)
    return verdict


def check_funds(ctx: Context, balance_key: bytes, asset: str, amount_units: int) -> Balance:
    """Return a balance with at least `amount_units` available.

    Raises:
        UnknownAssetError: There is no such asset.
        InsufficientFundsError: Too little is available.
    """
    balance = ctx.state.get(BALANCES, balance_key)
    if balance is None:
        if ctx.get(ASSETS, asset) is None:
            raise UnknownAssetError
        raise InsufficientFundsError
    if balance.available < amount_units:
        raise InsufficientFundsError
    return balance


def set_aside(ctx: Context, payer: bytes, payee: bytes, asset: str, amount_units: int) -> None:
    """Move a payer's value into escrow; refusals as in `pay`.

    Raises:
        HeldByRuleError: The verdict would hold the value.
    """
    _check_parties(ctx, payer, payee)
    payer_key = _balance_key(payer, asset)
    balance = check_funds(ctx, payer_key, asset, amount_units)
    if type(_check_verdict(ctx, payer, payee, asset, amount_units)) is Hold:
        raise HeldByRuleError

    _use_verdict(ctx)
    left, escrowed = balance.available - amount_units, balance.escrowed + amount_units
    ctx.state.put(BALANCES, payer_key, Balance(left, balance.held, escrowed))


def settle_escrowed(
    ctx: Context, payer: bytes, payee: bytes, asset: str, amount_units: int
) -> None:
    """Move value from a payer's escrow to a payee, or back to the payer if that is the payee."""
    balance = _check_set_aside(ctx, payer, asset)
    escrowed = balance.escrowed - amount_units
    if escrowed < 0:
        raise Fault("an escrow holds more than its payer has in escrow")
    _put(ctx, payer, asset, Balance(balance.available, balance.held, escrowed))
    credit(ctx, payee, asset, amount_units)


def settle_held(ctx: Context, payer: bytes, payee: bytes, asset: str, amount_units: int) -> None:
    """Move held value to its payee, or back to the payer if that is the payee."""
    balance = _check_set_aside(ctx, payer, asset)
    held = balance.held - amount_units
    if held < 0:
        raise Fault("a hold is for more than its payer has held")
    _put(ctx, payer, asset, Balance(balance.available, held, balance.escrowed))
    credit(ctx, payee, asset, amount_units)


def check_account(ctx: Context, account: bytes) -> BankAccount:
    """Return an account that can receive, as its row is or will be.

    Raises:
        UnknownAccountError: Neither the bank nor identity knows it.
    """
    row = ctx.get(ACCOUNTS, account)
    if row is not None:
        return row
    if get_account(ctx, account) is None:
        raise UnknownAccountError
    return BankAccount(account, 0)


def credit(ctx: Context, account: bytes, asset: str, amount_units: int) -> None:
    """Add to an account's available units; only for settling, issuing and the founding."""
    state = ctx.state
    key = _balance_key(account, asset)
    balance = state.get(BALANCES, key)
    if balance is None:
        # The first value of this asset; an identity account may get its row with it.
        state.put(BALANCES, key, Balance(amount_units, 0, 0))
        if ctx.get(ACCOUNTS, account) is None:
            ctx.put(ACCOUNTS, BankAccount(account, 0), account)
        return
    available = balance.available + amount_units
    state.put(BALANCES, key, Balance(available, balance.held, balance.escrowed))


def _use_verdict(ctx: Context) -> None:
    """Use up the verdict on a declared movement; a standing one is for all that people decided."""
    if ctx.movement is not None:
        ctx.verdict = None


def _check_set_aside(ctx: Context, account: bytes, asset: str) -> Balance:
    """Return the balance from which set-aside value may move on: only under an `Allow`."""
    if type(ctx.check_verdict()) is not Allow:
        raise MissingVerdictError("set-aside value moves only after a person's decision or expiry")
    balance = ctx.get(BALANCES, account, asset)
    if balance is None:
        raise Fault("set-aside value has no balance")
    return balance


def _put(ctx: Context, account: bytes, asset: str, balance: Balance) -> None:
    ctx.put(BALANCES, balance, account, asset)


def _balance_key(account: bytes, asset: str) -> bytes:
    """Return `BALANCES.key(account, asset)`, faster: transfers are the hot path."""
    name = asset.encode()
    return _BALANCE + _ID_LENGTH + account + bytes((len(name),)) + name


def _place_hold(
    ctx: Context, payer: bytes, payee: bytes, asset: str, amount_units: int, verdict: Hold
) -> bytes:
    """Write a hold, its due time and its entry in the series; return its id."""
    hold_id = ctx.new_id(b"hold")
    expires_at_ms = min(verdict.expires_at_ms, ctx.time_ms + ctx.param(HOLD_MS_MAX))
    row = HoldRow(
        payer=payer,
        payee=payee,
        asset=asset,
        amount_units=amount_units,
        rule=verdict.rule,
        version=verdict.version,
        score_ppm=verdict.score_ppm,
        placed_height=ctx.height,
        placed_ms=ctx.time_ms,
        expires_at_ms=expires_at_ms,
        settle_on_expiry=verdict.settle_on_expiry,
        transaction_id=ctx.transaction_id,
        operation_index=ctx.operation_index,
        ordered_by=ctx.sender,
        status=OPEN,
        renewals=0,
        renewal=None,
    )
    ctx.put(HOLDS, row, hold_id)
    ctx.put(DUE, Due(DUE_HOLD), expires_at_ms, hold_id)
    facts = (hold_id, payer, payee, asset, amount_units, row.rule, row.version, row.score_ppm)
    expiry = (expires_at_ms, row.settle_on_expiry)
    ctx.append(HOLD_SERIES, HoldPlacement(*facts, *expiry, ctx.transaction_id, ctx.operation_index))
    ctx.emit(events.HoldPlaced(*facts, *expiry))
    return hold_id
