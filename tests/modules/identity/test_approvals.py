"""n-of-m: who counts, who does not, and that nobody counts twice."""

import pytest

from cairn.modules.identity.api import check_approved, list_approvers
from cairn.modules.identity.errors import NotApprovedError
from cairn.modules.identity.events import ParameterSet, PolicySet
from cairn.modules.identity.messages import (
    Approve,
    RegisterAccount,
    RevokeRole,
    SetParameter,
    SetPolicy,
    Suspend,
    WithdrawApproval,
    subject_of,
)
from cairn.modules.identity.queries import list_approvals, list_policies
from cairn.modules.identity.records import ORGANISATION_APPROVERS_MAX, Policy, member_id
from cairn.modules.identity.records import POLICIES as POLICY_TABLE
from cairn.primitives.hashes import sha256
from tests.modules.harness import POLICIES, Harness, key_of

SUBJECT = sha256(b"a model card")


def approvers(ledger: Harness, policy: str, author: str | None = None) -> list[str]:
    account = None if author is None else ledger.id(author)
    found = list_approvers(ledger.context(), policy, SUBJECT, author=account)
    names = {actor.account: name for name, actor in ledger.actors.items()}
    return sorted(names[approver] for approver in found)


def approve(ledger: Harness, policy: str, *people: str) -> None:
    for person in people:
        ledger.done(person, Approve(policy, SUBJECT))


def is_approved(ledger: Harness, policy: str, author: str | None = None) -> bool:
    account = None if author is None else ledger.id(author)
    try:
        check_approved(ledger.context(), policy, SUBJECT, account)
    except NotApprovedError:
        return False
    return True


def test_the_threshold_is_met_exactly() -> None:
    ledger = Harness()
    approve(ledger, "model", "dana", "vera")
    assert not is_approved(ledger, "model")
    approve(ledger, "model", "rick")
    assert is_approved(ledger, "model")
    assert check_approved(ledger.context(), "model", SUBJECT) == tuple(
        sorted(ledger.id(name) for name in ("dana", "vera", "rick"))
    )


def test_nobody_counts_twice() -> None:
    ledger = Harness()
    approve(ledger, "model", "dana", "vera")
    ledger.refused("vera", Approve("model", SUBJECT), "identity/already_approved")
    ledger.done("vera", WithdrawApproval("model", SUBJECT))
    approve(ledger, "model", "vera")
    assert approvers(ledger, "model") == ["dana", "vera"]


def test_approvals_are_for_one_policy_and_one_subject() -> None:
    ledger = Harness()
    approve(ledger, "recovery", "cora", "carl")
    ledger.done("rick", Approve("model", sha256(b"another")))
    assert approvers(ledger, "model") == []


def test_the_author_counts_only_where_the_policy_says_so() -> None:
    ledger = Harness()
    approve(ledger, "model", "dana", "vera", "rick")
    assert not is_approved(ledger, "model", author="dana")
    assert is_approved(ledger, "model", author="dev")
    approve(ledger, "governance", "ann", "rick")
    assert is_approved(ledger, "governance", author="ann")


def test_one_voice_for_each_organisation() -> None:
    ledger = Harness()
    approve(ledger, "joint", "ann", "adam")
    assert not is_approved(ledger, "joint")
    approve(ledger, "joint", "bob")
    assert is_approved(ledger, "joint")
    assert len(approvers(ledger, "joint")) == 2


def test_a_withdrawn_approval_no_longer_counts() -> None:
    ledger = Harness()
    approve(ledger, "model", "dana", "vera", "rick")
    ledger.done("vera", WithdrawApproval("model", SUBJECT))
    assert not is_approved(ledger, "model")
    acts = list_approvals(ledger.context(), "model", SUBJECT)
    assert [(entry.approver, entry.approved) for _, entry in acts] == [
        (ledger.id("dana"), True),
        (ledger.id("vera"), True),
        (ledger.id("rick"), True),
        (ledger.id("vera"), False),
    ]
    assert acts[0][1].organisation == ledger.id("alpha")
    assert list_approvals(ledger.context(), "model", SUBJECT, start=1, limit=2) == acts[1:3]


