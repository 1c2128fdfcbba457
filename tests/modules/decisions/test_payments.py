"""Questions about payments that settle elsewhere: judged like payments here, and moving nothing."""

import pytest

from cairn.exact.rules import Action, All, Compare, Emit, Freeze, Hold, Refuse
from cairn.ledger.records import Asserted
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.bank.events import HoldPlaced
from cairn.modules.bank.messages import FreezeAccount, OpenAccounts
from cairn.modules.bank.records import BALANCES, HOLD_SERIES
from cairn.modules.decisions.events import Decided
from cairn.modules.decisions.queries import get_decision, list_decisions
from cairn.modules.decisions.records import PaymentSubject
from cairn.modules.identity.messages import Delegate
from cairn.modules.inference.events import PaymentScored
from cairn.modules.rules.events import RuleFired
from cairn.modules.rules.queries import count_today
from cairn.primitives.encoding import replace
from cairn.primitives.hashes import sha256
from tests.modules.decisions.world import ANSWER_MS, HOLD_MS, ask, big_rule, decide, row_of
from tests.modules.founding import (
    FUNDS_UNITS,
    HOUR_MS,
    activate,
    amount_model,
    customer,
    found,
    go_live,
    hold_rule,
    pay,
    pseudonym,
)
from tests.modules.harness import Harness


@pytest.fixture
def ledger() -> Harness:
    return found()


def test_without_rules_everything_is_allowed_and_on_record(ledger: Harness) -> None:
    message = ask(ledger)
    outcome = ledger.done("pia", message)
    decided = outcome.event(Decided)
    assert (decided.verdict, decided.basis, decided.rule) == ("allow", "no_rule", "")
    row = get_decision(ledger.context(), decided.decision)
    assert row is not None
    now_ms = ledger.head.time_ms
    assert row.subject == PaymentSubject(
        message.payer, message.payee, "usd", 250, message.booked_at_ms, b""
    )
    assert (row.asked_by, row.executor) == (ledger.id("pia"), ledger.id("paul"))
    assert row.organisation == ledger.id("alpha")
    assert (row.status, row.answer, row.answered_ms) == ("open", "allow", now_ms)
    assert row.due_ms == now_ms + ANSWER_MS
    ((time_ms, entry),) = list_decisions(ledger.context())
    assert (time_ms, entry.decision, entry.kind) == (now_ms, decided.decision, "payment")
    assert outcome.receipt is not None
    assert entry.transaction_id == outcome.receipt.transaction_id


def test_nothing_moves_and_the_bank_places_no_hold(ledger: Harness) -> None:
    activate(ledger, big_rule())
    decide(ledger, 0, 250, asset="eur", payee=customer(1))
    for index in (0, 1):
        balance = ledger.get(BALANCES, customer(index), "eur")
        assert balance is not None
        assert (balance.available, balance.held) == (FUNDS_UNITS, 0)
    assert ledger.context().series_size(HOLD_SERIES) == 0


def test_a_rule_holds_what_it_would_hold_here(ledger: Harness) -> None:
    activate(ledger, big_rule())
    outcome = ledger.done("pia", ask(ledger))
    decided = outcome.event(Decided)
    assert (decided.verdict, decided.basis, decided.rule) == ("hold", "rule", "big")
    now_ms = ledger.head.time_ms
    assert (decided.expires_at_ms, decided.allow_on_expiry) == (now_ms + HOLD_MS, False)
    assert decided.due_ms == now_ms + HOLD_MS + ANSWER_MS
    assert outcome.event(RuleFired).actions == ("hold",)
    assert row_of(ledger, decided.decision).status == "held"
    assert ledger.done("pia", ask(ledger, 0, 150)).event(Decided).verdict == "allow"


def test_a_rule_on_a_model_scores_derived_features(ledger: Harness) -> None:
    go_live(ledger, "fraud", amount_model(1_000))
    stop = hold_rule("scored", Compare("model:fraud", ">=", 900_000), actions=[Refuse("fraud")])
    activate(ledger, stop)
    outcome = ledger.done("pia", ask(ledger, 0, 950))
    assert 950_000 <= outcome.event(PaymentScored).score_ppm < 951_000
    decided = outcome.event(Decided)
    assert (decided.verdict, decided.basis) == ("refuse", "rule")
    assert row_of(ledger, decided.decision).status == "open"


