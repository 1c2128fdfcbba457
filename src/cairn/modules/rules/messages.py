"""Commands about rules."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.errors import InvalidMessageError
from cairn.ledger.messages import Message
from cairn.ledger.records import CountField, DigestField, NameField, ScoreField, TimeMsField
from cairn.modules.rules.records import RULE_SIZE_BYTES_MAX

RuleBytesField = Annotated[bytes, Meta(min_length=1, max_length=RULE_SIZE_BYTES_MAX)]
VersionField = Annotated[int, Meta(ge=1, le=2**31)]


class SubmitRule(Message, tag="rules/submit_rule"):
    """Hand in the next version of a rule; its name is in its bytes."""

    raw: RuleBytesField


class RecordBacktest(Message, tag="rules/record_backtest"):
    """Put on record what a version of a rule would have done to payments that are past."""

    rule: NameField
    version: VersionField
    report_digest: DigestField
    first_ms: TimeMsField
    end_ms: TimeMsField
    payments: CountField
    alerts: CountField
    """Payments on which the rule would have fired."""
    value_held_units: CountField
    labelled: CountField
    """Alerts whose outcome is known."""
    precision_ppm: ScoreField | None
    """Share of fraud among the labelled alerts; none if there are none."""
    recall_ppm: ScoreField | None
    """Share of the known fraud that the rule would have fired on; none if no fraud is known."""

    def validate(self) -> None:
        """Check that the numbers can be those of one back-test."""
        if self.first_ms >= self.end_ms:
            raise InvalidMessageError("the back-test ends before it begins")
        if not self.labelled <= self.alerts <= self.payments:
            raise InvalidMessageError("more alerts than payments, or more known than there are")
        if (self.precision_ppm is None) != (not self.labelled):
            raise InvalidMessageError("a precision goes with labelled alerts, and only with them")


class ShadowRule(Message, tag="rules/shadow_rule"):
    """Let an approved version of a rule watch from the next height on, without any power."""

    rule: NameField
    version: VersionField


class EndShadow(Message, tag="rules/end_shadow"):
    """Let the version of a rule that is in shadow watch no more from the next height on."""

    rule: NameField


class ActivateRule(Message, tag="rules/activate_rule"):
    """Let an approved version of a rule act from the next height on."""

    rule: NameField
    version: VersionField


class SwitchRule(Message, tag="rules/switch_rule"):
    """Switch one live rule on or off from the next height on."""

    rule: NameField
    on: bool


class SwitchAllRules(Message, tag="rules/switch_all_rules"):
    """Switch all rules on or off from the next height on."""

    on: bool


class RetireRule(Message, tag="rules/retire_rule"):
    """Let a rule act no more from the next height on."""

    rule: NameField
