"""What becomes of decisions: reviews, expiries, reports and what they mean, missing reports."""

from collections.abc import Callable
from typing import Any, Literal

import pytest

from cairn.exact.rules import Hold, Refuse
from cairn.ledger.messages import Message
from cairn.modules.bank.messages import FreezeAccount
from cairn.modules.decisions.events import (
    ExecutionReported,
    HoldExpired,
    LeftUnanswered,
    Reviewed,
)
from cairn.modules.decisions.messages import ReportExecution, Review
from cairn.modules.decisions.outcomes import next_due
from cairn.modules.decisions.queries import list_outcomes, list_waiting
from cairn.modules.decisions.records import DUE, OutcomeEntry, Step, answer_at
from cairn.modules.identity.messages import Delegate
from tests.modules.decisions.world import ANSWER_MS, HOLD_MS, big_rule, decide, row_of
from tests.modules.founding import HOUR_MS, activate, customer, found
from tests.modules.harness import Harness

NOTHING = b"\xee" * 20
Done = Literal["executed", "stopped"]


@pytest.fixture
def ledger() -> Harness:
    ledger = found(parameters={"decisions.due_per_block_max": 2})
    activate(ledger, big_rule("big", above=200))
    return ledger


def allowed(ledger: Harness) -> bytes:
    return decide(ledger, 0, 100)


def held(ledger: Harness) -> bytes:
    return decide(ledger, 0, 250)


def refused(ledger: Harness) -> bytes:
    # Of two rules of one priority the first by name decides.
    activate(ledger, big_rule("aaa", above=2_000, action=Refuse("huge")))
    return decide(ledger, 0, 2_500)


def steps(ledger: Harness, decision: bytes) -> list[Step]:
    found = [entry for _, entry in list_outcomes(ledger.context()) if entry.decision == decision]
    return [entry.step for entry in found]


def report(ledger: Harness, decision: bytes, done: Done, acted_ms: int | None = None) -> str:
    at_ms = ledger.head.time_ms if acted_ms is None else acted_ms
    outcome = ledger.done("paul", ReportExecution(decision, done, at_ms))
    event = outcome.event(ExecutionReported)
    assert (event.by, event.done, event.acted_ms) == (ledger.id("paul"), done, at_ms)
    assert row_of(ledger, decision).status == event.status
    assert steps(ledger, decision)[-1] == event.status
    return event.status


@pytest.mark.parametrize(
    ("make", "done", "status"),
    [
        (allowed, "executed", "enforced"),
        (allowed, "stopped", "overridden"),
        (refused, "stopped", "enforced"),
        (refused, "executed", "overridden"),
        (held, "stopped", "enforced"),
        (held, "executed", "overridden"),
    ],
)
def test_doing_what_was_said_is_enforced_and_otherwise_overridden(
    ledger: Harness, make: Callable[[Harness], bytes], done: Done, status: str
) -> None:
    decision = make(ledger)
    assert report(ledger, decision, done) == status
    assert list_waiting(ledger.state) == []
    again = ReportExecution(decision, done, ledger.head.time_ms)
    ledger.refused("paul", again, "decisions/already_reported")


def test_acting_before_there_was_a_decision_is_late(ledger: Harness) -> None:
    decision = allowed(ledger)
    decided_ms = row_of(ledger, decision).decided_ms
    assert report(ledger, decision, "executed", decided_ms - 1) == "late"


@pytest.mark.parametrize(("done", "status"), [("executed", "late"), ("stopped", "overridden")])
def test_telling_late_is_late_and_hides_no_override(
    ledger: Harness, done: Done, status: str
) -> None:
    decision = allowed(ledger)
    acted_ms = ledger.head.time_ms
    ledger.block(advance_ms=ANSWER_MS)
    assert row_of(ledger, decision).status == "unanswered"
    assert [type(event) for event in ledger.end_events] == [LeftUnanswered]
    assert report(ledger, decision, done, acted_ms) == status
    assert steps(ledger, decision) == ["unanswered", status]


