"""The registration of identity."""

from collections.abc import Sequence

from cairn.ledger.module import Invariant, MessageSpec, Module
from cairn.ledger.parameters import LEDGER_PARAMETERS
from cairn.modules.identity import events, genesis, handlers, invariants, messages, records

_EVENTS = (
    events.AccountRegistered,
    events.OrganisationRegistered,
    events.RoleGranted,
    events.RoleRevoked,
    events.KeyAdded,
    events.KeyRevoked,
    events.AccountRecovered,
    events.AccountSuspended,
    events.AccountReinstated,
    events.Delegated,
    events.DelegationEnded,
    events.PolicySet,
    events.ParameterSet,
    events.SubjectApproved,
    events.ApprovalWithdrawn,
)


def identity_module(others: Sequence[Module] = ()) -> Module:
    """Return the module of identity for a ledger that has `others` beside it.

    Governance may set the parameters of the ledger and of the other modules.
    """
    declared = (*LEDGER_PARAMETERS, *(p for module in others for p in module.parameters))
    parameters = {parameter.name: parameter for parameter in declared}
    return Module(
        name="identity",
        messages=(
            MessageSpec(messages.RegisterAccount, handlers.register_account),
            MessageSpec(messages.RegisterOrganisation, handlers.register_organisation),
            MessageSpec(messages.GrantRole, handlers.grant_role),
            MessageSpec(messages.RevokeRole, handlers.revoke_role),
            MessageSpec(messages.AddKey, handlers.add_key),
            MessageSpec(messages.RotateKey, handlers.rotate_key),
            MessageSpec(messages.RevokeKey, handlers.revoke_key),
            MessageSpec(messages.Recover, handlers.recover),
            MessageSpec(messages.Suspend, handlers.suspend),
            MessageSpec(messages.Reinstate, handlers.reinstate),
            MessageSpec(messages.Delegate, handlers.delegate),
            MessageSpec(messages.EndDelegation, handlers.end_delegation),
            MessageSpec(messages.SetPolicy, handlers.set_policy),
            MessageSpec(messages.SetParameter, handlers.set_parameter(parameters)),
            MessageSpec(messages.Approve, handlers.approve),
            MessageSpec(messages.WithdrawApproval, handlers.withdraw_approval),
        ),
        events=_EVENTS,
        tables=(
            records.ACCOUNTS,
            records.KEYS,
            records.OPEN_KEYS,
            records.DELEGATIONS,
            records.POLICIES,
            records.APPROVALS,
            records.SPENT,
        ),
        series=(records.APPROVAL_SERIES,),
        invariants=(
            Invariant("identity/open_keys", invariants.check_open_keys),
            Invariant("identity/administrators", invariants.check_administrators),
        ),
        genesis=genesis.found,
        genesis_section=records.IdentityGenesis,
        key_speaks=handlers.key_speaks,
    )
