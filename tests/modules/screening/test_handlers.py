import pytest

from cairn.exact.windows import DAY_MS
from cairn.modules.screening.events import AttemptCounted, OutcomeRecorded
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.queries import (
    get_outcome,
    get_terminal_window,
    get_windows,
    list_outcomes,
)
from cairn.modules.screening.records import Outcome
from cairn.primitives.encoding import replace
from tests.modules.decisions.world import ask
from tests.modules.founding import customer, found, pay
from tests.modules.harness import Harness

TERMINAL = b"\x07" * 20


@pytest.fixture
def ledger() -> Harness:
    return found()


def paid(ledger: Harness, **stated: object) -> tuple[bytes, int]:
    """Return transaction and attempt of a payment."""
    outcome = ledger.done("pia", replace(pay(ledger, 0, 1, 5), **stated))
    assert outcome.receipt is not None
    return outcome.receipt.transaction_id, outcome.event(AttemptCounted).attempt


def frauds(ledger: Harness) -> tuple[tuple[int, ...], ...]:
    """Return the fraud counts of payer, payee and terminal."""
    ctx = ledger.context()
    payer = get_windows(ctx, "eur", customer(0))[0]
    payee = get_windows(ctx, "eur", customer(1))[1]
    terminal = get_terminal_window(ctx, "eur", TERMINAL)
    return payer.fraud_counts, payee.fraud_counts, terminal.fraud_counts


def test_an_outcome_is_kept_and_a_later_one_replaces_it(ledger: Harness) -> None:
    payment, attempt = paid(ledger)
    event = ledger.done("cora", RecordOutcome(attempt, "fraud")).event(OutcomeRecorded)
    assert event == OutcomeRecorded(attempt, payment, 0, "fraud")
    ledger.done("carl", RecordOutcome(attempt, "genuine"))
    row = get_outcome(ledger.context(), payment, 0)
    assert row == Outcome(attempt, "genuine", ledger.id("carl"), ledger.head.time_ms)
    entries = [entry for _, entry in list_outcomes(ledger.context())]
    assert [(entry.attempt, entry.label) for entry in entries] == [(0, "fraud"), (0, "genuine")]
    assert entries[0].transaction_id == payment
    assert get_outcome(ledger.context(), payment, 1) is None


def test_a_label_moves_the_windows_of_all_three_sides(ledger: Harness) -> None:
    attempt = paid(ledger, terminal=TERMINAL)[1]
    assert frauds(ledger) == ((), (), ())
    ledger.done("cora", RecordOutcome(attempt, "fraud"))
    assert frauds(ledger) == ((1,), (1,), (1,))
    other = paid(ledger)[1]
    ledger.done("cora", RecordOutcome(other, "fraud"))
    assert frauds(ledger) == ((2,), (2,), (1,))
    ledger.done("carl", RecordOutcome(attempt, "genuine"))
    assert frauds(ledger) == ((1,), (1,), ())
    ledger.done("cora", RecordOutcome(paid(ledger)[1], "genuine"))
    assert frauds(ledger) == ((1,), (1,), ())


def test_a_label_after_months_counts_nowhere_and_is_kept(ledger: Harness) -> None:
    payment, attempt = paid(ledger)
    ledger.block(advance_ms=60 * DAY_MS)
    paid(ledger)
    ledger.done("cora", RecordOutcome(attempt, "fraud"))
    assert frauds(ledger)[0] == ()
    row = get_outcome(ledger.context(), payment, 0)
    assert row is not None
    assert row.label == "fraud"


def test_a_refused_label_moves_nothing(ledger: Harness) -> None:
    attempt = paid(ledger)[1]
    both = RecordOutcome(attempt, "fraud")
    assert ledger.run("cora", both, both).codes == (
        "ledger/undone",
        "screening/outcome_unchanged",
    )
    assert frauds(ledger) == ((), (), ())


def test_recording_is_refused_in_order(ledger: Harness) -> None:
    message = RecordOutcome(0, "fraud")
    ledger.refused("rick", message, "identity/missing_role")
    ledger.refused("cora", message, "screening/attempt_not_found")
    paid(ledger)
    ledger.done("cora", message)
    ledger.refused("carl", message, "screening/outcome_unchanged")
    ledger.refused("carl", RecordOutcome(1, "fraud"), "screening/attempt_not_found")


def test_only_the_homes_of_payer_and_payee_say_what_a_payment_was(ledger: Harness) -> None:
    """Beta's compliance labels what beta's people are party to, and nothing else."""
    between_customers = RecordOutcome(paid(ledger)[1], "fraud")
    ledger.refused("ben", between_customers, "screening/wrong_organisation")
    assert frauds(ledger) == ((), (), ())
    to_berta = RecordOutcome(paid(ledger, payee=ledger.id("berta"))[1], "fraud")
    ledger.done("ben", to_berta)
    ledger.refused("cora", to_berta, "screening/outcome_unchanged")
    ledger.done("cora", replace(to_berta, label="genuine"))


def test_a_payee_elsewhere_has_no_home(ledger: Harness) -> None:
    asked = ledger.done("pia", ask(ledger)).event(AttemptCounted)
    ledger.refused("ben", RecordOutcome(asked.attempt, "fraud"), "screening/wrong_organisation")
    ledger.done("cora", RecordOutcome(asked.attempt, "fraud"))


def test_an_unknown_label_is_malformed(ledger: Harness) -> None:
    message = RecordOutcome(0, "perhaps")  # type: ignore[arg-type]
    assert ledger.run("cora", message).code == "ledger/malformed_transaction"
