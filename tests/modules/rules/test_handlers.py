import pytest

from cairn.exact.models import ExactModel, Feature
from cairn.exact.rules import Compare, encode_rule
from cairn.modules.identity.messages import GrantRole
from cairn.modules.rules.events import AllRulesSwitched, RuleActivated, RuleRetired, RuleSwitched
from cairn.modules.rules.messages import (
    ActivateRule,
    RetireRule,
    SubmitRule,
    SwitchAllRules,
    SwitchRule,
)
from cairn.modules.rules.queries import (
    get_live,
    get_rule,
    is_switched_on,
    list_changes,
    list_live,
)
from cairn.modules.rules.records import activation_subject, effective, rule_digest
from tests.modules.founding import (
    activate,
    amount_model,
    approve_rule,
    found,
    go_live,
    hold_rule,
    linear_model,
    submit_rule,
    tree_model,
)
from tests.modules.harness import Harness

BIG = Compare("field:amount_units", ">=", 500)
RULE = hold_rule("big", BIG)


@pytest.fixture
def ledger() -> Harness:
    return found()


def test_submitting_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("cora", SubmitRule(b"no rule"), "identity/missing_role")
    ledger.refused("rick", SubmitRule(b"no rule"), "rules/malformed_rule")
    assert submit_rule(ledger, RULE) == 1
    ledger.refused("rita", SubmitRule(b"no rule"), "rules/malformed_rule")
    ledger.refused("rita", SubmitRule(encode_rule(RULE)), "rules/not_owner")
    assert submit_rule(ledger, RULE) == 2
    stored = get_rule(ledger.context(), "big", 1)
    assert stored is not None
    assert stored.raw == encode_rule(RULE)


@pytest.mark.parametrize("operand", ["feature:not_derived", "field:payer", "model:", "score"])
def test_a_rule_on_what_is_not_there_is_malformed(ledger: Harness, operand: str) -> None:
    raw = encode_rule(hold_rule("big", Compare(operand, ">=", 1)))
    ledger.refused("rick", SubmitRule(raw), "rules/malformed_rule")


def test_activating_is_refused_in_order() -> None:
    ledger = found(parameters={"rules.live_max": 1})
    ledger.refused("cora", ActivateRule("big", 1), "identity/missing_role")
    ledger.refused("rita", ActivateRule("big", 1), "rules/rule_not_found")
    submit_rule(ledger, RULE)
    ledger.refused("rick", ActivateRule("big", 2), "rules/rule_not_found")
    ledger.refused("rita", ActivateRule("big", 1), "rules/not_owner")
    ledger.refused("rick", ActivateRule("big", 1), "identity/not_approved")
    approve_rule(ledger, "big", 1)
    event = ledger.done("rick", ActivateRule("big", 1)).event(RuleActivated)
    assert (event.version, event.replaced) == (1, 0)
    assert event.approvers == tuple(sorted((ledger.id("cora"), ledger.id("vera"))))
    ledger.refused("rick", ActivateRule("big", 1), "rules/already_live")
    submit_rule(ledger, hold_rule("scored"))
    ledger.refused("rick", ActivateRule("scored", 1), "rules/too_many_rules")
    # A new version takes the place of the old one, which leaves as many rules live.
    submit_rule(ledger, RULE)
    approve_rule(ledger, "big", 2)
    assert ledger.done("rick", ActivateRule("big", 2)).event(RuleActivated).replaced == 1


def test_a_rule_needs_a_deployment_with_a_live_version(ledger: Harness) -> None:
    submit_rule(ledger, hold_rule("scored"))
    ledger.refused("rick", ActivateRule("scored", 1), "models/deployment_not_found")
    go_live(ledger, "fraud", amount_model())
    ledger.refused("rick", ActivateRule("scored", 1), "identity/not_approved")


@pytest.mark.parametrize(
    "features",
    [
        (Feature("amount_units", "integer"), Feature("age_of_customer", "integer")),
        (Feature("amount_units", "integer", 4), Feature("is_night", "integer")),
    ],
)
def test_a_rule_needs_a_model_whose_input_is_derived(
    ledger: Harness, features: tuple[Feature, ...]
) -> None:
    model = linear_model({"amount_units": 1}, names=("amount_units", "is_night"))
    go_live(ledger, "fraud", ExactModel(1, features, model.link, model.body))
    submit_rule(ledger, hold_rule("scored"))
    ledger.refused("rick", ActivateRule("scored", 1), "rules/unusable_model")


