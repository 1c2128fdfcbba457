"""Refusals about rules."""

from cairn.ledger.errors import Rejection


class MalformedRuleError(Rejection):
    """The bytes are no rule, or break a limit of its form."""

    code = "rules/malformed_rule"


class NotOwnerError(Rejection):
    """Another organisation submits rules under this name."""

    code = "rules/not_owner"


class RuleNotFoundError(Rejection):
    """There is no such rule, or no such version of it."""

    code = "rules/rule_not_found"


class AlreadyLiveError(Rejection):
    """This version of the rule is live."""

    code = "rules/already_live"


class TooManyRulesError(Rejection):
    """As many rules are live as may be."""

    code = "rules/too_many_rules"


class UnusableModelError(Rejection):
    """The rule's model takes an input that screening does not derive."""

    code = "rules/unusable_model"


class RuleNotLiveError(Rejection):
    """The rule is not live."""

    code = "rules/rule_not_live"


class SwitchUnchangedError(Rejection):
    """The switch stands like this already."""

    code = "rules/switch_unchanged"
