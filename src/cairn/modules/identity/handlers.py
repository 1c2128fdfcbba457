"""What the identity module's messages do: check, change, emit."""

from collections.abc import Callable, Mapping

from cairn.ledger.context import Context
from cairn.ledger.errors import ParameterOutOfBoundsError, UnknownParameterError
from cairn.ledger.parameters import PARAMETERS, Parameter, ParameterValue
from cairn.modules.identity import events
from cairn.modules.identity.api import (
    acts_for,
    check_account,
    check_active,
    check_approved,
    check_role,
    is_active,
    spend_approval,
    subject_of,
)
from cairn.modules.identity.errors import (
    AlreadyApprovedError,
    DelegationPastError,
    KeyTakenError,
    LastKeyError,
    MissingRoleError,
    NameTakenError,
    NotApprovedByError,
    NotAuthorisedError,
    NotSuspendedError,
    OwnAccountError,
    RoleHeldError,
    RoleNotHeldError,
    SpentApprovalError,
    SuspendedError,
    TooManyApprovalsError,
    TooManyKeysError,
    TooManyRolesError,
    UnknownAccountKeyError,
    UnknownDelegationError,
    UnknownPolicyError,
    WrongOrganisationError,
)
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
)
from cairn.modules.identity.records import (
    ACCOUNTS,
    ACTIVE,
    ADMIN,
    AGENT,
    APPROVAL_SERIES,
    APPROVALS,
    APPROVERS_MAX,
    DELEGATIONS,
    GOVERNANCE,
    KEYS,
    MEMBER_KEYS_MAX,
    OPEN_KEYS,
    ORGANISATION,
    ORGANISATION_APPROVERS_MAX,
    PERSON,
    POLICIES,
    RECOVERY,
    ROLES_MAX,
    SPENT,
    SUSPENDED,
    Account,
    Approval,
    ApprovalEntry,
    Delegation,
    Key,
    OpenKeys,
    member_id,
    organisation_id,
)


def key_speaks(ctx: Context, account: bytes, key: bytes) -> bool:
    """Return whether a key speaks for an account at the context's height.

    No key speaks for an account that is suspended, or whose organisation is.
    """
    row = ctx.get(KEYS, key)
    if row is None or row.account != account or ctx.height < row.from_height:
        return False
    if row.until_height is not None and ctx.height >= row.until_height:
        return False
    return is_active(ctx, account)


def register_account(ctx: Context, message: RegisterAccount) -> None:
    """Register a member of the sender's organisation."""
    organisation = check_role(ctx, ADMIN).organisation
    account = member_id(organisation, message.name)
    if ctx.get(ACCOUNTS, account) is not None:
        raise NameTakenError
    check_keys_free(ctx, message.keys)

    row = Account(message.kind, organisation, message.name, message.roles, ACTIVE)
    found_account(ctx, account, row, message.keys)


def register_organisation(ctx: Context, message: RegisterOrganisation) -> None:
    """Take in an organisation with its first administrator."""
    check_active(ctx)
    organisation = organisation_id(message.name)
    if ctx.get(ACCOUNTS, organisation) is not None:
        raise NameTakenError
    check_keys_free(ctx, message.admin_keys)
    subject = subject_of(message)
    approvers = check_approved(ctx, GOVERNANCE, subject, ctx.sender)

    spend_approval(ctx, GOVERNANCE, subject)
    admin = member_id(organisation, message.admin_name)
    row = Account(ORGANISATION, organisation, message.name, (), ACTIVE)
    found_account(ctx, organisation, row, ())
    row = Account(PERSON, organisation, message.admin_name, (ADMIN, AGENT), ACTIVE)
    found_account(ctx, admin, row, message.admin_keys)
    ctx.emit(events.OrganisationRegistered(organisation, message.name, admin, approvers))


