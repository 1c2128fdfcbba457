from itertools import pairwise

import pytest

from cairn.engine.embedded import BlockSigner
from cairn.engine.errors import DoubleSignError, EngineFault, FutureTimeError
from cairn.ledger.errors import InvariantError
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.primitives.light import (
    ValidatorSet,
    commit_hash,
    data_hash,
    header_hash,
    header_time_ms,
    verify_header,
)
from cairn.primitives.merkle import EMPTY_ROOT
from tests.engine.toy import (
    CHAIN_ID,
    NODE_KEY,
    START_MS,
    USER_KEYS,
    Add,
    Bench,
    Crash,
    Note,
    Remind,
    Skew,
    transaction,
)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.settle()
    return bench


def test_a_new_ledger_proves_its_genesis_and_rests(bench: Bench) -> None:
    assert bench.height == 1
    assert bench.engine.chain.is_proved
    bench.clock.now += 1_000
    assert not bench.engine.step()


def test_a_transaction_gets_a_block_and_then_a_header_that_proves_it(bench: Bench) -> None:
    (outcome,) = bench.run(transaction(Add(5), sequence=1))
    assert (outcome.code, outcome.height, outcome.position) == ("ok", 2, 0)
    assert RECEIPT_DECODER.decode(outcome.receipt).transaction_id == outcome.transaction_id
    assert bench.height == 3
    assert bench.keeper.entries[2].transactions == ()
    assert bench.keeper.entries[2].header.app_hash == bench.application.head.app_hash


def test_the_chain_of_headers_verifies(bench: Bench) -> None:
    for sequence in range(1, 6):
        bench.run(transaction(Add(sequence), Note("n"), sequence=sequence))
    signer = BlockSigner(NODE_KEY, 10, 0)
    entries = bench.keeper.entries
    for entry in entries:
        verify_header(CHAIN_ID, entry.header, entry.commit, signer.validators)
        assert entry.header.data_hash == data_hash(entry.transactions)
        assert entry.header.next_validators_hash == signer.validators_hash
    assert entries[0].header.last_commit_hash == EMPTY_ROOT
    for before, after in pairwise(entries):
        assert after.header.last_commit_hash == commit_hash(before.commit)
        assert after.header.last_block_id == before.commit.block_id
        assert after.header.last_block_id.hash == header_hash(before.header)
        assert after.header.last_block_id.part_set_header.total == 1
        assert header_time_ms(after.header) > header_time_ms(before.header)


def test_a_commit_of_another_set_does_not_verify(bench: Bench) -> None:
    entry = bench.keeper.entries[0]
    other = BlockSigner(USER_KEYS[0], 10, 0).validators
    with pytest.raises(Exception, match="another validator set"):
        verify_header(CHAIN_ID, entry.header, entry.commit, ValidatorSet(other.validators))


def test_time_moves_on_when_the_clock_goes_back(bench: Bench) -> None:
    bench.clock.now -= 3_600_000
    last = bench.engine.chain.time_ms
    bench.run(transaction(Add(1), sequence=1))
    times = [header_time_ms(entry.header) for entry in bench.keeper.entries[-2:]]
    assert times == [last + 1, last + 2]


def test_many_operations_make_a_block_at_once() -> None:
    bench = Bench(block_operations=4)
    bench.settle()
    made = bench.clock.now
    bench.application.submit([transaction(Add(1), Add(2), sequence=1)])
    assert bench.engine.step()
    bench.application.submit([transaction(Add(1), Add(2), sequence=2)])
    assert not bench.engine.step()
    bench.application.submit([transaction(Add(1), Add(2), sequence=3)])
    assert bench.engine.step()
    assert bench.clock.now == made


def test_a_block_takes_no_more_than_its_operations() -> None:
    bench = Bench(block_operations=4)
    bench.settle()
    raws = [transaction(Add(1), Add(1), sequence=n) for n in range(1, 6)]
    outcomes = bench.run(*raws)
    assert [outcome.height for outcome in outcomes] == [2, 2, 3, 3, 4]
    assert {outcome.code for outcome in outcomes} == {"ok"}


