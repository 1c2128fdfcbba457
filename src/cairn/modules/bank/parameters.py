"""Protocol parameters of the bank."""

from cairn.ledger.parameters import Parameter

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

BOOKED_AT_SKEW_MS_MAX = Parameter(
    "bank.booked_at_skew_ms_max",
    7 * _DAY_MS,
    0,
    2**53,
    "How far a payment's booking time may lie from the block's time; 0 leaves it open (replays).",
)
HOLD_MS_MAX = Parameter(
    "bank.hold_ms_max",
    30 * _DAY_MS,
    1_000,
    366 * _DAY_MS,
    "Longest time for which a rule can hold a payment; a later expiry is brought forward.",
)
HOLD_RENEWAL_MS_MAX = Parameter(
    "bank.hold_renewal_ms_max",
    14 * _DAY_MS,
    1_000,
    366 * _DAY_MS,
    "How far one renewal may put off a hold's expiry.",
)
HOLD_RENEWALS_MAX = Parameter(
    "bank.hold_renewals_max", 3, 0, 100, "How often a hold may be renewed."
)
FREEZE_MS_MAX = Parameter(
    "bank.freeze_ms_max",
    90 * _DAY_MS,
    1_000,
    366 * _DAY_MS,
    "Longest time for which an account can be frozen at once.",
)
ESCROW_MS_MAX = Parameter(
    "bank.escrow_ms_max",
    366 * _DAY_MS,
    1_000,
    10 * 366 * _DAY_MS,
    "How far ahead an escrow's deadline may lie.",
)
EXPIRIES_PER_BLOCK_MAX = Parameter(
    "bank.expiries_per_block_max",
    500,
    1,
    10_000,
    "Most expiries that one block carries out; the others follow in the next blocks.",
)

BANK_PARAMETERS = (
    BOOKED_AT_SKEW_MS_MAX,
    HOLD_MS_MAX,
    HOLD_RENEWAL_MS_MAX,
    HOLD_RENEWALS_MAX,
    FREEZE_MS_MAX,
    ESCROW_MS_MAX,
    EXPIRIES_PER_BLOCK_MAX,
)
