"""Commands of the identity module."""

from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from cairn.ledger.errors import InvalidMessageError
from cairn.ledger.messages import Message
from cairn.ledger.records import (
    AccountIdField,
    DigestField,
    HeightField,
    NameField,
    PublicKeyField,
)
from cairn.modules.identity.records import (
    SCOPE_MAX,
    KeysField,
    KindField,
    Policy,
    RolesField,
    TagField,
)
from cairn.primitives.encoding import encode
from cairn.primitives.errors import InvalidKeyError
from cairn.primitives.hashes import Digest, tagged_hash
from cairn.primitives.signatures import check_public_key

ScopeField = Annotated[tuple[TagField, ...], Meta(min_length=1, max_length=SCOPE_MAX)]

_OWN_TAGS = "identity/"


class RegisterAccount(Message, tag="identity/register_account"):
    """Register a person, device or service of the sender's organisation."""

    kind: KindField
    name: NameField
    roles: RolesField
    keys: KeysField

    def validate(self) -> None:
        """Check that the roles are in order and the keys fit to be registered."""
        check_sorted(self.roles)
        check_keys(self.keys)


class RegisterOrganisation(Message, tag="identity/register_organisation"):
    """Take in an organisation with its first administrator; approved under `governance`."""

    name: NameField
    admin_name: NameField
    admin_keys: KeysField
    proposal: NameField
    """Names the proposal, so that approvals are for this one alone."""

    def validate(self) -> None:
        """Check that the keys are fit to be registered."""
        check_keys(self.admin_keys)


class GrantRole(Message, tag="identity/grant_role"):
    """Give a role to a member of the sender's organisation."""

    account: AccountIdField
    role: NameField


class RevokeRole(Message, tag="identity/revoke_role"):
    """Take a role from a member of the sender's organisation."""

    account: AccountIdField
    role: NameField


class AddKey(Message, tag="identity/add_key"):
    """Let another key speak for an account from the next height on."""

    account: AccountIdField
    key: PublicKeyField

    def validate(self) -> None:
        """Check that the key is fit to be registered."""
        check_keys((self.key,))


class RotateKey(Message, tag="identity/rotate_key"):
    """Replace a key of an account from the next height on."""

    account: AccountIdField
    old_key: PublicKeyField
    new_key: PublicKeyField

    def validate(self) -> None:
        """Check that the new key is fit to be registered."""
        check_keys((self.new_key,))


class RevokeKey(Message, tag="identity/revoke_key"):
    """Let a key no longer speak for an account from the next height on."""

    account: AccountIdField
    key: PublicKeyField


class Recover(Message, tag="identity/recover"):
    """Replace all keys of an account whose keys are lost; approved under `recovery`."""

    account: AccountIdField
    keys: KeysField
    proposal: NameField

    def validate(self) -> None:
        """Check that the keys are fit to be registered."""
        check_keys(self.keys)


class Suspend(Message, tag="identity/suspend"):
    """Silence an account from the next height on; an organisation, under `governance`."""

    account: AccountIdField
    proposal: NameField | None
    """Names the proposal where an organisation is suspended."""


class Reinstate(Message, tag="identity/reinstate"):
    """Let a suspended account speak again; an organisation, under `governance`."""

    account: AccountIdField
    proposal: NameField | None


class Delegate(Message, tag="identity/delegate"):
    """Let another account act for this one in messages of the tags in `scope`."""

    account: AccountIdField
    delegate: AccountIdField
    scope: ScopeField
    until_height: HeightField

    def validate(self) -> None:
        """Check that the scope is in order and leaves identity itself out."""
        check_sorted(self.scope)
        if any(tag.startswith(_OWN_TAGS) for tag in self.scope):
            raise InvalidMessageError("messages of identity cannot be delegated")
        if self.account == self.delegate:
            raise InvalidMessageError("an account cannot delegate to itself")


class EndDelegation(Message, tag="identity/end_delegation"):
    """End a delegation before its last height; either side may."""

    account: AccountIdField
    delegate: AccountIdField


class SetPolicy(Message, tag="identity/set_policy"):
    """Found or change a policy; approved under `governance` as it stands before."""

    name: NameField
    policy: Policy
    proposal: NameField

    def validate(self) -> None:
        """Check that the policy's roles are in order."""
        check_sorted(self.policy.roles)
        if not self.policy.roles:
            raise InvalidMessageError("a policy needs a role that counts")


class SetParameter(Message, tag="identity/set_parameter"):
    """Set a protocol parameter of any module; approved under `governance`."""

    name: NameField
    value: int
    proposal: NameField


class Approve(Message, tag="identity/approve"):
    """Approve a subject under a policy."""

    policy: NameField
    subject: DigestField


class WithdrawApproval(Message, tag="identity/withdraw_approval"):
    """Take one's own approval back, as long as it was not used up."""

    policy: NameField
    subject: DigestField


def subject_of(message: Message) -> Digest:
    """Return the subject that people approve so that `message` may be carried out."""
    return tagged_hash(b"cairn/subject", encode(message))


def check_sorted(names: tuple[str, ...]) -> None:
    """Check that names are sorted, each once, so that a set has one spelling."""
    if any(left >= right for left, right in pairwise(names)):
        raise InvalidMessageError("names must be sorted, each once")


def check_keys(keys: tuple[bytes, ...]) -> None:
    """Check that there is a key, none twice, and that all are fit to be registered."""
    if not keys or len(dict.fromkeys(keys)) != len(keys):
        raise InvalidMessageError("at least one key, none twice")
    for key in keys:
        try:
            check_public_key(key)
        except InvalidKeyError as error:
            raise InvalidMessageError(str(error)) from error
