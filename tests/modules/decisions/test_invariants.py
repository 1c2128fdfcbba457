"""The law of due rows notices what breaks it."""

from typing import Any

import pytest

from cairn.ledger.changes import ChangeSet
from cairn.ledger.errors import InvariantError
from cairn.modules.decisions.invariants import check_due, check_due_change
from cairn.modules.decisions.records import DECISIONS, DUE, Due
from cairn.primitives.encoding import encode, replace
from tests.modules.decisions.world import decide, row_of
from tests.modules.founding import found


def test_a_missing_or_surplus_due_row_is_noticed() -> None:
    ledger = found()
    decision = decide(ledger)
    row = row_of(ledger, decision)
    check_due(ledger.state)
    key = DUE.key(row.due_ms, decision)
    raw = ledger.state.rows[key]
    ledger.state.apply(ChangeSet(state={key: None}))
    with pytest.raises(InvariantError, match="never falls due"):
        check_due(ledger.state)
    ledger.state.apply(ChangeSet(state={key: encode(Due("held"))}))
    with pytest.raises(InvariantError, match="without waiting"):
        check_due(ledger.state)
    surplus = DUE.key(row.due_ms + 1, decision)
    ledger.state.apply(ChangeSet(state={key: raw, surplus: raw}))
    with pytest.raises(InvariantError, match="without waiting"):
        check_due(ledger.state)


def test_a_change_that_goes_back_is_noticed() -> None:
    ledger = found()
    decision = decide(ledger)
    row = row_of(ledger, decision)
    key, due = DECISIONS.key(decision), DUE.key(row.due_ms, decision)
    done = replace(row, status="enforced")
    check_due_change({key: (row, done), due: (Due("open"), None)})
    wrong: list[tuple[dict[bytes, tuple[Any, Any]], str]] = [
        ({key: (row, done)}, "otherwise"),
        ({due: (Due("open"), None)}, "otherwise"),
        ({key: (row, None), due: (Due("open"), None)}, "gone"),
        ({key: (done, row), due: (None, Due("open"))}, "from enforced to open"),
        ({key: (done, replace(done, status="late"))}, "from enforced to late"),
        ({key: (row, replace(done, verdict="refuse")), due: (Due("open"), None)}, "changed"),
    ]
    for changed, message in wrong:
        with pytest.raises(InvariantError, match=message):
            check_due_change(changed)
