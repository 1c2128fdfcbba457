"""Rows and series of the datasets and of the consents to use them."""

from typing import Literal

from cairn.ledger.records import CountField, DigestField, NameField, ScoreField, Series, Table
from cairn.primitives.encoding import Record

DATA_OWNER = "data-owner"
"""Role that registers and withdraws an organisation's datasets, and says who may use them."""

COMPLIANCE = "compliance"
"""Role that says how good an organisation's datasets must be."""


class Quality(Record):
    """What a quality report found, as the registration states it; the report stays with the file.

    Shares are parts per million, rounded up, so that none is 0 while there is something to report.
    """

    method: NameField
    """Name and version of how the figures are computed, such as `cairn-quality-1`."""
    report_commitment: DigestField
    """Salted commitment to the report; forgetting a subject destroys its salt with the file's."""
    missing_ppm: ScoreField
    """Cells without a value, of all cells."""
    type_errors_ppm: ScoreField
    """Cells that are no value of their column's kind, of all cells."""
    junk_columns_ppm: ScoreField
    """Columns that are constant or almost empty, of all columns."""
    duplicates_ppm: ScoreField
    """Rows that repeat an earlier one, of all rows."""
    near_duplicates_ppm: ScoreField
    """Other rows that repeat an earlier one after case folding and rounding, of all rows."""
    outliers_ppm: ScoreField
    """Cells far from their column's median, of all numeric cells."""
    leaks: CountField | None
    """Columns that give the label away; None if no label was named, so that nobody looked."""


class QualityPolicy(Record):
    """How good an organisation's datasets must be; the largest figures that are let through."""

    required: bool
    """Whether a dataset without figures is refused."""
    missing_ppm_max: int
    type_errors_ppm_max: int
    junk_columns_ppm_max: int
    duplicates_ppm_max: int
    near_duplicates_ppm_max: int
    outliers_ppm_max: int
    leaks_max: int | None
    """None lets through what nobody looked at, too."""
    set_by: bytes
    set_ms: int


class Dataset(Record):
    """A committed dataset; everything but `withdrawn_ms` stays as registered."""

    name: str
    version: int
    owner: bytes
    """Organisation whose data it is."""
    registered_by: bytes
    registered_ms: int
    format_version: int
    """Version of the row format; with the next four fields what the dataset's digest covers."""
    row_root: bytes
    """RFC 6962 root over the salted row commitments."""
    row_count: int
    schema_digest: bytes
    file_commitment: bytes
    """Salted commitment to the bytes of the file."""
    size_bytes: int
    licence: str
    synthetic: bool
    salt_scheme: str
    """How the salts are derived, and so how they can be destroyed."""
    quality: Quality | None
    """What its quality report found; None if it was registered without one."""
    withdrawn_ms: int
    """Block time of the withdrawal, 0 while the dataset stands."""


class DatasetName(Record):
    """Which dataset an organisation calls by a name and version."""

    dataset: bytes


class Consent(Record):
    """Leave of one account to use a dataset for one purpose."""

    granted_by: bytes
    granted_ms: int
    until_ms: int
    """The use must happen before this block time."""
    revoked_ms: int
    """Block time of the revocation, 0 while the consent stands."""


class DatasetChange(Record):
    """Entry of `data/changes`: a dataset came or was withdrawn."""

    action: Literal["registered", "withdrawn"]
    dataset: bytes
    by: bytes


class ConsentEntry(Record):
    """Entry of `data/consents`: a consent was given, taken back or made use of."""

    action: Literal["granted", "revoked", "used"]
    account: bytes
    """Who may use, or used, the dataset."""
    purpose: str
    until_ms: int
    """End of the consent; 0 for a revocation and for a use by the owner's own people."""
    by: bytes
    reference: bytes
    """What the use was: a digest or the id of a run; empty for a grant or revocation."""


DATASETS: Table[Dataset] = Table("data", "dataset", (bytes,), Dataset)
NAMES: Table[DatasetName] = Table("data", "name", (bytes, str, int), DatasetName)
CONSENTS: Table[Consent] = Table("data", "consent", (bytes, bytes, str), Consent)
QUALITY_POLICIES: Table[QualityPolicy] = Table("data", "quality_policy", (bytes,), QualityPolicy)

CHANGES: Series[DatasetChange] = Series("data", "changes", (), DatasetChange)
CONSENT_ENTRIES: Series[ConsentEntry] = Series("data", "consents", (bytes,), ConsentEntry)
"""One series for each dataset."""
QUALITY_POLICY_ENTRIES: Series[QualityPolicy] = Series(
    "data", "quality_policies", (bytes,), QualityPolicy
)
"""One series for each organisation: every policy it ever had, in order."""
