"""How a model's bytes come onto the ledger: chunk by chunk, then sealed for good."""

from cairn.exact.explain import is_explained
from cairn.exact.models import ELEMENT_COUNT_MAX, count_steps
from cairn.ledger.context import Context
from cairn.modules.identity import api as identity
from cairn.modules.models import events
from cairn.modules.models.errors import (
    AlreadySealedError,
    ChunkCountDiffersError,
    ChunkExistsError,
    ChunkMissingError,
    DigestMismatchError,
    ModelTooBigError,
    SizeDiffersError,
    TooManyUploadsError,
    UploadNotExpiredError,
    UploadNotFoundError,
)
from cairn.modules.models.handlers import open_model
from cairn.modules.models.messages import DropUpload, SealModel, UploadChunk
from cairn.modules.models.parameters import OPEN_UPLOADS_MAX, SIZE_BYTES_MAX, UPLOAD_LIFE_MS
from cairn.modules.models.records import (
    CHUNKS,
    DEVELOPER,
    SEALED,
    UPLOAD_COUNTS,
    UPLOADS,
    Chunk,
    InputFeature,
    SealedModel,
    Upload,
    UploadCount,
    input_digest,
    model_digest,
)
from cairn.primitives.encoding import replace

DROP_COST = 40_000
"""Cost of dropping an upload, which has up to 512 chunks."""


def upload_chunk(ctx: Context, message: UploadChunk) -> None:
    """Store one chunk of the sender's upload."""
    identity.check_role(ctx, DEVELOPER)
    digest = message.model_digest
    if ctx.get(SEALED, digest) is not None:
        raise AlreadySealedError
    upload = ctx.get(UPLOADS, ctx.sender, digest)
    is_new = upload is None
    if upload is None:
        if _open_count(ctx, ctx.sender) >= ctx.param(OPEN_UPLOADS_MAX):
            raise TooManyUploadsError
        upload = Upload(ctx.time_ms, message.chunk_count, 0, 0)
    if upload.chunk_count != message.chunk_count:
        raise ChunkCountDiffersError
    if ctx.get(CHUNKS, ctx.sender, digest, message.index) is not None:
        raise ChunkExistsError
    size_bytes = upload.size_bytes + len(message.data)
    if size_bytes > ctx.param(SIZE_BYTES_MAX):
        raise ModelTooBigError
    present_count = upload.present_count + 1
    changed = replace(upload, present_count=present_count, size_bytes=size_bytes)
    if is_new:
        _count_open(ctx, ctx.sender, 1)
    ctx.put(UPLOADS, changed, ctx.sender, digest)
    ctx.put(CHUNKS, Chunk(message.data), ctx.sender, digest, message.index)
    ctx.emit(events.ChunkStored(digest, message.index, present_count, upload.chunk_count))


def seal_model(ctx: Context, message: SealModel) -> None:
    """Check the sender's upload as a whole, and let its bytes stand for good."""
    identity.check_role(ctx, DEVELOPER)
    digest = message.model_digest
    if ctx.get(SEALED, digest) is not None:
        raise AlreadySealedError
    upload = ctx.get(UPLOADS, ctx.sender, digest)
    if upload is None:
        raise UploadNotFoundError
    if upload.present_count != upload.chunk_count:
        raise ChunkMissingError
    if upload.size_bytes != message.size_bytes:
        raise SizeDiffersError
    raw = _joined(ctx, digest, upload.chunk_count)
    if model_digest(raw) != digest:
        raise DigestMismatchError
    model = open_model(raw)
    features = tuple(
        InputFeature(f.name, f.kind, f.scale_bits, f.categories, f.nullable, f.unknown_allowed)
        for f in model.features
    )
    row = SealedModel(
        uploader=ctx.sender,
        sealed_ms=ctx.time_ms,
        chunk_count=upload.chunk_count,
        size_bytes=upload.size_bytes,
        features=features,
        input_digest=input_digest(features),
        step_count=count_steps(model),
        is_explained=is_explained(model),
    )
    ctx.put(SEALED, row, digest)
    ctx.delete(UPLOADS, ctx.sender, digest)
    _count_open(ctx, ctx.sender, -1)
    ctx.emit(events.ModelSealed(digest, row.size_bytes, row.input_digest))


def drop_upload(ctx: Context, message: DropUpload) -> None:
    """Delete an upload that was not sealed; somebody else's only when it is old."""
    identity.check_role(ctx, DEVELOPER)
    uploader, digest = message.uploader, message.model_digest
    upload = ctx.get(UPLOADS, uploader, digest)
    if upload is None:
        raise UploadNotFoundError
    expires_ms = upload.opened_ms + ctx.param(UPLOAD_LIFE_MS)
    if uploader != ctx.sender and ctx.time_ms < expires_ms:
        raise UploadNotExpiredError
    for index in range(upload.chunk_count):
        if ctx.get(CHUNKS, uploader, digest, index) is not None:
            ctx.delete(CHUNKS, uploader, digest, index)
    ctx.delete(UPLOADS, uploader, digest)
    _count_open(ctx, uploader, -1)
    ctx.emit(events.UploadDropped(digest, uploader))


def seal_cost(message: SealModel) -> int:
    """Return what sealing costs: to read and hash its bytes, and to check its elements."""
    elements = min(message.size_bytes, ELEMENT_COUNT_MAX)
    return 1_000 + 2 * elements + message.size_bytes // 8


def _joined(ctx: Context, digest: bytes, chunk_count: int) -> bytes:
    pieces = []
    for index in range(chunk_count):
        chunk = ctx.get(CHUNKS, ctx.sender, digest, index)
        assert chunk is not None, "as many chunks are there as were counted"
        pieces.append(chunk.data)
    return b"".join(pieces)


def _open_count(ctx: Context, account: bytes) -> int:
    row = ctx.get(UPLOAD_COUNTS, account)
    return 0 if row is None else row.open


def _count_open(ctx: Context, account: bytes, change: int) -> None:
    open_count = _open_count(ctx, account) + change
    if open_count:
        ctx.put(UPLOAD_COUNTS, UploadCount(open_count), account)
    else:
        ctx.delete(UPLOAD_COUNTS, account)
