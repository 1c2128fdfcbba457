"""`cairn org`: organisations, members, roles, policies, approvals, delegations, parameters."""

from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.session import Session, command, new_app
from cairn.ledger.messages import Message
from cairn.ledger.parameters import PARAMETERS
from cairn.modules.identity.messages import (
    Approve,
    Delegate,
    EndDelegation,
    GrantRole,
    RegisterAccount,
    Reinstate,
    RevokeRole,
    SetParameter,
    SetPolicy,
    Suspend,
    WithdrawApproval,
    subject_of,
)
from cairn.modules.identity.records import (
    GOVERNANCE,
    POLICIES,
    Policy,
    member_id,
)
from cairn.primitives.did import parse_did_key
from cairn.sdk.approvals import Approvable, approval_status
from cairn.sdk.client import Client
from cairn.sdk.errors import RejectedError
from cairn.sdk.keys import public_key_text
from cairn.sdk.quantities import format_time, parse_hex
from cairn.sdk.reading import Reader

app = new_app("Organisations, members, roles, policies and approvals.")
member_app = new_app("Members: people, devices and services.")
role_app = new_app("Roles: what a member may do.")
policy_app = new_app("Policies: how many have to approve what.")
parameters_app = new_app("Protocol parameters.")
for group, group_name in (
    (member_app, "member"),
    (role_app, "role"),
    (policy_app, "policy"),
    (parameters_app, "parameters"),
):
    app.add_typer(group, name=group_name)

AccountArgument = Annotated[str, Argument(metavar="ACCOUNT", help="A name, or 40 hex digits.")]
RoleArgument = Annotated[str, Argument(metavar="ROLE", help="Such as risk.")]
PolicyArgument = Annotated[str, Argument(metavar="POLICY", help="Name of a policy.")]
SubjectArgument = Annotated[str, Argument(metavar="SUBJECT", help="64 hex digits.")]
ProposalOption = Annotated[str, Option(help="A name for this proposal.")]
ApproveOption = Annotated[bool, Option("--approve", help="Approve it, carry nothing out.")]


@command(app, "show")
def show(session: Session) -> None:
    """List the accounts of the ledger: organisations, people, devices and services."""
    with session.reader() as reader:
        names = session.names(reader)
        rows = [
            {
                "name": names.show(account),
                "kind": row.kind,
                "roles": list(row.roles),
                "status": row.status,
                "account": account.hex(),
            }
            for account, row in names.accounts.items()
        ]
    rows.sort(key=lambda row: str(row["name"]))
    session.out.rows(("name", "kind", "roles", "status", "account"), rows)


@command(member_app, "add")
def add_member(
    session: Session,
    name: Annotated[str, Argument(help="The member's name.")],
    role: Annotated[list[str], Option("--role", help="A role; may stand several times.")] = [],  # noqa: B006 - typer copies it
    kind: Annotated[str, Option(help="person, device or service.")] = "person",
    key: Annotated[str, Option(help="A did:key; else the key file of this name.")] = "",
) -> None:
    """Register a member of one's own organisation; for an administrator."""
    text = key or public_key_text(session.workspace.key_path(name))
    roles = tuple(sorted(dict.fromkeys(role)))
    with session.client() as client:
        final = session.send(client, RegisterAccount(kind, name, roles, (parse_did_key(text),)))
        account = member_id(session.names(client).home, name)
    session.out.record({"member": name, "account": account.hex(), "speaks_from": final.height + 1})


@command(member_app, "suspend")
def suspend(session: Session, account: AccountArgument, proposal: ProposalOption = "") -> None:
    """Silence an account from the next block on; an organisation needs a proposal."""
    with session.client() as client:
        target = session.names(client).find(account)
        session.confirm(f"suspend {account}")
        session.send(client, Suspend(target, proposal or None))
    session.out.record({"account": target.hex(), "status": "suspended"})


@command(member_app, "reinstate")
def reinstate(session: Session, account: AccountArgument, proposal: ProposalOption = "") -> None:
    """Let a suspended account speak again; an organisation needs a proposal."""
    with session.client() as client:
        target = session.names(client).find(account)
        session.send(client, Reinstate(target, proposal or None))
    session.out.record({"account": target.hex(), "status": "active"})


@command(role_app, "grant")
def grant_role(session: Session, account: AccountArgument, role: RoleArgument) -> None:
    """Give a role to a member of one's own organisation; for an administrator."""
    with session.client() as client:
        target = session.names(client).find(account)
        session.send(client, GrantRole(target, role))
    session.out.record({"account": target.hex(), "granted": role})


@command(role_app, "revoke")
def revoke_role(session: Session, account: AccountArgument, role: RoleArgument) -> None:
    """Take a role from a member of one's own organisation; for an administrator."""
    with session.client() as client:
        target = session.names(client).find(account)
        session.send(client, RevokeRole(target, role))
    session.out.record({"account": target.hex(), "revoked": role})


@command(policy_app, "show")
def show_policies(session: Session) -> None:
    """List the policies."""
    with session.reader() as reader:
        rows = [
            {
                "policy": row.key[0].decode(),
                "threshold": row.record.threshold,
                "roles": list(row.record.roles),
                "author_counts": row.record.author_counts,
                "distinct_organisations": row.record.distinct_organisations,
            }
            for row in reader.scan(POLICIES)
        ]
    session.out.rows(
        ("policy", "threshold", "roles", "author_counts", "distinct_organisations"), rows
    )


