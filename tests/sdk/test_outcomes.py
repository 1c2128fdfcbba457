"""Saying what a payment turned out to be, by the payment."""

import pytest

from cairn.modules.bank.messages import Issue
from cairn.modules.screening.events import OutcomeRecorded
from cairn.modules.screening.records import OUTCOMES
from cairn.sdk.errors import NotFoundError, RejectedError, UsageError
from cairn.sdk.outcomes import attempt_of, record_outcome
from tests.sdk.conftest import ClientOf
from tests.sdk.test_client import opened, paying


def test_a_payment_is_labelled_by_its_transaction(client_of: ClientOf) -> None:
    core, carl = client_of("core"), client_of("carl")
    alice, bob = opened(core, b"alice", b"bob")
    first = core.submit(Issue("eur", alice, 1_000), paying(core, alice, bob, 250))
    second = core.submit(paying(core, alice, bob, 1))
    assert (attempt_of(first, 1), attempt_of(second)) == (0, 1)
    done = record_outcome(carl, second.transaction_id, 0, "fraud")
    recorded = OutcomeRecorded(1, second.transaction_id, 0, "fraud")
    assert done.event(OutcomeRecorded) == recorded
    record_outcome(carl, first.transaction_id, 1, "genuine")
    assert carl.require(OUTCOMES, first.transaction_id, 1).attempt == 0
    with pytest.raises(RejectedError, match="outcome_unchanged"):
        record_outcome(carl, second.transaction_id, 0, "fraud")
    with pytest.raises(RejectedError, match="missing_role"):
        record_outcome(core, second.transaction_id, 0, "genuine")


def test_what_cannot_be_labelled_says_why(client_of: ClientOf) -> None:
    core = client_of("core")
    (alice,) = opened(core, b"alice")
    issued = core.submit(Issue("eur", alice, 1_000))
    with pytest.raises(NotFoundError, match="windows did not count operation 0"):
        record_outcome(core, issued.transaction_id, 0, "fraud")
    with pytest.raises(NotFoundError, match="has no operation 1"):
        record_outcome(core, issued.transaction_id, 1, "fraud")
    with pytest.raises(NotFoundError, match="no block holds"):
        record_outcome(core, bytes(32), 0, "fraud")
    with pytest.raises(UsageError, match="'perhaps' is no outcome"):
        record_outcome(core, issued.transaction_id, 0, "perhaps")
