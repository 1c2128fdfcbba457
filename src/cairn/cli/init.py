"""`cairn init`: a new workspace with keys, a signed charter and a founded ledger."""

import re
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from cairn.cli.session import Session, command
from cairn.modules.identity.records import GOVERNANCE, PERSON, Policy
from cairn.sdk.charters import DAY_MS, DEFAULT_MEMBERS, DEFAULT_POLICIES, FIVE_ROLES, Member, Plan
from cairn.sdk.errors import UsageError

_SHARE = re.compile(r"([0-9]{1,2})of([0-9]{1,3})(?::(.+))?", re.ASCII)

DirectoryArgument = Annotated[Path, Argument(metavar="DIR", help="A new or empty directory.")]
NameOption = Annotated[str, Option(help="Name of the ledger; else the directory's.")]
OrganisationOption = Annotated[str, Option(help="Name of the organisation; else the ledger's.")]
PersonOption = Annotated[
    list[str],
    Option("--person", metavar="ROLE[,ROLE]=NAME", help="A person; replaces the usual five."),
]
ServiceOption = Annotated[
    list[str], Option("--service", metavar="ROLE[,ROLE]=NAME", help="A service.")
]
PolicyOption = Annotated[
    list[str],
    Option(
        "--policy", metavar="NAME=NofM[:ROLE,…]", help="Who approves what, such as models=3of5."
    ),
]
ApprovalsOption = Annotated[
    int,
    Option(
        min=0,
        max=99,
        help="How many people beside its author approve a model or a rule; else 3 and 2.",
    ),
]
AssetOption = Annotated[
    list[str], Option("--asset", metavar="NAME[=DECIMALS]", help="An asset to issue.")
]
ParameterOption = Annotated[
    list[str], Option("--parameter", metavar="NAME=VALUE", help="A protocol parameter.")
]
PurposeOption = Annotated[str, Option(help="What the ledger is for, in words.")]
DaysOption = Annotated[
    int, Option("--trusting-period-days", min=1, max=3650, help="How long a header is trusted.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "init")(init)


def init(
    session: Session,
    directory: DirectoryArgument,
    name: NameOption = "",
    organisation: OrganisationOption = "",
    person: PersonOption = [],  # noqa: B006 - typer copies it
    service: ServiceOption = [],  # noqa: B006 - typer copies it
    policy: PolicyOption = [],  # noqa: B006 - typer copies it
    approvals: ApprovalsOption = 0,
    asset: AssetOption = [],  # noqa: B006 - typer copies it
    parameter: ParameterOption = [],  # noqa: B006 - typer copies it
    purpose: PurposeOption = "",
    trusting_period_days: DaysOption = 14,
) -> None:
    """Make a workspace: new keys, a signed charter, and a ledger that begins from it."""
    from cairn.sdk.founding import found_workspace  # brings the node with it

    ledger = name or directory.absolute().name
    members = tuple(_member(text, PERSON) for text in person)
    members = members or tuple(m for m in DEFAULT_MEMBERS if m.kind == PERSON)
    services = tuple(_member(text, "service") for text in service)
    if not service and not person:
        services = tuple(m for m in DEFAULT_MEMBERS if m.kind != PERSON)
    everybody = members + services
    plan = Plan(
        name=ledger,
        organisation=organisation or ledger,
        members=everybody,
        policies=_policies(policy, [m.roles for m in everybody], approvals),
        purpose=purpose,
        assets=tuple(_asset(text) for text in asset),
        parameters=dict(_parameter(text) for text in parameter),
        trusting_period_ms=trusting_period_days * DAY_MS,
    )
    workspace = found_workspace(directory, plan, session.passphrase(confirm=True))
    session.out.record(
        {
            "directory": str(workspace.directory),
            "chain_id": workspace.chain_id,
            "organisation": plan.organisation,
            "members": {m.name: ",".join(m.roles) for m in everybody},
            "policies": {
                name: f"{p.threshold} of {','.join(p.roles)}" for name, p in plan.policies.items()
            },
            "trust": str(workspace.directory / "trust.json"),
        }
    )
    session.out.talk("give trust.json to whoever is to verify what this ledger proves")


def _member(text: str, kind: str) -> Member:
    roles, _, name = text.rpartition("=")
    if not roles or not name:
        raise UsageError(f"{text!r} does not say who holds which role", "write risk=rita")
    return Member(name, tuple(sorted(dict.fromkeys(roles.split(",")))), kind)


def _policies(texts: list[str], held: list[tuple[str, ...]], approvals: int) -> dict[str, Policy]:
    """Return the founding policies: the usual ones as far as there are people, and those given.

    Args:
        texts: Those given.
        held: The roles of each person.
        approvals: How many approve a model and a rule; 0 for as many as usual.
    """
    policies = {}
    for name, policy in DEFAULT_POLICIES.items():
        able = _able(policy.roles, held)
        if not able:
            policy = Policy(1, ("admin",), True, False)
            able = _able(policy.roles, held)
        author_counts = policy.author_counts or able == 1
        asked = approvals if approvals and name in ("models", "rules") else policy.threshold
        threshold = max(1, min(asked, able - (not author_counts)))
        policies[name] = Policy(threshold, policy.roles, author_counts, False)
    for text in texts:
        name, _, share = text.partition("=")
        policies[name] = _policy(name, share, policies.get(name), held)
    return policies


def _policy(name: str, share: str, before: Policy | None, held: list[tuple[str, ...]]) -> Policy:
    match = _SHARE.fullmatch(share)
    if not name or match is None:
        raise UsageError(
            f"{name}={share} is not a policy", "write models=3of5 or models=2of3:risk,…"
        )
    usual = before.roles if before else FIVE_ROLES
    roles = tuple(sorted(dict.fromkeys(match[3].split(",")))) if match[3] else usual
    able = _able(roles, held)
    if able != int(match[2]):
        raise UsageError(
            f"{name}={share}: {able} people hold {', '.join(roles)}, not {match[2]}",
            f"write {name}={match[1]}of{able}, or name other roles after a colon",
        )
    author_counts = before.author_counts if before else name == GOVERNANCE
    return Policy(int(match[1]), roles, author_counts, False)


def _able(roles: tuple[str, ...], held: list[tuple[str, ...]]) -> int:
    """Return how many people hold one of `roles`."""
    return sum(any(role in roles for role in one) for one in held)


def _asset(text: str) -> tuple[str, int]:
    name, _, decimals = text.partition("=")
    if not (decimals or "2").isdigit() or int(decimals or "2") > 18:
        raise UsageError(f"{text!r} is not an asset", "write eur=2 with up to 18 decimals")
    return name, int(decimals or "2")


def _parameter(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    try:
        return name, int(value)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a parameter", "write bank.hold_ms_max=86400000"
        ) from error
