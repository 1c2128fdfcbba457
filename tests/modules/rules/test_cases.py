"""Rules on the decisions of a deployment."""

import pytest

from cairn.exact.models import ExactModel, Feature, Linear, Weight
from cairn.exact.rules import All, Any, Compare, Emit, Hold, Not, Refuse, Rule, encode_rule
from cairn.exact.schema import MISSING, IndicatorColumn, ValueColumn
from cairn.ledger.context import Context
from cairn.modules.inference.events import Explained
from cairn.modules.rules.api import CaseJudgement, case_price, judge_case
from cairn.modules.rules.events import AlertEmitted, CapReached, RuleFired
from cairn.modules.rules.messages import ActivateRule, ShadowRule, SubmitRule, SwitchAllRules
from cairn.modules.rules.queries import count_today, list_firings, list_shadow_firings
from tests.modules.founding import (
    activate,
    approve_rule,
    found,
    go_live,
    hold_rule,
    put_in_shadow,
    submit_rule,
)
from tests.modules.harness import Harness

DAY_MS = 86_400_000
RISKY = Compare("model:credit", ">=", 300_000)
POOR = Compare("input:income", "<", 1_000)
CAR = Compare("input:purpose", "==", 1)
RAW_PER_PPM = 4_295

FEATURES = (
    Feature("income", "integer", nullable=True),
    Feature("purpose", "category", categories=("home", "car"), unknown_allowed=True),
)
MODEL = ExactModel(
    1,
    FEATURES,
    "identity",
    Linear(
        base=400_000 * RAW_PER_PPM,
        shift_bits=0,
        weights=(
            Weight(0, 10_000, -30 * RAW_PER_PPM, 0),
            Weight(0, 1, 50_000 * RAW_PER_PPM, 0),
        ),
    ),
    (ValueColumn(0, 0), IndicatorColumn(1, (1,))),
)


def case_rule(name: str, *conditions: object, **fields: object) -> Rule:
    actions = fields.pop("actions", [Refuse("too risky")])
    return hold_rule(name, *conditions, actions=actions, scope="credit", **fields)  # type: ignore[arg-type]


@pytest.fixture
def ledger() -> Harness:
    made = found()
    go_live(made, "credit", MODEL)
    return made


def judge(
    ledger: Harness, income: int, purpose: int = 0, score_ppm: int = 400_000
) -> tuple[CaseJudgement, Context]:
    """Judge a case in the next block's context."""
    ctx = ledger.context()
    ctx.transaction_id = b"\x01" * 32
    inputs = {"income": income, "purpose": purpose}
    return judge_case(ctx, "credit", inputs, score_ppm=score_ppm), ctx


def test_without_a_rule_a_case_is_allowed(ledger: Harness) -> None:
    judged, ctx = judge(ledger, 500)
    assert judged == CaseJudgement("allow", "", 0, 0, "", ())
    assert list_firings(ctx) == []


def test_a_refusal_says_what_it_looked_at_and_what_made_the_score(ledger: Harness) -> None:
    activate(ledger, case_rule("no", RISKY, POOR, All(2)))
    judged, ctx = judge(ledger, 500, 1, 435_000)
    assert (judged.verdict, judged.rule, judged.version) == ("refuse", "no", 1)
    fired, explained = judged.events
    assert fired == RuleFired("no", 1, (0, 1), (435_000, 500), ("refuse",))
    assert isinstance(explained, Explained)
    assert explained.deployment == "credit"
    assert explained.contributions == ((1, 50_000 * RAW_PER_PPM), (0, -15_000 * RAW_PER_PPM))
    ((_, firing),) = list_firings(ctx)
    assert (firing.rule, firing.actions, firing.score_ppm) == ("no", ("refuse",), 435_000)
    assert judge(ledger, 1_000)[0].verdict == "allow"


