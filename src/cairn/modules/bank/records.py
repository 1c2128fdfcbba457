"""Rows of the bank: assets, accounts, balances, holds, escrows, and what falls due when."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.records import (
    AccountIdField,
    AmountField,
    DigestField,
    HeightField,
    NameField,
    ObjectIdField,
    Series,
    Table,
    TextField,
    TimeMsField,
)
from cairn.primitives.encoding import Record
from cairn.primitives.ids import AccountId, derive_id

UNITS_MAX = 2**63 - 1
"""Most units of one asset that can exist."""

TREASURER = "treasurer"
"""Role that creates, issues and redeems its organisation's assets."""
COMPLIANCE = "compliance"
"""Role that decides on holds and freezes accounts of its organisation."""

OPEN = "open"
APPEALED = "appealed"
UPHELD = "upheld"
RELEASED = "released"
RETURNED = "returned"
EXPIRED_SETTLED = "expired_settled"
EXPIRED_RETURNED = "expired_returned"
OPEN_STATUSES = (OPEN, APPEALED, UPHELD)
"""Statuses of a hold whose value is still set aside."""

REFUNDED = "refunded"
"""Beside `open` and `released` the status of an escrow."""

RENEWED = "renewed"
FROZEN = "frozen"
UNFROZEN = "unfrozen"

DUE_HOLD = "hold"
DUE_ESCROW = "escrow"

PseudonymField = Annotated[bytes, Meta(min_length=20, max_length=20)]
"""What a controller calls a customer: a keyed hash, never a name or number in clear."""
DecimalsField = Annotated[int, Meta(ge=0, le=18)]


class Asset(Record):
    """Something of value that a member organisation issues."""

    issuer: AccountIdField
    """The organisation."""
    title: TextField
    decimals: DecimalsField
    """How many decimal places people write the smallest unit with."""
    supply_units: int
    """Units that exist: issued minus redeemed."""


class BankAccount(Record):
    """An account that holds value: an identity account, or a customer's under a pseudonym."""

    controller: AccountIdField
    """The identity account that operates it; an identity account controls itself."""
    frozen_until_ms: int
    """It cannot pay before this block time; 0 if it was never frozen, or was unfrozen."""


class Balance(Record):
    """What an account has of one asset."""

    available: int
    """Units that it can pay with."""
    held: int
    """Units that rules have set aside on their way out."""
    escrowed: int
    """Units that it has put into escrow."""


class Renewal(Record):
    """A renewal of a hold that waits for a second person."""

    by: AccountIdField
    until_ms: int


class Hold(Record):
    """A payment that a rule stopped before it settled. Never deleted."""

    payer: AccountIdField
    payee: AccountIdField
    asset: NameField
    amount_units: int
    rule: str
    version: int
    score_ppm: int
    """Score that the rule looked at, or -1 where it looked at none."""
    placed_height: HeightField
    placed_ms: TimeMsField
    expires_at_ms: int
    settle_on_expiry: bool
    transaction_id: DigestField
    operation_index: int
    ordered_by: AccountIdField
    """Sender of the payment, who may not decide on it."""
    status: str
    renewals: int
    """How often it was renewed."""
    renewal: Renewal | None


class HoldPlacement(Record):
    """Entry of the series of all holds: a hold as it was placed."""

    hold: ObjectIdField
    payer: AccountIdField
    payee: AccountIdField
    asset: NameField
    amount_units: int
    rule: str
    version: int
    score_ppm: int
    expires_at_ms: int
    settle_on_expiry: bool
    transaction_id: DigestField
    operation_index: int


class HoldAction(Record):
    """Entry of the series of everything that was done about holds."""

    hold: ObjectIdField
    action: str
    """`released`, `returned`, `renewed`, `appealed`, `upheld` or one of the two expiries."""
    by: tuple[bytes, ...]
    """Who acted: two people for a renewal, nobody for an expiry."""
    reason: str
    height: HeightField


class Escrow(Record):
    """Value that waits for its payer's word, or goes back at the deadline. Never deleted."""

    payer: AccountIdField
    payee: AccountIdField
    asset: NameField
    amount_units: int
    deadline_ms: int
    arbiter: bytes | None
    """An account that may decide either way."""
    status: str


class FreezeAction(Record):
    """Entry of the series of freezes: an account was frozen or unfrozen."""

    account: AccountIdField
    action: str
    until_ms: int
    by: bytes
    """The person who did it; empty for a rule."""
    rule: str
    """The rule that did it; empty for a person."""
    version: int
    reason: str
    height: HeightField


class Due(Record):
    """Something that falls due at the time in the row's key."""

    kind: str


class FoundingAsset(Record):
    """An asset that exists from the founding on."""

    name: NameField
    issuer: AccountIdField
    title: TextField
    decimals: DecimalsField


class FoundingAccount(Record):
    """A customer's account that exists from the founding on."""

    controller: AccountIdField
    pseudonym: PseudonymField


class FoundingBalance(Record):
    """Value that an account has at the founding."""

    account: AccountIdField
    asset: NameField
    amount_units: AmountField


class BankGenesis(Record):
    """The charter's section `bank`."""

    assets: tuple[FoundingAsset, ...]
    accounts: tuple[FoundingAccount, ...]
    balances: tuple[FoundingBalance, ...]


def customer_account(controller: bytes, pseudonym: bytes) -> AccountId:
    """Return the account id of a customer whom `controller` calls `pseudonym`.

    Being derived, it is nobody else's: no identity account, and no other controller's customer.
    """
    return AccountId(derive_id(b"cairn/customer", controller, pseudonym))


ASSETS: Table[Asset] = Table("bank", "asset", (str,), Asset)
ACCOUNTS: Table[BankAccount] = Table("bank", "account", (bytes,), BankAccount)
BALANCES: Table[Balance] = Table("bank", "balance", (bytes, str), Balance)
HOLDS: Table[Hold] = Table("bank", "hold", (bytes,), Hold)
ESCROWS: Table[Escrow] = Table("bank", "escrow", (bytes,), Escrow)
DUE: Table[Due] = Table("bank", "due", (int, bytes), Due, ordered=True)

HOLD_SERIES: Series[HoldPlacement] = Series("bank", "holds", (), HoldPlacement)
HOLD_ACTION_SERIES: Series[HoldAction] = Series("bank", "hold_actions", (), HoldAction)
FREEZE_SERIES: Series[FreezeAction] = Series("bank", "freezes", (), FreezeAction)
