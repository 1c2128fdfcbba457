"""Decisions on a founded ledger: pia asks for customers' payments, paul is the rail."""

from typing import Any

from cairn.exact.rules import Action, Compare, Hold, Rule
from cairn.modules.decisions.events import Decided
from cairn.modules.decisions.messages import DecideCase, DecidePayment
from cairn.modules.decisions.records import DECISIONS, Decision
from cairn.primitives.encoding import replace
from cairn.primitives.hashes import sha256
from tests.modules.founding import HOUR_MS, customer, hold_rule
from tests.modules.harness import Harness

ANSWER_MS = HOUR_MS
"""The default of `decisions.answer_ms_max`."""
HOLD_MS = 4 * HOUR_MS


def ask(ledger: Harness, payer: int = 0, amount_units: int = 250, **fields: Any) -> DecidePayment:
    """Return the question about a payment to somebody whom the ledger does not know."""
    stated: dict[str, Any] = {
        "payer": customer(payer),
        "payee": sha256(b"somebody elsewhere")[:20],
        "asset": "usd",
        "amount_units": amount_units,
        "booked_at_ms": ledger.head.time_ms,
        "executor": ledger.id("paul"),
        "reference": sha256(b"end to end id"),
    }
    return DecidePayment(**{**stated, **fields})


def ask_case(ledger: Harness, features: tuple[int, ...], **fields: Any) -> DecideCase:
    """Return the question about a case that the deployment `credit` scores."""
    stated: dict[str, Any] = {
        "deployment": "credit",
        "features": features,
        "executor": ledger.id("paul"),
        "reference": sha256(b"application"),
    }
    return DecideCase(**{**stated, **fields})


def big_rule(name: str = "big", *, above: int = 200, action: Action | None = None) -> Rule:
    """Return a rule that stops payments of more than `above` units."""
    terms = Hold(HOLD_MS, "return") if action is None else action
    return hold_rule(name, Compare("field:amount_units", ">", above), actions=[terms])


def case_rule(*conditions: Compare, action: Action, name: str = "credit-rule") -> Rule:
    """Return a rule on the decisions of `credit`."""
    return replace(hold_rule(name, *conditions, actions=[action]), scope="credit")


def decide(ledger: Harness, *args: Any, sender: str = "pia", **fields: Any) -> bytes:
    """Ask about a payment; return the decision's id."""
    return ledger.done(sender, ask(ledger, *args, **fields)).event(Decided).decision


def row_of(ledger: Harness, decision: bytes) -> Decision:
    """Return a decision as it stands."""
    row = ledger.get(DECISIONS, decision)
    assert row is not None
    return row