def test_questions_count_in_the_windows_that_payments_are_judged_by(ledger: Harness) -> None:
    activate(ledger, hold_rule("fast", Compare("feature:payer_count_1h", ">=", 2)))
    # In one block: the third attempt is one too many, whichever way the first two went.
    questions = [ask(ledger, asset="eur"), ask(ledger, asset="eur"), ask(ledger, asset="eur")]
    outcome = ledger.done("pia", *questions)
    verdicts = [event.verdict for event in outcome.events if isinstance(event, Decided)]
    assert verdicts == ["allow", "allow", "hold"]
    held = ledger.done("pia", pay(ledger, 0, 1, 10))
    assert "RuleFired" in [type(event).__name__ for event in held.events]


def test_what_the_sender_states_is_there_for_rules(ledger: Harness) -> None:
    stated = Compare("asserted:night", "==", 1), Compare("field:amount_units", ">", 10), All(2)
    activate(ledger, hold_rule("night", *stated))
    night = ask(ledger, asserted=(Asserted("night", 1),))
    assert ledger.done("pia", night).event(Decided).verdict == "hold"
    assert ledger.done("pia", ask(ledger)).event(Decided).verdict == "allow"


def test_a_frozen_payer_is_refused(ledger: Harness) -> None:
    activate(ledger, big_rule())
    until_ms = ledger.head.time_ms + HOUR_MS
    ledger.done("cora", FreezeAccount(customer(0), until_ms, "suspicion"))
    for amount_units in (10, 250):
        decided = ledger.done("pia", ask(ledger, 0, amount_units)).event(Decided)
        assert (decided.verdict, decided.basis, decided.rule) == ("refuse", "frozen", "")
    assert ledger.done("pia", ask(ledger, 1, 10)).event(Decided).verdict == "allow"


def test_a_freeze_earlier_in_the_block_refuses_by_its_rule(ledger: Harness) -> None:
    freeze = hold_rule(
        "stop",
        Compare("field:amount_units", ">", 200),
        actions=[Hold(HOUR_MS, "return"), Freeze("payer", HOUR_MS)],
    )
    activate(ledger, freeze)
    outcome = ledger.done("pia", ask(ledger, 0, 250), ask(ledger, 0, 5))
    first, second = [event for event in outcome.events if isinstance(event, Decided)]
    assert (first.verdict, second.verdict, second.rule) == ("hold", "refuse", "stop")


def test_nobody_has_a_payee_frozen_by_asking(ledger: Harness) -> None:
    freeze = hold_rule(
        "stop",
        Compare("field:amount_units", ">", 200),
        actions=[Hold(HOUR_MS, "return"), Freeze("payee", HOUR_MS)],
    )
    activate(ledger, freeze)
    asked = ledger.done("pia", ask(ledger, 0, 10**15, payee=customer(1)))
    assert asked.event(RuleFired).actions == ("hold",)
    assert ledger.done("pia", pay(ledger, 1, 2, 10)).ok


def test_a_rule_that_only_freezes_payees_does_nothing_to_a_question(ledger: Harness) -> None:
    freeze: list[Action] = [Freeze("payee", HOUR_MS), Emit("seen")]
    above = Compare("field:amount_units", ">", 200)
    activate(ledger, hold_rule("mule", above, actions=freeze, daily_cap=1))
    for _ in range(3):
        asked = ledger.done("pia", ask(ledger, 0, 250, payee=customer(1)))
        assert asked.event(RuleFired).actions == ("emit",)
        assert asked.event(Decided).verdict == "allow"
    assert count_today(ledger.context(), "mule", ledger.id("alpha")) == 0


def test_holds_of_decisions_count_for_the_cap(ledger: Harness) -> None:
    activate(ledger, hold_rule("big", Compare("field:amount_units", ">", 200), daily_cap=2))
    verdicts = [
        ledger.done("pia", ask(ledger, payer)).event(Decided).verdict for payer in (0, 1, 2)
    ]
    assert verdicts == ["hold", "hold", "allow"]
    assert count_today(ledger.context(), "big", ledger.id("alpha")) == 2


