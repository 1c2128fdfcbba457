"""Decisions for another rail, asked and answered through the client on a real node."""

import pytest

from cairn.evidence.bundle import DecisionClaim
from cairn.evidence.verify import verify_bundle
from cairn.exact.rules import Compare, Hold, Refuse
from cairn.modules.bank.events import AccountsOpened
from cairn.modules.bank.messages import OpenAccounts
from cairn.modules.decisions.records import DECISIONS
from cairn.primitives.encoding import replace
from cairn.sdk import decisions
from cairn.sdk.client import Client
from cairn.sdk.decisions import Payment
from cairn.sdk.errors import RejectedError, UsageError
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import prove
from cairn.sdk.workspace import Workspace
from tests.modules.founding import hold_rule, linear_model
from tests.sdk.conftest import ClientOf
from tests.sdk.deploying import activate, deploy

HOUR_MS = 3_600_000


def payment(core: Client, units: int, *, asserted: dict[str, int] | None = None) -> Payment:
    """Return a payment of a new customer to somebody elsewhere."""
    name = units.to_bytes(20, "big")
    opened = core.submit(OpenAccounts(core.account, (name,))).event(AccountsOpened)
    return Payment(opened.accounts[0], b"elsewhere".ljust(20), "usd", units, asserted=asserted)


def test_an_answer_has_its_verdict_reasons_and_receipt(client_of: ClientOf) -> None:
    core = client_of("core")
    free = core.decide_payment(payment(core, 100), executor=core.account)
    assert (free.verdict, free.is_allowed, free.reasons) == ("allow", True, ("no rule acts",))
    big = Compare("field:amount_units", ">", 200)
    activate(client_of, hold_rule("big", big, actions=[Hold(HOUR_MS, "return")]))
    held = core.decide_payment(payment(core, 300), executor=core.account)
    assert (held.verdict, held.is_held, held.rule) == ("hold", True, "big")
    told = str(held)
    assert "rule `big` 1 fired" in told
    assert "300" in told
    assert "then refused" in told
    assert "<b>hold</b>" in held._repr_html_()
    assert core.outcome(held.final.transaction_id) == held.final
    quiet = core.decide_payment(payment(core, 150), executor=core.account)
    assert quiet.reasons == ("no rule objects",)
    stated = Compare("asserted:night", "==", 1)
    activate(client_of, hold_rule("night", stated, actions=[Refuse("night")]))
    night = core.decide_payment(payment(core, 10, asserted={"night": 1}), executor=core.account)
    assert night.verdict == "refuse"
    assert "night 1 = 1 (stated by the sender)" in " ".join(night.reasons)


def test_executors_report_and_people_review(client_of: ClientOf, workspace: Workspace) -> None:
    core, carl = client_of("core"), client_of("carl")
    big = Compare("field:amount_units", ">", 200)
    activate(client_of, hold_rule("big", big, actions=[Hold(HOUR_MS, "return")]))
    done = core.decide_payment(payment(core, 100), executor=core.account)
    assert core.report_execution(done, "executed").status == "enforced"
    with pytest.raises(RejectedError, match="decisions/already_reported"):
        core.report_execution(done.id, "stopped")
    held = core.decide_payment(payment(core, 300), executor=core.account)
    with pytest.raises(RejectedError, match="identity/missing_role"):
        decisions.review(core, held.id, "release", "mine")
    decisions.review(carl, held.id, "release", "called-back")
    assert decisions.waiting_words(core.require(DECISIONS, held.id)).startswith("waits for the ex")
    assert core.report_execution(held, "stopped").status == "overridden"
    raw = prove(ConnectionSource(core.connection), DecisionClaim(held.id))
    report = verify_bundle(raw, workspace.trust(), at_ms=0, replay=True)
    assert "the executor did otherwise" in "\n".join(report.findings)


def test_a_case_is_decided_by_names_with_what_weighed_most(client_of: ClientOf) -> None:
    model = linear_model({"age": 10_000, "debt": 100}, names=("age", "debt"))
    deploy(client_of, "credit", model)
    old = Compare("model:credit", ">=", 300_000)
    rule = hold_rule("risky", old, actions=[Refuse("risky")])
    activate(client_of, replace(rule, scope="credit"))
    core = client_of("core")
    answer = core.decide_case("credit", {"debt": 5, "age": 40}, executor=core.account)
    assert (answer.verdict, answer.rule) == ("refuse", "risky")
    told = "\n".join(answer.reasons)
    assert "most to the score of `credit` added: age +0.4" in told
    assert "the score is 0.4005" in told
    good = core.decide_case("credit", [10, 5], executor=core.account)
    assert good.is_allowed
    with pytest.raises(UsageError, match="no value for 'debt'"):
        core.decide_case("credit", {"age": 40}, executor=core.account)
