"""Read-only questions about models, versions and deployments."""

from cairn.ledger.context import Context
from cairn.modules.models.records import (
    DEPLOYMENTS,
    NAMES,
    PROMOTIONS,
    SEALED,
    UPLOADS,
    VERSION_ENTRIES,
    VERSIONS,
    Deployment,
    ModelName,
    Promotion,
    SealedModel,
    Upload,
    Version,
    VersionEntry,
)

LIMIT_MAX = 1_000


def get_upload(ctx: Context, uploader: bytes, digest: bytes) -> Upload | None:
    """Return an open upload, or None."""
    return ctx.get(UPLOADS, uploader, digest)


def get_sealed(ctx: Context, digest: bytes) -> SealedModel | None:
    """Return what is known of a sealed model, or None."""
    return ctx.get(SEALED, digest)


def get_name(ctx: Context, name: str) -> ModelName | None:
    """Return who registers versions under a name and how many there are, or None."""
    return ctx.get(NAMES, name)


def get_version(ctx: Context, version: bytes) -> Version | None:
    """Return a version, or None."""
    return ctx.get(VERSIONS, version)


def get_deployment(ctx: Context, deployment: str) -> Deployment | None:
    """Return a deployment, or None; `change_count` goes into the next promotion's subject."""
    return ctx.get(DEPLOYMENTS, deployment)


def get_promotion_at(
    ctx: Context, deployment: str, *, height: int | None = None, time_ms: int | None = None
) -> Promotion | None:
    """Return the promotion under which a version was live at a height or time, or None.

    A change in the block at height h acts from h + 1 on, so it answers for heights above h, and for
    times after the time of h. Searching the series takes a few steps, whatever its length.
    """
    low, high = 0, ctx.series_size(PROMOTIONS, deployment)
    found: Promotion | None = None
    while low < high:
        middle = (low + high) // 2
        changed_ms, promotion = ctx.series_get(PROMOTIONS, middle, deployment)
        is_before = (height is None or promotion.height < height) and (
            time_ms is None or changed_ms < time_ms
        )
        if is_before:
            low, found = middle + 1, promotion
        else:
            high = middle
    return found


def list_promotions(
    ctx: Context, deployment: str, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, Promotion]]:
    """Return `(time, entry)` of a deployment's changes from position `start` on."""
    end = min(ctx.series_size(PROMOTIONS, deployment), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(PROMOTIONS, position, deployment) for position in range(start, end)]


def list_versions(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, VersionEntry]]:
    """Return `(time, entry)` of registrations and retirements from position `start` on."""
    end = min(ctx.series_size(VERSION_ENTRIES), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(VERSION_ENTRIES, position) for position in range(start, end)]
