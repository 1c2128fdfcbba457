"""Refusals about rules."""

from cairn.ledger.errors import Rejection


class MalformedRuleError(Rejection):
    """The bytes are no rule, or break a limit of its form."""

    code = "rules/malformed_rule"


class NotOwnerError(Rejection):
    """Another organisation submits rules under this name, or owns the deployment they judge."""

    code = "rules/not_owner"


class OtherScopeError(Rejection):
    """The versions of this name so far judge something else: payments, or another deployment."""

    code = "rules/other_scope"


class RuleNotFoundError(Rejection):
    """There is no such rule, or no such version of it."""

    code = "rules/rule_not_found"


class AlreadyLiveError(Rejection):
    """This version of the rule is live."""

    code = "rules/already_live"


class AlreadyShadowedError(Rejection):
    """This version of the rule is in shadow."""

    code = "rules/already_shadowed"


class NotShadowedError(Rejection):
    """No version of the rule is in shadow."""

    code = "rules/not_shadowed"


class NotBacktestedError(Rejection):
    """No back-test of this version is on record, and one is required."""

    code = "rules/not_backtested"


class NotShadowedLongEnoughError(Rejection):
    """This version was in shadow for less time than is required."""

    code = "rules/not_shadowed_long_enough"


class TooManyRulesError(Rejection):
    """As many rules are live or in shadow as may be."""

    code = "rules/too_many_rules"


class UnknownInputError(Rejection):
    """The rule looks at an input that the model of its deployment does not take."""

    code = "rules/unknown_input"


class UnusableModelError(Rejection):
    """The rule judges payments, and its model takes an input that screening does not derive."""

    code = "rules/unusable_model"


class RuleNotLiveError(Rejection):
    """The rule is not live."""

    code = "rules/rule_not_live"


class SwitchUnchangedError(Rejection):
    """The switch stands like this already."""

    code = "rules/switch_unchanged"
