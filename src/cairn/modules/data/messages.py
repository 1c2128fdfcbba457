"""Commands about datasets and the consents to use them."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.messages import Message
from cairn.ledger.records import (
    AccountIdField,
    CountField,
    DigestField,
    NameField,
    ObjectIdField,
    ScoreField,
    TextField,
    TimeMsField,
)
from cairn.modules.data.records import Quality

VersionField = Annotated[int, Meta(ge=1, le=2**31)]
RowCountField = Annotated[int, Meta(ge=1, le=2**53)]
ReferenceField = Annotated[bytes, Meta(min_length=20, max_length=32)]


class RegisterDataset(Message, tag="data/register_dataset"):
    """Register what was committed of a dataset; it belongs to the sender's organisation."""

    name: NameField
    version: VersionField
    format_version: VersionField
    row_root: DigestField
    row_count: RowCountField
    schema_digest: DigestField
    file_commitment: DigestField
    size_bytes: CountField
    licence: TextField
    synthetic: bool
    salt_scheme: NameField
    quality: Quality | None = None
    """What its quality report found; whoever holds the file and the salt can compute it again."""


class SetQualityPolicy(Message, tag="data/set_quality_policy"):
    """Say how good the datasets of the sender's organisation must be from now on."""

    required: bool
    """Whether a dataset without quality figures is refused."""
    missing_ppm_max: ScoreField
    type_errors_ppm_max: ScoreField
    junk_columns_ppm_max: ScoreField
    duplicates_ppm_max: ScoreField
    near_duplicates_ppm_max: ScoreField
    outliers_ppm_max: ScoreField
    leaks_max: CountField | None
    """None lets through datasets whose leaks nobody looked for, too."""


class WithdrawDataset(Message, tag="data/withdraw_dataset"):
    """Let nobody use a dataset any more."""

    dataset: ObjectIdField


class GrantUse(Message, tag="data/grant_use"):
    """Let an account use a dataset for one purpose until some time; a later grant replaces it."""

    dataset: ObjectIdField
    account: AccountIdField
    purpose: NameField
    until_ms: TimeMsField


class RevokeUse(Message, tag="data/revoke_use"):
    """Take a consent back."""

    dataset: ObjectIdField
    account: AccountIdField
    purpose: NameField


class RecordUse(Message, tag="data/record_use"):
    """Put a use of a dataset on record."""

    dataset: ObjectIdField
    purpose: NameField
    reference: ReferenceField
    """Digest or id of what the dataset was used for."""
