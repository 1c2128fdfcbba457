"""The registration of the bank."""

from cairn.ledger.hooks import Movement
from cairn.ledger.module import OPERATION_COST, Invariant, MessageSpec, Module
from cairn.modules.bank import (
    events,
    genesis,
    handlers,
    holds,
    invariants,
    messages,
    parameters,
    records,
)

_ACCOUNT_COST = 40
"""Cost of each account that `OpenAccounts` opens."""
_ESCROW_COST = 200
_TERMINAL_COST = 40
"""Cost of the window of a terminal, beside those of payer and payee."""
_STATED_COST = 4
"""Cost of each number that is stated about a payment."""


def _movement(message: messages.Transfer) -> Movement:
    return Movement(
        message.payer,
        message.payee,
        message.asset,
        message.amount_units,
        message.booked_at_ms,
        message.terminal,
        message.asserted,
    )


def _escrow_movement(message: messages.OpenEscrow) -> Movement:
    return Movement(
        message.payer,
        message.payee,
        message.asset,
        message.amount_units,
        message.booked_at_ms,
    )


def _transfer_cost(message: messages.Transfer) -> int:
    cost = OPERATION_COST + _STATED_COST * len(message.asserted)
    return cost + _TERMINAL_COST if message.terminal else cost


def _open_accounts_cost(message: messages.OpenAccounts) -> int:
    return OPERATION_COST + _ACCOUNT_COST * len(message.pseudonyms)


BANK = Module(
    name="bank",
    messages=(
        MessageSpec(messages.CreateAsset, handlers.create_asset),
        MessageSpec(messages.Issue, handlers.issue, allow="issuance"),
        MessageSpec(messages.Redeem, handlers.redeem, allow="issuance"),
        MessageSpec(messages.OpenAccounts, handlers.open_accounts, cost=_open_accounts_cost),
        MessageSpec(messages.Transfer, handlers.transfer, cost=_transfer_cost, movement=_movement),
        MessageSpec(
            messages.OpenEscrow, handlers.open_escrow, cost=_ESCROW_COST, movement=_escrow_movement
        ),
        MessageSpec(messages.ReleaseEscrow, handlers.release_escrow, allow="reviewed"),
        MessageSpec(messages.RefundEscrow, handlers.refund_escrow, allow="reviewed"),
        MessageSpec(messages.FreezeAccount, handlers.freeze_account),
        MessageSpec(messages.UnfreezeAccount, handlers.unfreeze_account),
        MessageSpec(messages.ReleaseHold, holds.release_hold, allow="reviewed"),
        MessageSpec(messages.ReturnHold, holds.return_hold, allow="reviewed"),
        MessageSpec(messages.RenewHold, holds.renew_hold),
        MessageSpec(messages.AppealHold, holds.appeal_hold),
        MessageSpec(messages.UpholdHold, holds.uphold_hold),
    ),
    events=(
        events.AssetCreated,
        events.AssetIssued,
        events.AssetRedeemed,
        events.AccountsOpened,
        events.TransferSettled,
        events.HoldPlaced,
        events.HoldReleased,
        events.HoldReturned,
        events.HoldExpired,
        events.RenewalProposed,
        events.HoldRenewed,
        events.HoldAppealed,
        events.HoldUpheld,
        events.EscrowOpened,
        events.EscrowReleased,
        events.EscrowRefunded,
        events.AccountFrozen,
        events.AccountUnfrozen,
    ),
    tables=(
        records.ASSETS,
        records.ACCOUNTS,
        records.BALANCES,
        records.HOLDS,
        records.ESCROWS,
        records.DUE,
    ),
    series=(records.HOLD_SERIES, records.HOLD_ACTION_SERIES, records.FREEZE_SERIES),
    parameters=parameters.BANK_PARAMETERS,
    invariants=(
        Invariant(
            "bank/supply",
            invariants.check_supply,
            (records.BALANCES, records.ASSETS),
            invariants.check_supply_change,
        ),
        Invariant(
            "bank/set_aside",
            invariants.check_set_aside,
            (records.BALANCES, records.HOLDS, records.ESCROWS),
            invariants.check_set_aside_change,
        ),
    ),
    genesis=genesis.found,
    genesis_section=records.BankGenesis,
    end_block=holds.end_block,
    next_due=holds.next_due,
)
