"""Facts that the bank records in receipts."""

from cairn.ledger.messages import Event


class AssetCreated(Event, tag="bank/asset_created"):
    """An asset exists."""

    asset: str
    issuer: bytes


class AssetIssued(Event, tag="bank/asset_issued"):
    """Units of an asset came into being."""

    asset: str
    account: bytes
    amount_units: int
    supply_units: int


class AssetRedeemed(Event, tag="bank/asset_redeemed"):
    """Units of an asset ceased to be."""

    asset: str
    account: bytes
    amount_units: int
    supply_units: int


class AccountsOpened(Event, tag="bank/accounts_opened"):
    """Customers' accounts exist, operated by `controller`."""

    controller: bytes
    accounts: tuple[bytes, ...]


class TransferSettled(Event, tag="bank/transfer_settled"):
    """Value went from payer to payee."""

    payer: bytes
    payee: bytes
    asset: str
    amount_units: int


class HoldPlaced(Event, tag="bank/hold_placed"):
    """A rule stopped a payment; its value is set aside with the payer."""

    hold: bytes
    payer: bytes
    payee: bytes
    asset: str
    amount_units: int
    rule: str
    version: int
    score_ppm: int
    expires_at_ms: int
    settle_on_expiry: bool


class HoldReleased(Event, tag="bank/hold_released"):
    """A person let a held payment go on to its payee."""

    hold: bytes
    by: bytes
    reason: str


class HoldReturned(Event, tag="bank/hold_returned"):
    """A person let a held payment go back to its payer."""

    hold: bytes
    by: bytes
    reason: str


class HoldExpired(Event, tag="bank/hold_expired"):
    """Nobody decided in time; the value went to the payee (settled) or back to the payer."""

    hold: bytes
    settled: bool


class RenewalProposed(Event, tag="bank/renewal_proposed"):
    """A person asks to put off a hold's expiry; a second one has to agree."""

    hold: bytes
    by: bytes
    until_ms: int


class HoldRenewed(Event, tag="bank/hold_renewed"):
    """Two people put off a hold's expiry."""

    hold: bytes
    by: tuple[bytes, ...]
    until_ms: int


class HoldAppealed(Event, tag="bank/hold_appealed"):
    """A party asks for a hold to be looked at again."""

    hold: bytes
    by: bytes
    statement: bytes


class HoldUpheld(Event, tag="bank/hold_upheld"):
    """A person answered an appeal: the hold stays."""

    hold: bytes
    by: bytes
    reason: str


class EscrowOpened(Event, tag="bank/escrow_opened"):
    """Value is set aside for a payee."""

    escrow: bytes
    payer: bytes
    payee: bytes
    asset: str
    amount_units: int
    deadline_ms: int


class EscrowReleased(Event, tag="bank/escrow_released"):
    """An escrow's value went to its payee."""

    escrow: bytes
    by: bytes


class EscrowRefunded(Event, tag="bank/escrow_refunded"):
    """An escrow's value went back to its payer."""

    escrow: bytes
    by: bytes
    """Who gave the word; empty at the deadline."""


class AccountFrozen(Event, tag="bank/account_frozen"):
    """An account cannot pay until a time."""

    account: bytes
    until_ms: int
    by: bytes
    """The person; empty for a rule."""
    rule: str
    """The rule; empty for a person."""
    version: int
    reason: str


class AccountUnfrozen(Event, tag="bank/account_unfrozen"):
    """An account can pay again."""

    account: bytes
    by: bytes
    reason: str
