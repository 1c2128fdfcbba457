"""Holds: what a rule stopped stays stopped until a person or time decides."""

import pytest

from cairn.modules.bank import api
from cairn.modules.bank.events import HoldExpired, HoldPlaced, HoldRenewed, RenewalProposed
from cairn.modules.bank.messages import (
    AppealHold,
    FreezeAccount,
    ReleaseHold,
    RenewHold,
    ReturnHold,
    UpholdHold,
)
from cairn.modules.bank.parameters import HOLD_MS_MAX
from cairn.modules.bank.queries import (
    get_hold,
    list_hold_actions,
    list_holds,
    list_open_holds,
)
from cairn.modules.bank.records import DUE, HOLDS, Hold
from cairn.modules.identity.messages import Delegate, RevokeRole, Suspend
from tests.modules.bank.world import (
    DAY_MS,
    FUNDED,
    allow_all,
    balance,
    bank,
    hold_all,
    open_escrow,
    pay,
    place_hold,
)
from tests.modules.harness import Harness


def hold_row(ledger: Harness, hold: bytes) -> Hold:
    row = ledger.get(HOLDS, hold)
    assert row is not None
    return row


def actions(ledger: Harness) -> list[str]:
    return [entry.action for _, entry in list_hold_actions(ledger.context())]


def next_due(ledger: Harness) -> int | None:
    return ledger.ledger.next_due_ms(ledger.head, ledger.state)


def test_a_held_payment_does_not_settle() -> None:
    ledger = bank()
    hold_all(ledger)
    outcome = ledger.done("pia", pay(ledger, "pia", "berta"))
    event = outcome.event(HoldPlaced)
    assert outcome.receipt is not None
    assert balance(ledger, "pia") == (900, 100, 0)
    assert balance(ledger, "berta") == (0, 0, 0)
    row = hold_row(ledger, event.hold)
    assert (row.rule, row.version, row.score_ppm) == ("screen", 3, 900_000)
    assert (row.transaction_id, row.operation_index) == (outcome.receipt.transaction_id, 0)
    assert row.ordered_by == ledger.id("pia")
    assert api.is_open(row)
    ((time_ms, placement),) = list_holds(ledger.context())
    assert time_ms == ledger.head.time_ms == row.placed_ms
    assert placement.hold == event.hold
    assert next_due(ledger) == row.expires_at_ms


def test_held_value_cannot_be_spent() -> None:
    ledger = bank()
    place_hold(ledger)
    ledger.refused("pia", pay(ledger, "pia", "paul", 901), "bank/insufficient_funds")
    hold_all(ledger)
    ledger.refused("pia", pay(ledger, "pia", "paul", 901), "bank/insufficient_funds")
    allow_all(ledger)
    ledger.done("pia", pay(ledger, "pia", "paul", 900))
    assert balance(ledger, "pia") == (0, 100, 0)


def test_one_transaction_can_place_several_holds() -> None:
    ledger = bank()
    hold_all(ledger)
    outcome = ledger.done("pia", pay(ledger, "pia", "berta", 1), pay(ledger, "pia", "berta", 2))
    ids = [event.hold for event in outcome.events if isinstance(event, HoldPlaced)]
    assert len(dict.fromkeys(ids)) == 2
    assert balance(ledger, "pia") == (997, 3, 0)


def test_a_person_releases() -> None:
    ledger = bank()
    hold = place_hold(ledger)
    ledger.done("cora", ReleaseHold(hold, "customer-confirmed"))
    assert balance(ledger, "pia") == (900, 0, 0)
    assert balance(ledger, "berta") == (100, 0, 0)
    assert hold_row(ledger, hold).status == "released"
    assert not api.is_open(hold_row(ledger, hold))
    assert next_due(ledger) is None
    ((_, entry),) = list_hold_actions(ledger.context())
    assert (entry.action, entry.by, entry.reason) == (
        "released",
        (ledger.id("cora"),),
        "customer-confirmed",
    )


def test_a_person_returns() -> None:
    ledger = bank()
    hold = place_hold(ledger)
    ledger.done("cora", ReturnHold(hold, "fraud"))
    assert balance(ledger, "pia") == (FUNDED, 0, 0)
    assert balance(ledger, "berta") == (0, 0, 0)
    assert actions(ledger) == ["returned"]


