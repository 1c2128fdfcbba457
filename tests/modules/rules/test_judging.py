import pytest

from cairn.exact import rules
from cairn.exact.rules import All, Compare, Emit, Freeze, Hold, Refuse
from cairn.exact.windows import EMPTY
from cairn.ledger.hooks import Allow
from cairn.ledger.records import Asserted
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.bank.events import AccountFrozen, HoldExpired, HoldPlaced, TransferSettled
from cairn.modules.bank.messages import OpenEscrow
from cairn.modules.inference import scorers
from cairn.modules.inference.events import PaymentScored
from cairn.modules.inference.queries import count_predictions, list_predictions
from cairn.modules.models.messages import Promote
from cairn.modules.rules import judging
from cairn.modules.rules.events import AlertEmitted, CapReached, PayerFrozen, RuleFired
from cairn.modules.rules.messages import ActivateRule, RetireRule, SwitchAllRules, SwitchRule
from cairn.modules.rules.queries import count_today, list_firings, warm_up
from cairn.modules.rules.records import DAY_MS
from cairn.modules.screening.queries import get_windows
from cairn.primitives.encoding import replace
from tests.modules.founding import (
    FUNDS_UNITS,
    activate,
    amount_model,
    approve_promotion,
    approve_rule,
    customer,
    found,
    go_live,
    hold_rule,
    linear_model,
    pay,
    register_version,
    submit_rule,
)
from tests.modules.harness import Harness

HOUR_MS = 3_600_000
BIG = Compare("field:amount_units", ">=", 500)


@pytest.fixture
def ledger() -> Harness:
    return found()


def kinds(events: tuple[object, ...]) -> list[str]:
    """Return what a receipt tells of, but for the attempt that every payment is counted as."""
    names = [type(event).__name__ for event in events]
    return [name for name in names if name != "AttemptCounted"]


# Scores and verdicts


def test_without_a_rule_nothing_is_scored(ledger: Harness) -> None:
    go_live(ledger, "fraud", amount_model())
    outcome = ledger.done("pia", pay(ledger, 0, 1, 900))
    assert kinds(outcome.events) == ["TransferSettled"]
    assert count_predictions(ledger.context(), "fraud") == 0
    assert judging.NO_RULE.verdict == Allow("no_rule")


def test_a_payment_that_scores_high_is_held_before_it_settles(ledger: Harness) -> None:
    version = go_live(ledger, "fraud", amount_model())
    activate(ledger, hold_rule("big"))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 499))
    assert kinds(outcome.events) == ["PaymentScored", "TransferSettled"]
    outcome = ledger.done("pia", pay(ledger, 0, 1, 500))
    assert kinds(outcome.events) == ["PaymentScored", "RuleFired", "Explained", "HoldPlaced"]
    scored = outcome.event(PaymentScored)
    assert (scored.deployment, scored.version, scored.features[0]) == ("fraud", version, 500)
    fired = outcome.event(RuleFired)
    assert (fired.rule, fired.version, fired.conditions) == ("big", 1, (0,))
    assert (fired.inputs, fired.actions) == ((scored.score_ppm,), ("hold",))
    placed = outcome.event(HoldPlaced)
    assert (placed.rule, placed.version, placed.score_ppm) == ("big", 1, scored.score_ppm)
    assert placed.expires_at_ms == ledger.head.time_ms + HOUR_MS
    assert not placed.settle_on_expiry


def test_every_score_is_in_the_series_of_its_deployment(ledger: Harness) -> None:
    version = go_live(ledger, "fraud", amount_model())
    activate(ledger, hold_rule("big"))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 10), pay(ledger, 1, 2, 20))
    assert outcome.receipt is not None
    entries = [entry for _, entry in list_predictions(ledger.context(), "fraud")]
    assert [(e.basis, e.version, e.operation_index) for e in entries] == [
        ("derived", version, 0),
        ("derived", version, 1),
    ]
    assert {e.transaction_id for e in entries} == {outcome.receipt.transaction_id}
    scores = [event.score_ppm for event in outcome.events if isinstance(event, PaymentScored)]
    assert [entry.score_ppm for entry in entries] == scores


