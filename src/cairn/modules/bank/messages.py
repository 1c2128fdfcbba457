"""Commands of the bank."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.errors import InvalidMessageError
from cairn.ledger.messages import Message, check_stated
from cairn.ledger.records import (
    AccountIdField,
    AmountField,
    AssertedField,
    DigestField,
    NameField,
    ObjectIdField,
    TerminalField,
    TextField,
    TimeMsField,
)
from cairn.modules.bank.records import DecimalsField, PseudonymField

OPENED_MAX = 256
"""Most accounts that one message opens."""

PseudonymsField = Annotated[tuple[PseudonymField, ...], Meta(min_length=1, max_length=OPENED_MAX)]


class CreateAsset(Message, tag="bank/create_asset"):
    """Let an asset exist, issued by the sender's organisation; none of it exists yet."""

    name: NameField
    title: TextField
    decimals: DecimalsField


class Issue(Message, tag="bank/issue"):
    """Make units of an asset and credit them to an account."""

    asset: NameField
    account: AccountIdField
    amount_units: AmountField


class Redeem(Message, tag="bank/redeem"):
    """Take units of an asset out of an account and out of existence."""

    asset: NameField
    account: AccountIdField
    amount_units: AmountField


class OpenAccounts(Message, tag="bank/open_accounts"):
    """Open customers' accounts, operated by `controller`.

    The account's id is `customer_account(controller, pseudonym)`.
    """

    controller: AccountIdField
    pseudonyms: PseudonymsField

    def validate(self) -> None:
        """Check that no pseudonym stands twice."""
        if len(dict.fromkeys(self.pseudonyms)) != len(self.pseudonyms):
            raise InvalidMessageError("a pseudonym stands twice")


class Transfer(Message, tag="bank/transfer"):
    """Pay."""

    payer: AccountIdField
    payee: AccountIdField
    asset: NameField
    amount_units: AmountField
    booked_at_ms: TimeMsField
    """When the payment was booked, as the sender states it."""
    reference: DigestField
    """Digest of whatever the parties refer to; the bank does not read it."""
    terminal: TerminalField = b""
    """Where the payment was made; windows follow it as they follow payer and payee."""
    asserted: AssertedField = ()
    """What the sender states about the payment, for rules; sorted by name, each once."""

    def validate(self) -> None:
        """Check that payer and payee differ, and the form of what is stated beside."""
        _check_parties(self.payer, self.payee)
        if self.terminal or self.asserted:
            check_stated(self.terminal, self.asserted)


class OpenEscrow(Message, tag="bank/open_escrow"):
    """Set value aside for a payee until it is released, or refunded at the deadline."""

    payer: AccountIdField
    payee: AccountIdField
    asset: NameField
    amount_units: AmountField
    booked_at_ms: TimeMsField
    deadline_ms: TimeMsField
    arbiter: AccountIdField | None
    """An account that may release or refund beside payer and payee."""

    def validate(self) -> None:
        """Check that payer and payee differ."""
        _check_parties(self.payer, self.payee)


class ReleaseEscrow(Message, tag="bank/release_escrow"):
    """Let the payee have an escrow's value; the payer's or the arbiter's word."""

    escrow: ObjectIdField


class RefundEscrow(Message, tag="bank/refund_escrow"):
    """Let the payer have an escrow's value back; the payee's or the arbiter's word."""

    escrow: ObjectIdField


class FreezeAccount(Message, tag="bank/freeze_account"):
    """Let an account of the sender's organisation not pay until a time."""

    account: AccountIdField
    until_ms: TimeMsField
    reason: NameField


class UnfreezeAccount(Message, tag="bank/unfreeze_account"):
    """Let a frozen account pay again."""

    account: AccountIdField
    reason: NameField


class ReleaseHold(Message, tag="bank/release_hold"):
    """Let a held payment go on to its payee."""

    hold: ObjectIdField
    reason: NameField


class ReturnHold(Message, tag="bank/return_hold"):
    """Let a held payment go back to its payer."""

    hold: ObjectIdField
    reason: NameField


class RenewHold(Message, tag="bank/renew_hold"):
    """Put off a hold's expiry; it happens when a second person asks for the same time."""

    hold: ObjectIdField
    until_ms: TimeMsField
    reason: NameField


class AppealHold(Message, tag="bank/appeal_hold"):
    """Ask for a hold to be looked at again; for whoever operates payer or payee."""

    hold: ObjectIdField
    statement: DigestField
    """Digest of what the appellant says; the text stays outside."""


class UpholdHold(Message, tag="bank/uphold_hold"):
    """Answer an appeal: the hold stays. Releasing or returning it answers an appeal as well."""

    hold: ObjectIdField
    reason: NameField


def _check_parties(payer: bytes, payee: bytes) -> None:
    if payer == payee:
        raise InvalidMessageError("payer and payee are the same account")
