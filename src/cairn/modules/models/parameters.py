"""Protocol parameters of models."""

from cairn.ledger.parameters import Parameter

SIZE_BYTES_MAX = Parameter(
    "models.size_bytes_max", 4_000_000, 10_000, 4_000_000, "Most bytes of one model."
)
OPEN_UPLOADS_MAX = Parameter(
    "models.open_uploads_max", 4, 1, 64, "Most uploads that one account has open."
)
UPLOAD_LIFE_MS = Parameter(
    "models.upload_life_ms",
    7 * 86_400_000,
    60_000,
    365 * 86_400_000,
    "How long an upload may stay open before others may drop it.",
)