def grant_role(ctx: Context, message: GrantRole) -> None:
    """Give a role to a member of the sender's organisation."""
    account = check_account(ctx, message.account)
    _check_admin(ctx, account)
    if message.role == ADMIN and account.kind == ORGANISATION:
        raise OwnAccountError
    if message.role in account.roles:
        raise RoleHeldError
    if len(account.roles) >= ROLES_MAX:
        raise TooManyRolesError

    roles = tuple(sorted((*account.roles, message.role)))
    _put_account(ctx, message.account, account, roles=roles)
    ctx.emit(events.RoleGranted(message.account, message.role, ctx.sender))


def revoke_role(ctx: Context, message: RevokeRole) -> None:
    """Take a role from a member of the sender's organisation."""
    account = check_account(ctx, message.account)
    _check_admin(ctx, account)
    if message.role not in account.roles:
        raise RoleNotHeldError
    if message.role == ADMIN and message.account == ctx.sender:
        raise OwnAccountError

    roles = tuple(role for role in account.roles if role != message.role)
    _put_account(ctx, message.account, account, roles=roles)
    ctx.emit(events.RoleRevoked(message.account, message.role, ctx.sender))


def add_key(ctx: Context, message: AddKey) -> None:
    """Let another key speak for an account from the next height on."""
    open_keys = _check_key_holder(ctx, message.account)
    check_keys_free(ctx, (message.key,))
    if len(open_keys) >= MEMBER_KEYS_MAX:
        raise TooManyKeysError

    _open_key(ctx, message.account, message.key)
    ctx.put(OPEN_KEYS, OpenKeys((*open_keys, message.key)), message.account)


def rotate_key(ctx: Context, message: RotateKey) -> None:
    """Replace a key of an account from the next height on."""
    open_keys = _check_key_holder(ctx, message.account)
    if message.old_key not in open_keys:
        raise UnknownAccountKeyError
    check_keys_free(ctx, (message.new_key,))

    _close_key(ctx, message.account, message.old_key)
    _open_key(ctx, message.account, message.new_key)
    kept = tuple(key for key in open_keys if key != message.old_key)
    ctx.put(OPEN_KEYS, OpenKeys((*kept, message.new_key)), message.account)


def revoke_key(ctx: Context, message: RevokeKey) -> None:
    """Let a key no longer speak for an account from the next height on."""
    open_keys = _check_key_holder(ctx, message.account)
    if message.key not in open_keys:
        raise UnknownAccountKeyError
    if len(open_keys) == 1:
        raise LastKeyError

    _close_key(ctx, message.account, message.key)
    kept = tuple(key for key in open_keys if key != message.key)
    ctx.put(OPEN_KEYS, OpenKeys(kept), message.account)


def recover(ctx: Context, message: Recover) -> None:
    """Replace all keys of an account of the sender's organisation."""
    account = check_account(ctx, message.account)
    if check_active(ctx).organisation != account.organisation:
        raise WrongOrganisationError
    check_keys_free(ctx, message.keys)
    subject = subject_of(message)
    approvers = check_approved(ctx, RECOVERY, subject, ctx.sender)

    spend_approval(ctx, RECOVERY, subject)
    for key in _open_keys(ctx, message.account):
        _close_key(ctx, message.account, key)
    for key in message.keys:
        _open_key(ctx, message.account, key)
    ctx.put(OPEN_KEYS, OpenKeys(message.keys), message.account)
    ctx.emit(events.AccountRecovered(message.account, approvers))


def suspend(ctx: Context, message: Suspend) -> None:
    """Silence an account from the next height on."""
    account = check_account(ctx, message.account)
    if account.kind == ORGANISATION:
        check_active(ctx)
    else:
        _check_admin(ctx, account)
    if message.account == ctx.sender:
        raise OwnAccountError
    if account.status == SUSPENDED:
        raise SuspendedError
    approvers = _check_governed(ctx, account, message)

    _spend_governed(ctx, account, message)
    _put_account(ctx, message.account, account, status=SUSPENDED)
    ctx.emit(events.AccountSuspended(message.account, ctx.sender, approvers))