@pytest.mark.parametrize("settle", [True, False])
def test_expiry_does_what_the_hold_says(settle: bool) -> None:
    ledger = bank()
    hold = place_hold(ledger, settle=settle)
    due = hold_row(ledger, hold).expires_at_ms
    ledger.block(time_ms=due - 1)
    assert not ledger.end_events
    ledger.block(time_ms=due)
    assert ledger.end_events == (HoldExpired(hold, settle),)
    assert balance(ledger, "pia") == ((900 if settle else FUNDED), 0, 0)
    assert balance(ledger, "berta") == ((100 if settle else 0), 0, 0)
    assert actions(ledger) == ["expired_settled" if settle else "expired_returned"]
    assert hold_row(ledger, hold).status == actions(ledger)[0]
    assert next_due(ledger) is None


def test_a_frozen_payers_hold_returns_at_expiry() -> None:
    ledger = bank()
    hold = place_hold(ledger, settle=True)
    until = ledger.head.time_ms + 2 * DAY_MS
    ledger.done("cora", FreezeAccount(ledger.id("pia"), until, "suspicion"))
    ledger.block(time_ms=hold_row(ledger, hold).expires_at_ms)
    assert ledger.end_events == (HoldExpired(hold, False),)
    assert balance(ledger, "pia") == (FUNDED, 0, 0)


def test_expiries_come_in_order_of_time_then_id() -> None:
    ledger = bank()
    late = place_hold(ledger, for_ms=19_000)
    early = place_hold(ledger, for_ms=5_000)
    escrowed = open_escrow(ledger, for_ms=6_000)
    hold_all(ledger, for_ms=9_000)
    outcome = ledger.done("pia", *(pay(ledger, "pia", "berta", units) for units in range(1, 6)))
    together = [event.hold for event in outcome.events if isinstance(event, HoldPlaced)]
    ledger.block(advance_ms=60_000)
    ended = [
        event.hold if isinstance(event, HoldExpired) else event.escrow  # type: ignore[attr-defined]
        for event in ledger.end_events
    ]
    assert ended == [early, escrowed, *sorted(together), late]


def test_a_block_expires_a_bounded_number() -> None:
    ledger = bank(parameters={"bank.expiries_per_block_max": 2})
    for _ in range(5):
        place_hold(ledger, for_ms=60_000)
    ledger.block(advance_ms=DAY_MS)
    counts = [len(ledger.end_events)]
    due = next_due(ledger)
    assert due is not None
    assert due < ledger.head.time_ms
    for _ in range(2):
        ledger.block()
        counts.append(len(ledger.end_events))
    assert counts == [2, 2, 1]
    assert next_due(ledger) is None


def test_a_hold_that_is_due_at_once_ends_with_its_block() -> None:
    ledger = bank()
    hold = place_hold(ledger, for_ms=0)
    assert ledger.end_events == (HoldExpired(hold, False),)
    assert balance(ledger, "pia") == (FUNDED, 0, 0)


def test_a_rule_cannot_hold_longer_than_the_parameter() -> None:
    ledger = bank()
    hold = place_hold(ledger, for_ms=10 * HOLD_MS_MAX.default)
    row = hold_row(ledger, hold)
    assert row.expires_at_ms == row.placed_ms + HOLD_MS_MAX.default


def test_a_renewal_takes_two_people() -> None:
    ledger = bank()
    hold = place_hold(ledger)
    before = hold_row(ledger, hold).expires_at_ms
    message = RenewHold(hold, before + DAY_MS, "bank-asked")
    assert ledger.done("cora", message).event(RenewalProposed).by == ledger.id("cora")
    assert hold_row(ledger, hold).expires_at_ms == before
    ledger.refused("cora", message, "bank/second_person_needed")
    event = ledger.done("carl", message).event(HoldRenewed)
    assert event.by == (ledger.id("cora"), ledger.id("carl"))
    row = hold_row(ledger, hold)
    assert (row.expires_at_ms, row.renewals, row.renewal) == (before + DAY_MS, 1, None)
    assert next_due(ledger) == before + DAY_MS
    ledger.block(time_ms=before)
    assert not ledger.end_events
    ledger.block(time_ms=before + DAY_MS)
    assert ledger.end_events == (HoldExpired(hold, False),)
    assert actions(ledger) == ["renewed", "expired_returned"]


def test_another_time_is_another_proposal() -> None:
    ledger = bank()
    hold = place_hold(ledger)
    before = hold_row(ledger, hold).expires_at_ms
    ledger.done("cora", RenewHold(hold, before + 1, "a"))
    ledger.done("carl", RenewHold(hold, before + 2, "b"))
    assert hold_row(ledger, hold).renewals == 0
    ledger.refused("carl", RenewHold(hold, before + 2, "b"), "bank/second_person_needed")
    ledger.done("cora", RenewHold(hold, before + 2, "b"))
    assert hold_row(ledger, hold).expires_at_ms == before + 2


