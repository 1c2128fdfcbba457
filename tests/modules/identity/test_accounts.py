"""Founding, registering, roles and delegation."""

import pytest

from cairn.ledger.context import Context
from cairn.ledger.errors import InvariantError
from cairn.ledger.execution import Ledger
from cairn.ledger.memory import MemoryState
from cairn.ledger.module import Registry
from cairn.modules.identity import api
from cairn.modules.identity.errors import (
    InvalidGenesisError,
    MissingRoleError,
    NotAuthorisedError,
    SuspendedError,
    UnknownAccountError,
)
from cairn.modules.identity.events import OrganisationRegistered
from cairn.modules.identity.invariants import check_administrators, check_open_keys
from cairn.modules.identity.messages import (
    Approve,
    Delegate,
    EndDelegation,
    GrantRole,
    RegisterAccount,
    RegisterOrganisation,
    RevokeRole,
    Suspend,
    subject_of,
)
from cairn.modules.identity.module import identity_module
from cairn.modules.identity.queries import get_account, list_accounts
from cairn.modules.identity.records import (
    ACCOUNTS,
    KEYS,
    OPEN_KEYS,
    Account,
    FoundingMember,
    FoundingOrganisation,
    FoundingPolicy,
    IdentityGenesis,
    Key,
    OpenKeys,
    Policy,
    member_id,
    organisation_id,
)
from cairn.primitives.encoding import Record, encode
from tests.modules.harness import PEOPLE, Harness, key_of, standard_charter

PAY = "bank/transfer"
ADMIN = FoundingMember("person", "ann", ("admin",), (key_of("ann").public_key,))
POLICY = Policy(1, ("admin",), True, False)
BOTH = (FoundingPolicy("governance", POLICY), FoundingPolicy("recovery", POLICY))


def acting(ledger: Harness, sender: str) -> Context:
    context = ledger.context()
    context.sender = ledger.id(sender)
    return context


def test_the_charter_founds_people_and_organisations() -> None:
    ledger = Harness()
    tom = get_account(ledger.context(), ledger.id("tom"))
    assert tom == Account("person", organisation_id("alpha"), "tom", ("treasurer",), "active")
    assert ledger.get(KEYS, key_of("tom").public_key) == Key(ledger.id("tom"), 1, None)
    beta = ledger.get(ACCOUNTS, ledger.id("beta"))
    assert beta == Account("organisation", ledger.id("beta"), "beta", (), "active")


def organisations(*members: FoundingMember) -> tuple[FoundingOrganisation, ...]:
    return (FoundingOrganisation("alpha", (), members),)


INVALID_GENESIS: dict[str, IdentityGenesis | None] = {
    "no section": None,
    "no organisation": IdentityGenesis((), BOTH),
    "no administrator": IdentityGenesis(
        organisations(FoundingMember("person", "x", (), (key_of("x").public_key,))), BOTH
    ),
    "no policy recovery": IdentityGenesis(organisations(ADMIN), BOTH[:1]),
    "a policy twice": IdentityGenesis(organisations(ADMIN), (*BOTH, BOTH[0])),
    "a policy without roles": IdentityGenesis(
        organisations(ADMIN), (*BOTH, FoundingPolicy("x", Policy(1, (), True, True)))
    ),
    "a policy with unsorted roles": IdentityGenesis(
        organisations(ADMIN), (*BOTH, FoundingPolicy("x", Policy(1, ("b", "a"), True, True)))
    ),
    "a member twice": IdentityGenesis(organisations(ADMIN, ADMIN), BOTH),
    "an organisation twice": IdentityGenesis(organisations(ADMIN) * 2, BOTH),
    "a key twice": IdentityGenesis(
        organisations(ADMIN, FoundingMember("person", "x", (), ADMIN.keys)), BOTH
    ),
    "a member without a key": IdentityGenesis(
        organisations(ADMIN, FoundingMember("person", "x", (), ())), BOTH
    ),
    "roles out of order": IdentityGenesis(
        organisations(FoundingMember("person", "x", ("b", "admin"), ADMIN.keys)), BOTH
    ),
    "a key of small order": IdentityGenesis(
        organisations(FoundingMember("person", "x", ("admin",), (b"\xed\x01" + bytes(32),))), BOTH
    ),
}


