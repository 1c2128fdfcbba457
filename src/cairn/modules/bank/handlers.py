"""What the bank's messages on assets, accounts, payments and escrow do: check, change, emit."""

from cairn.ledger.context import Context
from cairn.modules.bank import events, settlement, supply
from cairn.modules.bank.access import check_compliance, check_operates, operates
from cairn.modules.bank.errors import (
    AccountFrozenError,
    AccountTakenError,
    AlreadyFrozenError,
    AssetTakenError,
    BookedAtOutOfBoundsError,
    EscrowClosedError,
    NotAuthorisedError,
    NotFrozenError,
    NotIssuerError,
    OwnCaseError,
    TimeOutOfBoundsError,
    UnknownAccountError,
    UnknownAssetError,
    UnknownEscrowError,
)
from cairn.modules.bank.messages import (
    CreateAsset,
    FreezeAccount,
    Issue,
    OpenAccounts,
    OpenEscrow,
    Redeem,
    RefundEscrow,
    ReleaseEscrow,
    Transfer,
    UnfreezeAccount,
)
from cairn.modules.bank.parameters import BOOKED_AT_SKEW_MS_MAX, ESCROW_MS_MAX, FREEZE_MS_MAX
from cairn.modules.bank.records import (
    ACCOUNTS,
    ASSETS,
    DUE,
    DUE_ESCROW,
    ESCROWS,
    FREEZE_SERIES,
    FROZEN,
    OPEN,
    REFUNDED,
    RELEASED,
    TREASURER,
    UNFROZEN,
    Asset,
    BankAccount,
    Due,
    Escrow,
    FreezeAction,
    customer_account,
)
from cairn.modules.identity.api import acts_for, check_role, get_account


def create_asset(ctx: Context, message: CreateAsset) -> None:
    """Let an asset exist, issued by the sender's organisation."""
    issuer = check_role(ctx, TREASURER).organisation
    if ctx.get(ASSETS, message.name) is not None:
        raise AssetTakenError

    ctx.put(ASSETS, Asset(issuer, message.title, message.decimals, 0), message.name)
    ctx.emit(events.AssetCreated(message.name, issuer))


def issue(ctx: Context, message: Issue) -> None:
    """Make units of an asset and credit them to an account."""
    asset = _check_issuer(ctx, message.asset)
    settlement.check_account(ctx, message.account)
    supply.check_supply(asset, message.amount_units)

    ctx.check_verdict()
    units = supply.mint(ctx, message.account, message.asset, message.amount_units)
    ctx.emit(events.AssetIssued(message.asset, message.account, message.amount_units, units))


def redeem(ctx: Context, message: Redeem) -> None:
    """Take units of an asset out of an account that the sender operates, and out of existence."""
    _check_issuer(ctx, message.asset)
    check_operates(ctx, message.account, "bank/redeem")
    _check_not_frozen(ctx, message.account)
    supply.check_redeemable(ctx, message.account, message.asset, message.amount_units)

    ctx.check_verdict()
    units = supply.burn(ctx, message.account, message.asset, message.amount_units)
    ctx.emit(events.AssetRedeemed(message.asset, message.account, message.amount_units, units))


def open_accounts(ctx: Context, message: OpenAccounts) -> None:
    """Open customers' accounts, operated by an identity account that the sender acts for."""
    controller = message.controller
    if get_account(ctx, controller) is None:
        raise UnknownAccountError
    if not acts_for(ctx, controller, "bank/open_accounts"):
        raise NotAuthorisedError
    accounts = tuple(customer_account(controller, pseudonym) for pseudonym in message.pseudonyms)
    if any(ctx.get(ACCOUNTS, account) is not None for account in accounts):
        raise AccountTakenError

    for account in accounts:
        ctx.put(ACCOUNTS, BankAccount(controller, 0), account)
    ctx.emit(events.AccountsOpened(controller, accounts))


def transfer(ctx: Context, message: Transfer) -> None:
    """Pay: settle or hold, as the verdict says."""
    check_operates(ctx, message.payer, "bank/transfer")
    check_booked_at(ctx, message.booked_at_ms)
    settlement.pay(ctx, message.payer, message.payee, message.asset, message.amount_units)


def open_escrow(ctx: Context, message: OpenEscrow) -> None:
    """Set value aside for a payee."""
    check_operates(ctx, message.payer, "bank/open_escrow")
    check_booked_at(ctx, message.booked_at_ms)
    if message.arbiter is not None:
        settlement.check_account(ctx, message.arbiter)
    ahead = message.deadline_ms - ctx.time_ms
    if not 0 < ahead <= ctx.param(ESCROW_MS_MAX):
        raise TimeOutOfBoundsError
    settlement.set_aside(ctx, message.payer, message.payee, message.asset, message.amount_units)

    escrow_id = ctx.new_id(b"escrow")
    facts = (message.payer, message.payee, message.asset, message.amount_units)
    row = Escrow(*facts, message.deadline_ms, message.arbiter, OPEN)
    ctx.put(ESCROWS, row, escrow_id)
    ctx.put(DUE, Due(DUE_ESCROW), message.deadline_ms, escrow_id)
    ctx.emit(events.EscrowOpened(escrow_id, *facts, message.deadline_ms))