def test_a_model_of_floats_is_not_usable(ledger: Harness) -> None:
    model = tree_model(2, 2)
    features = tuple(Feature(feature.name, "float32") for feature in model.features)
    go_live(ledger, "fraud", ExactModel(1, features, model.link, model.body))
    submit_rule(ledger, hold_rule("scored"))
    ledger.refused("rick", ActivateRule("scored", 1), "rules/unusable_model")


def test_who_submits_does_not_approve(ledger: Harness) -> None:
    submit_rule(ledger, RULE)
    approve_rule(ledger, "big", 1, ["cora", "rick"])
    ledger.refused("rick", ActivateRule("big", 1), "identity/not_approved")
    ledger.done("ann", GrantRole(ledger.id("dev"), "risk"))
    approve_rule(ledger, "big", 1, ["vera"])
    ledger.done("dev", ActivateRule("big", 1))


def test_an_approval_is_for_one_activation(ledger: Harness) -> None:
    activate(ledger, RULE)
    ledger.done("rick", RetireRule("big"))
    ledger.refused("rick", ActivateRule("big", 1), "identity/not_approved")
    digest = rule_digest(encode_rule(RULE))
    assert activation_subject("big", 1, digest, 0) != activation_subject("big", 1, digest, 1)
    approve_rule(ledger, "big", 1)
    ledger.done("rick", ActivateRule("big", 1))


def test_switching_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("dev", SwitchRule("big", False), "identity/missing_role")
    ledger.refused("rita", SwitchRule("big", False), "rules/rule_not_live")
    activate(ledger, RULE)
    ledger.refused("rita", SwitchRule("big", False), "rules/not_owner")
    ledger.refused("ben", SwitchRule("big", False), "rules/not_owner")
    ledger.refused("cora", SwitchRule("big", True), "rules/switch_unchanged")
    assert ledger.done("cora", SwitchRule("big", False)).event(RuleSwitched).on is False
    ledger.refused("rick", SwitchRule("big", False), "rules/switch_unchanged")
    ledger.done("rick", SwitchRule("big", True))
    ledger.done("rick", RetireRule("big"))
    ledger.refused("rick", SwitchRule("big", False), "rules/rule_not_live")


def test_switching_everything_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("dev", SwitchAllRules(False), "identity/missing_role")
    ledger.refused("rick", SwitchAllRules(True), "rules/switch_unchanged")
    assert ledger.done("ben", SwitchAllRules(False)).event(AllRulesSwitched).on is False
    assert not is_switched_on(ledger.context())
    ledger.refused("rick", SwitchAllRules(False), "rules/switch_unchanged")
    ledger.done("cora", SwitchAllRules(True))
    assert is_switched_on(ledger.context())


def test_retiring_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("cora", RetireRule("big"), "identity/missing_role")
    ledger.refused("rita", RetireRule("big"), "rules/rule_not_live")
    activate(ledger, RULE)
    ledger.refused("rita", RetireRule("big"), "rules/not_owner")
    assert ledger.done("rick", RetireRule("big")).event(RuleRetired).version == 1
    ledger.refused("rick", RetireRule("big"), "rules/rule_not_live")
    assert list_live(ledger.context()) == []


def test_the_row_tells_what_is_live_before_and_after_a_change(ledger: Harness) -> None:
    activate(ledger, RULE)
    height = ledger.head.height
    row = get_live(ledger.context(), "big")
    assert row is not None
    assert effective(row, height) == (0, False)
    assert effective(row, height + 1) == (1, True)


def test_the_series_tells_every_change_in_order(ledger: Harness) -> None:
    activate(ledger, RULE)
    activated_height = ledger.head.height
    ledger.done("cora", SwitchRule("big", False))
    ledger.done("ben", SwitchAllRules(False))
    ledger.done("rick", SwitchRule("big", True))
    ledger.done("rick", RetireRule("big"))
    changes = [change for _, change in list_changes(ledger.context())]
    assert [(change.action, change.rule, change.version) for change in changes] == [
        ("submitted", "big", 1),
        ("activated", "big", 1),
        ("switched_off", "big", 0),
        ("switched_off", "", 0),
        ("switched_on", "big", 0),
        ("retired", "big", 1),
    ]
    assert changes[1].height == activated_height
    assert changes[1].rule_digest == changes[0].rule_digest == rule_digest(encode_rule(RULE))
    assert len(changes[1].approvers) == 2
    assert changes[2].by == ledger.id("cora")