def reinstate(ctx: Context, message: Reinstate) -> None:
    """Let a suspended account speak again from the next height on."""
    account = check_account(ctx, message.account)
    if account.kind == ORGANISATION:
        check_active(ctx)
    else:
        _check_admin(ctx, account)
    if account.status != SUSPENDED:
        raise NotSuspendedError
    approvers = _check_governed(ctx, account, message)

    _spend_governed(ctx, account, message)
    _put_account(ctx, message.account, account, status=ACTIVE)
    ctx.emit(events.AccountReinstated(message.account, ctx.sender, approvers))


def delegate(ctx: Context, message: Delegate) -> None:
    """Let another account act for this one; an earlier delegation between them is replaced."""
    check_account(ctx, message.account)
    if not acts_for(ctx, message.account, "identity/delegate"):
        raise NotAuthorisedError
    check_active(ctx, message.delegate)
    if message.until_height < ctx.height:
        raise DelegationPastError

    row = Delegation(message.scope, message.until_height)
    ctx.put(DELEGATIONS, row, message.account, message.delegate)
    ctx.emit(
        events.Delegated(message.account, message.delegate, message.scope, message.until_height)
    )


def end_delegation(ctx: Context, message: EndDelegation) -> None:
    """End a delegation; either side may."""
    if ctx.get(DELEGATIONS, message.account, message.delegate) is None:
        raise UnknownDelegationError
    own_side = ctx.sender == message.delegate
    if not own_side and not acts_for(ctx, message.account, "identity/end_delegation"):
        raise NotAuthorisedError

    ctx.delete(DELEGATIONS, message.account, message.delegate)
    ctx.emit(events.DelegationEnded(message.account, message.delegate))


def set_policy(ctx: Context, message: SetPolicy) -> None:
    """Found or change a policy."""
    check_active(ctx)
    subject = subject_of(message)
    approvers = check_approved(ctx, GOVERNANCE, subject, ctx.sender)

    spend_approval(ctx, GOVERNANCE, subject)
    ctx.put(POLICIES, message.policy, message.name)
    ctx.emit(events.PolicySet(message.name, message.policy, approvers))


def set_parameter(
    parameters: Mapping[str, Parameter],
) -> Callable[[Context, SetParameter], None]:
    """Return the handler that sets a protocol parameter, one of `parameters`."""

    def handle(ctx: Context, message: SetParameter) -> None:
        """Set a protocol parameter within its declared bounds."""
        check_active(ctx)
        parameter = parameters.get(message.name)
        if parameter is None:
            raise UnknownParameterError
        if not parameter.minimum <= message.value <= parameter.maximum:
            raise ParameterOutOfBoundsError
        subject = subject_of(message)
        approvers = check_approved(ctx, GOVERNANCE, subject, ctx.sender)

        spend_approval(ctx, GOVERNANCE, subject)
        ctx.put(PARAMETERS, ParameterValue(message.value), message.name)
        ctx.emit(events.ParameterSet(message.name, message.value, approvers))

    return handle


def approve(ctx: Context, message: Approve) -> None:
    """Approve a subject under a policy."""
    policy = ctx.get(POLICIES, message.policy)
    if policy is None:
        raise UnknownPolicyError
    sender = check_active(ctx)
    if not any(role in policy.roles for role in sender.roles):
        raise MissingRoleError
    if ctx.get(SPENT, message.policy, message.subject) is not None:
        raise SpentApprovalError
    if ctx.get(APPROVALS, message.policy, message.subject, ctx.sender) is not None:
        raise AlreadyApprovedError
    standing = [row.organisation for _, row in ctx.scan(APPROVALS, message.policy, message.subject)]
    if policy.distinct_organisations:
        if standing.count(sender.organisation) >= ORGANISATION_APPROVERS_MAX:
            raise TooManyApprovalsError
    elif len(standing) >= APPROVERS_MAX:
        raise TooManyApprovalsError

    row = Approval(sender.organisation, ctx.height)
    ctx.put(APPROVALS, row, message.policy, message.subject, ctx.sender)
    _append_approval(ctx, message.policy, message.subject, approved=True)
    ctx.emit(events.SubjectApproved(message.policy, message.subject, ctx.sender))


