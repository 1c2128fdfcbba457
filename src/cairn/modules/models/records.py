"""Rows and series of models: bytes in chunks, versions, deployments and promotions."""

from typing import Literal

from cairn.ledger.records import Series, Table
from cairn.primitives.encoding import Record, encode
from cairn.primitives.hashes import Digest, tagged_hash

DEVELOPER = "developer"
"""Role that uploads models, registers versions and asks for promotions."""
RISK = "risk"
"""Role that may roll a deployment back, beside the developer."""

CHUNK_SIZE_BYTES_MAX = 32_768
CHUNK_COUNT_MAX = 512
EARLIER_MAX = 8
"""How many earlier live versions a deployment remembers to roll back to."""


class Upload(Record):
    """A model whose chunks are coming in from one account."""

    opened_ms: int
    chunk_count: int
    """How many chunks there will be."""
    present_count: int
    size_bytes: int
    """Size of the chunks that are there."""


class UploadCount(Record):
    """How many uploads of an account are open."""

    open: int


class Chunk(Record):
    """A piece of a model's bytes."""

    data: bytes


class InputFeature(Record):
    """One input of a model, as its bytes declare it."""

    name: str
    kind: str
    scale_bits: int
    categories: tuple[str, ...]
    """The texts that the input's integers stand for; empty for numbers."""
    nullable: bool
    """Whether the input may be missing."""
    unknown_allowed: bool
    """Whether it may be a text that is not among the categories."""


class SealedModel(Record):
    """A model whose bytes are complete, have the digest they are named by, and have their form."""

    uploader: bytes
    """With digest and index it is the key of the chunks."""
    sealed_ms: int
    chunk_count: int
    size_bytes: int
    features: tuple[InputFeature, ...]
    """The model's inputs, in order."""
    input_digest: bytes
    """Digest of `features`."""
    step_count: int
    """Most comparisons or products that scoring one row takes, the input stage included."""
    is_explained: bool
    """Whether a score has contributions of its inputs: one of trees has none."""


class ModelName(Record):
    """The organisation that registers versions under a name, and how many there are."""

    organisation: bytes
    version_count: int


class Version(Record):
    """A registered version of a model; only `retired_ms` ever changes."""

    name: str
    number: int
    """Counted from 1 for each name."""
    run: bytes
    """The training run that it came out of."""
    model_digest: bytes
    input_digest: bytes
    card_digest: bytes
    """Digest of the model card."""
    registered_by: bytes
    registered_ms: int
    retired_ms: int
    """Block time at which it was retired, 0 while it is not."""


class Deployment(Record):
    """A place where one version of a model is live at a time.

    A change acts from the next height: at `changed_height` itself `previous` is still live.
    """

    organisation: bytes
    policy: str
    """Policy under which promotions are approved."""
    purpose: str
    input_digest: bytes
    """Input schema that every version must have; empty until the first promotion sets it."""
    current: bytes
    """Version that is live after `changed_height`; empty before the first promotion."""
    previous: bytes
    """Version that was live until and at `changed_height`; may be empty."""
    changed_height: int
    earlier: tuple[bytes, ...]
    """Versions that were live before `current`, the latest last, for rolling back."""
    change_count: int
    """How many promotions and roll-backs there were; part of what the next approval is for."""


class LiveCount(Record):
    """In how many deployments a version is the current one."""

    count: int


class VersionEntry(Record):
    """Entry of `models/versions`: a version was registered or retired."""

    action: Literal["registered", "retired"]
    version: bytes
    name: str
    number: int
    by: bytes


class Promotion(Record):
    """Entry of `models/promotions`: from the height after `height` on, `version` is live."""

    action: Literal["promoted", "rolled_back"]
    version: bytes
    replaced: bytes
    """The version that was live until then; empty at the first promotion."""
    height: int
    by: bytes
    policy: str
    approvers: tuple[bytes, ...]
    """Accounts whose approvals the promotion rests on; empty for a roll-back."""


UPLOADS: Table[Upload] = Table("models", "upload", (bytes, bytes), Upload)
UPLOAD_COUNTS: Table[UploadCount] = Table("models", "upload_count", (bytes,), UploadCount)
CHUNKS: Table[Chunk] = Table("models", "chunk", (bytes, bytes, int), Chunk)
SEALED: Table[SealedModel] = Table("models", "sealed", (bytes,), SealedModel)
NAMES: Table[ModelName] = Table("models", "name", (str,), ModelName)
VERSIONS: Table[Version] = Table("models", "version", (bytes,), Version)
LIVE_COUNTS: Table[LiveCount] = Table("models", "live_count", (bytes,), LiveCount)
DEPLOYMENTS: Table[Deployment] = Table("models", "deployment", (str,), Deployment)

VERSION_ENTRIES: Series[VersionEntry] = Series("models", "versions", (), VersionEntry)
PROMOTIONS: Series[Promotion] = Series("models", "promotions", (str,), Promotion)
"""One series for each deployment."""


def model_digest(raw: bytes) -> Digest:
    """Return the digest that names a model by its bytes."""
    return tagged_hash(b"cairn/model", raw)


def input_digest(features: tuple[InputFeature, ...]) -> Digest:
    """Return the digest of an input schema."""
    return tagged_hash(b"cairn/model_input", encode(features))


def promotion_subject(deployment: str, version: bytes, change_count: int) -> Digest:
    """Return what people approve: that `version` goes live in `deployment` as its next change.

    `change_count` is the deployment's, so that an approval is for one promotion and not for a
    later return of the same version.
    """
    count = change_count.to_bytes(8, "big")
    return tagged_hash(b"cairn/promotion", deployment.encode(), version, count)


def effective_version(deployment: Deployment, height: int) -> bytes:
    """Return the version that is live at `height`, which is at or after the last change; or b""."""
    return deployment.previous if height <= deployment.changed_height else deployment.current
