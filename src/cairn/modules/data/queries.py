"""Read-only questions about datasets and consents."""

from cairn.ledger.context import Context
from cairn.modules.data.records import (
    CHANGES,
    CONSENT_ENTRIES,
    CONSENTS,
    DATASETS,
    NAMES,
    QUALITY_POLICIES,
    QUALITY_POLICY_ENTRIES,
    Consent,
    ConsentEntry,
    Dataset,
    DatasetChange,
    QualityPolicy,
)

LIMIT_MAX = 1_000


def get_dataset(ctx: Context, dataset: bytes) -> Dataset | None:
    """Return a dataset, or None."""
    return ctx.get(DATASETS, dataset)


def find_dataset(ctx: Context, owner: bytes, name: str, version: int) -> bytes | None:
    """Return the id of the dataset that an organisation calls by a name and version, or None."""
    row = ctx.get(NAMES, owner, name, version)
    return None if row is None else row.dataset


def get_consent(ctx: Context, dataset: bytes, account: bytes, purpose: str) -> Consent | None:
    """Return the latest consent of an account for a purpose, revoked or not, or None."""
    return ctx.get(CONSENTS, dataset, account, purpose)


def list_changes(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, DatasetChange]]:
    """Return `(time, entry)` of registrations and withdrawals from position `start` on."""
    end = min(ctx.series_size(CHANGES), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(CHANGES, position) for position in range(start, end)]


def list_consents(
    ctx: Context, dataset: bytes, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, ConsentEntry]]:
    """Return `(time, entry)` of a dataset's grants, revocations and uses from `start` on."""
    end = min(ctx.series_size(CONSENT_ENTRIES, dataset), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(CONSENT_ENTRIES, place, dataset) for place in range(start, end)]


def get_quality_policy(ctx: Context, organisation: bytes) -> QualityPolicy | None:
    """Return how good the datasets of an organisation must be, or None."""
    return ctx.get(QUALITY_POLICIES, organisation)


def list_quality_policies(
    ctx: Context, organisation: bytes, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, QualityPolicy]]:
    """Return `(time, policy)` of every policy that an organisation set, from `start` on."""
    size = ctx.series_size(QUALITY_POLICY_ENTRIES, organisation)
    end = min(size, start + min(limit, LIMIT_MAX))
    return [
        ctx.series_get(QUALITY_POLICY_ENTRIES, place, organisation) for place in range(start, end)
    ]