def test_a_new_version_scores_from_the_next_height(ledger: Harness) -> None:
    first = go_live(ledger, "fraud", amount_model(100))
    activate(ledger, hold_rule("big"))
    second = register_version(ledger, amount_model(1_000))
    approve_promotion(ledger, "fraud", second)
    ledger.submit("dev", Promote("fraud", second))
    ledger.submit("pia", pay(ledger, 0, 1, 500))
    outcome = ledger.block()[1]
    assert outcome.event(PaymentScored).version == first
    assert kinds(outcome.events)[-1] == "TransferSettled"
    outcome = ledger.run("pia", pay(ledger, 0, 1, 500))
    assert outcome.event(PaymentScored).version == second
    assert kinds(outcome.events)[-1] == "HoldPlaced"


def test_several_deployments_are_scored_and_named(ledger: Harness) -> None:
    go_live(ledger, "fraud", amount_model(100))
    go_live(ledger, "night", linear_model({"is_night": 1}, names=("is_night", "amount_units")))
    go_live(ledger, "single", linear_model({"amount_units": 3}, names=("amount_units",)))
    both = (
        Compare("model:fraud", ">=", 50_000),
        Compare("model:night", ">=", 0),
        Compare("model:single", ">=", 0),
        All(3),
    )
    activate(ledger, hold_rule("both", *both))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 600))
    scored = [event for event in outcome.events if isinstance(event, PaymentScored)]
    assert [event.deployment for event in scored] == ["fraud", "night", "single"]
    assert scored[1].features[1] == 600
    assert scored[2].features == (600,)
    assert outcome.event(RuleFired).inputs == tuple(event.score_ppm for event in scored)
    assert outcome.event(HoldPlaced).score_ppm == scored[0].score_ppm


def test_a_rule_may_look_at_features_alone(ledger: Harness) -> None:
    activate(ledger, hold_rule("new", Compare("feature:payee_first_seen", "==", 1)))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 5))
    assert kinds(outcome.events) == ["RuleFired", "HoldPlaced"]
    assert outcome.event(RuleFired).inputs == (1,)
    assert outcome.event(HoldPlaced).score_ppm == -1
    assert kinds(ledger.done("pia", pay(ledger, 0, 1, 5)).events) == ["TransferSettled"]


def test_a_rule_may_look_at_what_the_submitter_states(ledger: Harness) -> None:
    stated = Compare("asserted:device-risk", ">=", 7)
    activate(ledger, hold_rule("device", stated, BIG, rules.Any(2)))
    risky = replace(pay(ledger, 0, 1, 5), asserted=(Asserted("device-risk", 7),))
    assert ledger.done("pia", risky).event(RuleFired).inputs == (7, 5)
    # What is not stated is unknown: it fires nothing, and keeps nothing from firing.
    assert kinds(ledger.done("pia", pay(ledger, 0, 1, 5)).events) == ["TransferSettled"]
    fired = ledger.done("pia", pay(ledger, 0, 1, 500)).event(RuleFired)
    assert (fired.conditions, fired.inputs) == ((1,), (None, 500))


def test_a_refusal_moves_nothing_and_says_why(ledger: Harness) -> None:
    rule = hold_rule("limit", BIG, actions=[Refuse("above the limit")])
    activate(ledger, rule)
    outcome = ledger.run("pia", pay(ledger, 0, 1, 500))
    assert outcome.codes == ("bank/refused_by_rule",)
    assert outcome.event(RuleFired).actions == ("refuse",)


def test_a_movement_into_escrow_is_judged_too(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", BIG))
    now_ms = ledger.head.time_ms
    escrow = OpenEscrow(customer(0), customer(1), "eur", 500, now_ms, now_ms + HOUR_MS, None)
    assert ledger.run("pia", escrow).codes == ("bank/held_by_rule",)


def test_a_rule_that_emits_lets_the_payment_go(ledger: Harness) -> None:
    activate(ledger, hold_rule("note", BIG, actions=[Emit("large"), Emit("review")]))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 500))
    assert kinds(outcome.events) == [
        "RuleFired",
        "AlertEmitted",
        "AlertEmitted",
        "TransferSettled",
    ]
    labels = [event.label for event in outcome.events if isinstance(event, AlertEmitted)]
    assert labels == ["large", "review"]
    assert count_today(ledger.context(), "note") == 0