def release_escrow(ctx: Context, message: ReleaseEscrow) -> None:
    """Let the payee have an escrow's value."""
    escrow = _check_escrow(ctx, message.escrow)
    by_arbiter = escrow.arbiter is not None and operates(ctx, escrow.arbiter, "bank/release_escrow")
    if not by_arbiter:
        check_operates(ctx, escrow.payer, "bank/release_escrow")
    if escrow.status != OPEN:
        raise EscrowClosedError
    _check_not_frozen(ctx, escrow.payer)

    _close_escrow(ctx, message.escrow, escrow, RELEASED)
    settlement.settle_escrowed(ctx, escrow.payer, escrow.payee, escrow.asset, escrow.amount_units)
    ctx.emit(events.EscrowReleased(message.escrow, ctx.sender))


def refund_escrow(ctx: Context, message: RefundEscrow) -> None:
    """Let the payer have an escrow's value back."""
    escrow = _check_escrow(ctx, message.escrow)
    by_arbiter = escrow.arbiter is not None and operates(ctx, escrow.arbiter, "bank/refund_escrow")
    if not by_arbiter:
        check_operates(ctx, escrow.payee, "bank/refund_escrow")
    if escrow.status != OPEN:
        raise EscrowClosedError

    expire_escrow(ctx, message.escrow, escrow, by=ctx.sender)


def freeze_account(ctx: Context, message: FreezeAccount) -> None:
    """Let an account of the sender's organisation not pay until a time."""
    check_compliance(ctx, message.account)
    row = settlement.check_account(ctx, message.account)
    if ctx.time_ms < row.frozen_until_ms:
        raise AlreadyFrozenError
    if not 0 < message.until_ms - ctx.time_ms <= ctx.param(FREEZE_MS_MAX):
        raise TimeOutOfBoundsError

    put_freeze(ctx, message.account, row, message.until_ms, by=ctx.sender, reason=message.reason)


def unfreeze_account(ctx: Context, message: UnfreezeAccount) -> None:
    """Let a frozen account pay again."""
    check_compliance(ctx, message.account)
    row = settlement.check_account(ctx, message.account)
    if ctx.time_ms >= row.frozen_until_ms:
        raise NotFrozenError
    if operates(ctx, message.account, "bank/transfer"):
        raise OwnCaseError

    ctx.put(ACCOUNTS, BankAccount(row.controller, 0), message.account)
    entry = FreezeAction(
        message.account, UNFROZEN, 0, ctx.sender, "", 0, message.reason, ctx.height
    )
    ctx.append(FREEZE_SERIES, entry)
    ctx.emit(events.AccountUnfrozen(message.account, ctx.sender, message.reason))


# What handlers, hooks and other modules share


def check_booked_at(ctx: Context, booked_at_ms: int) -> None:
    """Check that a stated booking time is near the block's time.

    Raises:
        BookedAtOutOfBoundsError: It is further away than the parameter allows.
    """
    skew = ctx.param(BOOKED_AT_SKEW_MS_MAX)
    if skew and not -skew <= booked_at_ms - ctx.time_ms <= skew:
        raise BookedAtOutOfBoundsError


def put_freeze(
    ctx: Context,
    account: bytes,
    row: BankAccount,
    until_ms: int,
    *,
    by: bytes = b"",
    rule: str = "",
    version: int = 0,
    reason: str,
) -> None:
    """Freeze an account, by a person or by a rule."""
    ctx.put(ACCOUNTS, BankAccount(row.controller, until_ms), account)
    entry = FreezeAction(account, FROZEN, until_ms, by, rule, version, reason, ctx.height)
    ctx.append(FREEZE_SERIES, entry)
    ctx.emit(events.AccountFrozen(account, until_ms, by, rule, version, reason))


def expire_escrow(ctx: Context, escrow_id: bytes, escrow: Escrow, *, by: bytes) -> None:
    """Give an escrow's value back: somebody's word, or the deadline (then `by` is empty)."""
    _close_escrow(ctx, escrow_id, escrow, REFUNDED)
    settlement.settle_escrowed(ctx, escrow.payer, escrow.payer, escrow.asset, escrow.amount_units)
    ctx.emit(events.EscrowRefunded(escrow_id, by))


def _close_escrow(ctx: Context, escrow_id: bytes, escrow: Escrow, status: str) -> None:
    facts = (escrow.payer, escrow.payee, escrow.asset, escrow.amount_units)
    ctx.put(ESCROWS, Escrow(*facts, escrow.deadline_ms, escrow.arbiter, status), escrow_id)
    ctx.delete(DUE, escrow.deadline_ms, escrow_id)


def _check_escrow(ctx: Context, escrow_id: bytes) -> Escrow:
    escrow = ctx.get(ESCROWS, escrow_id)
    if escrow is None:
        raise UnknownEscrowError
    return escrow


def _check_issuer(ctx: Context, name: str) -> Asset:
    """Return an asset that the sender may issue and redeem."""
    sender = check_role(ctx, TREASURER)
    asset = ctx.get(ASSETS, name)
    if asset is None:
        raise UnknownAssetError
    if asset.issuer != sender.organisation:
        raise NotIssuerError
    return asset


def _check_not_frozen(ctx: Context, account: bytes) -> None:
    row = ctx.get(ACCOUNTS, account)
    if row is not None and ctx.time_ms < row.frozen_until_ms:
        raise AccountFrozenError
