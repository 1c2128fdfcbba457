"""The registration of identity."""

from collections.abc import Sequence

from cairn.ledger.module import OPERATION_COST, Invariant, MessageSpec, Module
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

APPROVE_COST = 500
APPROVED_COST = 2_000
"""Cost of what needs approvals: a subject has up to 64, and each approver is looked at."""
KEY_COST = 200
"""Cost of each new key: whether it is a point of the curve's prime-order group."""


def _registration_cost(message: messages.RegisterAccount) -> int:
    return OPERATION_COST + KEY_COST * len(message.keys)


def _recovery_cost(message: messages.Recover) -> int:
    return APPROVED_COST + KEY_COST * (len(message.keys) + records.MEMBER_KEYS_MAX)


def _organisation_cost(message: messages.RegisterOrganisation) -> int:
    return APPROVED_COST + KEY_COST * len(message.admin_keys)


def identity_module(others: Sequence[Module] = ()) -> Module:
    """Return the module of identity for a ledger that has `others` beside it.

    Governance may set the parameters of the ledger and of the other modules.
    """
    declared = (*LEDGER_PARAMETERS, *(p for module in others for p in module.parameters))
    parameters = {parameter.name: parameter for parameter in declared}
    return Module(
        name="identity",
        messages=(
            MessageSpec(
                messages.RegisterAccount, handlers.register_account, cost=_registration_cost
            ),
            MessageSpec(
                messages.RegisterOrganisation,
                handlers.register_organisation,
                cost=_organisation_cost,
            ),
            MessageSpec(messages.GrantRole, handlers.grant_role),
            MessageSpec(messages.RevokeRole, handlers.revoke_role),
            MessageSpec(messages.AddKey, handlers.add_key, cost=OPERATION_COST + KEY_COST),
            MessageSpec(messages.RotateKey, handlers.rotate_key, cost=OPERATION_COST + KEY_COST),
            MessageSpec(messages.RevokeKey, handlers.revoke_key),
            MessageSpec(messages.Recover, handlers.recover, cost=_recovery_cost),
            MessageSpec(messages.Suspend, handlers.suspend, cost=APPROVED_COST),
            MessageSpec(messages.Reinstate, handlers.reinstate, cost=APPROVED_COST),
            MessageSpec(messages.Delegate, handlers.delegate),
            MessageSpec(messages.EndDelegation, handlers.end_delegation),
            MessageSpec(messages.SetPolicy, handlers.set_policy, cost=APPROVED_COST),
            MessageSpec(
                messages.SetParameter, handlers.set_parameter(parameters), cost=APPROVED_COST
            ),
            MessageSpec(messages.Approve, handlers.approve, cost=APPROVE_COST),
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