@pytest.mark.parametrize("on_expiry", ["settle", "return"])
def test_a_hold_says_how_it_ends(ledger: Harness, on_expiry: str) -> None:
    activate(ledger, case_rule("look", CAR, actions=[Hold(5 * DAY_MS, on_expiry), Emit("car")]))  # type: ignore[arg-type]
    judged, ctx = judge(ledger, 2_000, 1)
    assert (judged.verdict, judged.on_expiry) == ("hold", on_expiry)
    assert judged.expires_at_ms == ctx.time_ms + 5 * DAY_MS
    assert judged.events[1] == AlertEmitted("look", 1, "car")


def test_what_is_missing_is_unknown_and_fires_nothing(ledger: Harness) -> None:
    activate(ledger, case_rule("no", POOR))
    activate(ledger, case_rule("not-rich", POOR, Not(), priority=3))
    assert judge(ledger, MISSING)[0].verdict == "allow"
    activate(ledger, case_rule("either", POOR, CAR, Any(2)))
    judged, _ = judge(ledger, MISSING, 1)
    assert judged.events[0] == RuleFired("either", 1, (1,), (None, 1), ("refuse",))


def test_the_higher_priority_decides(ledger: Harness) -> None:
    activate(ledger, case_rule("a", RISKY, actions=[Hold(DAY_MS, "return"), Emit("a")]))
    activate(ledger, case_rule("b", RISKY, priority=1))
    judged, _ = judge(ledger, 500)
    assert judged.rule == "b"
    fired = [event for event in judged.events if isinstance(event, RuleFired)]
    assert [(event.rule, event.actions) for event in fired] == [
        ("b", ("refuse",)),
        ("a", ("emit",)),
    ]


def test_the_cap_is_exact_since_a_decision_is_final(ledger: Harness) -> None:
    activate(ledger, case_rule("no", RISKY, daily_cap=2))
    ctx = ledger.context()
    ctx.transaction_id = b"\x01" * 32
    verdicts = [
        judge_case(ctx, "credit", {"income": 1, "purpose": 0}, score_ppm=400_000) for _ in range(3)
    ]
    assert [one.verdict for one in verdicts] == ["refuse", "refuse", "allow"]
    assert CapReached("no", 1, 2) in verdicts[2].events
    assert count_today(ctx, "no") == 2


def test_rules_judge_what_their_scope_says(ledger: Harness) -> None:
    activate(ledger, hold_rule("payments", Compare("field:amount_units", ">=", 0)))
    assert judge(ledger, 1)[0].verdict == "allow"
    activate(ledger, case_rule("no", RISKY))
    assert judge(ledger, 1)[0].rule == "no"
    assert case_price(ledger.context(), "credit") > case_price(ledger.context(), "other")
    ledger.done("cora", SwitchAllRules(False))
    assert judge(ledger, 1)[0].verdict == "allow"


def test_a_rule_in_shadow_watches_cases(ledger: Harness) -> None:
    put_in_shadow(ledger, case_rule("no", RISKY))
    judged, ctx = judge(ledger, 1)
    assert (judged.verdict, judged.events) == ("allow", ())
    assert [f.actions for _, f in list_shadow_firings(ctx)] == [("refuse",)]


def test_going_live_is_refused_in_order(ledger: Harness) -> None:
    elsewhere = hold_rule("else", Compare("input:income", "<", 1), scope="nowhere")
    submit_rule(ledger, elsewhere)
    for message in (ActivateRule("else", 1), ShadowRule("else", 1)):
        ledger.refused("rick", message, "models/deployment_not_found")
    ledger.done("rita", SubmitRule(encode_rule(case_rule("foreign", Compare("input:no", "<", 1)))))
    ledger.refused("rita", ActivateRule("foreign", 1), "rules/not_owner")
    submit_rule(ledger, case_rule("strange", POOR, Compare("input:age", "<", 18), All(2)))
    ledger.refused("rick", ActivateRule("strange", 1), "rules/unknown_input")
    submit_rule(ledger, case_rule("no", POOR))
    ledger.refused("rick", ActivateRule("no", 1), "identity/not_approved")
    approve_rule(ledger, "no", 1)
    ledger.done("rick", ActivateRule("no", 1))
