from collections.abc import Callable

import pytest

from cairn.ledger.messages import Message
from cairn.modules.identity.messages import (
    AddKey,
    Approve,
    Delegate,
    EndDelegation,
    GrantRole,
    Recover,
    RegisterAccount,
    RegisterOrganisation,
    Reinstate,
    RevokeKey,
    RevokeRole,
    RotateKey,
    SetParameter,
    SetPolicy,
    Suspend,
    WithdrawApproval,
    subject_of,
)
from cairn.modules.identity.records import (
    APPROVERS_MAX,
    MEMBER_KEYS_MAX,
    ROLES_MAX,
    Policy,
    member_id,
)
from cairn.primitives.signatures import KEY_PREFIX
from tests.modules.harness import Harness, key_of
from tests.modules.refusals import Case, check_refusal, readme_refusals, table_refusals

NOBODY = bytes(20)
NEW = key_of("new").public_key
SUBJECT = bytes(32)
Prepared = tuple[str, Message]


def pub(name: str) -> bytes:
    return key_of(name).public_key


def found() -> Harness:
    ledger = Harness(check_invariants=False)
    ledger.done("ann", RegisterAccount("device", "pos", (), (pub("pos"),)))
    return ledger


def pos(ledger: Harness) -> bytes:
    """Return the account of alpha's device."""
    if "pos" not in ledger.actors:
        ledger.add_actor("pos", member_id(ledger.id("alpha"), "pos"))
    return ledger.id("pos")


def simply(sender: str, make: Callable[[Harness], Message]) -> Callable[[Harness], Prepared]:
    return lambda ledger: (sender, make(ledger))


def silenced(sender: str, make: Callable[[Harness], Message]) -> Callable[[Harness], Prepared]:
    """Suspend the sender in the same block, just before."""

    def prepare(ledger: Harness) -> Prepared:
        message = make(ledger)
        ledger.submit("ann", Suspend(ledger.id(sender), None))
        return sender, message

    return prepare


def approve(ledger: Harness, message: Message, policy: str, *people: str) -> None:
    for person in people:
        ledger.done(person, Approve(policy, subject_of(message)))


# Register


def register(name: str, key: str = "new") -> Callable[[Harness], Message]:
    return lambda _: RegisterAccount("person", name, (), (pub(key),))


def gamma(_: Harness) -> RegisterOrganisation:
    return RegisterOrganisation("gamma", "gil", (NEW,), "p1")


def spent_policy(ledger: Harness) -> Prepared:
    message = SetPolicy("x", Policy(1, ("admin",), True, False), "p1")
    approve(ledger, message, "governance", "ann", "rick")
    ledger.done("pia", message)
    return "pia", message


# Keys


def crowded_keys(ledger: Harness) -> Prepared:
    keys = [AddKey(pos(ledger), pub(f"k{i}")) for i in range(MEMBER_KEYS_MAX - 1)]
    ledger.done("ann", *keys)
    return "ann", AddKey(pos(ledger), NEW)


def key_cases(tag: str, make: Callable[[bytes], Message]) -> list[Case]:
    """Return the refusals that the three messages on keys begin with."""
    return [
        Case(tag, "identity/unknown_account", simply("bob", lambda _: make(NOBODY))),
        Case(tag, "identity/not_authorised", simply("ann", lambda h: make(h.id("pia")))),
        Case(tag, "identity/suspended", silenced("adam", lambda h: make(pos(h)))),
        Case(tag, "identity/missing_role", simply("pia", lambda h: make(pos(h)))),
        Case(tag, "identity/wrong_organisation", simply("bob", lambda h: make(pos(h)))),
    ]


# Recovery, suspension


def recover(name: str, key: str = "new") -> Callable[[Harness], Message]:
    return lambda ledger: Recover(ledger.id(name), (pub(key),), "p1")


def suspended_organisation(ledger: Harness) -> Prepared:
    message = Suspend(ledger.id("beta"), "p1")
    approve(ledger, message, "governance", "ann", "rick")
    ledger.done("pia", message)
    return "pia", message


def spent_suspension(ledger: Harness) -> Prepared:
    sender, message = suspended_organisation(ledger)
    back = Reinstate(ledger.id("beta"), "p1")
    approve(ledger, back, "governance", "ann", "rick")
    ledger.done("pia", back)
    return sender, message


def spent_reinstatement(ledger: Harness) -> Prepared:
    spent_suspension(ledger)
    again = Suspend(ledger.id("beta"), "p2")
    approve(ledger, again, "governance", "ann", "rick")
    ledger.done("pia", again)
    return "pia", Reinstate(ledger.id("beta"), "p1")


