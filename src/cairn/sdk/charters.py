"""The charter of a home ledger: from people, roles and policies to what its founders sign."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cairn.evidence.trust import TrustedWitness
from cairn.ledger.charter import (
    CHARTER_VERSION,
    Charter,
    CharterValidator,
    SignedCharter,
    sign_charter,
)
from cairn.modules.bank.records import BankGenesis, FoundingAsset
from cairn.modules.identity.records import (
    ADMIN,
    GOVERNANCE,
    PERSON,
    RECOVERY,
    FoundingMember,
    FoundingOrganisation,
    FoundingPolicy,
    IdentityGenesis,
    Policy,
    organisation_id,
)
from cairn.primitives.encoding import Record, encode
from cairn.primitives.ids import is_name
from cairn.primitives.signatures import SigningKey
from cairn.sdk.errors import UsageError

DAY_MS = 86_400_000
TRUSTING_PERIOD_DAYS = 14
NAME_CHARACTERS_MAX = 17
_CHARTER_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who founds the ledger."""

    name: str
    roles: tuple[str, ...]
    kind: str = PERSON


DEFAULT_MEMBERS = (
    Member("dana", ("data-owner",)),
    Member("dirk", ("developer",)),
    Member("vera", ("admin", "validator")),
    Member("rita", ("risk",)),
    Member("carl", ("admin", "compliance")),
    Member("core", ("treasurer",), "service"),
)
"""Five people, and the core banking system, which issues value and operates customers' accounts."""

FIVE_ROLES = ("compliance", "data-owner", "developer", "risk", "validator")
DEFAULT_POLICIES = {
    "models": Policy(3, FIVE_ROLES, False, False),
    "rules": Policy(2, ("compliance", "risk", "validator"), False, False),
    GOVERNANCE: Policy(3, FIVE_ROLES, True, False),
    RECOVERY: Policy(2, FIVE_ROLES, True, False),
}
"""Who approves what: models three of five, rules two of three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a ledger is founded with."""

    name: str
    organisation: str
    members: tuple[Member, ...] = DEFAULT_MEMBERS
    policies: Mapping[str, Policy] = field(default_factory=lambda: dict(DEFAULT_POLICIES))
    purpose: str = ""
    assets: tuple[tuple[str, int], ...] = ()
    """Name and decimals of assets that the organisation issues from the beginning."""
    parameters: Mapping[str, int] = field(default_factory=dict)
    trusting_period_ms: int = TRUSTING_PERIOD_DAYS * DAY_MS
    witnesses: tuple[TrustedWitness, ...] = ()
    """Witnesses that the workspace's trust file names."""


def check_plan(plan: Plan) -> None:
    """Check what a charter needs, so that a mistake is told in the founder's words.

    Raises:
        UsageError: A name is none or stands twice, there is no administrator, or a policy asks for
            more people than there are.
    """
    if not _CHARTER_NAME.fullmatch(plan.name) or len(plan.name) > NAME_CHARACTERS_MAX:
        raise UsageError(
            f"{plan.name!r} is not a ledger's name",
            f"use up to {NAME_CHARACTERS_MAX} of a-z 0-9 - and begin with a letter or digit",
        )
    names = [plan.organisation, *(m.name for m in plan.members), *(a for a, _ in plan.assets)]
    names += [role for member in plan.members for role in member.roles]
    for name in names:
        if not is_name(name):
            raise UsageError(f"{name!r} is not a name", "use up to 64 of a-z 0-9 . _ -")
    people = [member.name for member in plan.members]
    if len(dict.fromkeys(people)) != len(people):
        raise UsageError(
            "a person is named twice", "give all of a person's roles at once: a,b=NAME"
        )
    if not any(ADMIN in member.roles for member in plan.members):
        raise UsageError("nobody has the role admin", "give it to somebody: admin,…=NAME")
    for name, policy in plan.policies.items():
        able = sum(any(role in policy.roles for role in m.roles) for m in plan.members)
        if policy.threshold > able:
            raise UsageError(
                f"the policy {name} asks for {policy.threshold} people, and {able} hold its roles",
                f"its roles are: {', '.join(policy.roles)}",
            )
    for name in (GOVERNANCE, RECOVERY):
        if name not in plan.policies:
            raise UsageError(f"the policy {name} is missing", f"give one: --policy {name}=2of3")


def sign_plan(
    plan: Plan,
    keys: Mapping[str, SigningKey],
    node_key: SigningKey,
    sections: Mapping[str, Record],
) -> SignedCharter:
    """Return the charter, signed by every person who founds the ledger.

    Args:
        plan: A plan that `check_plan` accepts.
        keys: Each member's key by name.
        node_key: The validator's key.
        sections: Sections of the charter beside identity's; bank's, if given, lists the assets.

    Raises:
        UsageError: No person founds the ledger.
    """
    members = tuple(
        FoundingMember(m.kind, m.name, tuple(sorted(m.roles)), (keys[m.name].public_key,))
        for m in plan.members
    )
    policies = tuple(FoundingPolicy(name, p) for name, p in sorted(plan.policies.items()))
    organisation = FoundingOrganisation(plan.organisation, (), members)
    genesis = {"identity": IdentityGenesis((organisation,), policies), **sections}
    if plan.assets and "bank" not in genesis:
        issuer = organisation_id(plan.organisation)
        assets = tuple(FoundingAsset(n, issuer, n.upper(), decimals) for n, decimals in plan.assets)
        genesis["bank"] = BankGenesis(assets, (), ())
    signers = [keys[m.name] for m in plan.members if m.kind == PERSON]
    if not signers:
        raise UsageError("no person founds the ledger", "name people: --person ROLE=NAME")
    charter = Charter(
        version=CHARTER_VERSION,
        name=plan.name,
        time_ms=time.time_ns() // 1_000_000,
        purpose=plan.purpose,
        validators=(CharterValidator("node", node_key.public_key, 1),),
        trusting_period_ms=plan.trusting_period_ms,
        founders=tuple(key.public_key for key in signers),
        parameters=tuple(sorted(plan.parameters.items())),
        sections=tuple((name, encode(section)) for name, section in sorted(genesis.items())),
    )
    return sign_charter(charter, signers)
