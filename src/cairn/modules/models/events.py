"""Facts about models."""

from cairn.ledger.messages import Event


class ChunkStored(Event, tag="models/chunk_stored"):
    """A piece of a model came in."""

    model_digest: bytes
    index: int
    present_count: int
    chunk_count: int


class ModelSealed(Event, tag="models/model_sealed"):
    """A model's bytes are complete and have their form."""

    model_digest: bytes
    size_bytes: int
    input_digest: bytes


class UploadDropped(Event, tag="models/upload_dropped"):
    """An upload that was not sealed is gone."""

    model_digest: bytes
    uploader: bytes


class VersionRegistered(Event, tag="models/version_registered"):
    """A model has a new version."""

    version: bytes
    name: str
    number: int
    model_digest: bytes


class VersionRetired(Event, tag="models/version_retired"):
    """A version will never go live again."""

    version: bytes


class DeploymentCreated(Event, tag="models/deployment_created"):
    """There is a new place where versions go live."""

    deployment: str
    policy: str


class VersionPromoted(Event, tag="models/version_promoted"):
    """A version is live from the next height on."""

    deployment: str
    version: bytes
    replaced: bytes
    approvers: tuple[bytes, ...]


class DeploymentRolledBack(Event, tag="models/deployment_rolled_back"):
    """An earlier version is live again from the next height on."""

    deployment: str
    version: bytes
    replaced: bytes
