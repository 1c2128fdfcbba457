"""What the messages about datasets do."""

from cairn.ledger.context import Context
from cairn.modules.data.api import check_dataset, check_quality, check_use
from cairn.modules.data.api import record_use as note_use
from cairn.modules.data.errors import (
    ConsentInPastError,
    ConsentNotFoundError,
    DatasetExistsError,
    NotOwnerError,
)
from cairn.modules.data.events import (
    DatasetRegistered,
    DatasetWithdrawn,
    QualityPolicySet,
    UseGranted,
    UseRevoked,
)
from cairn.modules.data.messages import (
    GrantUse,
    RecordUse,
    RegisterDataset,
    RevokeUse,
    SetQualityPolicy,
    WithdrawDataset,
)
from cairn.modules.data.records import (
    CHANGES,
    COMPLIANCE,
    CONSENT_ENTRIES,
    CONSENTS,
    DATA_OWNER,
    DATASETS,
    NAMES,
    QUALITY_POLICIES,
    QUALITY_POLICY_ENTRIES,
    Consent,
    ConsentEntry,
    Dataset,
    DatasetChange,
    DatasetName,
    QualityPolicy,
)
from cairn.modules.identity import api as identity
from cairn.primitives.encoding import replace


def register_dataset(ctx: Context, message: RegisterDataset) -> None:
    """Register a dataset for the sender's organisation."""
    sender = identity.check_role(ctx, DATA_OWNER)
    owner = sender.organisation
    if ctx.get(NAMES, owner, message.name, message.version) is not None:
        raise DatasetExistsError
    check_quality(ctx, owner, message.quality)
    dataset = ctx.new_id()
    row = Dataset(
        name=message.name,
        version=message.version,
        owner=owner,
        registered_by=ctx.sender,
        registered_ms=ctx.time_ms,
        format_version=message.format_version,
        row_root=message.row_root,
        row_count=message.row_count,
        schema_digest=message.schema_digest,
        file_commitment=message.file_commitment,
        size_bytes=message.size_bytes,
        licence=message.licence,
        synthetic=message.synthetic,
        salt_scheme=message.salt_scheme,
        quality=message.quality,
        withdrawn_ms=0,
    )
    ctx.put(DATASETS, row, dataset)
    ctx.put(NAMES, DatasetName(dataset), owner, message.name, message.version)
    ctx.append(CHANGES, DatasetChange("registered", dataset, ctx.sender))
    ctx.emit(DatasetRegistered(dataset, owner, message.name, message.version))


def set_quality_policy(ctx: Context, message: SetQualityPolicy) -> None:
    """Set how good the datasets of the sender's organisation must be; earlier ones stay."""
    organisation = identity.check_role(ctx, COMPLIANCE).organisation
    policy = QualityPolicy(
        required=message.required,
        missing_ppm_max=message.missing_ppm_max,
        type_errors_ppm_max=message.type_errors_ppm_max,
        junk_columns_ppm_max=message.junk_columns_ppm_max,
        duplicates_ppm_max=message.duplicates_ppm_max,
        near_duplicates_ppm_max=message.near_duplicates_ppm_max,
        outliers_ppm_max=message.outliers_ppm_max,
        leaks_max=message.leaks_max,
        set_by=ctx.sender,
        set_ms=ctx.time_ms,
    )
    ctx.put(QUALITY_POLICIES, policy, organisation)
    position = ctx.append(QUALITY_POLICY_ENTRIES, policy, organisation)
    ctx.emit(QualityPolicySet(organisation, position))


def withdraw_dataset(ctx: Context, message: WithdrawDataset) -> None:
    """Withdraw a dataset for good."""
    row = _check_own(ctx, message.dataset)
    ctx.put(DATASETS, replace(row, withdrawn_ms=ctx.time_ms), message.dataset)
    ctx.append(CHANGES, DatasetChange("withdrawn", message.dataset, ctx.sender))
    ctx.emit(DatasetWithdrawn(message.dataset))


def grant_use(ctx: Context, message: GrantUse) -> None:
    """Let an account use a dataset; an earlier consent for the purpose is replaced."""
    _check_own(ctx, message.dataset)
    identity.check_account(ctx, message.account)
    if message.until_ms <= ctx.time_ms:
        raise ConsentInPastError
    consent = Consent(ctx.sender, ctx.time_ms, message.until_ms, 0)
    ctx.put(CONSENTS, consent, message.dataset, message.account, message.purpose)
    entry = ConsentEntry(
        "granted", message.account, message.purpose, message.until_ms, ctx.sender, b""
    )
    ctx.append(CONSENT_ENTRIES, entry, message.dataset)
    ctx.emit(UseGranted(message.dataset, message.account, message.purpose, message.until_ms))


def revoke_use(ctx: Context, message: RevokeUse) -> None:
    """Take a consent back."""
    _check_own(ctx, message.dataset)
    key = (message.dataset, message.account, message.purpose)
    consent = ctx.get(CONSENTS, *key)
    if consent is None or consent.revoked_ms:
        raise ConsentNotFoundError
    ctx.put(CONSENTS, replace(consent, revoked_ms=ctx.time_ms), *key)
    entry = ConsentEntry("revoked", message.account, message.purpose, 0, ctx.sender, b"")
    ctx.append(CONSENT_ENTRIES, entry, message.dataset)
    ctx.emit(UseRevoked(message.dataset, message.account, message.purpose))


def record_use(ctx: Context, message: RecordUse) -> None:
    """Put a use by the sender on record."""
    identity.check_active(ctx)
    check_use(ctx, message.dataset, ctx.sender, message.purpose)
    note_use(ctx, message.dataset, ctx.sender, message.purpose, reference=message.reference)


def _check_own(ctx: Context, dataset: bytes) -> Dataset:
    """Return a dataset that stands and belongs to the sender's organisation."""
    sender = identity.check_role(ctx, DATA_OWNER)
    row = check_dataset(ctx, dataset)
    if row.owner != sender.organisation:
        raise NotOwnerError
    return row
