import pytest

from cairn.modules.screening.events import OutcomeRecorded
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.queries import get_outcome, list_outcomes
from cairn.primitives.hashes import sha256
from tests.modules.founding import found, pay
from tests.modules.harness import Harness

PAYMENT = sha256(b"a transaction")


@pytest.fixture
def ledger() -> Harness:
    return found()


def test_an_outcome_is_kept_and_a_later_one_replaces_it(ledger: Harness) -> None:
    outcome = ledger.done("pia", pay(ledger, 0, 1, 5))
    assert outcome.receipt is not None
    payment = outcome.receipt.transaction_id
    event = ledger.done("cora", RecordOutcome(payment, 0, "fraud")).event(OutcomeRecorded)
    assert (event.transaction_id, event.label) == (payment, "fraud")
    ledger.done("carl", RecordOutcome(payment, 0, "genuine"))
    row = get_outcome(ledger.context(), payment, 0)
    assert row is not None
    assert (row.label, row.by, row.decided_ms) == (
        "genuine",
        ledger.id("carl"),
        ledger.head.time_ms,
    )
    entries = [entry for _, entry in list_outcomes(ledger.context())]
    assert [entry.label for entry in entries] == ["fraud", "genuine"]
    assert get_outcome(ledger.context(), payment, 1) is None


def test_recording_is_refused_in_order(ledger: Harness) -> None:
    message = RecordOutcome(PAYMENT, 0, "fraud")
    ledger.refused("rick", message, "identity/missing_role")
    ledger.done("cora", message)
    ledger.refused("carl", message, "screening/outcome_unchanged")
    ledger.done("carl", RecordOutcome(PAYMENT, 1, "fraud"))


def test_an_unknown_label_is_malformed(ledger: Harness) -> None:
    message = RecordOutcome(PAYMENT, 0, "perhaps")  # type: ignore[arg-type]
    assert ledger.run("cora", message).code == "ledger/malformed_transaction"