def test_the_engine_wakes_when_something_falls_due(bench: Bench) -> None:
    due = bench.clock.now + 5_000
    bench.run(transaction(Remind(due), sequence=1))
    height = bench.height
    bench.clock.now = due - 1
    assert not bench.engine.step()
    bench.clock.now = due
    assert bench.engine.step()
    entry = bench.keeper.entries[-1]
    assert (entry.transactions, len(entry.receipts)) == ((), 1)
    bench.settle()
    assert bench.height == height + 2
    assert bench.engine.chain.is_proved


def test_the_engine_makes_a_block_every_third_of_the_trusting_period(bench: Bench) -> None:
    height, last = bench.height, bench.engine.chain.time_ms
    bench.clock.now = last + 29_999
    assert not bench.engine.step()
    bench.clock.now = last + 30_000
    assert bench.engine.step()
    assert bench.height == height + 1
    assert not bench.engine.step()


def test_advance_gives_a_header_of_a_later_time(bench: Bench) -> None:
    bench.clock.now += 700
    bench.engine.advance(bench.clock.now)
    assert bench.engine.chain.time_ms == bench.clock.now
    height = bench.height
    bench.engine.advance(bench.clock.now)
    assert bench.height == height
    with pytest.raises(FutureTimeError):
        bench.engine.advance(bench.clock.now + 1)


def test_a_bug_in_a_handler_stops_the_engine_before_anything_is_kept(bench: Bench) -> None:
    bench.run(transaction(Add(1), sequence=1))
    kept, root = len(bench.keeper.entries), bench.application.head.state_root
    future = bench.application.submit([transaction(Crash(), sequence=2)])
    bench.clock.now += 20
    with pytest.raises(EngineFault, match="ZeroDivisionError"):
        bench.engine.step()
    assert len(bench.keeper.entries) == kept
    assert bench.application.head.state_root == root
    with pytest.raises(EngineFault):
        future.result(timeout=0)
    with pytest.raises(EngineFault):
        bench.application.submit([transaction(Add(1), sequence=2)])
    with pytest.raises(EngineFault):
        bench.engine.step()


def test_a_broken_invariant_stops_the_engine_before_anything_is_kept(bench: Bench) -> None:
    kept = len(bench.keeper.entries)
    future = bench.application.submit([transaction(Skew(), sequence=1)])
    bench.clock.now += 20
    with pytest.raises(InvariantError):
        bench.engine.step()
    assert len(bench.keeper.entries) == kept
    with pytest.raises(InvariantError):
        future.result(timeout=0)


def test_a_failing_disk_stops_the_engine_and_acknowledges_nothing(bench: Bench) -> None:
    bench.keeper.fail_next = OSError(28, "No space left on device")
    future = bench.application.submit([transaction(Add(1), sequence=1)])
    bench.clock.now += 20
    with pytest.raises(EngineFault, match="No space left"):
        bench.engine.step()
    with pytest.raises(EngineFault):
        future.result(timeout=0)


def test_a_height_is_signed_once() -> None:
    bench = Bench()
    bench.settle()
    commit = bench.engine.chain.commit
    header = bench.engine.chain.header
    assert commit is not None
    assert header is not None
    signer = BlockSigner(NODE_KEY, 10, 1)
    with pytest.raises(DoubleSignError):
        signer.sign(CHAIN_ID, 1, commit.block_id, header.time)
    signer.sign(CHAIN_ID, 2, commit.block_id, header.time)
    with pytest.raises(DoubleSignError):
        signer.sign(CHAIN_ID, 2, commit.block_id, header.time)


def test_the_thread_answers_many_submitters_with_one_block(bench: Bench) -> None:
    """Group commit: what waits together is kept by one append."""
    futures = [
        bench.application.submit([transaction(Add(1), sequence=n, key=key)])
        for key in USER_KEYS
        for n in range(1, 11)
    ]
    bench.clock.now += 1_000
    bench.engine.start()
    outcomes = [future.result(timeout=10)[0] for future in futures]
    bench.engine.stop()
    assert {outcome.height for outcome in outcomes} == {2}
    assert bench.engine.chain.time_ms > START_MS
