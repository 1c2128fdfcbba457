"""Refusals of the identity module."""

from cairn.ledger.errors import Rejection


class InvalidGenesisError(Rejection):
    """The charter's identity section is missing, names something twice or lacks a policy."""

    code = "identity/invalid_genesis"


class UnknownAccountError(Rejection):
    """No account has this id."""

    code = "identity/unknown_account"


class SuspendedError(Rejection):
    """The account, or its organisation, is suspended."""

    code = "identity/suspended"


class NotSuspendedError(Rejection):
    """Only a suspended account can be reinstated."""

    code = "identity/not_suspended"


class MissingRoleError(Rejection):
    """The sender does not hold the role that this message needs."""

    code = "identity/missing_role"


class WrongOrganisationError(Rejection):
    """The sender belongs to another organisation than the account."""

    code = "identity/wrong_organisation"


class NotAuthorisedError(Rejection):
    """The sender is not the account, and nobody lets it act for the account in this."""

    code = "identity/not_authorised"


class OwnAccountError(Rejection):
    """Nobody suspends themselves or gives up the role `admin`; no organisation holds it itself."""

    code = "identity/own_account"


class NameTakenError(Rejection):
    """The organisation, or the member of it, of this name exists already."""

    code = "identity/name_taken"


class RoleHeldError(Rejection):
    """The account holds the role already."""

    code = "identity/role_held"


class RoleNotHeldError(Rejection):
    """The account does not hold the role."""

    code = "identity/role_not_held"


class TooManyRolesError(Rejection):
    """The account holds as many roles as an account may."""

    code = "identity/too_many_roles"


class KeyTakenError(Rejection):
    """The key speaks, or once spoke, for an account; a key is registered once for ever."""

    code = "identity/key_taken"


class UnknownAccountKeyError(Rejection):
    """The key does not speak for the account, or no longer does."""

    code = "identity/unknown_key"


class TooManyKeysError(Rejection):
    """The account has as many keys as an account may."""

    code = "identity/too_many_keys"


class LastKeyError(Rejection):
    """The account's last key cannot be revoked: rotate it, or suspend the account."""

    code = "identity/last_key"


class DelegationPastError(Rejection):
    """The delegation would end before it begins."""

    code = "identity/delegation_past"


class UnknownDelegationError(Rejection):
    """There is no such delegation."""

    code = "identity/unknown_delegation"


class UnknownPolicyError(Rejection):
    """No policy has this name."""

    code = "identity/unknown_policy"


class AlreadyApprovedError(Rejection):
    """The sender's approval of this subject stands already."""

    code = "identity/already_approved"


class NotApprovedByError(Rejection):
    """The sender has no standing approval of this subject to withdraw."""

    code = "identity/no_approval"


class TooManyApprovalsError(Rejection):
    """The subject has as many standing approvals as it may, of this organisation or of all."""

    code = "identity/too_many_approvals"


class SpentApprovalError(Rejection):
    """The approvals of this subject were used up; propose it again under another name."""

    code = "identity/spent"


class NotApprovedError(Rejection):
    """Too few approvals that count stand for this subject under the policy."""

    code = "identity/not_approved"
