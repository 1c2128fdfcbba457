"""The daily cap counts what took effect, and cannot be used up for nothing."""

import pytest

from cairn.exact.rules import Compare, Freeze, Refuse
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.bank.events import AccountFrozen, TransferSettled
from cairn.modules.bank.messages import FreezeAccount, OpenAccounts, OpenEscrow
from cairn.modules.rules.events import CapReached, RuleFired
from cairn.modules.rules.queries import count_today
from cairn.modules.rules.records import DAY_MS
from tests.modules.founding import (
    FUNDS_UNITS,
    activate,
    customer,
    found,
    hold_rule,
    pay,
    pseudonym,
)
from tests.modules.harness import Harness

HOUR_MS = 3_600_000
BIG = Compare("field:amount_units", ">=", 500)
REFUSED = "bank/refused_by_rule"


@pytest.fixture
def ledger() -> Harness:
    return found()


def refusing(cap: int) -> object:
    return hold_rule("no", BIG, actions=[Refuse("too much")], daily_cap=cap)


def used(ledger: Harness) -> int:
    return count_today(ledger.context(), "no")


def test_one_payer_uses_a_refusing_rule_up_once_a_day(ledger: Harness) -> None:
    activate(ledger, refusing(2))  # type: ignore[arg-type]
    for _ in range(4):
        assert ledger.run("pia", pay(ledger, 0, 1, 500)).codes == (REFUSED,)
        assert used(ledger) == 1
    again = [pay(ledger, 0, 1, 500, reference=i) for i in range(5)]
    assert ledger.run("pia", *again, mode=INDEPENDENT).codes == (REFUSED,) * 5
    assert used(ledger) == 1
    assert ledger.run("pia", pay(ledger, 1, 0, 500)).codes == (REFUSED,)
    assert used(ledger) == 2
    # The cap is used up: who was stopped today is stopped again, others are let go.
    assert ledger.run("pia", pay(ledger, 0, 1, 500)).codes == (REFUSED,)
    assert ledger.done("pia", pay(ledger, 2, 0, 500)).event(CapReached).rule == "no"
    assert used(ledger) == 2


