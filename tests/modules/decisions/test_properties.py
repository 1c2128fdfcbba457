"""Any sequence of messages and blocks: one outcome at most, and a status that never goes back."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact.rules import Compare, Hold, Refuse
from cairn.modules.decisions.messages import ReportExecution, Review
from cairn.modules.decisions.queries import list_decisions, list_outcomes
from cairn.modules.decisions.records import DECISIONS, RANKS, REPORTED, Decision
from tests.modules.decisions.world import ask, ask_case, big_rule, case_rule, row_of
from tests.modules.founding import HOUR_MS, activate, found, go_live, linear_model
from tests.modules.harness import Harness

REPORTERS = ("paul", "paul", "paul", "tom")
REVIEWERS = ("cora", "carl", "ben", "pia")
ADVANCES_MS = (1, 1_000, HOUR_MS, 5 * HOUR_MS)

steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "case", "review", "report", "report", "block"]),
        st.integers(0, 7),
        st.integers(0, 7),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


def founded() -> Harness:
    ledger = found(parameters={"decisions.due_per_block_max": 2}, replicas=2)
    go_live(ledger, "credit", linear_model({"age": 10_000}, names=("age",)))
    activate(ledger, big_rule("a-refuse", above=3_000, action=Refuse("huge")))
    activate(ledger, big_rule("big", above=200, action=Hold(2 * HOUR_MS, "settle")))
    old = Compare("input:age", ">", 4)
    activate(ledger, case_rule(old, action=Hold(3 * HOUR_MS, "return")))
    return ledger


def send(ledger: Harness, kind: str, first: int, second: int, *, yes: bool) -> None:
    ids = [entry.decision for _, entry in list_decisions(ledger.context())]
    decision = ids[-1 - first] if first < len(ids) else bytes(20)
    if kind == "ask":
        ledger.submit("pia", ask(ledger, second % 6, (10, 250, 5_000)[first % 3]))
    elif kind == "case":
        ledger.submit("pia", ask_case(ledger, (first,)), lane=1)
    elif kind == "review":
        ruling: Any = "release" if yes else "reject"
        ledger.submit(REVIEWERS[second % 4], Review(decision, ruling, "seen"), lane=2)
    elif kind == "report":
        done: Any = "executed" if yes else "stopped"
        acted_ms = ledger.head.time_ms + (second - 4) * HOUR_MS // 3
        sender = REPORTERS[second % 4]
        ledger.submit(sender, ReportExecution(decision, done, acted_ms), lane=3)
    else:
        check_block(ledger, ADVANCES_MS[second % 4])


def check_block(ledger: Harness, advance_ms: int) -> None:
    """Execute what waits; every decision that changed went on."""
    before = rows(ledger)
    ledger.block(advance_ms=advance_ms)
    after = rows(ledger)
    assert before.keys() <= after.keys()
    for decision, old in before.items():
        new = after[decision]
        if old.status in REPORTED:
            assert new == old
        assert new == old or RANKS[new.status] > RANKS[old.status]
        assert (new.verdict, new.rule, new.score_ppm) == (old.verdict, old.rule, old.score_ppm)


def rows(ledger: Harness) -> dict[bytes, Decision]:
    ids = [entry.decision for _, entry in list_decisions(ledger.context())]
    assert len(ids) == sum(1 for _ in ledger.state.scan(DECISIONS.prefix))
    return {decision: row_of(ledger, decision) for decision in ids}


@settings(deadline=None, max_examples=40)
@given(steps)
def test_a_decision_has_one_outcome_and_a_status_that_never_goes_back(
    sequence: list[tuple[str, int, int, bool]],
) -> None:
    # After every block the harness checks `decisions/due`, in full and over the block's changes.
    ledger = founded()
    for kind, first, second, yes in sequence:
        send(ledger, kind, first, second, yes=yes)
    check_block(ledger, 1_000)
    told: dict[bytes, list[str]] = {}
    for _, entry in list_outcomes(ledger.context()):
        told.setdefault(entry.decision, []).append(entry.step)
    for decision, row in rows(ledger).items():
        story = told.get(decision, [])
        answers = ("released", "rejected", "expired_allowed", "expired_refused")
        assert sum(step in REPORTED for step in story) == (row.status in REPORTED)
        assert sum(step in answers for step in story) <= (row.verdict == "hold")
        assert len(dict.fromkeys(story)) == len(story)
        if story and story[-1] not in answers:
            assert story[-1] == row.status
        assert (row.answer == "hold") == (row.verdict == "hold" and not set(story) & set(answers))
    for _ in range(len(told) + 40):
        check_block(ledger, 9 * HOUR_MS)
    assert all(row.status not in ("held", "open") for row in rows(ledger).values())
