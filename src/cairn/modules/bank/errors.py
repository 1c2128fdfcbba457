"""Refusals of the bank."""

from cairn.ledger.errors import Rejection


class InvalidGenesisError(Rejection):
    """The charter's bank section names something twice, or something that does not exist."""

    code = "bank/invalid_genesis"


class UnknownAssetError(Rejection):
    """No asset has this name."""

    code = "bank/unknown_asset"


class AssetTakenError(Rejection):
    """An asset of this name exists already."""

    code = "bank/asset_taken"


class NotIssuerError(Rejection):
    """The sender does not belong to the organisation that issues the asset."""

    code = "bank/not_issuer"


class SupplyExceededError(Rejection):
    """More units of the asset would exist than can be counted."""

    code = "bank/supply_exceeded"


class UnknownAccountError(Rejection):
    """No account of the bank or of identity has this id."""

    code = "bank/unknown_account"


class AccountTakenError(Rejection):
    """An account has this id already."""

    code = "bank/account_taken"


class NotAuthorisedError(Rejection):
    """The sender may not act for the account in this."""

    code = "bank/not_authorised"


class BookedAtOutOfBoundsError(Rejection):
    """The stated booking time is further from the block's time than the parameter allows."""

    code = "bank/booked_at_out_of_bounds"


class AccountFrozenError(Rejection):
    """The account that would pay is frozen."""

    code = "bank/account_frozen"


class AlreadyFrozenError(Rejection):
    """The account is frozen already."""

    code = "bank/already_frozen"


class NotFrozenError(Rejection):
    """The account is not frozen."""

    code = "bank/not_frozen"


class RefusedByRuleError(Rejection):
    """A rule refuses the payment; the receipt's first events say which and why."""

    code = "bank/refused_by_rule"


class HeldByRuleError(Rejection):
    """A rule would hold this value, which an escrow cannot carry out: pay by transfer."""

    code = "bank/held_by_rule"


class InsufficientFundsError(Rejection):
    """The account has fewer available units than the payment needs."""

    code = "bank/insufficient_funds"


class TimeOutOfBoundsError(Rejection):
    """The end that is asked for is past, or further ahead than the parameter allows."""

    code = "bank/time_out_of_bounds"


class UnknownHoldError(Rejection):
    """There is no such hold."""

    code = "bank/unknown_hold"


class HoldClosedError(Rejection):
    """The hold was released, returned or expired."""

    code = "bank/hold_closed"


class WrongOrganisationError(Rejection):
    """The account that pays belongs to another organisation than the sender."""

    code = "bank/wrong_organisation"


class OwnCaseError(Rejection):
    """Nobody decides on a payment that they ordered, or on an account that they pay from."""

    code = "bank/own_case"


class TooManyRenewalsError(Rejection):
    """The hold was renewed as often as the parameter allows."""

    code = "bank/too_many_renewals"


class SecondPersonNeededError(Rejection):
    """The sender proposed this renewal itself: another person has to ask for the same."""

    code = "bank/second_person_needed"


class AlreadyAppealedError(Rejection):
    """The hold was appealed before; the answer stands."""

    code = "bank/already_appealed"


class NotAppealedError(Rejection):
    """No appeal against the hold waits for an answer."""

    code = "bank/not_appealed"


class UnknownEscrowError(Rejection):
    """There is no such escrow."""

    code = "bank/unknown_escrow"


class EscrowClosedError(Rejection):
    """The escrow was released or refunded."""

    code = "bank/escrow_closed"
