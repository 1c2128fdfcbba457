"""Rows of the identity module: accounts, keys, delegations, policies and approvals."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.records import (
    AccountIdField,
    DigestField,
    HeightField,
    NameField,
    PublicKeyField,
    Series,
    Table,
)
from cairn.primitives.encoding import Record
from cairn.primitives.ids import AccountId, derive_id

ORGANISATION = "organisation"
PERSON = "person"
DEVICE = "device"
SERVICE = "service"
KINDS = (PERSON, DEVICE, SERVICE)
"""Kinds of members; an organisation is an account too, but nobody's member."""

ACTIVE = "active"
SUSPENDED = "suspended"

ADMIN = "admin"
"""Role that registers members of its organisation, grants roles and suspends."""
AGENT = "agent"
"""Role that acts for its organisation's own account in everything but identity."""

GOVERNANCE = "governance"
"""Policy under which organisations, policies and parameters change."""
RECOVERY = "recovery"
"""Policy under which lost keys are replaced."""

MEMBER_KEYS_MAX = 16
"""Most keys that speak for one account at a time."""
ROLES_MAX = 32
"""Most roles of one account, and of one policy."""
SCOPE_MAX = 32
"""Most message tags in one delegation."""
THRESHOLD_MAX = 32
APPROVERS_MAX = 64
"""Most standing approvals of one subject under one policy."""
ORGANISATION_APPROVERS_MAX = 4
"""The same of one organisation, instead, where each organisation counts once at most: so that none
can fill up what the others are to approve."""

TagField = Annotated[str, Meta(max_length=80, pattern=r"^[a-z][a-z0-9_]*/[a-z][a-z0-9_]*\Z")]
"""A message's tag, such as `bank/transfer`."""
KindField = Annotated[str, Meta(pattern=r"^(person|device|service)\Z")]
RolesField = Annotated[tuple[NameField, ...], Meta(max_length=ROLES_MAX)]
"""Roles, sorted, each once."""
KeysField = Annotated[tuple[PublicKeyField, ...], Meta(max_length=MEMBER_KEYS_MAX)]
ThresholdField = Annotated[int, Meta(ge=1, le=THRESHOLD_MAX)]


class Account(Record):
    """Who acts: an organisation, or a person, device or service of one. Never deleted."""

    kind: str
    organisation: AccountIdField
    """The organisation that the account belongs to; an organisation's own id for itself."""
    name: NameField
    """Unique within the organisation."""
    roles: RolesField
    status: str
    """`active` or `suspended`."""


class Key(Record):
    """The one account that a key ever speaks for, and from when to when. Never deleted."""

    account: AccountIdField
    from_height: HeightField
    until_height: int | None
    """First height at which the key no longer speaks; None while it does."""


class OpenKeys(Record):
    """The keys of an account whose interval is open, oldest first."""

    keys: KeysField


class Delegation(Record):
    """What one account lets another do in its name."""

    scope: tuple[TagField, ...]
    """Tags of the messages, sorted, each once."""
    until_height: HeightField
    """Last height at which the delegation holds."""


class Policy(Record):
    """Who has to approve a subject: `threshold` accounts that hold one of `roles`."""

    threshold: ThresholdField
    roles: RolesField
    author_counts: bool
    """Whether the author of the subject may be one of the approvers."""
    distinct_organisations: bool
    """Whether each organisation counts once at most."""


class Approval(Record):
    """A standing approval; the row's key names policy, subject and approver."""

    organisation: AccountIdField
    height: HeightField


class ApprovalEntry(Record):
    """One act on a subject under a policy: an approval, or the withdrawal of one."""

    approver: AccountIdField
    organisation: AccountIdField
    approved: bool
    height: HeightField


class Spent(Record):
    """A subject whose approvals were used up by the operation that they allowed."""

    transaction_id: DigestField
    height: HeightField


class FoundingMember(Record):
    """A first member of an organisation, as the charter lists it."""

    kind: KindField
    name: NameField
    roles: RolesField
    keys: KeysField


class FoundingOrganisation(Record):
    """An organisation that founds the ledger."""

    name: NameField
    keys: KeysField
    """Keys of the organisation's own account; it may have none and act through its agents."""
    members: tuple[FoundingMember, ...]


class FoundingPolicy(Record):
    """A policy that holds from the first block on."""

    name: NameField
    policy: Policy


class IdentityGenesis(Record):
    """The charter's section `identity`."""

    organisations: tuple[FoundingOrganisation, ...]
    policies: tuple[FoundingPolicy, ...]


ACCOUNTS: Table[Account] = Table("identity", "account", (bytes,), Account)
KEYS: Table[Key] = Table("identity", "key", (bytes,), Key)
OPEN_KEYS: Table[OpenKeys] = Table("identity", "open_keys", (bytes,), OpenKeys)
DELEGATIONS: Table[Delegation] = Table("identity", "delegation", (bytes, bytes), Delegation)
POLICIES: Table[Policy] = Table("identity", "policy", (str,), Policy)
APPROVALS: Table[Approval] = Table(
    "identity", "approval", (str, bytes, bytes), Approval, ordered=True
)
SPENT: Table[Spent] = Table("identity", "spent", (str, bytes), Spent)
APPROVAL_SERIES: Series[ApprovalEntry] = Series(
    "identity", "approvals", (str, bytes), ApprovalEntry
)


def organisation_id(name: str) -> AccountId:
    """Return the permanent account id of the organisation called `name`."""
    return AccountId(derive_id(b"cairn/organisation", name.encode()))


def member_id(organisation: bytes, name: str) -> AccountId:
    """Return the permanent account id of the member called `name` of an organisation."""
    return AccountId(derive_id(b"cairn/member", organisation, name.encode()))
