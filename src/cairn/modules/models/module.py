"""The registration of models."""

from cairn.ledger.module import Invariant, MessageSpec, Module
from cairn.modules.models import (
    events,
    handlers,
    invariants,
    messages,
    parameters,
    records,
    uploads,
)

PROMOTE_COST = 2_000
"""Cost of a promotion: up to 64 approvals are looked at."""

MODELS = Module(
    name="models",
    messages=(
        MessageSpec(messages.UploadChunk, uploads.upload_chunk),
        MessageSpec(messages.SealModel, uploads.seal_model, cost=uploads.seal_cost),
        MessageSpec(messages.DropUpload, uploads.drop_upload, cost=uploads.DROP_COST),
        MessageSpec(messages.RegisterVersion, handlers.register_version),
        MessageSpec(messages.RetireVersion, handlers.retire_version),
        MessageSpec(messages.CreateDeployment, handlers.create_deployment),
        MessageSpec(messages.Promote, handlers.promote, cost=PROMOTE_COST),
        MessageSpec(messages.RollBack, handlers.roll_back),
    ),
    events=(
        events.ChunkStored,
        events.ModelSealed,
        events.UploadDropped,
        events.VersionRegistered,
        events.VersionRetired,
        events.DeploymentCreated,
        events.VersionPromoted,
        events.DeploymentRolledBack,
    ),
    tables=(
        records.UPLOADS,
        records.UPLOAD_COUNTS,
        records.CHUNKS,
        records.SEALED,
        records.NAMES,
        records.VERSIONS,
        records.LIVE_COUNTS,
        records.DEPLOYMENTS,
    ),
    series=(records.VERSION_ENTRIES, records.PROMOTIONS),
    parameters=(
        parameters.SIZE_BYTES_MAX,
        parameters.OPEN_UPLOADS_MAX,
        parameters.UPLOAD_LIFE_MS,
    ),
    invariants=(
        Invariant("models/uploads", invariants.check_uploads),
        Invariant("models/live", invariants.check_live),
    ),
)
