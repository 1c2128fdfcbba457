"""What the prover makes, the verifier accepts; what has no proof gets a named refusal."""

from pathlib import Path

import pytest

from cairn.engine.errors import FutureTimeError
from cairn.evidence.errors import EvidenceError, IncompleteRangeError
from cairn.evidence.facts import VerifiedHead
from cairn.evidence.proofs import RangeProof
from cairn.evidence.steps import (
    verify_complete,
    verify_extension,
    verify_head,
    verify_receipts,
    verify_series,
    verify_state,
    verify_transaction,
)
from cairn.evidence.trust import Trust, trust_of_charter
from cairn.ledger.charter import charter_digest
from cairn.node.api import (
    ProofRequest,
    Proofs,
    RangeQuery,
    ReceiptsQuery,
    SeriesQuery,
    StateQuery,
    TransactionQuery,
)
from cairn.node.errors import BadRangeError, NotFoundError
from cairn.node.node import Node
from cairn.node.prover import ENTRIES_MAX
from cairn.primitives.encoding import encode
from tests.engine.toy import (
    CHAIN_ID,
    NOTES,
    TOTALS,
    USER_KEYS,
    Add,
    ManualClock,
    Note,
    NoteEntry,
    Remind,
    account_of,
    charter,
    transaction,
)
from tests.node.ledgers import create, settle

TOTAL_KEY = TOTALS.key(account_of(USER_KEYS[0].public_key))
TRUST: Trust = trust_of_charter(charter(), CHAIN_ID, charter_digest(encode(charter())))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def node(tmp_path: Path, clock: ManualClock) -> Node:  # type: ignore[misc]
    with create(tmp_path / "n", clock) as node:
        settle(node, clock)
        yield node


def run(node: Node, clock: ManualClock, *raws: bytes) -> list[bytes]:
    future = node.submit_later(list(raws))
    settle(node, clock)
    return [outcome.transaction_id for outcome in future.result(timeout=0)]


def prove(node: Node, *wanted: object, **options: int) -> tuple[Proofs, VerifiedHead]:
    proofs = node.prove(ProofRequest(tuple(wanted), **options))  # type: ignore[arg-type]
    return proofs, verify_head(proofs.head, TRUST)


def texts(proof: RangeProof, head: VerifiedHead) -> list[str]:
    entries = verify_complete(proof, head).entries
    return [NOTES.decoder.decode(entry.payload).text for entry in entries]


def test_rows_present_and_absent_are_proved(node: Node, clock: ManualClock) -> None:
    run(node, clock, transaction(Add(3), sequence=1))
    absent = TOTALS.key(account_of(USER_KEYS[1].public_key))
    proofs, head = prove(node, StateQuery(TOTAL_KEY), StateQuery(absent))
    assert verify_state(proofs.states[0], head) == node.row(TOTAL_KEY)
    assert verify_state(proofs.states[1], head) is None
    assert head.height == node.head().height - 1


def test_a_transaction_and_its_receipt_are_proved_from_a_much_later_header(
    node: Node, clock: ManualClock
) -> None:
    ids = [run(node, clock, transaction(Add(n), sequence=n))[0] for n in range(1, 12)]
    proofs, head = prove(node, *(TransactionQuery(one) for one in ids))
    for identifier, proof in zip(ids, proofs.transactions, strict=True):
        verified = verify_transaction(proof, head)
        assert verified.id == identifier
        assert verified.receipt.code == "ok"


def test_a_block_end_receipt_is_proved(node: Node, clock: ManualClock) -> None:
    due = clock.now + 3_000
    run(node, clock, transaction(Remind(due), sequence=1))
    clock.now = due
    node.engine.step()
    height = node.head().height
    proofs, head = prove(node, ReceiptsQuery(height, 0, 1))
    receipt = verify_receipts(proofs.receipts[0], head)[0].receipt
    assert receipt is not None
    assert receipt.transaction_id == b""
    with pytest.raises(BadRangeError):
        prove(node, ReceiptsQuery(height, 0, 2))
    with pytest.raises(NotFoundError):
        prove(node, ReceiptsQuery(1, 0, 1))


def test_ranges_of_time_are_complete(node: Node, clock: ManualClock) -> None:
    times = []
    for n in range(1, 8):
        run(node, clock, transaction(Note(f"note {n}"), sequence=n))
        newest = node.series(NOTES.key(), start=n - 1, limit=1).entries[0]
        times.append(_time(newest))
        clock.now += 1_000
    everything = [f"note {n}" for n in range(1, 8)]
    now = node.head().time_ms
    for start in (0, *times, times[0] + 1, times[6] + 1):
        for end in (start, *(t for t in times if t >= start), now):
            proofs, head = prove(node, RangeQuery(NOTES.key(), start, end))
            expected = [text for text, t in zip(everything, times, strict=True) if start <= t < end]
            assert texts(proofs.ranges[0], head) == expected