def test_the_higher_priority_decides_and_all_that_fire_are_on_record(ledger: Harness) -> None:
    activate(ledger, hold_rule("a-hold", BIG, actions=[Hold(HOUR_MS, "settle"), Emit("a")]))
    activate(ledger, hold_rule("b-refuse", BIG, actions=[Refuse("no")], priority=5))
    outcome = ledger.run("pia", pay(ledger, 0, 1, 500))
    assert outcome.codes == ("bank/refused_by_rule",)
    fired = [event for event in outcome.events if isinstance(event, RuleFired)]
    assert [(event.rule, event.actions) for event in fired] == [
        ("b-refuse", ("refuse",)),
        ("a-hold", ("emit",)),
    ]
    firings = [firing for _, firing in list_firings(ledger.context())]
    assert [(f.rule, f.actions, f.score_ppm) for f in firings] == [
        ("b-refuse", ("refuse",), -1),
        ("a-hold", ("emit",), -1),
    ]
    assert count_today(ledger.context(), "a-hold") == 0


def test_among_equals_the_name_decides(ledger: Harness) -> None:
    activate(ledger, hold_rule("b", BIG, actions=[Refuse("no")]))
    activate(ledger, hold_rule("a", BIG))
    assert ledger.done("pia", pay(ledger, 0, 1, 500)).event(HoldPlaced).rule == "a"


@pytest.mark.parametrize("on_expiry", ["settle", "return"])
def test_a_hold_expires_as_its_rule_says(ledger: Harness, on_expiry: str) -> None:
    action = Hold(HOUR_MS, "settle" if on_expiry == "settle" else "return")
    activate(ledger, hold_rule("big", BIG, actions=[action]))
    ledger.done("pia", pay(ledger, 0, 1, 500))
    ledger.block(advance_ms=HOUR_MS - 1)
    assert ledger.end_events == ()
    ledger.block(advance_ms=1)
    (expired,) = ledger.end_events
    assert isinstance(expired, HoldExpired)
    assert expired.settled == (on_expiry == "settle")


# Within one block


def test_two_thousand_payments_do_not_slip_under_a_velocity_rule() -> None:
    ledger = found(check_invariants=False)
    velocity = Compare("feature:payer_count_1h", ">=", 3)
    activate(ledger, hold_rule("velocity", velocity, daily_cap=1_000_000))
    for _ in range(10):
        ledger.submit("pia", *[pay(ledger, 0, 1, 1)] * 200, mode=INDEPENDENT)
    outcomes = ledger.block()
    settled = [e for o in outcomes for e in o.events if isinstance(e, TransferSettled)]
    held = [e for o in outcomes for e in o.events if isinstance(e, HoldPlaced)]
    assert (len(settled), len(held)) == (3, 1_997)


def test_payments_of_one_atomic_transaction_count_one_after_the_other(ledger: Harness) -> None:
    activate(ledger, hold_rule("velocity", Compare("feature:payer_sum_24h", ">", 100)))
    outcome = ledger.done("pia", *[pay(ledger, 0, 1, 60)] * 4)
    assert kinds(outcome.events)[:2] == ["TransferSettled", "TransferSettled"]
    assert len([event for event in outcome.events if isinstance(event, HoldPlaced)]) == 2


# Cap and switches