def withdraw_approval(ctx: Context, message: WithdrawApproval) -> None:
    """Take one's own approval back."""
    if ctx.get(APPROVALS, message.policy, message.subject, ctx.sender) is None:
        raise NotApprovedByError
    if ctx.get(SPENT, message.policy, message.subject) is not None:
        raise SpentApprovalError

    ctx.delete(APPROVALS, message.policy, message.subject, ctx.sender)
    _append_approval(ctx, message.policy, message.subject, approved=False)
    ctx.emit(events.ApprovalWithdrawn(message.policy, message.subject, ctx.sender))


# What handlers and the genesis share


def found_account(ctx: Context, account: bytes, row: Account, keys: tuple[bytes, ...]) -> None:
    """Write a new account; its keys speak from the next height on."""
    ctx.put(ACCOUNTS, row, account)
    ctx.put(OPEN_KEYS, OpenKeys(keys), account)
    ctx.emit(
        events.AccountRegistered(account, row.kind, row.organisation, row.name, row.roles, keys)
    )
    for key in keys:
        ctx.put(KEYS, Key(account, ctx.height + 1, None), key)


def check_keys_free(ctx: Context, keys: tuple[bytes, ...]) -> None:
    """Check that no key was ever registered.

    Raises:
        KeyTakenError: One was.
    """
    if any(ctx.get(KEYS, key) is not None for key in keys):
        raise KeyTakenError


def _check_admin(ctx: Context, account: Account) -> None:
    """Check that the sender is an administrator of the account's organisation."""
    sender = check_role(ctx, ADMIN)
    if sender.organisation != account.organisation:
        raise WrongOrganisationError


def _check_governed(
    ctx: Context, account: Account, message: Suspend | Reinstate
) -> tuple[bytes, ...]:
    """Return who approved a message that concerns an organisation; others need no approval."""
    if account.kind != ORGANISATION:
        return ()
    return check_approved(ctx, GOVERNANCE, subject_of(message), ctx.sender)


def _spend_governed(ctx: Context, account: Account, message: Suspend | Reinstate) -> None:
    if account.kind == ORGANISATION:
        spend_approval(ctx, GOVERNANCE, subject_of(message))


def _check_key_holder(ctx: Context, account: bytes) -> tuple[bytes, ...]:
    """Return the open keys of an account whose keys the sender may change."""
    row = check_account(ctx, account)
    if ctx.sender != account:
        if row.kind == PERSON:
            raise NotAuthorisedError
        _check_admin(ctx, row)
    return _open_keys(ctx, account)


def _open_keys(ctx: Context, account: bytes) -> tuple[bytes, ...]:
    row = ctx.get(OPEN_KEYS, account)
    return () if row is None else row.keys


def _open_key(ctx: Context, account: bytes, key: bytes) -> None:
    ctx.put(KEYS, Key(account, ctx.height + 1, None), key)
    ctx.emit(events.KeyAdded(account, key, ctx.height + 1))


def _close_key(ctx: Context, account: bytes, key: bytes) -> None:
    row = ctx.get(KEYS, key)
    assert row is not None, "an open key has a row"
    ctx.put(KEYS, Key(account, row.from_height, ctx.height + 1), key)
    ctx.emit(events.KeyRevoked(account, key, ctx.height + 1))


def _put_account(
    ctx: Context,
    account: bytes,
    row: Account,
    *,
    roles: tuple[str, ...] | None = None,
    status: str | None = None,
) -> None:
    new = Account(
        row.kind,
        row.organisation,
        row.name,
        row.roles if roles is None else roles,
        row.status if status is None else status,
    )
    ctx.put(ACCOUNTS, new, account)


def _append_approval(ctx: Context, policy: str, subject: bytes, *, approved: bool) -> None:
    organisation = check_account(ctx, ctx.sender).organisation
    entry = ApprovalEntry(ctx.sender, organisation, approved, ctx.height)
    ctx.append(APPROVAL_SERIES, entry, policy, subject)