@pytest.mark.parametrize("section", INVALID_GENESIS.values(), ids=INVALID_GENESIS.keys())
def test_a_wrong_founding_is_refused(section: IdentityGenesis | None) -> None:
    ledger = Ledger(Registry((identity_module(),)))
    sections: dict[str, Record] = {} if section is None else {"identity": section}
    with pytest.raises(InvalidGenesisError):
        ledger.found(standard_charter(sections), "test-x", MemoryState())


def test_an_organisation_may_have_keys_of_its_own() -> None:
    own = key_of("alpha's own")
    section = IdentityGenesis((FoundingOrganisation("alpha", (own.public_key,), (ADMIN,)),), BOTH)
    ledger = Ledger(Registry((identity_module(),)))
    state = MemoryState()
    result = ledger.found(standard_charter({"identity": section}), "test-x", state)
    state.apply(result.changes)
    context = ledger.context(result.head, state)
    assert context.get(OPEN_KEYS, organisation_id("alpha")) == OpenKeys((own.public_key,))


def test_ids_follow_from_names() -> None:
    assert organisation_id("alpha") != organisation_id("beta")
    assert member_id(organisation_id("alpha"), "x") != member_id(organisation_id("beta"), "x")
    assert api.member_id is member_id


def test_an_administrator_registers_members_of_the_own_organisation() -> None:
    ledger = Harness()
    key = key_of("zoe").public_key
    ledger.done("bob", RegisterAccount("person", "zoe", ("compliance",), (key,)))
    zoe = ledger.add_actor("zoe", member_id(ledger.id("beta"), "zoe"))
    assert api.organisation_of(ledger.context(), zoe.account) == ledger.id("beta")
    assert api.has_role(ledger.context(), zoe.account, "compliance")
    assert ledger.run("zoe", GrantRole(zoe.account, "admin")).codes == ("identity/missing_role",)


def test_an_organisation_joins_under_governance() -> None:
    ledger = Harness()
    message = RegisterOrganisation("gamma", "gil", (key_of("gil").public_key,), "welcome")
    for name in ("ann", "rick"):
        ledger.done(name, Approve("governance", subject_of(message)))
    event = ledger.done("berta", message).event(OrganisationRegistered)
    assert event.account == organisation_id("gamma")
    ledger.add_actor("gil", event.admin)
    key = key_of("gus").public_key
    ledger.done("gil", RegisterAccount("person", "gus", (), (key,)))
    assert api.acts_for(acting(ledger, "gil"), event.account, PAY)


def test_roles_come_and_go() -> None:
    ledger = Harness()
    pia = ledger.id("pia")
    ledger.done("ann", GrantRole(pia, "risk"), GrantRole(pia, "auditor"))
    account = ledger.get(ACCOUNTS, pia)
    assert account is not None
    assert account.roles == ("auditor", "risk")
    assert api.check_role(acting(ledger, "pia"), "risk") == account
    ledger.done("adam", RevokeRole(pia, "risk"))
    with pytest.raises(MissingRoleError):
        api.check_role(acting(ledger, "pia"), "risk")


def test_who_the_sender_is() -> None:
    ledger = Harness()
    context = ledger.context()
    context.sender = bytes(20)
    with pytest.raises(UnknownAccountError):
        api.check_active(context)
    with pytest.raises(UnknownAccountError):
        api.organisation_of(context, bytes(20))
    assert not api.has_role(context, bytes(20), "admin")
    assert not api.is_active(context, bytes(20))
    assert api.get_policy(context, "nothing") is None
    ledger.done("ann", Suspend(ledger.id("tom"), None))
    with pytest.raises(SuspendedError):
        api.check_role(acting(ledger, "tom"), "treasurer")
    assert not api.has_role(ledger.context(), ledger.id("tom"), "treasurer")


