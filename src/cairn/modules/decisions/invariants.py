"""Laws that the rows of decisions keep, in full and over what one block changed."""

from collections.abc import Mapping
from typing import Any

from cairn.ledger.changes import StateReader
from cairn.ledger.errors import InvariantError
from cairn.ledger.records import split_key
from cairn.modules.decisions.records import DECISIONS, DUE, RANKS, Decision, falls_due_ms


def check_due(reader: StateReader) -> None:
    """Check that exactly what is held or open falls due, once, at its time.

    Raises:
        InvariantError: Something else does, or does not.
    """
    expected: dict[tuple[int, bytes], str] = {}
    for key, raw in reader.scan(DECISIONS.prefix):
        decision = DECISIONS.decoder.decode_trusted(raw)
        due_ms = falls_due_ms(decision)
        if due_ms is not None:
            expected[due_ms, split_key(key)[2]] = decision.status
    for key, raw in reader.scan(DUE.prefix):
        time_ms, decision_id = split_key(key)[2:]
        place = (int.from_bytes(time_ms, "big"), decision_id)
        if expected.pop(place, "") != DUE.decoder.decode_trusted(raw).status:
            raise InvariantError(f"{decision_id.hex()} is due without waiting then")
    if expected:
        raise InvariantError("a decision that waits never falls due")


def check_due_change(changed: Mapping[bytes, tuple[Any, Any]]) -> None:
    """Check that one block changed due rows as it changed decisions, and no status went back.

    Raises:
        InvariantError: It did not, or one did.
    """
    counts: dict[tuple[int, bytes], int] = {}
    for key, (old, new) in changed.items():
        parts = split_key(key)[2:]
        for row, sign in ((old, -1), (new, 1)):
            if row is None:
                continue
            if isinstance(row, Decision):
                due_ms, decision_id = falls_due_ms(row), parts[0]
            else:
                due_ms, decision_id, sign = int.from_bytes(parts[0], "big"), parts[1], -sign
            if due_ms is not None:
                place = (due_ms, decision_id)
                counts[place] = counts.get(place, 0) + sign
        if isinstance(old, Decision):
            _check_step(old, new)
    if any(counts.values()):
        raise InvariantError("what falls due changed otherwise than the decisions that wait")


def _check_step(old: Decision, new: Decision | None) -> None:
    """Check that a decision that changed is still there, and went on to a later status."""
    if new is None:
        raise InvariantError("a decision is gone")
    if RANKS[new.status] <= RANKS[old.status]:
        raise InvariantError(f"a decision went from {old.status} to {new.status}")
    if (new.subject, new.verdict, new.decided_ms) != (old.subject, old.verdict, old.decided_ms):
        raise InvariantError("what was decided changed")
