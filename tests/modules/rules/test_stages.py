"""The life of a rule: draft, back-test, shadow, live, retired; each step on record."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact.rules import Compare, Emit, Freeze, Hold, Refuse, encode_rule
from cairn.modules.bank.events import HoldPlaced, TransferSettled
from cairn.modules.inference.events import PaymentScored
from cairn.modules.inference.queries import count_predictions
from cairn.modules.rules.events import BacktestRecorded, RuleFired, RuleShadowed, ShadowEnded
from cairn.modules.rules.messages import (
    ActivateRule,
    EndShadow,
    RecordBacktest,
    RetireRule,
    ShadowRule,
    SubmitRule,
    SwitchAllRules,
)
from cairn.modules.rules.queries import (
    count_today,
    get_live,
    get_shadow,
    get_stage,
    list_backtests,
    list_changes,
    list_firings,
    list_shadow_firings,
    warm_up,
)
from cairn.primitives.hashes import sha256
from tests.modules.founding import (
    activate,
    amount_model,
    approve_rule,
    approve_shadow,
    found,
    go_live,
    hold_rule,
    pay,
    put_in_shadow,
    submit_rule,
)
from tests.modules.harness import Harness

HOUR_MS = 3_600_000
BIG = Compare("field:amount_units", ">=", 500)
RULE = hold_rule("big", BIG)
REPORT = sha256(b"report")


@pytest.fixture
def ledger() -> Harness:
    return found()


def backtest(rule: str = "big", version: int = 1, **fields: Any) -> RecordBacktest:
    stated: dict[str, Any] = {
        "rule": rule,
        "version": version,
        "report_digest": REPORT,
        "first_ms": 1,
        "end_ms": 1_000,
        "payments": 1_000,
        "alerts": 30,
        "value_held_units": 12_345,
        "labelled": 20,
        "precision_ppm": 400_000,
        "recall_ppm": None,
    }
    return RecordBacktest(**{**stated, **fields})


# Back-tests


def test_recording_a_backtest_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("cora", backtest(), "identity/missing_role")
    ledger.refused("rick", backtest(), "rules/rule_not_found")
    submit_rule(ledger, RULE)
    ledger.refused("rick", backtest(version=2), "rules/rule_not_found")
    ledger.refused("rita", backtest(), "rules/not_owner")


@pytest.mark.parametrize(
    "fields",
    [
        {"first_ms": 1_000},
        {"alerts": 1_001},
        {"labelled": 31},
        {"precision_ppm": None},
        {"labelled": 0},
    ],
)
def test_a_backtest_that_cannot_be_is_no_message(ledger: Harness, fields: dict[str, Any]) -> None:
    submit_rule(ledger, RULE)
    ledger.refused("rick", backtest(**fields), "ledger/invalid_message")


def test_backtests_are_on_record_and_the_newest_counts(ledger: Harness) -> None:
    submit_rule(ledger, RULE)
    first = ledger.done("rick", backtest()).event(BacktestRecorded)
    assert (first.rule, first.version, first.report_digest, first.position) == ("big", 1, REPORT, 0)
    newer = sha256(b"newer")
    ledger.done("rick", backtest(report_digest=newer, labelled=0, precision_ppm=None))
    stage = get_stage(ledger.context(), "big", 1)
    assert (stage.backtest_count, stage.backtest_digest) == (2, newer)
    tests = [entry for _, entry in list_backtests(ledger.context())]
    assert [(one.alerts, one.precision_ppm, one.by) for one in tests] == [
        (30, 400_000, ledger.id("rick")),
        (30, None, ledger.id("rick")),
    ]
    assert [(c.action, c.backtest_digest) for _, c in list_changes(ledger.context())][1:] == [
        ("backtested", REPORT),
        ("backtested", newer),
    ]


def test_a_backtest_can_be_required() -> None:
    ledger = found(parameters={"rules.backtest_required": 1})
    submit_rule(ledger, RULE)
    ledger.refused("rick", ActivateRule("big", 1), "rules/not_backtested")
    ledger.done("rick", backtest())
    submit_rule(ledger, RULE)
    approve_rule(ledger, "big", 2)
    ledger.refused("rick", ActivateRule("big", 2), "rules/not_backtested")
    ledger.refused("rick", ActivateRule("big", 1), "identity/not_approved")
    approve_rule(ledger, "big", 1)
    ledger.done("rick", ActivateRule("big", 1))
    activated = list_changes(ledger.context())[-1][1]
    assert (activated.action, activated.backtest_digest) == ("activated", REPORT)


# Shadow


def test_entering_shadow_is_refused_in_order() -> None:
    ledger = found(parameters={"rules.live_max": 1})
    ledger.refused("cora", ShadowRule("big", 1), "identity/missing_role")
    ledger.refused("rick", ShadowRule("big", 1), "rules/rule_not_found")
    submit_rule(ledger, RULE)
    ledger.refused("rita", ShadowRule("big", 1), "rules/not_owner")
    activate(ledger, hold_rule("other", BIG))
    ledger.refused("rick", ShadowRule("other", 1), "rules/already_live")
    ledger.refused("rick", ShadowRule("big", 1), "rules/too_many_rules")
    ledger.done("rick", RetireRule("other"))
    ledger.refused("rick", ShadowRule("big", 1), "identity/not_approved")
    # An approval to act is none to watch.
    approve_rule(ledger, "big", 1)
    ledger.refused("rick", ShadowRule("big", 1), "identity/not_approved")
    approve_shadow(ledger, "big", 1)
    event = ledger.done("rick", ShadowRule("big", 1)).event(RuleShadowed)
    assert (event.version, event.replaced, len(event.approvers)) == (1, 0, 2)
    ledger.refused("rick", ShadowRule("big", 1), "rules/already_shadowed")
    # It makes room for itself when it goes live, and for nobody else before.
    submit_rule(ledger, hold_rule("third", BIG))
    ledger.refused("rick", ActivateRule("third", 1), "rules/too_many_rules")
    ledger.done("rick", ActivateRule("big", 1))


def test_a_shadow_needs_models_that_can_be_used(ledger: Harness) -> None:
    submit_rule(ledger, hold_rule("scored"))
    ledger.refused("rick", ShadowRule("scored", 1), "models/deployment_not_found")


def test_ending_a_shadow_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("cora", EndShadow("big"), "identity/missing_role")
    ledger.refused("rick", EndShadow("big"), "rules/not_shadowed")
    put_in_shadow(ledger, RULE)
    ledger.refused("rita", EndShadow("big"), "rules/not_owner")
    ledger.block(advance_ms=HOUR_MS)
    ended = ledger.done("rick", EndShadow("big")).event(ShadowEnded)
    assert ended.version == 1
    assert ended.shadowed_ms >= HOUR_MS
    ledger.refused("rick", EndShadow("big"), "rules/not_shadowed")
    assert get_stage(ledger.context(), "big", 1).shadowed_ms == ended.shadowed_ms


def test_a_rule_in_shadow_writes_down_what_it_would_do_and_does_nothing(ledger: Harness) -> None:
    version = go_live(ledger, "fraud", amount_model())
    actions = [Hold(HOUR_MS, "return"), Freeze("payee", HOUR_MS), Emit("big")]
    put_in_shadow(ledger, hold_rule("big", Compare("model:fraud", ">=", 500_000), actions=actions))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 500), pay(ledger, 0, 1, 10))
    names = [type(e).__name__ for e in outcome.events if not isinstance(e, PaymentScored)]
    assert [name for name in names if name != "AttemptCounted"] == ["TransferSettled"] * 2
    assert ledger.end_events == ()
    assert count_predictions(ledger.context(), "fraud") == 2
    scored = [event for event in outcome.events if isinstance(event, PaymentScored)]
    assert [event.version for event in scored] == [version] * 2
    ((_, firing),) = list_shadow_firings(ledger.context())
    assert (firing.rule, firing.version) == ("big", 1)
    assert firing.actions == ("hold", "freeze_payee", "emit")
    assert (firing.score_ppm, firing.operation_index) == (scored[0].score_ppm, 0)
    assert list_firings(ledger.context()) == []
    assert count_today(ledger.context(), "big") == 0
    assert warm_up(ledger.context()) == ("fraud",)


def test_a_version_in_shadow_watches_beside_the_one_that_is_live(ledger: Harness) -> None:
    activate(ledger, RULE)
    put_in_shadow(ledger, hold_rule("big", Compare("field:amount_units", ">=", 400)))
    ledger.done("pia", pay(ledger, 0, 1, 450))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 500))
    assert outcome.event(HoldPlaced).version == 1
    assert [f.version for _, f in list_shadow_firings(ledger.context())] == [2, 2]
    assert [f.version for _, f in list_firings(ledger.context())] == [1]
    approve_rule(ledger, "big", 2)
    ledger.done("rick", ActivateRule("big", 2))
    assert ledger.done("pia", pay(ledger, 0, 1, 450)).event(HoldPlaced).version == 2
    assert len(list_shadow_firings(ledger.context())) == 2


def test_shadow_acts_from_the_next_height_and_ignores_the_switches(ledger: Harness) -> None:
    def watched(*changes: tuple[str, Any]) -> bool:
        before = len(list_shadow_firings(ledger.context()))
        for sender, message in changes:
            ledger.submit(sender, message)
        ledger.submit("pia", pay(ledger, 0, 1, 500))
        outcomes = ledger.block()
        assert all(outcome.ok for outcome in outcomes), outcomes
        assert isinstance(outcomes[-1].events[-1], TransferSettled)
        return len(list_shadow_firings(ledger.context())) > before

    submit_rule(ledger, RULE)
    approve_shadow(ledger, "big", 1)
    assert not watched(("rick", ShadowRule("big", 1)))
    assert watched(("cora", SwitchAllRules(False)))
    assert watched()
    assert watched(("rick", EndShadow("big")))
    assert not watched()


def test_shadow_firings_have_no_cap_and_see_what_others_stopped(ledger: Harness) -> None:
    activate(ledger, hold_rule("first", BIG, actions=[Refuse("no")], priority=9))
    put_in_shadow(ledger, hold_rule("big", BIG, daily_cap=1))
    for _ in range(3):
        outcome = ledger.run("pia", pay(ledger, 0, 1, 500))
        assert outcome.codes == ("bank/refused_by_rule",)
        assert [e.rule for e in outcome.events if isinstance(e, RuleFired)] == ["first"]
    assert len(list_shadow_firings(ledger.context())) == 3


def test_time_in_shadow_can_be_required() -> None:
    ledger = found(parameters={"rules.shadow_ms_min": 2 * HOUR_MS})
    submit_rule(ledger, RULE)
    approve_rule(ledger, "big", 1)
    ledger.refused("rick", ActivateRule("big", 1), "rules/not_shadowed_long_enough")
    approve_shadow(ledger, "big", 1)
    ledger.done("rick", ShadowRule("big", 1))
    ledger.block(advance_ms=HOUR_MS)
    ledger.done("rick", EndShadow("big"))
    ledger.block(advance_ms=5 * HOUR_MS)  # Out of shadow, time does not count.
    ledger.refused("rick", ActivateRule("big", 1), "rules/not_shadowed_long_enough")
    approve_shadow(ledger, "big", 1)
    ledger.done("rick", ShadowRule("big", 1))
    ledger.block(advance_ms=HOUR_MS)
    ledger.done("rick", ActivateRule("big", 1))
    change = list_changes(ledger.context())[-1][1]
    assert change.shadowed_ms >= 2 * HOUR_MS
    assert get_stage(ledger.context(), "big", 1).shadow_since_ms == 0


def test_an_approval_is_for_one_entry_into_shadow(ledger: Harness) -> None:
    put_in_shadow(ledger, RULE)
    ledger.done("rick", EndShadow("big"))
    ledger.refused("rick", ShadowRule("big", 1), "identity/not_approved")


def test_all_versions_of_a_name_judge_the_same(ledger: Harness) -> None:
    submit_rule(ledger, RULE)
    other = hold_rule("big", Compare("input:age", "<", 18), scope="credit")
    ledger.refused("rick", SubmitRule(encode_rule(other)), "rules/other_scope")


STEPS = st.sampled_from(("submit", "backtest", "shadow", "end", "live", "retire", "wait"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(STEPS, st.integers(1, 3)), max_size=12))
def test_whatever_the_steps_the_stages_follow(steps: list[tuple[str, int]]) -> None:
    """The rows are what the series of changes leads to; invariants run after every block."""
    ledger = found()
    versions, live, shadow = 0, 0, 0
    tested: dict[int, int] = {}
    for step, version in steps:
        exists = version <= versions
        match step:
            case "submit":
                versions = submit_rule(ledger, RULE)
            case "backtest" if exists:
                ledger.done("rick", backtest(version=version))
                tested[version] = tested.get(version, 0) + 1
            case "shadow" if exists and version not in (live, shadow):
                approve_shadow(ledger, "big", version)
                ledger.done("rick", ShadowRule("big", version))
                shadow = version
            case "end" if shadow:
                ledger.done("rick", EndShadow("big"))
                shadow = 0
            case "live" if exists and version != live:
                approve_rule(ledger, "big", version)
                ledger.done("rick", ActivateRule("big", version))
                live, shadow = version, 0 if shadow == version else shadow
            case "retire" if live:
                ledger.done("rick", RetireRule("big"))
                live = 0
            case _:
                ledger.block(advance_ms=1_000)
    context = ledger.context()
    rows = get_live(context, "big"), get_shadow(context, "big")
    assert [row.version if row else 0 for row in rows] == [live, shadow]
    for version in range(1, versions + 1):
        stage = get_stage(context, "big", version)
        assert stage.backtest_count == tested.get(version, 0)
        assert bool(stage.shadow_since_ms) == (version == shadow)