@pytest.mark.parametrize("party", ["pia", "berta"])
def test_a_party_appeals_and_a_person_answers(party: str) -> None:
    ledger = bank()
    hold = place_hold(ledger)
    statement = b"\5" * 32
    ledger.done(party, AppealHold(hold, statement))
    assert hold_row(ledger, hold).status == "appealed"
    ledger.done("cora", UpholdHold(hold, "evidence"))
    assert hold_row(ledger, hold).status == "upheld"
    assert api.is_open(hold_row(ledger, hold))
    ledger.done("carl", ReleaseHold(hold, "second-look"))
    assert actions(ledger) == ["appealed", "upheld", "released"]
    ((_, appeal),) = list_hold_actions(ledger.context(), limit=1)
    assert (appeal.by, appeal.reason) == ((ledger.id(party),), statement.hex())


def test_a_controller_appeals_for_its_customer() -> None:
    ledger = bank()
    hold = place_hold(ledger, "pia", "carlo")
    ledger.refused("adam", AppealHold(hold, bytes(32)), "bank/not_authorised")
    ledger.done("ann", AppealHold(hold, bytes(32)))


def test_an_appeal_puts_nothing_off_and_keeps_a_proposed_renewal() -> None:
    ledger = bank()
    hold = place_hold(ledger)
    before = hold_row(ledger, hold).expires_at_ms
    message = RenewHold(hold, before + DAY_MS, "bank-asked")
    ledger.done("cora", message)
    ledger.done("pia", AppealHold(hold, bytes(32)))
    assert next_due(ledger) == before
    ledger.done("carl", message)
    row = hold_row(ledger, hold)
    assert (row.status, row.expires_at_ms) == ("appealed", before + DAY_MS)


def test_holds_are_listed_in_pages() -> None:
    ledger = bank()
    holds = [place_hold(ledger) for _ in range(5)]
    ledger.done("cora", ReleaseHold(holds[2], "checked"))
    context = ledger.context()
    assert [entry.hold for _, entry in list_holds(context)] == holds
    assert [entry.hold for _, entry in list_holds(context, start=1, limit=2)] == holds[1:3]
    still_open = list_open_holds(ledger.state)
    assert sorted(hold for hold, _ in still_open) == sorted(h for h in holds if h != holds[2])
    first = list_open_holds(ledger.state, limit=2)
    assert first + list_open_holds(ledger.state, after=first[-1][0]) == still_open
    assert get_hold(context, holds[0]) == api.get_hold(context, holds[0])
    assert [due for _, due, _ in api.list_due(ledger.context(time_ms=2**52), limit=3)] == [
        subject for (_, subject), _ in list(context.scan(DUE))[:3]
    ]
    assert api.list_due(context, limit=3) == []


@pytest.mark.parametrize("silence", ["suspended", "without the role"])
def test_a_renewal_proposed_by_who_is_no_longer_in_charge_does_not_count(silence: str) -> None:
    ledger = bank()
    hold = place_hold(ledger)
    until_ms = hold_row(ledger, hold).expires_at_ms + DAY_MS
    ledger.done("cora", RenewHold(hold, until_ms, "a"))
    cora = ledger.id("cora")
    ledger.done(
        "ann", Suspend(cora, None) if silence == "suspended" else RevokeRole(cora, "compliance")
    )
    assert ledger.done("carl", RenewHold(hold, until_ms, "b")).event(
        RenewalProposed
    ).by == ledger.id("carl")
    assert hold_row(ledger, hold).renewals == 0
    ledger.refused("carl", RenewHold(hold, until_ms, "b"), "bank/second_person_needed")


def test_who_acts_for_a_party_does_not_decide_on_its_payment() -> None:
    ledger = bank()
    hold = place_hold(ledger, "pia", "paul")
    ledger.done("paul", Delegate(ledger.id("paul"), ledger.id("cora"), ("bank/transfer",), 10_000))
    ledger.refused("cora", ReleaseHold(hold, "for-me"), "bank/own_case")
    customer_hold = place_hold(ledger, "cleo", "berta", sender="ann")
    ledger.done("ann", Delegate(ledger.id("ann"), ledger.id("carl"), ("bank/transfer",), 10_000))
    ledger.refused("carl", ReleaseHold(customer_hold, "for-me"), "bank/own_case")
    ledger.done("cora", ReleaseHold(customer_hold, "checked"))