def test_the_due_time_itself_is_not_late(ledger: Harness) -> None:
    decision = allowed(ledger)
    ledger.submit("paul", ReportExecution(decision, "executed", ledger.head.time_ms))
    (outcome,) = ledger.block(time_ms=row_of(ledger, decision).due_ms)
    assert outcome.event(ExecutionReported).status == "enforced"
    assert row_of(ledger, decision).status == "enforced"


@pytest.mark.parametrize(
    ("ruling", "answer", "step"),
    [("release", "allow", "released"), ("reject", "refuse", "rejected")],
)
def test_a_person_ends_a_hold(
    ledger: Harness, ruling: Literal["release", "reject"], answer: str, step: str
) -> None:
    decision = held(ledger)
    held_ms = ledger.head.time_ms
    event = ledger.done("cora", Review(decision, ruling, "seen")).event(Reviewed)
    row = row_of(ledger, decision)
    now_ms = ledger.head.time_ms
    assert (row.verdict, row.answer, row.status) == ("hold", answer, "open")
    assert (row.answered_ms, row.due_ms, event.due_ms) == (
        now_ms,
        now_ms + ANSWER_MS,
        now_ms + ANSWER_MS,
    )
    assert steps(ledger, decision) == [step]
    assert answer_at(row, held_ms - 1) is None
    assert (answer_at(row, held_ms), answer_at(row, now_ms)) == ("hold", answer)
    # What it says it did while the decision was held is measured by that.
    assert report(ledger, decision, "executed", held_ms) == "overridden"


def test_a_release_lets_the_executor_act(ledger: Harness) -> None:
    decision = held(ledger)
    ledger.done("cora", Review(decision, "release", "seen"))
    assert report(ledger, decision, "executed") == "enforced"


@pytest.mark.parametrize(("on_expiry", "is_allowed"), [("settle", True), ("return", False)])
def test_a_hold_ends_as_its_rule_said(
    ledger: Harness, on_expiry: Literal["settle", "return"], is_allowed: bool
) -> None:
    activate(ledger, big_rule("a-first", above=200, action=Hold(HOUR_MS, on_expiry)))
    decision = held(ledger)
    assert next_due(ledger.context()) == row_of(ledger, decision).expires_at_ms
    ledger.block(advance_ms=HOUR_MS - 1)
    assert row_of(ledger, decision).status == "held"
    ledger.block(advance_ms=1)
    row = row_of(ledger, decision)
    now_ms = ledger.head.time_ms
    assert (row.status, row.answer) == ("open", "allow" if is_allowed else "refuse")
    assert row.due_ms == now_ms + ANSWER_MS
    assert ledger.end_events == (HoldExpired(decision, is_allowed, row.due_ms),)
    assert next_due(ledger.context()) == row.due_ms


def test_the_payment_of_a_frozen_payer_does_not_go_on_at_expiry(ledger: Harness) -> None:
    activate(ledger, big_rule("a-first", above=200, action=Hold(HOUR_MS, "settle")))
    decision = held(ledger)
    until_ms = ledger.head.time_ms + 3 * HOUR_MS
    ledger.done("cora", FreezeAccount(customer(0), until_ms, "suspicion"))
    ledger.block(advance_ms=HOUR_MS)
    assert row_of(ledger, decision).answer == "refuse"
    assert steps(ledger, decision) == ["expired_refused"]


def test_a_block_ends_a_bounded_number_and_goes_on_in_the_next(ledger: Harness) -> None:
    decisions = [allowed(ledger) for _ in range(5)]
    counts = []
    for _ in range(4):
        ledger.block(advance_ms=ANSWER_MS)
        counts.append(len(ledger.end_events))
    assert counts == [2, 2, 1, 0]
    assert [entry.decision for _, entry in list_outcomes(ledger.context())] == decisions
    assert next_due(ledger.context()) is None


def test_what_waits_is_listed_earliest_first_and_in_pages(ledger: Harness) -> None:
    late, early = held(ledger), allowed(ledger)
    waiting = list_waiting(ledger.state)
    assert [decision for _, decision in waiting] == [early, late]
    assert list_waiting(ledger.state, limit=1) == waiting[:1]
    assert list_waiting(ledger.state, after=DUE.key(*waiting[0])) == waiting[1:]


