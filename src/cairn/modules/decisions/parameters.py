"""Protocol parameters of decisions."""

from cairn.ledger.parameters import Parameter

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS

ANSWER_MS_MAX = Parameter(
    "decisions.answer_ms_max",
    _HOUR_MS,
    1_000,
    366 * _DAY_MS,
    "How long an executor has to say what it did, after an answer or the end of a hold.",
)
HOLD_MS_MAX = Parameter(
    "decisions.hold_ms_max",
    30 * _DAY_MS,
    1_000,
    366 * _DAY_MS,
    "Longest time for which a rule can hold a decision; a later expiry is brought forward.",
)
ACTED_AHEAD_MS_MAX = Parameter(
    "decisions.acted_ahead_ms_max",
    60_000,
    0,
    _DAY_MS,
    "How far ahead of the block's time an executor's clock may be.",
)
DUE_PER_BLOCK_MAX = Parameter(
    "decisions.due_per_block_max",
    500,
    1,
    10_000,
    "Most holds and missing reports that one block ends; the others follow in the next blocks.",
)

DECISIONS_PARAMETERS = (ANSWER_MS_MAX, HOLD_MS_MAX, ACTED_AHEAD_MS_MAX, DUE_PER_BLOCK_MAX)