def unapproved_reinstatement(ledger: Harness) -> Prepared:
    suspended_organisation(ledger)
    return "pia", Reinstate(ledger.id("beta"), "p9")


# Policies, approvals


def set_parameter(name: str, value: int) -> Callable[[Harness], Message]:
    return lambda _: SetParameter(name, value, "p1")


def spent_parameter(ledger: Harness) -> Prepared:
    message = SetParameter("ledger.operations_max", 300, "p1")
    approve(ledger, message, "governance", "ann", "rick")
    ledger.done("pia", message)
    return "pia", message


def half_approved(message: Message) -> Callable[[Harness], Prepared]:
    def prepare(ledger: Harness) -> Prepared:
        approve(ledger, message, "governance", "ann")
        return "pia", message

    return prepare


def spent_approval(
    message: Callable[[bytes], Message], sender: str
) -> Callable[[Harness], Prepared]:
    def prepare(ledger: Harness) -> Prepared:
        _, parameter = spent_parameter(ledger)
        return sender, message(subject_of(parameter))

    return prepare


def approved_already(ledger: Harness) -> Prepared:
    ledger.done("ann", Approve("governance", SUBJECT))
    return "ann", Approve("governance", SUBJECT)


def crowded_approvals(ledger: Harness) -> Prepared:
    policy = SetPolicy("crowd", Policy(1, ("crowd",), True, False), "p1")
    approve(ledger, policy, "governance", "ann", "rick")
    ledger.done("ann", policy, GrantRole(ledger.id("pia"), "crowd"))
    names = [f"crowd-{i}" for i in range(APPROVERS_MAX)]
    for name in names:
        ledger.submit("ann", RegisterAccount("person", name, ("crowd",), (pub(name),)))
    for name, outcome in zip(names, ledger.block(), strict=True):
        ledger.add_actor(name, outcome.events[0].account)  # type: ignore[attr-defined]
    for name in names:
        ledger.submit(name, Approve("crowd", SUBJECT))
    assert all(outcome.ok for outcome in ledger.block())
    return "pia", Approve("crowd", SUBJECT)


def crowded_roles(ledger: Harness) -> Prepared:
    ledger.done("ann", *[GrantRole(ledger.id("pia"), f"role-{i}") for i in range(ROLES_MAX)])
    return "ann", GrantRole(ledger.id("pia"), "one-more")


POLICY = SetPolicy("x", Policy(1, ("admin",), True, False), "p2")
SUSPENDED = "identity/suspended"
MISSING = "identity/missing_role"
WRONG = "identity/wrong_organisation"
UNKNOWN = "identity/unknown_account"
SPENT = "identity/spent"
NOT_APPROVED = "identity/not_approved"