def _time(entry: bytes) -> int:
    from cairn.ledger.records import ENTRY_DECODER

    return ENTRY_DECODER.decode(entry).time_ms


def test_a_range_that_leaves_one_out_is_refused(node: Node, clock: ManualClock) -> None:
    for n in range(1, 5):
        run(node, clock, transaction(Note(f"note {n}"), sequence=n))
    proofs, head = prove(node, SeriesQuery(NOTES.key(), 0, 3))
    assert len(verify_series(proofs.series[0], head).entries) == 3
    with pytest.raises(IncompleteRangeError):
        verify_complete(RangeProof(0, head.time_ms, proofs.series[0]), head)
    with pytest.raises(EvidenceError):
        verify_complete(RangeProof(0, head.time_ms + 1, proofs.series[0]), head)


def test_an_empty_series_has_an_empty_range(node: Node) -> None:
    proofs, head = prove(node, RangeQuery(NOTES.key(), 0, 100))
    assert verify_complete(proofs.ranges[0], head).entries == ()


def test_a_range_up_to_now_gets_a_header_of_now(node: Node, clock: ManualClock) -> None:
    run(node, clock, transaction(Note("n"), sequence=1))
    clock.now += 5_000
    height = node.head().height
    proofs, head = prove(node, RangeQuery(NOTES.key(), 0, clock.now))
    assert texts(proofs.ranges[0], head) == ["n"]
    assert (head.time_ms, node.head().height) == (clock.now, height + 1)
    with pytest.raises(FutureTimeError):
        prove(node, RangeQuery(NOTES.key(), 0, clock.now + 1))


def test_the_state_of_a_block_is_proved_before_its_own_proving_block(
    node: Node, clock: ManualClock
) -> None:
    """A proof asked for between a block and the next one makes that next one at once."""
    future = node.submit_later([transaction(Add(5), sequence=1)])
    clock.now += 20
    assert node.engine.step()
    assert not node.head().proved
    identifier = future.result(timeout=0)[0].transaction_id
    proofs, head = prove(node, TransactionQuery(identifier), StateQuery(TOTAL_KEY))
    assert verify_transaction(proofs.transactions[0], head).id == identifier
    assert verify_state(proofs.states[0], head) == node.row(TOTAL_KEY)


def test_a_history_is_shown_to_extend_an_older_one(node: Node, clock: ManualClock) -> None:
    run(node, clock, transaction(Add(1), sequence=1))
    _, old = prove(node)
    for n in range(2, 9):
        run(node, clock, transaction(Add(1), sequence=n))
    proofs, head = prove(node, extends_size=old.history_size)
    consistency = proofs.head.consistency
    assert consistency is not None
    assert (consistency.old_size, consistency.old_root) == (old.history_size, old.history_root)
    verify_extension(proofs.head, head)
    with pytest.raises(BadRangeError):
        prove(node, extends_size=head.history_size + 1)


def test_what_is_not_there_is_refused_by_name(node: Node, clock: ManualClock) -> None:
    run(node, clock, transaction(Note("n"), sequence=1))
    with pytest.raises(NotFoundError):
        prove(node, TransactionQuery(b"\1" * 32))
    for start, end in ((0, 2), (1, 1), (2, 1)):
        with pytest.raises(BadRangeError):
            prove(node, SeriesQuery(NOTES.key(), start, end))
    with pytest.raises(BadRangeError):
        prove(node, RangeQuery(NOTES.key(), 5, 4))
    assert ENTRIES_MAX > 0


def test_a_view_does_not_change_under_its_prover(node: Node, clock: ManualClock) -> None:
    run(node, clock, transaction(Add(1), sequence=1))
    view = node._proving_view()
    before = view.reader.get(TOTAL_KEY)
    run(node, clock, *(transaction(Add(1), sequence=n) for n in range(2, 30)))
    node._opened.store.checkpoint()
    assert view.reader.get(TOTAL_KEY) == before
    assert node.row(TOTAL_KEY) != before
    view.release()


def test_notes_are_what_was_written(node: Node, clock: ManualClock) -> None:
    run(node, clock, transaction(Note("text"), sequence=1))
    page = node.series(NOTES.key(), start=0, limit=10)
    assert page.size == 1
    proofs, head = prove(node, SeriesQuery(NOTES.key(), 0, 1))
    (entry,) = verify_series(proofs.series[0], head).entries
    assert NOTES.decoder.decode(entry.payload) == NoteEntry("text")