@command(policy_app, "set")
def set_policy(
    session: Session,
    policy: PolicyArgument,
    threshold: Annotated[int, Option(min=1, max=32, help="How many have to approve.")],
    role: Annotated[list[str], Option("--role", help="Whose approval counts.")],
    proposal: ProposalOption,
    author_counts: Annotated[bool, Option("--author-counts", help="The author may.")] = False,
    distinct: Annotated[
        bool, Option("--distinct-organisations", help="Each organisation counts once.")
    ] = False,
    approve: ApproveOption = False,
) -> None:
    """Found or change a policy, once governance has approved it."""
    changed = Policy(threshold, tuple(sorted(dict.fromkeys(role))), author_counts, distinct)
    with session.client() as client:
        carry_out(
            session, client, SetPolicy(policy, changed, proposal), GOVERNANCE, approve=approve
        )


@command(app, "approve")
def approve_subject(session: Session, policy: PolicyArgument, subject: SubjectArgument) -> None:
    """Approve a subject under a policy."""
    digest = parse_hex(subject, 32, "a subject")
    with session.client() as client:
        approve(session, client, Approvable(policy, digest, b""))


@command(app, "withdraw")
def withdraw(session: Session, policy: PolicyArgument, subject: SubjectArgument) -> None:
    """Take one's own approval back, as long as it was not used."""
    digest = parse_hex(subject, 32, "a subject")
    with session.client() as client:
        session.send(client, WithdrawApproval(policy, digest))
        session.out.record(describe_approvals(session, client, Approvable(policy, digest, b"")))


@command(app, "approvals")
def approvals(session: Session, policy: PolicyArgument, subject: SubjectArgument) -> None:
    """Show who has approved a subject, and how many are missing."""
    digest = parse_hex(subject, 32, "a subject")
    with session.reader() as reader:
        session.out.record(describe_approvals(session, reader, Approvable(policy, digest, b"")))


@command(app, "delegate")
def delegate(
    session: Session,
    to: Annotated[str, Argument(help="Who may act.")],
    message: Annotated[list[str], Option("--message", help="A message's tag: bank/transfer.")],
    until_height: Annotated[int, Option(min=1, help="Last height at which it holds.")],
    account: Annotated[str, Option(help="Whose account; else one's own.")] = "",
    end: Annotated[bool, Option("--end", help="End the delegation instead.")] = False,
) -> None:
    """Let another account act for one's own in the named messages."""
    with session.client() as client:
        names = session.names(client)
        target = names.find(account) if account else client.account
        other = names.find(to)
        scope = tuple(sorted(dict.fromkeys(message)))
        asked: Message = Delegate(target, other, scope, until_height)
        session.send(client, EndDelegation(target, other) if end else asked)
    session.out.record({"account": target.hex(), "delegate": other.hex(), "scope": list(scope)})


@command(parameters_app, "show")
def show_parameters(
    session: Session, module: Annotated[str, Argument(help="One module, such as bank.")] = ""
) -> None:
    """List the protocol parameters with their values and bounds."""
    from cairn.modules.registry import standard_registry

    with session.reader() as reader:
        set_values = {row.key[0].decode(): row.record.value for row in reader.scan(PARAMETERS)}
    rows = [
        {
            "parameter": name,
            "value": set_values.get(name, declared.default),
            "default": declared.default,
            "minimum": declared.minimum,
            "maximum": declared.maximum,
            "help": declared.help,
        }
        for name, declared in standard_registry().parameters.items()
        if name.startswith(module)
    ]
    session.out.rows(("parameter", "value", "default", "minimum", "maximum"), rows)


@command(parameters_app, "set")
def set_parameter(
    session: Session,
    name: Annotated[str, Argument(help="Such as bank.hold_ms_max.")],
    value: Annotated[int, Argument(help="A whole number.")],
    proposal: ProposalOption,
    approve: ApproveOption = False,
) -> None:
    """Set a protocol parameter, once governance has approved it."""
    with session.client() as client:
        carry_out(session, client, SetParameter(name, value, proposal), GOVERNANCE, approve=approve)


def approve(session: Session, client: Client, what: Approvable) -> None:
    """Approve something as whoever acts, and show how it stands."""
    session.send(client, Approve(what.policy, what.subject))
    session.out.record(describe_approvals(session, client, what))
    standing = approval_status(client, what.policy, what.subject, author=what.author)
    if client.account not in standing.approvers:
        session.out.talk(
            "this approval is on record and does not count: others than the author approve"
            if client.account == what.author
            else f"this approval is on record and does not count under the policy {what.policy}"
        )


def carry_out(
    session: Session, client: Client, message: Message, policy: str, *, approve: bool
) -> None:
    """Carry out a message that people have approved, or approve it."""
    subject = subject_of(message)
    if approve:
        session.send(client, Approve(policy, subject))
        session.out.record(describe_approvals(session, client, Approvable(policy, subject, b"")))
        return
    standing = approval_status(client, policy, subject)
    if standing.missing:
        raise RejectedError(
            "identity/not_approved",
            f"{standing.missing} more of {standing.threshold} have to approve it first",
            f"the same command with --approve, or: cairn org approve {policy} {subject.hex()}",
        )
    final = session.send(client, message)
    session.out.record({"subject": subject.hex(), "height": final.height, "status": "done"})


def describe_approvals(session: Session, reader: Reader, what: Approvable) -> dict[str, Any]:
    """Return who has approved something, as people read it; only whose approvals count."""
    names = session.names(reader)
    standing = approval_status(reader, what.policy, what.subject, author=what.author)
    return {
        "policy": what.policy,
        "subject": what.subject.hex(),
        "threshold": standing.threshold,
        "missing": standing.missing,
        "approved_by": [names.show(one) for one in standing.approvers],
        "spent": standing.spent,
        "acts": [
            f"{format_time(entry.time_ms)} {names.show(entry.record.approver)} "
            + ("approved" if entry.record.approved else "withdrew")
            for entry in standing.acts
        ],
    }