CASES = [
    Case("identity/register_account", SUSPENDED, silenced("adam", register("pia", "pia"))),
    Case("identity/register_account", MISSING, simply("pia", register("pia", "pia"))),
    Case("identity/register_account", "identity/name_taken", simply("ann", register("pia", "pia"))),
    Case("identity/register_account", "identity/key_taken", simply("ann", register("x", "pia"))),
    Case(
        "identity/register_organisation",
        SUSPENDED,
        silenced("pia", lambda _: RegisterOrganisation("beta", "gil", (pub("pia"),), "p1")),
    ),
    Case(
        "identity/register_organisation",
        "identity/name_taken",
        simply("pia", lambda _: RegisterOrganisation("beta", "gil", (pub("pia"),), "p1")),
    ),
    Case(
        "identity/register_organisation",
        "identity/key_taken",
        simply("pia", lambda _: RegisterOrganisation("gamma", "gil", (pub("pia"),), "p1")),
    ),
    Case("identity/register_organisation", NOT_APPROVED, simply("pia", gamma)),
    Case("identity/grant_role", UNKNOWN, simply("bob", lambda _: GrantRole(NOBODY, "x"))),
    Case(
        "identity/grant_role",
        SUSPENDED,
        silenced("adam", lambda h: GrantRole(h.id("tom"), "treasurer")),
    ),
    Case(
        "identity/grant_role", MISSING, simply("pia", lambda h: GrantRole(h.id("bea"), "treasurer"))
    ),
    Case(
        "identity/grant_role", WRONG, simply("bob", lambda h: GrantRole(h.id("tom"), "treasurer"))
    ),
    Case(
        "identity/grant_role",
        "identity/own_account",
        simply("ann", lambda h: GrantRole(h.id("alpha"), "admin")),
    ),
    Case(
        "identity/grant_role",
        "identity/role_held",
        simply("ann", lambda h: GrantRole(h.id("tom"), "treasurer")),
    ),
    Case("identity/grant_role", "identity/too_many_roles", crowded_roles),
    Case("identity/revoke_role", UNKNOWN, simply("bob", lambda _: RevokeRole(NOBODY, "x"))),
    Case(
        "identity/revoke_role", SUSPENDED, silenced("adam", lambda h: RevokeRole(h.id("tom"), "x"))
    ),
    Case("identity/revoke_role", MISSING, simply("pia", lambda h: RevokeRole(h.id("bea"), "x"))),
    Case("identity/revoke_role", WRONG, simply("bob", lambda h: RevokeRole(h.id("tom"), "x"))),
    Case(
        "identity/revoke_role",
        "identity/role_not_held",
        simply("ann", lambda h: RevokeRole(h.id("ann"), "x")),
    ),
    Case(
        "identity/revoke_role",
        "identity/own_account",
        simply("ann", lambda h: RevokeRole(h.id("ann"), "admin")),
    ),
    *key_cases("identity/add_key", lambda account: AddKey(account, pub("pia"))),
    Case(
        "identity/add_key",
        "identity/key_taken",
        simply("ann", lambda h: AddKey(pos(h), pub("pia"))),
    ),
    Case("identity/add_key", "identity/too_many_keys", crowded_keys),
    *key_cases("identity/rotate_key", lambda account: RotateKey(account, NEW, pub("pia"))),
    Case(
        "identity/rotate_key",
        "identity/unknown_key",
        simply("ann", lambda h: RotateKey(pos(h), NEW, pub("pia"))),
    ),
    Case(
        "identity/rotate_key",
        "identity/key_taken",
        simply("ann", lambda h: RotateKey(pos(h), pub("pos"), pub("pia"))),
    ),
    *key_cases("identity/revoke_key", lambda account: RevokeKey(account, NEW)),
    Case(
        "identity/revoke_key",
        "identity/unknown_key",
        simply("ann", lambda h: RevokeKey(pos(h), NEW)),
    ),
    Case(
        "identity/revoke_key",
        "identity/last_key",
        simply("ann", lambda h: RevokeKey(pos(h), pub("pos"))),
    ),
    Case("identity/recover", UNKNOWN, simply("bob", lambda _: Recover(NOBODY, (NEW,), "p1"))),
    Case("identity/recover", SUSPENDED, silenced("pia", recover("bea", "pia"))),
    Case("identity/recover", WRONG, simply("pia", recover("bea", "pia"))),
    Case("identity/recover", "identity/key_taken", simply("pia", recover("paul", "pia"))),
    Case("identity/recover", NOT_APPROVED, simply("pia", recover("paul"))),
    Case("identity/suspend", UNKNOWN, simply("pia", lambda _: Suspend(NOBODY, None))),
    Case("identity/suspend", SUSPENDED, silenced("adam", lambda h: Suspend(h.id("bea"), None))),
    Case("identity/suspend", MISSING, simply("pia", lambda h: Suspend(h.id("bea"), None))),
    Case("identity/suspend", WRONG, simply("bob", lambda h: Suspend(h.id("pia"), None))),
    Case(
        "identity/suspend",
        "identity/own_account",
        simply("ann", lambda h: Suspend(h.id("ann"), None)),
    ),
    Case("identity/suspend", SUSPENDED, suspended_organisation),
    Case("identity/suspend", SPENT, spent_suspension),
    Case("identity/suspend", NOT_APPROVED, simply("pia", lambda h: Suspend(h.id("beta"), "p9"))),
    Case("identity/reinstate", UNKNOWN, simply("pia", lambda _: Reinstate(NOBODY, None))),
    Case("identity/reinstate", SUSPENDED, silenced("adam", lambda h: Reinstate(h.id("bea"), None))),
    Case("identity/reinstate", MISSING, simply("pia", lambda h: Reinstate(h.id("bea"), None))),
    Case("identity/reinstate", WRONG, simply("bob", lambda h: Reinstate(h.id("pia"), None))),
    Case(
        "identity/reinstate",
        "identity/not_suspended",
        simply("ann", lambda h: Reinstate(h.id("beta"), "p1")),
    ),
    Case("identity/reinstate", SPENT, spent_reinstatement),
    Case("identity/reinstate", NOT_APPROVED, unapproved_reinstatement),
    Case(
        "identity/delegate",
        UNKNOWN,
        simply("pia", lambda _: Delegate(NOBODY, bytes(19) + b"\1", ("a/b",), 0)),
    ),
    Case(
        "identity/delegate",
        "identity/not_authorised",
        simply("pia", lambda h: Delegate(h.id("paul"), NOBODY, ("a/b",), 0)),
    ),
    Case(
        "identity/delegate",
        SUSPENDED,
        lambda h: (
            h.submit("ann", Suspend(h.id("paul"), None)),
            ("pia", Delegate(h.id("pia"), h.id("paul"), ("a/b",), 0)),
        )[1],
    ),
    Case(
        "identity/delegate",
        "identity/delegation_past",
        simply("pia", lambda h: Delegate(h.id("pia"), h.id("paul"), ("a/b",), h.head.height)),
    ),
    Case(
        "identity/end_delegation",
        "identity/unknown_delegation",
        simply("bob", lambda h: EndDelegation(h.id("pia"), h.id("paul"))),
    ),
    Case(
        "identity/end_delegation",
        "identity/not_authorised",
        lambda h: (
            h.done("pia", Delegate(h.id("pia"), h.id("paul"), ("a/b",), 99)),
            ("bob", EndDelegation(h.id("pia"), h.id("paul"))),
        )[1],
    ),
    Case("identity/set_policy", SUSPENDED, silenced("pia", lambda _: POLICY)),
    Case("identity/set_policy", SPENT, spent_policy),
    Case("identity/set_policy", NOT_APPROVED, half_approved(POLICY)),
    Case("identity/set_parameter", SUSPENDED, silenced("pia", set_parameter("no.such", 1))),
    Case(
        "identity/set_parameter",
        "ledger/unknown_parameter",
        simply("pia", set_parameter("no.such", 1)),
    ),
    Case(
        "identity/set_parameter",
        "ledger/parameter_out_of_bounds",
        simply("pia", set_parameter("ledger.operations_max", 0)),
    ),
    Case("identity/set_parameter", SPENT, spent_parameter),
    Case(
        "identity/set_parameter",
        NOT_APPROVED,
        half_approved(SetParameter("ledger.operations_max", 9, "p1")),
    ),
    Case(
        "identity/approve",
        "identity/unknown_policy",
        simply("pia", lambda _: Approve("x", SUBJECT)),
    ),
    Case("identity/approve", SUSPENDED, silenced("pia", lambda _: Approve("governance", SUBJECT))),
    Case(
        "identity/approve",
        MISSING,
        spent_approval(lambda subject: Approve("governance", subject), "pia"),
    ),
    Case(
        "identity/approve",
        SPENT,
        spent_approval(lambda subject: Approve("governance", subject), "ann"),
    ),
    Case("identity/approve", "identity/already_approved", approved_already),
    Case("identity/approve", "identity/too_many_approvals", crowded_approvals),
    Case(
        "identity/withdraw_approval",
        "identity/no_approval",
        spent_approval(lambda subject: WithdrawApproval("governance", subject), "adam"),
    ),
    Case(
        "identity/withdraw_approval",
        SPENT,
        spent_approval(lambda subject: WithdrawApproval("governance", subject), "ann"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_refusal(case: Case) -> None:
    check_refusal(case, found)


def test_the_cases_are_the_rows_of_the_readme() -> None:
    assert table_refusals(CASES) == readme_refusals("identity")


INVALID = [
    RegisterAccount("person", "x", ("b", "a"), (NEW,)),
    RegisterAccount("person", "x", ("a", "a"), (NEW,)),
    RegisterAccount("person", "x", (), ()),
    RegisterAccount("person", "x", (), (NEW, NEW)),
    RegisterAccount("person", "x", (), (KEY_PREFIX + bytes(32),)),
    RegisterOrganisation("x", "y", (), "p1"),
    AddKey(NOBODY, KEY_PREFIX + bytes(32)),
    RotateKey(NOBODY, NEW, KEY_PREFIX + bytes(31) + b"\x80"),
    Recover(NOBODY, (), "p1"),
    Delegate(NOBODY, SUBJECT[:20], ("a/b",), 1),
    Delegate(NOBODY, b"\1" * 20, ("b/b", "a/b"), 1),
    Delegate(NOBODY, b"\1" * 20, ("identity/approve",), 1),
    SetPolicy("x", Policy(1, (), True, False), "p1"),
    SetPolicy("x", Policy(1, ("b", "a"), True, False), "p1"),
]


@pytest.mark.parametrize("message", INVALID, ids=str)
def test_what_no_state_makes_acceptable(message: Message) -> None:
    found().refused("pia", message, "ledger/invalid_message")
