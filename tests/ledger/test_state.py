"""The working state: what a scan sees of a block's own writes, and what it costs."""

from time import perf_counter

from cairn.ledger.memory import MemoryState
from cairn.ledger.records import SeriesHead, Table
from cairn.ledger.state import WorkingState

ROWS: Table[SeriesHead] = Table("test", "row", (int, int), SeriesHead, ordered=True)
ROW = SeriesHead(0, b"", 0, ())


def scanned(state: WorkingState, subject: int) -> list[bytes]:
    """Return the keys under a subject."""
    return [key for key, _ in state.scan(ROWS, ROWS.key(subject))]


def test_a_scan_sees_the_blocks_own_writes_in_key_order() -> None:
    state = WorkingState(MemoryState())
    for subject, place in ((2, 1), (1, 9), (1, 3), (3, 0), (1, 5)):
        state.put(ROWS, ROWS.key(subject, place), ROW)
    assert scanned(state, 1) == [ROWS.key(1, place) for place in (3, 5, 9)]
    mark = state.mark()
    state.put(ROWS, ROWS.key(1, 3), None)
    state.put(ROWS, ROWS.key(1, 4), ROW)
    assert scanned(state, 1) == [ROWS.key(1, place) for place in (4, 5, 9)]
    state.undo(mark)
    assert scanned(state, 1) == [ROWS.key(1, place) for place in (3, 5, 9)]
    assert scanned(state, 4) == []


def test_a_scan_does_not_look_at_what_the_block_wrote_elsewhere() -> None:
    # Approving looks at the approvals of one subject, and a block can hold many thousands.
    state = WorkingState(MemoryState())
    begun = perf_counter()
    for subject in range(20_000):
        state.put(ROWS, ROWS.key(subject, 1), ROW)
        assert len(scanned(state, subject)) == 1
    assert perf_counter() - begun < 4, "a scan takes longer the more the block wrote before"
