"""Commands that ask for a decision, review it, and say what was done."""

from typing import Annotated, Literal

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
    TimeMsField,
)

FEATURE_COUNT_MAX = 1_024

FeatureField = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
FeaturesField = Annotated[
    tuple[FeatureField, ...], Meta(min_length=1, max_length=FEATURE_COUNT_MAX)
]


class DecidePayment(Message, tag="decisions/decide_payment"):
    """Ask whether a payment may settle on another rail; nothing moves on the ledger."""

    payer: AccountIdField
    payee: AccountIdField
    """Any id; the ledger need not know it."""
    asset: NameField
    """Any name; the ledger need not know it."""
    amount_units: AmountField
    booked_at_ms: TimeMsField
    """When the payment was booked, as the sender states it."""
    executor: AccountIdField
    """Who will act on the decision, and says what it did."""
    reference: DigestField
    """Digest of whatever the parties refer to."""
    terminal: TerminalField = b""
    """Where the payment was made."""
    asserted: AssertedField = ()
    """What the sender states about the payment, for rules; sorted by name, each once."""

    def validate(self) -> None:
        """Check that payer and payee differ, and the form of what is stated beside."""
        if self.payer == self.payee:
            raise InvalidMessageError("payer and payee are the same account")
        if self.terminal or self.asserted:
            check_stated(self.terminal, self.asserted)


class DecideCase(Message, tag="decisions/decide_case"):
    """Ask for a decision on a case that a deployment's model scores."""

    deployment: NameField
    features: FeaturesField
    """In the order of the live version's input schema, as the sender states them."""
    executor: AccountIdField
    reference: DigestField
    """Digest of whatever the case is known by outside."""


class Review(Message, tag="decisions/review"):
    """Decide on a held one: it may go on (`release`) or not (`reject`)."""

    decision: ObjectIdField
    ruling: Literal["release", "reject"]
    reason: NameField


class ReportExecution(Message, tag="decisions/report_execution"):
    """State what was done about a decision, and when; the executor's word."""

    decision: ObjectIdField
    done: Literal["executed", "stopped"]
    acted_ms: TimeMsField
