"""What becomes of a hold: people decide on it, its parties appeal, and time ends it."""

from cairn.ledger.context import Context
from cairn.modules.bank import events
from cairn.modules.bank.access import check_compliance, operates
from cairn.modules.bank.errors import (
    AlreadyAppealedError,
    HoldClosedError,
    NotAppealedError,
    NotAuthorisedError,
    OwnCaseError,
    SecondPersonNeededError,
    TimeOutOfBoundsError,
    TooManyRenewalsError,
    UnknownHoldError,
)
from cairn.modules.bank.handlers import expire_escrow
from cairn.modules.bank.messages import (
    AppealHold,
    ReleaseHold,
    RenewHold,
    ReturnHold,
    UpholdHold,
)
from cairn.modules.bank.parameters import (
    EXPIRIES_PER_BLOCK_MAX,
    HOLD_RENEWAL_MS_MAX,
    HOLD_RENEWALS_MAX,
)
from cairn.modules.bank.records import (
    ACCOUNTS,
    APPEALED,
    COMPLIANCE,
    DUE,
    DUE_HOLD,
    ESCROWS,
    EXPIRED_RETURNED,
    EXPIRED_SETTLED,
    HOLD_ACTION_SERIES,
    HOLDS,
    OPEN,
    OPEN_STATUSES,
    RELEASED,
    RENEWED,
    RETURNED,
    UPHELD,
    Due,
    Hold,
    HoldAction,
    Renewal,
)
from cairn.modules.bank.settlement import settle_held
from cairn.modules.identity.api import has_role


def release_hold(ctx: Context, message: ReleaseHold) -> None:
    """Let a held payment go on to its payee."""
    hold = _check_reviewer(ctx, message.hold)

    _close(ctx, message.hold, hold, RELEASED, by=(ctx.sender,), reason=message.reason)
    settle_held(ctx, hold.payer, hold.payee, hold.asset, hold.amount_units)
    ctx.emit(events.HoldReleased(message.hold, ctx.sender, message.reason))


def return_hold(ctx: Context, message: ReturnHold) -> None:
    """Let a held payment go back to its payer."""
    hold = _check_reviewer(ctx, message.hold)

    _close(ctx, message.hold, hold, RETURNED, by=(ctx.sender,), reason=message.reason)
    settle_held(ctx, hold.payer, hold.payer, hold.asset, hold.amount_units)
    ctx.emit(events.HoldReturned(message.hold, ctx.sender, message.reason))


def renew_hold(ctx: Context, message: RenewHold) -> None:
    """Put off a hold's expiry when two people ask for the same time; the first one proposes it."""
    hold = _check_reviewer(ctx, message.hold)
    if hold.renewals >= ctx.param(HOLD_RENEWALS_MAX):
        raise TooManyRenewalsError
    if not 0 < message.until_ms - hold.expires_at_ms <= ctx.param(HOLD_RENEWAL_MS_MAX):
        raise TimeOutOfBoundsError
    proposed = _standing_renewal(ctx, hold)
    agreed = proposed is not None and proposed.until_ms == message.until_ms
    if proposed is not None and agreed and proposed.by == ctx.sender:
        raise SecondPersonNeededError

    if proposed is None or not agreed:
        renewal = Renewal(ctx.sender, message.until_ms)
        ctx.put(HOLDS, _changed(hold, renewal=renewal), message.hold)
        ctx.emit(events.RenewalProposed(message.hold, ctx.sender, message.until_ms))
        return
    by = (proposed.by, ctx.sender)
    renewed = _changed(hold, expires_at_ms=message.until_ms, renewals=hold.renewals + 1)
    ctx.put(HOLDS, renewed, message.hold)
    ctx.delete(DUE, hold.expires_at_ms, message.hold)
    ctx.put(DUE, Due(DUE_HOLD), message.until_ms, message.hold)
    _append(ctx, message.hold, RENEWED, by=by, reason=message.reason)
    ctx.emit(events.HoldRenewed(message.hold, by, message.until_ms))


def appeal_hold(ctx: Context, message: AppealHold) -> None:
    """Ask for a hold to be looked at again; it keeps running towards its expiry."""
    hold = _check_hold(ctx, message.hold)
    tag = "bank/appeal_hold"
    if not operates(ctx, hold.payer, tag) and not operates(ctx, hold.payee, tag):
        raise NotAuthorisedError
    if hold.status not in OPEN_STATUSES:
        raise HoldClosedError
    if hold.status != OPEN:
        raise AlreadyAppealedError

    ctx.put(HOLDS, _changed(hold, status=APPEALED, renewal=hold.renewal), message.hold)
    _append(ctx, message.hold, APPEALED, by=(ctx.sender,), reason=message.statement.hex())
    ctx.emit(events.HoldAppealed(message.hold, ctx.sender, message.statement))


def uphold_hold(ctx: Context, message: UpholdHold) -> None:
    """Answer an appeal: the hold stays."""
    hold = _check_reviewer(ctx, message.hold)
    if hold.status != APPEALED:
        raise NotAppealedError

    ctx.put(HOLDS, _changed(hold, status=UPHELD, renewal=hold.renewal), message.hold)
    _append(ctx, message.hold, UPHELD, by=(ctx.sender,), reason=message.reason)
    ctx.emit(events.HoldUpheld(message.hold, ctx.sender, message.reason))