def test_questions_use_up_no_cap_but_that_of_their_own_organisations_questions(
    ledger: Harness,
) -> None:
    """Asking takes no value: a rule keeps its power over what moves here and what others ask."""
    activate(ledger, hold_rule("big", Compare("field:amount_units", ">", 200), daily_cap=1))
    strangers = tuple(pseudonym(100 + i) for i in range(3))
    ledger.done("pia", OpenAccounts(ledger.id("pia"), strangers))
    # In one block, and in several.
    questions = [ask(ledger, 100 + i, 10**15) for i in range(2)]
    ledger.submit("pia", *questions, mode=INDEPENDENT)
    berta = replace(ask(ledger), payer=ledger.id("berta"), executor=ledger.id("berta"))
    ledger.submit("berta", berta)
    ledger.submit("pia", pay(ledger, 0, 1, 250), lane=1)
    asked, others, paid = ledger.block()
    verdicts = [event.verdict for event in asked.events if isinstance(event, Decided)]
    assert verdicts == ["hold", "allow"]
    assert others.event(Decided).verdict == "hold"
    assert paid.event(HoldPlaced).rule == "big"
    assert ledger.done("pia", ask(ledger, 102, 250)).event(Decided).verdict == "allow"
    ctx = ledger.context()
    homes = (b"", ledger.id("alpha"), ledger.id("beta"))
    assert [count_today(ctx, "big", home) for home in homes] == [1, 1, 1]


def test_asking_is_refused_in_order(ledger: Harness) -> None:
    nobody = b"\xee" * 20
    strange = ask(ledger, executor=nobody, booked_at_ms=1)
    ledger.refused("paul", strange, "bank/not_authorised")
    ledger.refused("pia", strange, "bank/booked_at_out_of_bounds")
    # From here on the attempt counts, whatever becomes of the question.
    outcome = ledger.run("pia", ask(ledger, executor=nobody))
    assert outcome.codes == ("decisions/unknown_executor",)
    berta = ledger.id("berta")
    outcome = ledger.run("pia", ask(ledger, executor=berta))
    assert outcome.codes == ("decisions/executor_not_bound",)
    assert list_decisions(ledger.context()) == []
    same = ask(ledger, payee=customer(0))
    ledger.refused("pia", same, "ledger/invalid_message")
    # Beta's rail lets pia ask in its name.
    until_height = ledger.head.height + 5
    tags = ("decisions/decide_payment",)
    ledger.done("berta", Delegate(berta, ledger.id("pia"), tags, until_height))
    assert row_of(ledger, decide(ledger, executor=berta)).executor == berta


def test_leave_that_comes_in_the_same_block_counts_from_the_next(ledger: Harness) -> None:
    activate(ledger, big_rule())
    until_height = ledger.head.height + 9
    tags = ("decisions/decide_payment",)
    ledger.submit("pia", Delegate(ledger.id("pia"), ledger.id("tom"), tags, until_height))
    ledger.submit("tom", ask(ledger))
    assert ledger.block()[1].codes == ("decisions/not_judged",)
    assert ledger.done("tom", ask(ledger)).event(Decided).verdict == "hold"


def test_a_question_whose_transaction_is_undone_leaves_nothing(ledger: Harness) -> None:
    bad = ask(ledger, executor=b"\xee" * 20)
    outcome = ledger.run("pia", ask(ledger), bad)
    assert outcome.codes == ("ledger/undone", "decisions/unknown_executor")
    assert list_decisions(ledger.context()) == []
    outcome = ledger.run("pia", ask(ledger), bad, mode=INDEPENDENT)
    assert outcome.codes == ("ok", "decisions/unknown_executor")
    assert len(list_decisions(ledger.context())) == 1


def test_ids_and_references_are_bound() -> None:
    ledger = found()
    first, second = decide(ledger), decide(ledger)
    assert first != second
    assert row_of(ledger, first).reference == sha256(b"end to end id")
