"""What other modules may ask of data: whether a dataset stands, who may use it, noting a use."""

from cairn.ledger.context import Context
from cairn.modules.data.errors import (
    DatasetNotFoundError,
    DatasetWithdrawnError,
    UseNotAllowedError,
)
from cairn.modules.data.events import UseRecorded
from cairn.modules.data.records import (
    CONSENT_ENTRIES,
    CONSENTS,
    DATASETS,
    Consent,
    ConsentEntry,
    Dataset,
)
from cairn.modules.identity import api as identity


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