def end_block(ctx: Context) -> None:
    """Carry out what is due at the block's time, earliest first, up to a number for each block."""
    for _, subject, due in list_due(ctx, limit=ctx.param(EXPIRIES_PER_BLOCK_MAX)):
        if due.kind == DUE_HOLD:
            _expire_hold(ctx, subject)
        else:
            escrow = ctx.get(ESCROWS, subject)
            assert escrow is not None, "a due row has its escrow"
            expire_escrow(ctx, subject, escrow, by=b"")


def next_due(ctx: Context) -> int | None:
    """Return the earliest time at which a hold or escrow ends, or None if none is open."""
    for (due_ms, _), _ in ctx.scan(DUE):
        return int.from_bytes(due_ms, "big")
    return None


def list_due(ctx: Context, *, limit: int) -> list[tuple[int, bytes, Due]]:
    """Return `(time, id, row)` of what is due at the context's time, earliest first."""
    found: list[tuple[int, bytes, Due]] = []
    for (due_ms, subject), due in ctx.scan(DUE):
        time_ms = int.from_bytes(due_ms, "big")
        if time_ms > ctx.time_ms or len(found) >= limit:
            break
        found.append((time_ms, subject, due))
    return found


def _expire_hold(ctx: Context, hold_id: bytes) -> None:
    """End a hold as it says; a payer that is frozen gets its value back, where it stays frozen."""
    hold = ctx.get(HOLDS, hold_id)
    assert hold is not None, "a due row has its hold"
    payer = ctx.get(ACCOUNTS, hold.payer)
    frozen = payer is not None and ctx.time_ms < payer.frozen_until_ms
    settled = hold.settle_on_expiry and not frozen
    status = EXPIRED_SETTLED if settled else EXPIRED_RETURNED
    _close(ctx, hold_id, hold, status, by=(), reason="expired")
    payee = hold.payee if settled else hold.payer
    settle_held(ctx, hold.payer, payee, hold.asset, hold.amount_units)
    ctx.emit(events.HoldExpired(hold_id, settled))


def _check_hold(ctx: Context, hold_id: bytes) -> Hold:
    hold = ctx.get(HOLDS, hold_id)
    if hold is None:
        raise UnknownHoldError
    return hold


def _check_reviewer(ctx: Context, hold_id: bytes) -> Hold:
    """Return an open hold that the sender may decide on.

    Raises:
        UnknownHoldError: There is no such hold.
        MissingRoleError, WrongOrganisationError: As in `check_compliance`, for the payer.
        HoldClosedError: It was released, returned or expired.
        OwnCaseError: The sender ordered the payment, or operates payer or payee.
    """
    hold = _check_hold(ctx, hold_id)
    check_compliance(ctx, hold.payer)
    if hold.status not in OPEN_STATUSES:
        raise HoldClosedError
    if ctx.sender == hold.ordered_by or _has_interest(ctx, hold):
        raise OwnCaseError
    return hold


def _has_interest(ctx: Context, hold: Hold) -> bool:
    """Return whether the sender may pay for payer or payee: is it, controls it or acts for it."""
    return any(operates(ctx, account, "bank/transfer") for account in (hold.payer, hold.payee))


def _standing_renewal(ctx: Context, hold: Hold) -> Renewal | None:
    """Return a proposed renewal while whoever proposed it is still in charge of compliance."""
    proposed = hold.renewal
    if proposed is None or not has_role(ctx, proposed.by, COMPLIANCE):
        return None
    return proposed


def _close(
    ctx: Context, hold_id: bytes, hold: Hold, status: str, *, by: tuple[bytes, ...], reason: str
) -> None:
    ctx.put(HOLDS, _changed(hold, status=status), hold_id)
    ctx.delete(DUE, hold.expires_at_ms, hold_id)
    _append(ctx, hold_id, status, by=by, reason=reason)


def _append(
    ctx: Context, hold_id: bytes, action: str, *, by: tuple[bytes, ...], reason: str
) -> None:
    ctx.append(HOLD_ACTION_SERIES, HoldAction(hold_id, action, by, reason, ctx.height))


def _changed(
    hold: Hold,
    *,
    status: str | None = None,
    expires_at_ms: int | None = None,
    renewals: int | None = None,
    renewal: Renewal | None = None,
) -> Hold:
    """Return a hold with other values; a proposed renewal is dropped unless it is given again."""
    return Hold(
        payer=hold.payer,
        payee=hold.payee,
        asset=hold.asset,
        amount_units=hold.amount_units,
        rule=hold.rule,
        version=hold.version,
        score_ppm=hold.score_ppm,
        placed_height=hold.placed_height,
        placed_ms=hold.placed_ms,
        expires_at_ms=hold.expires_at_ms if expires_at_ms is None else expires_at_ms,
        settle_on_expiry=hold.settle_on_expiry,
        transaction_id=hold.transaction_id,
        operation_index=hold.operation_index,
        ordered_by=hold.ordered_by,
        status=hold.status if status is None else status,
        renewals=hold.renewals if renewals is None else renewals,
        renewal=renewal,
    )
