"""Who stands behind a fact: accounts by name, keys that signed, approvals under a policy."""

from collections.abc import Sequence

from cairn.evidence.errors import ClaimError
from cairn.evidence.facts import VerifiedFacts, VerifiedTransaction
from cairn.evidence.words import list_words
from cairn.ledger.transactions import Body
from cairn.modules.identity.records import (
    ACCOUNTS,
    APPROVAL_SERIES,
    ORGANISATION,
    POLICIES,
    SPENT,
)
from cairn.primitives.did import did_key


def name_words(facts: VerifiedFacts, account: bytes) -> str:
    """Return the name of an account and its organisation's; names never change.

    Raises:
        ClaimError: The account is not shown.
    """
    row = facts.required_row(ACCOUNTS, account)
    if row.kind == ORGANISATION:
        return row.name
    home = facts.required_row(ACCOUNTS, row.organisation)
    return f"{row.name} ({home.name})"


def names_words(facts: VerifiedFacts, accounts: Sequence[bytes]) -> str:
    """Return the names of accounts, `nobody` for none."""
    return list_words([name_words(facts, account) for account in accounts])


def signer_words(facts: VerifiedFacts, transaction: VerifiedTransaction, body: Body) -> str:
    """Return who signed a transaction, and with which key."""
    return f"{name_words(facts, body.sender)} with {did_key(transaction.envelope.key)}"


def policy_words(facts: VerifiedFacts, policy: str) -> str:
    """Return what a policy asks for, as it stands at the proving header."""
    row = facts.required_row(POLICIES, policy)
    return f"{row.threshold} of those who are {' or '.join(row.roles)}"


def check_approvals(
    facts: VerifiedFacts, policy: str, subject: bytes, approvers: Sequence[bytes], *, height: int
) -> None:
    """Check that each of `approvers` approved a subject under a policy before it was carried out.

    The series of approvals of that subject under that policy is read in whole, so an approval that
    was taken back does not count; and the row of spent approvals says that they were used up at
    `height`.

    Raises:
        ClaimError: Somebody's approval is not there, was taken back, or was used up elsewhere.
    """
    spent = facts.required_row(SPENT, policy, subject)
    if spent.height != height:
        raise ClaimError(f"the approvals under {policy} were used up at height {spent.height}")
    standing: dict[bytes, bool] = {}
    for entry in facts.stretch(APPROVAL_SERIES, policy, subject).entries:
        if entry.record.height > height:
            raise ClaimError(f"an act of approval under {policy} came after the fact")
        standing[entry.record.approver] = entry.record.approved
    for approver in approvers:
        if not standing.get(approver, False):
            raise ClaimError(f"{approver.hex()} did not approve under {policy}")
    if not approvers:
        raise ClaimError(f"nobody approved under {policy}")
