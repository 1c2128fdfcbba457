"""What other modules may ask of data: whether a dataset stands, who may use it, noting a use."""

from cairn.ledger.context import Context
from cairn.modules.data.errors import (
    DatasetNotFoundError,
    DatasetWithdrawnError,
    QualityRefusedError,
    QualityRequiredError,
    UseNotAllowedError,
)
from cairn.modules.data.events import UseRecorded
from cairn.modules.data.records import (
    CONSENT_ENTRIES,
    CONSENTS,
    DATASETS,
    QUALITY_POLICIES,
    Consent,
    ConsentEntry,
    Dataset,
    Quality,
    QualityPolicy,
)
from cairn.modules.identity import api as identity

QUALITY_FIGURES = (
    "missing_ppm",
    "type_errors_ppm",
    "junk_columns_ppm",
    "duplicates_ppm",
    "near_duplicates_ppm",
    "outliers_ppm",
    "leaks",
)
"""Fields of `Quality`, in the order in which a policy looks at them; its bound is `FIELD_max`."""


def broken_bounds(
    policy: QualityPolicy, quality: Quality
) -> tuple[tuple[str, int | None, int], ...]:
    """Return (figure, stated, most that is let through) of each figure that is too bad.

    Leaks that nobody looked for are too bad wherever the policy bounds them.
    """
    found = []
    for name in QUALITY_FIGURES:
        stated, bound = getattr(quality, name), getattr(policy, f"{name}_max")
        if bound is not None and (stated is None or stated > bound):
            found.append((name, stated, bound))
    return tuple(found)


def check_quality(ctx: Context, organisation: bytes, quality: Quality | None) -> None:
    """Check the figures of a dataset against the policy of its organisation, if it has one.

    Raises:
        QualityRequiredError: There are none, and the policy asks for them.
        QualityRefusedError: One is worse than the policy lets through.
    """
    policy = ctx.get(QUALITY_POLICIES, organisation)
    if policy is None:
        return
    if quality is None:
        if policy.required:
            raise QualityRequiredError
    elif broken_bounds(policy, quality):
        raise QualityRefusedError


def check_dataset(ctx: Context, dataset: bytes) -> Dataset:
    """Return a dataset that may be used.

    Raises:
        DatasetNotFoundError: There is none of this id.
        DatasetWithdrawnError: It was withdrawn.
    """
    found = ctx.get(DATASETS, dataset)
    if found is None:
        raise DatasetNotFoundError
    if found.withdrawn_ms:
        raise DatasetWithdrawnError
    return found


def check_use(ctx: Context, dataset: bytes, account: bytes, purpose: str) -> Dataset:
    """Return a dataset that an account may use for a purpose.

    People of the owning organisation may always; others need a consent that stands.

    Raises:
        DatasetNotFoundError: There is none of this id.
        DatasetWithdrawnError: It was withdrawn.
        UseNotAllowedError: The account has no consent, or it ended or was revoked.
    """
    found = check_dataset(ctx, dataset)
    if identity.organisation_of(ctx, account) != found.owner:
        consent = ctx.get(CONSENTS, dataset, account, purpose)
        if consent is None or consent.revoked_ms or ctx.time_ms >= consent.until_ms:
            raise UseNotAllowedError
    return found


def record_use(
    ctx: Context, dataset: bytes, account: bytes, purpose: str, *, reference: bytes
) -> None:
    """Note that an account, which `check_use` allowed it, used a dataset."""
    consent: Consent | None = ctx.get(CONSENTS, dataset, account, purpose)
    until_ms = 0 if consent is None else consent.until_ms
    entry = ConsentEntry("used", account, purpose, until_ms, ctx.sender, reference)
    ctx.append(CONSENT_ENTRIES, entry, dataset)
    ctx.emit(UseRecorded(dataset, account, purpose, reference))
