"""Facts that the identity module records in receipts."""

from cairn.ledger.messages import Event
from cairn.modules.identity.records import Policy


class AccountRegistered(Event, tag="identity/account_registered"):
    """An account exists and its keys speak from the next height on."""

    account: bytes
    kind: str
    organisation: bytes
    name: str
    roles: tuple[str, ...]
    keys: tuple[bytes, ...]


class OrganisationRegistered(Event, tag="identity/organisation_registered"):
    """An organisation was taken in."""

    account: bytes
    name: str
    admin: bytes
    approvers: tuple[bytes, ...]


class RoleGranted(Event, tag="identity/role_granted"):
    """An account holds a role from this operation on."""

    account: bytes
    role: str
    by: bytes


class RoleRevoked(Event, tag="identity/role_revoked"):
    """An account no longer holds a role."""

    account: bytes
    role: str
    by: bytes


class KeyAdded(Event, tag="identity/key_added"):
    """A key speaks for an account from `from_height` on."""

    account: bytes
    key: bytes
    from_height: int


class KeyRevoked(Event, tag="identity/key_revoked"):
    """A key does not speak for an account from `until_height` on."""

    account: bytes
    key: bytes
    until_height: int


class AccountRecovered(Event, tag="identity/account_recovered"):
    """All keys of an account were replaced; a `KeyRevoked` or `KeyAdded` names each."""

    account: bytes
    approvers: tuple[bytes, ...]


class AccountSuspended(Event, tag="identity/account_suspended"):
    """No key speaks for the account from the next height on."""

    account: bytes
    by: bytes
    approvers: tuple[bytes, ...]


class AccountReinstated(Event, tag="identity/account_reinstated"):
    """The account's keys speak again from the next height on."""

    account: bytes
    by: bytes
    approvers: tuple[bytes, ...]


class Delegated(Event, tag="identity/delegated"):
    """An account may act for another one."""

    account: bytes
    delegate: bytes
    scope: tuple[str, ...]
    until_height: int


class DelegationEnded(Event, tag="identity/delegation_ended"):
    """A delegation was ended."""

    account: bytes
    delegate: bytes


class PolicySet(Event, tag="identity/policy_set"):
    """A policy holds from this operation on."""

    name: str
    policy: Policy
    approvers: tuple[bytes, ...]


class ParameterSet(Event, tag="identity/parameter_set"):
    """A protocol parameter has a value from this operation on."""

    name: str
    value: int
    approvers: tuple[bytes, ...]


class SubjectApproved(Event, tag="identity/subject_approved"):
    """An account approves a subject under a policy."""

    policy: str
    subject: bytes
    approver: bytes


class ApprovalWithdrawn(Event, tag="identity/approval_withdrawn"):
    """An account took its approval back."""

    policy: str
    subject: bytes
    approver: bytes
