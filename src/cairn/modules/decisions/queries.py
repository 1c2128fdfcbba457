"""Read-only questions about decisions; every list has a limit and a cursor."""

from collections.abc import Sequence

from cairn.ledger.changes import StateReader
from cairn.ledger.context import Context
from cairn.ledger.records import split_key
from cairn.modules.decisions.records import (
    DECISION_SERIES,
    DECISIONS,
    DUE,
    OUTCOME_SERIES,
    Decision,
    DecisionEntry,
    OutcomeEntry,
    Step,
)

LIMIT_MAX = 1_000


def get_decision(ctx: Context, decision_id: bytes) -> Decision | None:
    """Return a decision as it stands, or None."""
    return ctx.get(DECISIONS, decision_id)


def list_waiting(
    reader: StateReader, *, after: bytes = b"", limit: int = LIMIT_MAX
) -> list[tuple[int, bytes]]:
    """Return `(time, decision)` of what falls due, held or open, the earliest first.

    `after` is the last decision's due row key of the page before: `DUE.key(time, decision)`.
    """
    found: list[tuple[int, bytes]] = []
    for key, _ in reader.scan(DUE.prefix):
        if key <= after:
            continue
        if len(found) >= min(limit, LIMIT_MAX):
            break
        due_ms, decision_id = split_key(key)[2:]
        found.append((int.from_bytes(due_ms, "big"), decision_id))
    return found


def list_decisions(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX
) -> list[tuple[int, DecisionEntry]]:
    """Return `(time, entry)` of all decisions ever made, from position `start` on."""
    end = min(ctx.series_size(DECISION_SERIES), start + min(limit, LIMIT_MAX))
    return [ctx.series_get(DECISION_SERIES, position) for position in range(start, end)]


def list_outcomes(
    ctx: Context, *, start: int = 0, limit: int = LIMIT_MAX, steps: Sequence[Step] = ()
) -> list[tuple[int, OutcomeEntry]]:
    """Return `(time, entry)` of the `limit` steps from position `start` on.

    With `steps` only those that are one of them: `overridden`, `unanswered`, `late`.
    """
    end = min(ctx.series_size(OUTCOME_SERIES), start + min(limit, LIMIT_MAX))
    found = [ctx.series_get(OUTCOME_SERIES, position) for position in range(start, end)]
    return [(time_ms, entry) for time_ms, entry in found if not steps or entry.step in steps]