def test_outcomes_are_listed_by_step(ledger: Harness) -> None:
    kept, broken, silent = (allowed(ledger) for _ in range(3))
    report(ledger, kept, "executed")
    report(ledger, broken, "stopped")
    ledger.block(advance_ms=ANSWER_MS)
    context = ledger.context()
    bad: list[OutcomeEntry] = [
        entry for _, entry in list_outcomes(context, steps=("overridden", "unanswered"))
    ]
    assert [(entry.decision, entry.step) for entry in bad] == [
        (broken, "overridden"),
        (silent, "unanswered"),
    ]
    assert (bad[0].by, bad[0].done, bad[1].by) == (ledger.id("paul"), "stopped", b"")
    assert len(list_outcomes(context, start=1, limit=1)) == 1


def test_a_delegate_of_the_executor_reports(ledger: Harness) -> None:
    decision = allowed(ledger)
    message = ReportExecution(decision, "executed", ledger.head.time_ms)
    ledger.refused("tom", message, "decisions/not_executor")
    until_height = ledger.head.height + 5
    tags = ("decisions/report_execution",)
    ledger.done("paul", Delegate(ledger.id("paul"), ledger.id("tom"), tags, until_height))
    assert ledger.done("tom", message).event(ExecutionReported).by == ledger.id("tom")


def test_reporting_is_refused_in_order(ledger: Harness) -> None:
    far_ms = ledger.head.time_ms + HOUR_MS
    unknown = ReportExecution(NOTHING, "executed", far_ms)
    ledger.refused("tom", unknown, "decisions/unknown_decision")
    decision = allowed(ledger)
    ahead = ReportExecution(decision, "executed", far_ms)
    ledger.refused("tom", ahead, "decisions/not_executor")
    ledger.refused("paul", ahead, "decisions/acted_ahead")
    report(ledger, decision, "executed")
    ledger.refused("paul", ahead, "decisions/already_reported")


def test_reviewing_is_refused_in_order(ledger: Harness) -> None:
    ledger.refused("pia", Review(NOTHING, "release", "seen"), "decisions/unknown_decision")
    open_one, held_one = allowed(ledger), held(ledger)
    ledger.refused("pia", Review(open_one, "release", "seen"), "identity/missing_role")
    ledger.refused("ben", Review(open_one, "release", "seen"), "decisions/wrong_organisation")
    ledger.refused("cora", Review(open_one, "release", "seen"), "decisions/not_held")
    report(ledger, held_one, "stopped")
    ledger.refused("cora", Review(held_one, "release", "seen"), "decisions/not_held")


@pytest.mark.parametrize("how", ["asks", "executes", "pays"])
def test_nobody_decides_on_a_case_of_their_own(ledger: Harness, how: str) -> None:
    until_height = ledger.head.height + 20
    fields: dict[str, Any] = {}
    grants: list[tuple[str, Message]] = []
    cora = ledger.id("cora")
    if how == "asks":
        tags = ("decisions/decide_payment",)
        grants = [("pia", Delegate(ledger.id("pia"), cora, tags, until_height))]
    elif how == "executes":
        fields = {"executor": cora}
    else:
        tags = ("bank/transfer",)
        grants = [("pia", Delegate(ledger.id("pia"), cora, tags, until_height))]
    for sender, message in grants:
        ledger.done(sender, message)
    decision = decide(ledger, 0, 250, sender="cora" if how == "asks" else "pia", **fields)
    ledger.refused("cora", Review(decision, "release", "seen"), "decisions/own_case")
    ledger.done("carl", Review(decision, "release", "seen"))


def test_a_long_hold_is_brought_forward() -> None:
    ledger = found(parameters={"decisions.hold_ms_max": HOUR_MS})
    activate(ledger, big_rule())
    row = row_of(ledger, held(ledger))
    assert row.expires_at_ms == row.decided_ms + HOUR_MS < row.decided_ms + HOLD_MS
