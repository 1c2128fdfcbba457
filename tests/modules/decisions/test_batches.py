"""A block of many payments, here and elsewhere, decides what many blocks of one decide."""

import random

import pytest

from cairn.exact.rules import Action, Any, Compare, Emit, Hold, Refuse
from cairn.ledger.messages import Message
from cairn.ledger.records import Asserted
from cairn.modules.rules.queries import count_today
from cairn.modules.screening.windows import PAYEE_WINDOWS, PAYER_WINDOWS, TERMINAL_WINDOWS
from cairn.primitives.encoding import replace
from tests.modules.decisions.world import ask
from tests.modules.founding import (
    CUSTOMERS,
    HOUR_MS,
    activate,
    amount_model,
    customer,
    found,
    go_live,
    hold_rule,
    pay,
)
from tests.modules.harness import Harness, Outcome

RULES = ("huge", "busy", "scored", "stated")
NOBODY = 99
TERMINALS = (b"", b"", b"\x01" * 20, b"\x02" * 20)


def founded() -> Harness:
    ledger = found()
    go_live(ledger, "fraud", amount_model(1_000))
    huge = Compare("field:amount_units", ">=", 900)
    activate(ledger, hold_rule("huge", huge, actions=[Refuse("huge")], daily_cap=3, priority=3))
    busy = Compare("feature:terminal_count_1h", ">=", 3)
    terms = [Hold(HOUR_MS, "settle")]
    activate(ledger, hold_rule("busy", busy, actions=terms, daily_cap=4, priority=2))
    returned: list[Action] = [Hold(HOUR_MS, "return"), Emit("seen")]
    activate(ledger, hold_rule("scored", actions=returned, daily_cap=4))
    stated = Compare("asserted:risk", ">=", 5), Compare("feature:payee_distinct_1d", ">=", 3)
    activate(ledger, hold_rule("stated", *stated, Any(2), daily_cap=5))
    return ledger


def payment(ledger: Harness, choices: random.Random) -> Message:
    """Return a payment of whatever kind, sometimes to an account that is not there."""
    payer, payee = choices.sample(range(CUSTOMERS), 2)
    amount_units = choices.choice((5, 100, 600, 950, 2_000))
    stated = choices.choice(((), (Asserted("risk", choices.randrange(9)),)))
    terminal = choices.choice(TERMINALS)
    if choices.randrange(3) == 0:
        question = ask(ledger, payer, amount_units, payee=customer(payee), asset="eur")
        return replace(question, terminal=terminal, asserted=stated)
    payee = NOBODY if choices.randrange(5) == 0 else payee
    return replace(pay(ledger, payer, payee, amount_units), terminal=terminal, asserted=stated)


def told(outcome: Outcome) -> tuple[object, ...]:
    """Return what a receipt tells that does not depend on the height."""
    events = [
        (type(event).__name__, getattr(event, "verdict", ""), getattr(event, "actions", ()))
        for event in outcome.events
    ]
    return outcome.codes, events


@pytest.mark.parametrize("seed", range(8))
def test_a_block_of_many_decides_what_many_blocks_of_one_decide(seed: int) -> None:
    choices = random.Random(seed)
    together, apart = founded(), founded()
    payments = [payment(together, choices) for _ in range(25)]
    for message in payments:
        together.submit("pia", message)
    at_once = [told(outcome) for outcome in together.block(advance_ms=0)]
    one_by_one = []
    for message in payments:
        apart.submit("pia", message)
        one_by_one.append(told(apart.block(advance_ms=0)[0]))
    assert at_once == one_by_one
    for table in (PAYER_WINDOWS, PAYEE_WINDOWS, TERMINAL_WINDOWS):
        assert list(together.state.scan(table.prefix)) == list(apart.state.scan(table.prefix))
    askers = (b"", together.id("alpha"))
    counts = [
        [count_today(ledger.context(), rule, asker) for rule in RULES for asker in askers]
        for ledger in (together, apart)
    ]
    assert counts[0] == counts[1]
    assert any(counts[0])
