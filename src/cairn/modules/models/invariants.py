"""Laws that the rows of models keep."""

from cairn.ledger.changes import StateReader
from cairn.ledger.errors import InvariantError
from cairn.ledger.records import split_key
from cairn.modules.models.records import (
    CHUNKS,
    DEPLOYMENTS,
    LIVE_COUNTS,
    SEALED,
    UPLOAD_COUNTS,
    UPLOADS,
    VERSIONS,
    model_digest,
)

UploadKey = tuple[bytes, bytes]
"""Uploader and digest."""


def check_uploads(reader: StateReader) -> None:
    """Check that chunks belong to uploads and sealed models, which count them rightly.

    Raises:
        InvariantError: A count or size is wrong, a sealed model does not have its digest, or a
            chunk belongs to nothing.
    """
    pieces: dict[UploadKey, list[bytes]] = {}
    for key, raw in reader.scan(CHUNKS.prefix):
        uploader, digest, _ = split_key(key)[2:]
        data = CHUNKS.decoder.decode_trusted(raw).data
        pieces.setdefault((uploader, digest), []).append(data)
    open_counts: dict[bytes, int] = {}
    for key, raw in reader.scan(UPLOADS.prefix):
        uploader, digest = split_key(key)[2:]
        upload = UPLOADS.decoder.decode_trusted(raw)
        found = pieces.pop((uploader, digest), [])
        if (len(found), sum(map(len, found))) != (upload.present_count, upload.size_bytes):
            raise InvariantError(f"the upload {digest.hex()} counts its chunks wrongly")
        open_counts[uploader] = open_counts.get(uploader, 0) + 1
    for key, raw in reader.scan(SEALED.prefix):
        (digest,) = split_key(key)[2:]
        sealed = SEALED.decoder.decode_trusted(raw)
        if model_digest(b"".join(pieces.pop((sealed.uploader, digest), []))) != digest:
            raise InvariantError(f"the bytes of the sealed model {digest.hex()} changed")
    if pieces:
        raise InvariantError("a chunk belongs to no upload and no sealed model")
    for key, raw in reader.scan(UPLOAD_COUNTS.prefix):
        (uploader,) = split_key(key)[2:]
        if UPLOAD_COUNTS.decoder.decode_trusted(raw).open != open_counts.pop(uploader, 0):
            raise InvariantError(f"the open uploads of {uploader.hex()} are counted wrongly")
    if open_counts:
        raise InvariantError("an open upload is not counted")


def check_live(reader: StateReader) -> None:
    """Check that live versions exist, are not retired, and are counted.

    Raises:
        InvariantError: One does not, is, or is not.
    """
    counts: dict[bytes, int] = {}
    for _, raw in reader.scan(DEPLOYMENTS.prefix):
        version = DEPLOYMENTS.decoder.decode_trusted(raw).current
        if version:
            counts[version] = counts.get(version, 0) + 1
    for version in counts:
        row = reader.get(VERSIONS.key(version))
        if row is None or VERSIONS.decoder.decode_trusted(row).retired_ms:
            raise InvariantError(f"the live version {version.hex()} is missing or retired")
    for key, raw in reader.scan(LIVE_COUNTS.prefix):
        (version,) = split_key(key)[2:]
        if LIVE_COUNTS.decoder.decode_trusted(raw).count != counts.pop(version, 0):
            raise InvariantError(f"the version {version.hex()} is counted wrongly")
    if counts:
        raise InvariantError("a live version is not counted")