def test_an_account_acts_for_itself_and_agents_for_their_organisation() -> None:
    ledger = Harness()
    alpha = ledger.id("alpha")
    assert api.acts_for(acting(ledger, "pia"), ledger.id("pia"), PAY)
    assert api.acts_for(acting(ledger, "ann"), alpha, PAY)
    for sender in ("adam", "tom", "bob"):
        assert not api.acts_for(acting(ledger, sender), alpha, PAY)
    assert not api.acts_for(acting(ledger, "ann"), ledger.id("pia"), PAY)


def test_a_delegate_acts_within_scope_and_time() -> None:
    ledger = Harness()
    pia, until = ledger.id("pia"), 3
    ledger.done("pia", Delegate(pia, ledger.id("berta"), (PAY,), until))
    while ledger.head.height < until - 1:
        ledger.block()
    context = acting(ledger, "berta")
    assert api.acts_for(context, pia, PAY)
    assert not api.acts_for(context, pia, "bank/redeem")
    assert not api.acts_for(acting(ledger, "bob"), pia, PAY)
    ledger.block()
    assert not api.acts_for(acting(ledger, "berta"), pia, PAY)
    with pytest.raises(NotAuthorisedError):
        api.check_acts_for(acting(ledger, "berta"), pia, PAY)


def test_a_suspended_account_has_no_delegates() -> None:
    ledger = Harness()
    pia = ledger.id("pia")
    ledger.done("pia", Delegate(pia, ledger.id("paul"), (PAY,), 99))
    ledger.done("ann", Suspend(pia, None))
    assert not api.acts_for(acting(ledger, "paul"), pia, PAY)


@pytest.mark.parametrize("sender", ["pia", "paul"])
def test_either_side_ends_a_delegation(sender: str) -> None:
    ledger = Harness()
    pia, paul = ledger.id("pia"), ledger.id("paul")
    ledger.done("pia", Delegate(pia, paul, (PAY,), 99))
    ledger.done(sender, EndDelegation(pia, paul))
    assert not api.acts_for(acting(ledger, "paul"), pia, PAY)


def test_an_agent_delegates_for_the_organisation() -> None:
    ledger = Harness()
    alpha, pia = ledger.id("alpha"), ledger.id("pia")
    ledger.refused("tom", Delegate(alpha, pia, (PAY,), 99), "identity/not_authorised")
    ledger.done("ann", Delegate(alpha, pia, (PAY,), 99))
    assert api.acts_for(acting(ledger, "pia"), alpha, PAY)


def test_accounts_are_listed_in_pages() -> None:
    ledger = Harness()
    everyone = list_accounts(ledger.state)
    assert len(everyone) == len(PEOPLE) + 2
    first = list_accounts(ledger.state, limit=5)
    rest = list_accounts(ledger.state, after=first[-1][0])
    assert first + rest == everyone


def broken(ledger: Harness, key: bytes, row: Record | None) -> MemoryState:
    state = ledger.state.copy()
    if row is None:
        state.order.remove(key)
        del state.rows[key]
    else:
        state.rows[key] = encode(row)
    return state


def test_invariants_see_a_broken_state() -> None:
    ledger = Harness()
    pia, key = ledger.id("pia"), KEYS.key(key_of("pia").public_key)
    check_open_keys(ledger.state)
    check_administrators(ledger.state)
    for row in (Key(pia, 1, 5), Key(ledger.id("paul"), 1, None), Key(pia, 3, 2)):
        with pytest.raises(InvariantError):
            check_open_keys(broken(ledger, key, row))
    with pytest.raises(InvariantError):
        check_open_keys(broken(ledger, OPEN_KEYS.key(pia), None))
    beta = ledger.id("beta")
    bob = Account("person", beta, "bob", (), "active")
    with pytest.raises(InvariantError):
        check_administrators(broken(ledger, ACCOUNTS.key(ledger.id("bob")), bob))
    with pytest.raises(InvariantError):
        check_administrators(broken(ledger, ACCOUNTS.key(beta), None))


def test_an_organisation_does_not_administer_itself() -> None:
    # Its own account is nobody's member: it could take the role from every person who has it.
    ledger = Harness()
    ledger.refused("ann", GrantRole(ledger.id("alpha"), "admin"), "identity/own_account")
    ledger.done("ann", GrantRole(ledger.id("alpha"), "treasurer"))
