"""Commands about rules."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.messages import Message
from cairn.ledger.records import NameField
from cairn.modules.rules.records import RULE_SIZE_BYTES_MAX

RuleBytesField = Annotated[bytes, Meta(min_length=1, max_length=RULE_SIZE_BYTES_MAX)]
VersionField = Annotated[int, Meta(ge=1, le=2**31)]


class SubmitRule(Message, tag="rules/submit_rule"):
    """Hand in the next version of a rule; its name is in its bytes."""

    raw: RuleBytesField


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