def test_an_approval_counts_while_its_approver_holds_the_role() -> None:
    ledger = Harness()
    approve(ledger, "model", "dana", "vera", "rick")
    ledger.done("ann", RevokeRole(ledger.id("vera"), "validator"))
    assert approvers(ledger, "model") == ["dana", "rick"]


def test_an_approval_counts_while_its_approver_is_active() -> None:
    ledger = Harness()
    approve(ledger, "model", "dana", "vera", "rick")
    ledger.done("ann", Suspend(ledger.id("rick"), None))
    assert approvers(ledger, "model") == ["dana", "vera"]


def test_a_policy_changes_under_governance() -> None:
    ledger = Harness()
    policy = Policy(1, ("validator",), True, False)
    message = SetPolicy("model", policy, "simpler")
    for name in ("adam", "rick"):
        ledger.done(name, Approve("governance", subject_of(message)))
    assert ledger.done("pia", message).event(PolicySet).policy == policy
    assert ledger.get(POLICY_TABLE, "model") == policy
    approve(ledger, "model", "vera")
    assert is_approved(ledger, "model")
    expected = {**POLICIES, "model": policy}
    assert dict(list_policies(ledger.state)) == expected


def test_governance_can_change_itself_under_its_old_rules() -> None:
    ledger = Harness()
    message = SetPolicy("governance", Policy(3, ("admin",), True, True), "stricter")
    for name in ("adam", "rick"):
        ledger.done(name, Approve("governance", subject_of(message)))
    ledger.done("ann", message)
    again = SetParameter("ledger.operations_max", 300, "p1")
    for name in ("ann", "bob"):
        ledger.done(name, Approve("governance", subject_of(again)))
    ledger.refused("ann", again, "identity/not_approved")


def test_approvals_are_spent_once() -> None:
    ledger = Harness()
    message = SetParameter("ledger.operations_max", 300, "first")
    for name in ("ann", "rick"):
        ledger.done(name, Approve("governance", subject_of(message)))
    assert ledger.done("pia", message).event(ParameterSet).value == 300
    ledger.refused("pia", message, "identity/spent")
    ledger.refused("adam", Approve("governance", subject_of(message)), "identity/spent")
    again = SetParameter("ledger.operations_max", 300, "second")
    ledger.refused("pia", again, "identity/not_approved")


def test_approving_and_acting_fit_in_one_transaction() -> None:
    ledger = Harness()
    message = SetParameter("ledger.operations_max", 300, "first")
    ledger.done("rick", Approve("governance", subject_of(message)))
    ledger.done("ann", Approve("governance", subject_of(message)), message)


@pytest.mark.parametrize("limit", [2, 3])
def test_a_parameter_acts_on_the_ledger(limit: int) -> None:
    ledger = Harness()
    message = SetParameter("ledger.operations_max", limit, "small")
    for name in ("ann", "rick"):
        ledger.done(name, Approve("governance", subject_of(message)))
    ledger.done("pia", message)
    operations = [Approve("governance", sha256(b"%d" % i)) for i in range(limit + 1)]
    assert ledger.run("ann", *operations).code == "ledger/budget_exceeded"
    assert ledger.run("ann", *operations[:limit]).ok


def test_no_organisation_fills_up_what_the_others_approve() -> None:
    ledger = Harness()
    for number in range(ORGANISATION_APPROVERS_MAX + 1):
        name = f"puppet-{number}"
        keys = (key_of(name).public_key,)
        ledger.done("bob", RegisterAccount("service", name, ("admin",), keys))
        ledger.add_actor(name, member_id(ledger.id("beta"), name))
    for number in range(ORGANISATION_APPROVERS_MAX):
        ledger.done(f"puppet-{number}", Approve("joint", SUBJECT))
    ledger.refused(
        f"puppet-{ORGANISATION_APPROVERS_MAX}",
        Approve("joint", SUBJECT),
        "identity/too_many_approvals",
    )
    assert not is_approved(ledger, "joint")
    approve(ledger, "joint", "ann")
    assert is_approved(ledger, "joint")
