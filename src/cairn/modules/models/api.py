"""What other modules may ask of models: what is live, and the bytes of a model."""

from typing import NamedTuple

from cairn.ledger.context import Context
from cairn.ledger.errors import Fault
from cairn.modules.models.errors import (
    DeploymentNotFoundError,
    NoLiveVersionError,
    VersionNotFoundError,
)
from cairn.modules.models.records import (
    CHUNKS,
    DEPLOYMENTS,
    SEALED,
    VERSIONS,
    Deployment,
    SealedModel,
    Version,
    effective_version,
)
from cairn.modules.models.records import InputFeature as InputFeature


class LiveVersion(NamedTuple):
    """The version that is live in a deployment at the context's height."""

    version: bytes
    model_digest: bytes


def live_version(ctx: Context, deployment: str) -> LiveVersion:
    """Return the version that is live in a deployment at this height.

    Raises:
        DeploymentNotFoundError: There is no deployment of this name.
        NoLiveVersionError: No version is live in it yet.
    """
    version = effective_version(check_deployment(ctx, deployment), ctx.height)
    if not version:
        raise NoLiveVersionError
    return LiveVersion(version, check_version(ctx, version).model_digest)


class LiveModel(NamedTuple):
    """The model that is live in a deployment at the context's height, and what using it takes."""

    model_digest: bytes
    size_bytes: int
    step_count: int
    inputs: tuple[str, ...]
    """Names of what it takes, in order."""
    is_explained: bool


def find_live_model(ctx: Context, deployment: str) -> LiveModel | None:
    """Return the model that is live in a deployment at this height, or None."""
    row = ctx.get(DEPLOYMENTS, deployment)
    version = b"" if row is None else effective_version(row, ctx.height)
    if not version:
        return None
    digest = check_version(ctx, version).model_digest
    sealed = ctx.get(SEALED, digest)
    if sealed is None:
        raise Fault(f"no sealed model has the digest {digest.hex()}")
    inputs = tuple([feature.name for feature in sealed.features])
    return LiveModel(digest, sealed.size_bytes, sealed.step_count, inputs, sealed.is_explained)


def has_served(ctx: Context, deployment: str, version: bytes) -> bool:
    """Return whether a version is live in a deployment, or is one of the last that were.

    Raises:
        DeploymentNotFoundError: There is no deployment of this name.
    """
    row = check_deployment(ctx, deployment)
    return version in (effective_version(row, ctx.height), *row.earlier)


def check_deployment(ctx: Context, deployment: str) -> Deployment:
    """Return a deployment.

    Raises:
        DeploymentNotFoundError: There is none of this name.
    """
    row = ctx.get(DEPLOYMENTS, deployment)
    if row is None:
        raise DeploymentNotFoundError
    return row


def check_version(ctx: Context, version: bytes) -> Version:
    """Return a version of a model, retired or not.

    Raises:
        VersionNotFoundError: There is none of this id.
    """
    row = ctx.get(VERSIONS, version)
    if row is None:
        raise VersionNotFoundError
    return row


def get_sealed(ctx: Context, digest: bytes) -> SealedModel | None:
    """Return what is known of a sealed model, or None."""
    return ctx.get(SEALED, digest)


def model_bytes(ctx: Context, digest: bytes) -> bytes:
    """Return the bytes of a model that a version names; they are sealed, so they are there."""
    sealed = ctx.get(SEALED, digest)
    if sealed is None:
        raise Fault(f"no sealed model has the digest {digest.hex()}")
    pieces = []
    for index in range(sealed.chunk_count):
        chunk = ctx.get(CHUNKS, sealed.uploader, digest, index)
        if chunk is None:
            raise Fault(f"chunk {index} of the sealed model {digest.hex()} is missing")
        pieces.append(chunk.data)
    return b"".join(pieces)
