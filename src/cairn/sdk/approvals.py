"""Approvals: what people approve, who has, and how many are missing."""

from dataclasses import dataclass

from cairn.evidence.facts import Entry
from cairn.modules.identity.records import (
    ACCOUNTS,
    ACTIVE,
    APPROVAL_SERIES,
    APPROVALS,
    POLICIES,
    SPENT,
    ApprovalEntry,
)
from cairn.modules.models.records import DEPLOYMENTS, VERSIONS, promotion_subject
from cairn.modules.rules.records import (
    ACTIVATION,
    NAMES,
    RULES,
    RuleName,
    StoredRule,
    activation_subject,
    rule_digest,
    shadow_subject,
)
from cairn.sdk.errors import NotFoundError
from cairn.sdk.reading import Reader


@dataclass(frozen=True, slots=True)
class Approvable:
    """Something that people approve: under which policy, as which subject, and by whom it is."""

    policy: str
    subject: bytes
    author: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subject stands under its policy."""

    threshold: int
    approvers: tuple[bytes, ...]
    """Whose approvals stand and count, the author's left out where it does not."""
    missing: int
    spent: bool
    """Whether the approvals were used up."""
    acts: tuple[Entry[ApprovalEntry], ...]
    """Every approval and withdrawal, in order."""


def promotion_of(reader: Reader, deployment: str, version: bytes) -> Approvable:
    """Return what people approve so that a version may go live.

    Raises:
        NotFoundError: There is no such deployment or version.
    """
    row = reader.get(DEPLOYMENTS, deployment)
    if row is None:
        raise NotFoundError(
            f"there is no deployment {deployment!r}", "make it with `cairn model deploy`"
        )
    author = reader.require(VERSIONS, version).registered_by
    subject = promotion_subject(deployment, version, row.change_count)
    return Approvable(row.policy, subject, author)


def activation_of(reader: Reader, rule: str, version: int = 0) -> tuple[int, Approvable]:
    """Return a version of a rule, the newest for 0, and what people approve so that it may act.

    Raises:
        NotFoundError: There is no such rule or version.
    """
    number, name, stored = _version_of(reader, rule, version)
    subject = activation_subject(rule, number, rule_digest(stored.raw), name.activation_count)
    return number, Approvable(ACTIVATION, subject, stored.submitted_by)


def shadow_of(reader: Reader, rule: str, version: int = 0) -> tuple[int, Approvable]:
    """Return a version of a rule, the newest for 0, and what people approve so that it may watch.

    Raises:
        NotFoundError: There is no such rule or version.
    """
    number, name, stored = _version_of(reader, rule, version)
    subject = shadow_subject(rule, number, rule_digest(stored.raw), name.shadow_count)
    return number, Approvable(ACTIVATION, subject, stored.submitted_by)


def _version_of(reader: Reader, rule: str, version: int) -> tuple[int, RuleName, StoredRule]:
    name = reader.get(NAMES, rule)
    number = version or (0 if name is None else name.version_count)
    stored = reader.get(RULES, rule, number)
    if name is None or stored is None:
        raise NotFoundError(
            f"there is no rule {rule!r}" + (f" version {version}" if version else ""),
            "`cairn rule list` shows the rules",
        )
    return number, name, stored


def approval_status(
    reader: Reader, policy: str, subject: bytes, *, author: bytes = b""
) -> Standing:
    """Return who has approved a subject under a policy, and how many are missing.

    Raises:
        NotFoundError: There is no such policy.
    """
    row = reader.get(POLICIES, policy)
    if row is None:
        raise NotFoundError(f"there is no policy {policy!r}", "see `cairn org policy show`")
    counted: list[bytes] = []
    organisations: list[bytes] = []
    for standing in reader.scan(APPROVALS, policy, subject):
        approver = standing.key[2]
        account = reader.get(ACCOUNTS, approver)
        counts = (
            account is not None
            and account.status == ACTIVE
            and any(role in row.roles for role in account.roles)
            and (row.author_counts or approver != author)
            and not (row.distinct_organisations and standing.record.organisation in organisations)
        )
        if counts:
            counted.append(approver)
            organisations.append(standing.record.organisation)
    return Standing(
        row.threshold,
        tuple(counted),
        max(0, row.threshold - len(counted)),
        reader.get(SPENT, policy, subject) is not None,
        tuple(reader.series(APPROVAL_SERIES, policy, subject)),
    )
