"""What other modules may ask of identity: who the sender is, may act for, and who approved."""

from cairn.ledger.context import Context
from cairn.modules.identity.errors import (
    MissingRoleError,
    NotApprovedError,
    NotAuthorisedError,
    SpentApprovalError,
    SuspendedError,
    UnknownAccountError,
    UnknownPolicyError,
)
from cairn.modules.identity.messages import subject_of as subject_of
from cairn.modules.identity.records import (
    ACCOUNTS,
    ACTIVE,
    AGENT,
    APPROVALS,
    DELEGATIONS,
    POLICIES,
    SPENT,
    Account,
    Policy,
    Spent,
)
from cairn.modules.identity.records import member_id as member_id
from cairn.modules.identity.records import organisation_id as organisation_id


def get_account(ctx: Context, account: bytes) -> Account | None:
    """Return an account, or None."""
    return ctx.get(ACCOUNTS, account)


def check_account(ctx: Context, account: bytes) -> Account:
    """Return an account.

    Raises:
        UnknownAccountError: There is none of this id.
    """
    found = ctx.get(ACCOUNTS, account)
    if found is None:
        raise UnknownAccountError
    return found


def organisation_of(ctx: Context, account: bytes) -> bytes:
    """Return the id of the organisation that an account belongs to.

    Raises:
        UnknownAccountError: There is no such account.
    """
    return check_account(ctx, account).organisation


def is_active(ctx: Context, account: bytes) -> bool:
    """Return whether an account exists and neither it nor its organisation is suspended."""
    found = ctx.get(ACCOUNTS, account)
    if found is None or found.status != ACTIVE:
        return False
    if found.organisation == account:
        return True
    organisation = ctx.get(ACCOUNTS, found.organisation)
    return organisation is not None and organisation.status == ACTIVE


def check_active(ctx: Context, account: bytes | None = None) -> Account:
    """Return an account (the sender, unless another is given) that is not suspended.

    Raises:
        UnknownAccountError: There is no such account.
        SuspendedError: It, or its organisation, is suspended.
    """
    wanted = ctx.sender if account is None else account
    found = check_account(ctx, wanted)
    if not is_active(ctx, wanted):
        raise SuspendedError
    return found


def has_role(ctx: Context, account: bytes, role: str) -> bool:
    """Return whether an account holds a role and is active."""
    found = ctx.get(ACCOUNTS, account)
    return found is not None and role in found.roles and is_active(ctx, account)


def check_role(ctx: Context, role: str) -> Account:
    """Return the sender's account, which is active and holds a role.

    Raises:
        UnknownAccountError: The sender has no account.
        SuspendedError: The sender, or its organisation, is suspended.
        MissingRoleError: The sender does not hold the role.
    """
    sender = check_active(ctx)
    if role not in sender.roles:
        raise MissingRoleError
    return sender


def acts_for(ctx: Context, account: bytes, tag: str) -> bool:
    """Return whether the sender may act for an account in messages of a tag.

    It may if it is the account; if the account, being active, delegated the tag to it; or if the
    account is its organisation and it holds the role `agent` there.
    """
    sender = ctx.sender
    if sender == account:
        return True
    if _is_delegated(ctx, account, tag):
        return True
    acting = ctx.get(ACCOUNTS, sender)
    if acting is None or acting.organisation != account:
        return False
    return AGENT in acting.roles and is_active(ctx, sender)


def _is_delegated(ctx: Context, account: bytes, tag: str) -> bool:
    row = ctx.get(DELEGATIONS, account, ctx.sender)
    if row is None or tag not in row.scope or ctx.height > row.until_height:
        return False
    return is_active(ctx, account)


def check_acts_for(ctx: Context, account: bytes, tag: str) -> None:
    """Check that the sender may act for an account in messages of a tag.

    Raises:
        NotAuthorisedError: It may not.
    """
    if not acts_for(ctx, account, tag):
        raise NotAuthorisedError


def get_policy(ctx: Context, policy: str) -> Policy | None:
    """Return a policy, or None."""
    return ctx.get(POLICIES, policy)


def list_approvers(
    ctx: Context, policy: str, subject: bytes, *, author: bytes | None = None
) -> tuple[bytes, ...]:
    """Return the accounts whose approval of a subject stands and counts, in order of their ids.

    An approval counts while its approver is active and holds one of the policy's roles.

    Raises:
        UnknownPolicyError: No policy has this name.
    """
    rule = ctx.get(POLICIES, policy)
    if rule is None:
        raise UnknownPolicyError
    counted: list[bytes] = []
    organisations: dict[bytes, None] = {}
    for (_, _, approver), approval in ctx.scan(APPROVALS, policy, subject):
        if approver == author and not rule.author_counts:
            continue
        account = ctx.get(ACCOUNTS, approver)
        if account is None or not any(role in rule.roles for role in account.roles):
            continue
        if not is_active(ctx, approver):
            continue
        if rule.distinct_organisations and approval.organisation in organisations:
            continue
        organisations[approval.organisation] = None
        counted.append(approver)
    return tuple(counted)


def check_approved(
    ctx: Context, policy: str, subject: bytes, author: bytes | None = None
) -> tuple[bytes, ...]:
    """Return the approvers of a subject, who are enough under a policy.

    Args:
        ctx: The operation's context.
        policy: Name of the policy.
        subject: Digest of what was approved, 32 bytes.
        author: Account that made the subject; it counts only where the policy says so.

    Raises:
        UnknownPolicyError: No policy has this name.
        SpentApprovalError: The approvals of this subject were used up.
        NotApprovedError: Too few approvals that count stand.
    """
    approvers = list_approvers(ctx, policy, subject, author=author)
    if ctx.get(SPENT, policy, subject) is not None:
        raise SpentApprovalError
    rule = ctx.get(POLICIES, policy)
    if rule is None or len(approvers) < rule.threshold:
        raise NotApprovedError
    return approvers


def spend_approval(ctx: Context, policy: str, subject: bytes) -> None:
    """Use up the approvals of a subject, so that what they allow happens once."""
    ctx.put(SPENT, Spent(ctx.transaction_id, ctx.height), policy, subject)
