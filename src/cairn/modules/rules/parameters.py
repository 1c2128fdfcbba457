"""Protocol parameters of rules."""

from cairn.ledger.parameters import Parameter

LIVE_MAX = Parameter(
    "rules.live_max", 32, 1, 64, "Most rules that are live or in shadow at a time."
)
BACKTEST_REQUIRED = Parameter(
    "rules.backtest_required", 0, 0, 1, "Whether a version goes live only after a back-test."
)
SHADOW_MS_MIN = Parameter(
    "rules.shadow_ms_min",
    0,
    0,
    90 * 86_400_000,
    "How long a version is in shadow before it goes live.",
)
