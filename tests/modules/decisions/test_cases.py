"""Questions about cases: scored on what the sender states, judged by the deployment's own rules."""

import pytest

from cairn.exact.reference import score_one_pure
from cairn.exact.rules import Compare, Emit, Hold, Refuse
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.decisions.events import Decided
from cairn.modules.decisions.records import CaseSubject
from cairn.modules.identity.messages import Delegate, Suspend
from cairn.modules.inference.events import FeaturesScored
from cairn.modules.inference.messages import Score
from cairn.modules.inference.queries import count_predictions, list_predictions
from cairn.modules.models.messages import CreateDeployment
from cairn.modules.rules.events import RuleFired
from cairn.modules.rules.queries import count_today
from cairn.primitives.encoding import replace
from tests.modules.decisions.world import HOLD_MS, ask_case, big_rule, case_rule, row_of
from tests.modules.founding import activate, found, go_live, linear_model
from tests.modules.harness import Harness

INPUTS = ("age", "income")
MODEL = linear_model({"age": 10_000, "income": -1_000}, base=100_000, names=INPUTS)


@pytest.fixture
def ledger() -> Harness:
    ledger = found()
    go_live(ledger, "credit", MODEL)
    return ledger


def test_a_case_is_scored_and_the_prediction_is_on_record(ledger: Harness) -> None:
    outcome = ledger.done("pia", ask_case(ledger, (40, 100)))
    score_ppm = score_one_pure(MODEL, (40, 100))[1]
    assert outcome.event(FeaturesScored).score_ppm == score_ppm
    decided = outcome.event(Decided)
    assert (decided.verdict, decided.basis, decided.score_ppm) == ("allow", "screened", score_ppm)
    row = row_of(ledger, decided.decision)
    ((_, entry),) = list_predictions(ledger.context(), "credit")
    assert row.subject == CaseSubject("credit", entry.version, 0)
    assert (entry.basis, entry.score_ppm) == ("asserted", score_ppm)
    assert row.organisation == ledger.id("alpha")


def test_rules_of_the_deployment_decide(ledger: Harness) -> None:
    high = Compare("model:credit", ">=", 400_000)
    activate(ledger, case_rule(high, action=Refuse("too-risky"), name="risky"))
    young = Compare("input:age", "<", 18)
    activate(ledger, case_rule(young, action=Hold(HOLD_MS, "settle"), name="young"))

    decided = ledger.done("pia", ask_case(ledger, (60, 0))).event(Decided)
    assert (decided.verdict, decided.rule) == ("refuse", "risky")
    outcome = ledger.done("pia", ask_case(ledger, (17, 100)))
    decided = outcome.event(Decided)
    assert (decided.verdict, decided.rule, decided.allow_on_expiry) == ("hold", "young", True)
    assert decided.expires_at_ms == ledger.head.time_ms + HOLD_MS
    assert outcome.event(RuleFired).inputs == (17,)
    assert ledger.done("pia", ask_case(ledger, (30, 100))).event(Decided).verdict == "allow"


def test_a_cap_that_is_used_up_lets_cases_go(ledger: Harness) -> None:
    rule = case_rule(Compare("input:age", ">", 0), action=Refuse("never"))
    activate(ledger, replace(rule, daily_cap=2))
    outcome = ledger.done("pia", *[ask_case(ledger, (40, 100))] * 3)
    verdicts = [event.verdict for event in outcome.events if isinstance(event, Decided)]
    assert verdicts == ["refuse", "refuse", "allow"]
    assert count_today(ledger.context(), "credit-rule") == 2


def test_a_stranger_uses_up_no_cap_and_a_delegate_asks_in_the_name_of_the_deployment(
    ledger: Harness,
) -> None:
    activate(ledger, case_rule(Compare("input:age", ">", 0), action=Refuse("never")))
    ledger.refused("berta", ask_case(ledger, (40, 100)), "decisions/not_authorised")
    assert count_today(ledger.context(), "credit-rule") == 0
    alpha = ledger.id("alpha")
    ledger.done("ann", Delegate(alpha, ledger.id("berta"), ("decisions/decide_case",), 1_000))
    decided = ledger.done("berta", ask_case(ledger, (40, 100))).event(Decided)
    row = row_of(ledger, decided.decision)
    assert (decided.verdict, row.organisation, row.asked_by) == (
        "refuse",
        alpha,
        ledger.id("berta"),
    )


def test_rules_on_payments_do_not_look_at_cases(ledger: Harness) -> None:
    activate(ledger, big_rule())
    labels = case_rule(Compare("input:age", ">", 0), action=Emit("seen"), name="seen")
    activate(ledger, labels)
    outcome = ledger.done("pia", ask_case(ledger, (400, 100)))
    assert outcome.event(RuleFired).rule == "seen"
    assert outcome.event(Decided).verdict == "allow"


def test_asking_about_a_case_is_refused_in_order(ledger: Harness) -> None:
    nobody = b"\xee" * 20
    wrong = ask_case(ledger, (1,), deployment="none", executor=nobody)
    ledger.refused("berta", wrong, "models/deployment_not_found")
    ledger.done("dev", CreateDeployment("empty", "model", ""))
    unknown = ask_case(ledger, (1,), deployment="empty", executor=nobody)
    ledger.refused("berta", unknown, "decisions/not_authorised")
    ledger.refused("pia", unknown, "decisions/unknown_executor")
    berta = ask_case(ledger, (1,), deployment="empty", executor=ledger.id("berta"))
    ledger.refused("pia", berta, "decisions/executor_not_bound")
    ledger.refused("pia", ask_case(ledger, (1,), deployment="empty"), "models/no_live_version")
    ledger.refused("pia", ask_case(ledger, (1,)), "inference/bad_features")
    ledger.done("adam", Suspend(ledger.id("pia"), "left"))
    assert not ledger.run("pia", wrong).ok


def test_what_is_undone_leaves_no_prediction_and_uses_no_cap(ledger: Harness) -> None:
    activate(ledger, case_rule(Compare("input:age", ">", 0), action=Refuse("never")))
    good, bad = ask_case(ledger, (40, 100)), ask_case(ledger, (1,))
    outcome = ledger.run("pia", good, bad)
    assert outcome.codes == ("ledger/undone", "inference/bad_features")
    assert count_predictions(ledger.context(), "credit") == 0
    assert count_today(ledger.context(), "credit-rule") == 0
    ledger.run("pia", good, bad, mode=INDEPENDENT)
    assert count_today(ledger.context(), "credit-rule") == 1


def test_a_case_pays_for_its_score_and_its_rules(ledger: Harness) -> None:
    def cost(*messages: object) -> int:
        receipt = ledger.done("pia", *messages).receipt  # type: ignore[arg-type]
        assert receipt is not None
        return receipt.cost

    without = cost(ask_case(ledger, (40, 100)))
    assert without > cost(Score("credit", (40, 100))) + 200
    activate(ledger, case_rule(Compare("input:age", ">", 500), action=Refuse("never")))
    assert cost(ask_case(ledger, (40, 100))) > without + 20