def test_past_the_daily_cap_payments_go_on_and_it_is_said(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", BIG, daily_cap=2))
    outcome = ledger.done("pia", *[pay(ledger, 0, 1, 500)] * 3)
    assert len([event for event in outcome.events if isinstance(event, HoldPlaced)]) == 2
    capped = outcome.event(CapReached)
    assert (capped.rule, capped.version, capped.daily_cap) == ("big", 1, 2)
    assert kinds(outcome.events)[-3:] == ["RuleFired", "CapReached", "TransferSettled"]
    assert kinds(ledger.done("pia", pay(ledger, 0, 1, 500)).events)[-1] == "TransferSettled"
    assert count_today(ledger.context(), "big") == 2
    firings = [firing.actions for _, firing in list_firings(ledger.context())]
    assert firings == [("hold",), ("hold",), (), ()]


def test_payments_that_nobody_could_pay_do_not_use_the_cap_up(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", BIG, daily_cap=2))
    empty = [pay(ledger, 0, 1, 10 * FUNDS_UNITS, reference=i) for i in range(4)]
    assert ledger.run("pia", *empty, mode=INDEPENDENT).codes == ("bank/insufficient_funds",) * 4
    assert count_today(ledger.context(), "big") == 0
    ledger.submit("pia", *empty, mode=INDEPENDENT)
    ledger.submit("pia", pay(ledger, 1, 2, FUNDS_UNITS), lane=1)
    assert kinds(ledger.block()[1].events)[-1] == "HoldPlaced"
    assert count_today(ledger.context(), "big") == 1
    # One account's money stands for one payment, however often it is promised in a block.
    again = [pay(ledger, 0, 1, FUNDS_UNITS, reference=i) for i in range(3)]
    outcome = ledger.run("pia", *again, mode=INDEPENDENT)
    assert outcome.codes == ("ok", "bank/insufficient_funds", "bank/insufficient_funds")
    assert count_today(ledger.context(), "big") == 2


def test_holds_that_are_undone_do_not_use_the_cap_up(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", BIG, daily_cap=2))
    doomed = (pay(ledger, 0, 1, 500), pay(ledger, 0, 1, 500), pay(ledger, 0, 99, 1))
    for _ in range(3):
        assert ledger.run("pia", *doomed).code == "ledger/operation_refused"
    assert count_today(ledger.context(), "big") == 0
    assert kinds(ledger.done("pia", pay(ledger, 0, 1, 500)).events)[-1] == "HoldPlaced"
    assert count_today(ledger.context(), "big") == 1


def test_value_that_came_in_the_same_block_is_held_too(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", Compare("field:amount_units", ">", FUNDS_UNITS), daily_cap=2))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 1), pay(ledger, 1, 2, FUNDS_UNITS + 1))
    assert kinds(outcome.events) == ["TransferSettled", "RuleFired", "HoldPlaced"]
    assert count_today(ledger.context(), "big") == 1


def test_the_cap_begins_anew_with_the_day_of_block_time(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", BIG, daily_cap=1))
    ledger.done("pia", pay(ledger, 0, 1, 500))
    midnight_ms = (ledger.head.time_ms // DAY_MS + 1) * DAY_MS
    ledger.submit("pia", pay(ledger, 0, 1, 500))
    assert kinds(ledger.block(time_ms=midnight_ms - 1)[0].events)[-1] == "TransferSettled"
    ledger.submit("pia", pay(ledger, 0, 1, 500))
    assert kinds(ledger.block(time_ms=midnight_ms)[0].events)[-1] == "HoldPlaced"


def test_a_new_version_does_not_begin_a_new_count(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", BIG, daily_cap=1))
    ledger.done("pia", pay(ledger, 0, 1, 500))
    activate(ledger, hold_rule("big", BIG, daily_cap=1, priority=3))
    assert ledger.done("pia", pay(ledger, 0, 1, 500)).event(CapReached).version == 2


def test_a_rule_at_its_cap_leaves_the_decision_to_the_next(ledger: Harness) -> None:
    activate(ledger, hold_rule("first", BIG, daily_cap=1, priority=1))
    activate(ledger, hold_rule("second", BIG))
    ledger.done("pia", pay(ledger, 0, 1, 500))
    assert ledger.done("pia", pay(ledger, 0, 1, 500)).event(HoldPlaced).rule == "second"


def test_activation_switches_and_retirement_act_from_the_next_height(ledger: Harness) -> None:
    def held(*changes: tuple[str, object]) -> bool:
        """Pay in a block after the changes; say whether it was held."""
        for sender, message in changes:
            ledger.submit(sender, message)  # type: ignore[arg-type]
        ledger.submit("pia", pay(ledger, 0, 1, 500))
        outcomes = ledger.block()
        assert all(outcome.ok for outcome in outcomes), outcomes
        return isinstance(outcomes[-1].events[-1], HoldPlaced)

    submit_rule(ledger, hold_rule("big", BIG))
    approve_rule(ledger, "big", 1)
    assert not held(("rick", ActivateRule("big", 1)))
    assert held()
    assert held(("cora", SwitchRule("big", False)))
    assert not held()
    assert not held(("cora", SwitchRule("big", True)))
    assert held()
    assert held(("cora", SwitchAllRules(False)))
    assert not held()
    assert not held(("rick", SwitchAllRules(True)))
    assert held(("cora", SwitchAllRules(False)), ("rick", SwitchAllRules(True)))
    assert held(("cora", SwitchRule("big", False)), ("rick", SwitchRule("big", True)))
    assert held(("rick", RetireRule("big")))
    assert not held()


# Freezes


def test_a_freeze_refuses_what_comes_after_it_in_the_block(ledger: Harness) -> None:
    freeze = [Hold(HOUR_MS, "return"), Freeze("payer", HOUR_MS)]
    activate(ledger, hold_rule("stop", BIG, actions=freeze))
    outcome = ledger.run(
        "pia",
        pay(ledger, 0, 1, 10),
        pay(ledger, 0, 1, 500),
        pay(ledger, 0, 1, 10),
        pay(ledger, 2, 0, 10),
        mode=INDEPENDENT,
    )
    assert outcome.codes == ("ok", "ok", "bank/refused_by_rule", "ok")
    assert kinds(outcome.events) == [
        "TransferSettled",
        "RuleFired",
        "HoldPlaced",
        "PayerFrozen",
        "TransferSettled",
    ]
    assert outcome.event(RuleFired).actions == ("hold", "freeze_payer")
    assert outcome.event(PayerFrozen).rule == "stop"
    (frozen,) = ledger.end_events
    assert isinstance(frozen, AccountFrozen)
    assert (frozen.account, frozen.rule, frozen.version) == (customer(0), "stop", 1)
    assert frozen.until_ms == ledger.head.time_ms + HOUR_MS
    assert ledger.run("pia", pay(ledger, 0, 1, 10)).codes == ("bank/account_frozen",)
    ledger.block(advance_ms=HOUR_MS)
    ledger.done("pia", pay(ledger, 0, 1, 10))


def test_a_freeze_of_the_payee_stops_it_from_paying(ledger: Harness) -> None:
    activate(ledger, hold_rule("mule", BIG, actions=[Freeze("payee", HOUR_MS)]))
    outcome = ledger.run("pia", pay(ledger, 0, 1, 500), pay(ledger, 1, 2, 10), mode=INDEPENDENT)
    assert outcome.codes == ("ok", "bank/refused_by_rule")
    assert ledger.run("pia", pay(ledger, 1, 2, 10)).codes == ("bank/account_frozen",)
    ledger.done("pia", pay(ledger, 0, 1, 10))


def test_nobody_is_frozen_by_a_payment_that_nobody_could_pay(ledger: Harness) -> None:
    freezes = [Freeze("payer", HOUR_MS), Freeze("payee", HOUR_MS)]
    activate(ledger, hold_rule("mule", BIG, actions=freezes[1:], daily_cap=1))
    empty = pay(ledger, 0, 1, 10 * FUNDS_UNITS)
    assert ledger.run("pia", empty).codes == ("bank/insufficient_funds",)
    assert ledger.end_events == ()
    assert count_today(ledger.context(), "mule") == 0
    ledger.done("pia", pay(ledger, 1, 2, 10))
    activate(ledger, hold_rule("both", BIG, actions=freezes, priority=1))
    assert ledger.run("pia", empty).codes == ("bank/insufficient_funds",)
    assert ledger.end_events == ()
    assert count_today(ledger.context(), "both") == 0


def test_nobody_is_frozen_by_a_payment_that_is_undone(ledger: Harness) -> None:
    freezes = [Freeze("payer", HOUR_MS), Freeze("payee", HOUR_MS)]
    activate(ledger, hold_rule("both", BIG, actions=freezes, daily_cap=1))
    doomed = (pay(ledger, 0, 1, 500), pay(ledger, 2, 99, 1))
    for _ in range(2):
        assert ledger.run("pia", *doomed).codes == ("ledger/undone", "bank/unknown_account")
        assert ledger.end_events == ()
    assert count_today(ledger.context(), "both") == 0
    ledger.done("pia", pay(ledger, 0, 1, 500))
    frozen = [event for event in ledger.end_events if isinstance(event, AccountFrozen)]
    assert sorted(event.account for event in frozen) == sorted((customer(0), customer(1)))
    assert count_today(ledger.context(), "both") == 1


def test_a_freeze_counts_towards_the_cap(ledger: Harness) -> None:
    activate(ledger, hold_rule("mule", BIG, actions=[Freeze("payee", HOUR_MS)], daily_cap=1))
    ledger.done("pia", pay(ledger, 0, 1, 500))
    assert ledger.done("pia", pay(ledger, 0, 2, 500)).event(CapReached).rule == "mule"
    ledger.done("pia", pay(ledger, 2, 0, 10))


def test_a_freeze_of_an_account_that_does_not_exist_is_no_fault(ledger: Harness) -> None:
    activate(ledger, hold_rule("mule", BIG, actions=[Freeze("payee", HOUR_MS)]))
    message = pay(ledger, 0, 99, 500)
    assert ledger.run("pia", message).codes == ("bank/unknown_account",)
    assert ledger.end_events == ()


def test_the_longer_of_two_freezes_is_carried_out(ledger: Harness) -> None:
    activate(ledger, hold_rule("long", BIG, actions=[Freeze("payee", 2 * HOUR_MS)]))
    activate(ledger, hold_rule("short", BIG, actions=[Freeze("payee", HOUR_MS)], priority=1))
    ledger.done("pia", pay(ledger, 0, 1, 500))
    (frozen,) = ledger.end_events
    assert isinstance(frozen, AccountFrozen)
    assert (frozen.rule, frozen.until_ms) == ("long", ledger.head.time_ms + 2 * HOUR_MS)


# What is not judged


def test_warming_up_loads_the_models_of_acting_rules(
    ledger: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorers, "_scorers", {})
    go_live(ledger, "fraud", amount_model())
    go_live(ledger, "idle", amount_model(3))
    assert warm_up(ledger.context()) == ()
    activate(ledger, hold_rule("big"))
    assert warm_up(ledger.context()) == ("fraud",)
    assert len(scorers._scorers) == 1


def test_a_payment_ordered_by_a_stranger_reaches_no_rule(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", BIG, daily_cap=1))
    for sender in ("paul", "bob"):
        outcome = ledger.run(sender, pay(ledger, 0, 1, 500))
        assert outcome.codes == ("bank/not_authorised",)
        assert outcome.events == ()
    assert list_firings(ledger.context()) == []
    assert count_today(ledger.context(), "big") == 0


def test_windows_follow_payments_without_rules_unless_a_parameter_says_no() -> None:
    always = found()
    sparing = found(parameters={"screening.windows_without_rules": 0})
    for ledger, follows in ((always, True), (sparing, False)):
        ledger.done("pia", pay(ledger, 0, 1, 500))
        paid, _ = get_windows(ledger.context(), "eur", customer(0))
        assert (paid != EMPTY) is follows
        activate(ledger, hold_rule("big", BIG))
        outcome = ledger.done("pia", pay(ledger, 0, 1, 500))
        assert HoldPlaced in [type(event) for event in outcome.events]
        paid, _ = get_windows(ledger.context(), "eur", customer(0))
        assert paid != EMPTY