def test_a_new_day_begins_a_new_count_of_accounts(ledger: Harness) -> None:
    activate(ledger, refusing(1))  # type: ignore[arg-type]
    ledger.run("pia", pay(ledger, 0, 1, 500))
    ledger.block(time_ms=(ledger.head.time_ms // DAY_MS + 1) * DAY_MS)
    assert used(ledger) == 0
    assert ledger.run("pia", pay(ledger, 2, 1, 500)).codes == (REFUSED,)
    ledger.done("pia", pay(ledger, 0, 1, 500))


def test_attempts_without_money_do_not_use_a_refusing_rule_up(ledger: Harness) -> None:
    activate(ledger, refusing(1))  # type: ignore[arg-type]
    strangers = tuple(pseudonym(100 + i) for i in range(8))
    ledger.done("pia", OpenAccounts(ledger.id("pia"), strangers))
    empty = [pay(ledger, 100 + i, 1, 500) for i in range(8)]
    assert ledger.run("pia", *empty, mode=INDEPENDENT).codes == ("bank/insufficient_funds",) * 8
    assert used(ledger) == 0
    # In the same block as well: the one with the money is stopped all the same.
    ledger.submit("pia", *empty, mode=INDEPENDENT)
    ledger.submit("pia", pay(ledger, 0, 1, 500), lane=1)
    assert ledger.block()[1].codes == (REFUSED,)
    assert used(ledger) == 1


def test_payments_to_nobody_do_not_use_a_refusing_rule_up_within_a_block(ledger: Harness) -> None:
    activate(ledger, refusing(1))  # type: ignore[arg-type]
    for payer in range(3):
        ledger.submit("pia", pay(ledger, payer, 99, 500), lane=payer)
    ledger.submit("pia", pay(ledger, 3, 1, 500), lane=3)
    codes = [outcome.codes for outcome in ledger.block()]
    assert codes == [("bank/unknown_account",)] * 3 + [(REFUSED,)]
    assert used(ledger) == 1


def test_frozen_payers_do_not_use_a_refusing_rule_up_within_a_block(ledger: Harness) -> None:
    activate(ledger, refusing(1))  # type: ignore[arg-type]
    ledger.done("cora", FreezeAccount(customer(0), ledger.head.time_ms + HOUR_MS, "suspicion"))
    ledger.submit("pia", pay(ledger, 0, 1, 500))
    ledger.submit("pia", pay(ledger, 3, 1, 500), lane=1)
    assert [o.codes for o in ledger.block()] == [("bank/account_frozen",), (REFUSED,)]
    assert used(ledger) == 1


def test_undone_attempts_do_not_use_a_refusing_rule_up(ledger: Harness) -> None:
    activate(ledger, refusing(1))  # type: ignore[arg-type]
    for payer in range(3):
        doomed = (pay(ledger, 5, 99, 1), pay(ledger, payer, 4, 500))
        codes = ledger.run("pia", *doomed).codes
        assert codes == ("bank/unknown_account", "ledger/undone")
    assert used(ledger) == 0
    assert ledger.run("pia", pay(ledger, 3, 4, 500)).codes == (REFUSED,)
    assert used(ledger) == 1


def test_a_refusal_that_undoes_its_transaction_counts(ledger: Harness) -> None:
    activate(ledger, refusing(1))  # type: ignore[arg-type]
    outcome = ledger.run("pia", pay(ledger, 0, 1, 10), pay(ledger, 0, 1, 500))
    assert outcome.codes == ("ledger/undone", REFUSED)
    assert used(ledger) == 1


def test_an_escrow_that_a_hold_stops_counts_by_its_payer(ledger: Harness) -> None:
    activate(ledger, hold_rule("no", BIG, daily_cap=1))
    now_ms = ledger.head.time_ms
    escrow = OpenEscrow(customer(0), customer(1), "eur", 500, now_ms, now_ms + HOUR_MS, None)
    assert ledger.run("pia", escrow).codes == ("bank/held_by_rule",)
    assert used(ledger) == 1


def test_each_account_that_refused_payments_freeze_counts(ledger: Harness) -> None:
    actions = [Refuse("mule"), Freeze("payee", HOUR_MS)]
    activate(ledger, hold_rule("no", BIG, actions=actions, daily_cap=2))
    codes = []
    for payee in (1, 2, 3):
        codes.append(ledger.run("pia", pay(ledger, 0, payee, 500)).codes)
    assert codes == [(REFUSED,), (REFUSED,), ("ok",)]
    assert used(ledger) == 2
    ledger.done("pia", pay(ledger, 3, 0, 10))
    for payee in (1, 2):
        assert ledger.run("pia", pay(ledger, payee, 0, 10)).codes == ("bank/account_frozen",)


def test_within_a_block_the_cap_is_kept(ledger: Harness) -> None:
    activate(ledger, refusing(2))  # type: ignore[arg-type]
    for payer in range(5):
        ledger.submit("pia", pay(ledger, payer, 5, 500), lane=payer)
    outcomes = ledger.block()
    assert [outcome.codes for outcome in outcomes] == [(REFUSED,)] * 2 + [("ok",)] * 3
    assert used(ledger) == 2


def test_a_freeze_that_another_rule_outlasts_still_counts(ledger: Harness) -> None:
    activate(ledger, hold_rule("no", BIG, actions=[Freeze("payee", HOUR_MS)], daily_cap=3))
    activate(ledger, hold_rule("long", BIG, actions=[Freeze("payee", 2 * HOUR_MS)]))
    outcome = ledger.done("pia", pay(ledger, 0, 1, 500))
    assert len([event for event in outcome.events if isinstance(event, RuleFired)]) == 2
    frozen = [event for event in ledger.end_events if isinstance(event, AccountFrozen)]
    assert [event.rule for event in frozen] == ["long"]
    assert (used(ledger), count_today(ledger.context(), "long")) == (1, 1)


def test_what_the_payer_gets_within_the_block_can_be_refused(ledger: Harness) -> None:
    activate(
        ledger,
        hold_rule(
            "no", Compare("field:amount_units", ">", FUNDS_UNITS), actions=[Refuse("all of it")]
        ),
    )
    outcome = ledger.run(
        "pia", pay(ledger, 0, 1, 1), pay(ledger, 1, 2, FUNDS_UNITS + 1), mode=INDEPENDENT
    )
    assert outcome.codes == ("ok", REFUSED)
    assert isinstance(outcome.events[1], TransferSettled)
    assert used(ledger) == 1
