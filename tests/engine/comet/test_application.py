"""The replicated mempool and the application: what is proposed, judged, executed and answered."""

import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.engine.comet.application import Proposed
from cairn.engine.comet.mempool import ANNOUNCE_AGAIN_MS
from cairn.engine.comet.store import execute_again
from cairn.engine.errors import EngineFault, EngineStoppedError, MempoolFullError
from cairn.engine.mempool import MempoolSettings
from cairn.ledger.errors import DivergenceError, InvariantError, MalformedBlockError
from cairn.ledger.memory import MemoryState
from tests.engine.comet.toy_network import MemoryValidator
from tests.engine.toy import USER_KEYS, Add, Note, Skew, transaction


def add(validator: MemoryValidator, sequence: int, amount: int = 1, user: int = 0) -> bytes:
    return transaction(
        Add(amount), sequence=sequence, key=USER_KEYS[user], chain_id=validator.chain_id
    )


def spoiled(raw: bytes) -> bytes:
    """Return a transaction with another signature, which cannot be valid."""
    return raw[:-1] + bytes((raw[-1] ^ 1,))


def test_what_is_proposed_waits_until_a_block_holds_it() -> None:
    validator = MemoryValidator()
    raws = [add(validator, number) for number in (1, 2, 3)]
    future = validator.application.submit(raws)
    assert validator.propose() == validator.propose() == raws
    validator.decide(*raws[:2])
    assert validator.application.waiting() == 1
    assert not future.done()
    validator.decide(*validator.propose())
    outcomes = future.result(0)
    assert [(one.code, one.height, one.position) for one in outcomes] == [
        ("ok", 1, 0),
        ("ok", 1, 1),
        ("ok", 2, 0),
    ]
    assert validator.application.waiting() == 0


def test_a_block_of_another_proposer_answers_and_settles() -> None:
    validator, other = MemoryValidator(), MemoryValidator()
    raw = add(validator, 1)
    future = validator.application.submit([raw])
    blocks = [one.decide(add(one, 1, user=1), raw) for one in (validator, other)]
    assert blocks[0] == blocks[1]
    assert future.result(0)[0].position == 1
    assert validator.propose() == []


def test_lanes_are_put_in_order_and_gaps_wait() -> None:
    validator = MemoryValidator()
    raws = {number: add(validator, number) for number in range(1, 7)}
    validator.application.submit([raws[3], raws[2], raws[1], raws[5]])
    assert validator.propose() == [raws[1], raws[2], raws[3]]
    validator.decide(raws[1])
    validator.application.submit([raws[4]])
    assert validator.propose() == [raws[2], raws[3], raws[4], raws[5]]


def test_a_gap_that_stays_is_answered() -> None:
    validator = MemoryValidator(mempool=MempoolSettings(sequence_wait_ms=2_000))
    future = validator.application.submit([add(validator, 2)])
    assert validator.propose() == []
    validator.clock.now += 2_000
    assert validator.propose() == []
    assert future.result(0)[0].code == "ledger/bad_sequence"
    assert validator.application.waiting() == 0


def test_a_stale_copy_is_answered_with_the_block_that_holds_it() -> None:
    validator = MemoryValidator()
    raw = add(validator, 1)
    validator.decide(raw)
    future = validator.application.submit([raw])
    assert validator.propose() == []
    assert (future.result(0)[0].code, future.result(0)[0].height) == ("ok", 1)


def test_what_no_block_may_hold_is_answered_at_once() -> None:
    validator = MemoryValidator()
    bad = spoiled(add(validator, 1))
    foreign = transaction(Add(1), sequence=1)
    future = validator.application.submit([b"noise", bad, foreign])
    assert [one.code for one in future.result(0)] == [
        "ledger/malformed_transaction",
        "ledger/bad_signature",
        "ledger/wrong_chain",
    ]
    assert validator.application.waiting() == 0
    assert [validator.application.check(raw) for raw in (b"noise", bad, add(validator, 1))] == [
        "ledger/malformed_transaction",
        "ledger/bad_signature",
        "ok",
    ]


def test_what_peers_sent_is_checked_like_the_rest() -> None:
    validator = MemoryValidator()
    good, bad = add(validator, 1), spoiled(add(validator, 2))
    for raw in (good, bad, b"noise", good):
        assert validator.application.insert(raw)
    validator.application._take_in([good, bad, b"noise", good])
    assert validator.propose() == [good]
    assert validator.application.reap(1 << 20) == []
    assert validator.application._mempool._reserved == 1


def test_a_full_mempool_says_so_and_takes_nothing() -> None:
    validator = MemoryValidator(mempool=MempoolSettings(transactions_max=2))
    with pytest.raises(MempoolFullError):
        validator.application.submit([add(validator, number) for number in (1, 2, 3)])
    assert validator.application.insert(add(validator, 1))
    assert validator.application.insert(add(validator, 2))
    assert not validator.application.insert(add(validator, 3))


def test_ours_are_announced_once_and_again_while_they_wait() -> None:
    validator = MemoryValidator()
    raws = [add(validator, number) for number in (1, 2)]
    validator.application.submit(raws)
    assert validator.application.reap(len(raws[0])) == raws[:1]
    assert validator.application.reap(1 << 20) == raws[1:]
    validator.clock.now += ANNOUNCE_AGAIN_MS - 1
    assert validator.application.reap(1 << 20) == []
    validator.decide(raws[0])
    validator.clock.now += 1
    assert validator.application.reap(1 << 20) == raws[1:]


def test_a_proposal_fits_the_bytes_it_may_have() -> None:
    validator = MemoryValidator()
    raws = [add(validator, number) for number in range(1, 9)]
    validator.application.submit(raws)
    room = 3 * (len(raws[0]) + 8)
    assert validator.application.propose(room, 0) == raws[:3]
    assert validator.application.propose(0, 0) == []


def test_judging_rejects_by_block_and_committed_state() -> None:
    validator = MemoryValidator()
    judge, raw = validator.application.judge, add(validator, 1)
    assert judge(validator.proposed(raw)) == ""
    assert "twice" in judge(validator.proposed(raw, raw))
    assert "no transaction" in judge(validator.proposed(raw, b"noise"))
    assert "too large" in judge(validator.proposed(b"x" * 70_000))
    block = validator.proposed(raw)

    def changed(**fields: Any) -> Proposed:
        values = {name: getattr(block, name) for name in Proposed.__slots__}
        return Proposed(**{**values, **fields})

    assert "does not follow" in judge(changed(height=2))
    assert "time" in judge(changed(time_ms=1))
    # A signature is not looked at: it costs a result, not the block.
    assert judge(validator.proposed(spoiled(raw))) == ""


def test_a_block_over_the_budget_is_rejected_and_not_proposed() -> None:
    validator = MemoryValidator(parameters=(("ledger.block_cost_max", 20_000),))
    raws = [
        transaction(Note("x" * 6_000), sequence=number, chain_id=validator.chain_id)
        for number in (1, 2, 3, 4)
    ]
    validator.application.submit(raws)
    fitting = validator.propose()
    assert fitting == raws[:2] or fitting == raws[:3]
    assert validator.application.judge(validator.proposed(*fitting)) == ""
    reason = validator.application.judge(validator.proposed(*raws))
    assert reason == f"its transactions up to {len(fitting)} cost more than a block may"
    validator.decide(*fitting)
    assert validator.propose() == raws[len(fitting) :]


def test_finalizing_twice_is_the_same_and_a_commit_needs_a_block() -> None:
    validator = MemoryValidator()
    block = validator.proposed(add(validator, 1))
    assert validator.application.finalize(block) == validator.application.finalize(block)
    assert validator.application.commit() == 1
    with pytest.raises(EngineFault, match="no block is finalized"):
        validator.application.commit()


def test_malformed_blocks_and_broken_invariants_are_faults() -> None:
    validator = MemoryValidator()
    raw = add(validator, 1)
    with pytest.raises(MalformedBlockError):
        validator.application.finalize(validator.proposed(raw, raw))
    skew = transaction(Skew(), sequence=1, chain_id=validator.chain_id)
    with pytest.raises(InvariantError):
        validator.application.finalize(validator.proposed(skew))
    assert validator.application.head.height == 0


def test_the_newest_state_is_proved_one_block_later() -> None:
    validator = MemoryValidator()
    assert not validator.application.is_proved
    validator.decide(add(validator, 1))
    assert not validator.application.is_proved
    validator.decide()
    assert validator.application.is_proved


def test_a_proposer_waits_for_work_and_can_be_hurried() -> None:
    validator = MemoryValidator()
    validator.decide(add(validator, 1))
    validator.decide()
    timers = [
        threading.Timer(0.01, validator.application.wake),
        threading.Timer(0.01, validator.application.submit, [[add(validator, 2)]]),
    ]
    for timer, expected in zip(timers, ([], [add(validator, 2)]), strict=True):
        timer.start()
        assert validator.application.propose(1 << 20, 20_000) == expected
        timer.join()


def test_who_waits_hears_that_it_stopped() -> None:
    validator = MemoryValidator()
    future = validator.application.submit([add(validator, 1)])
    validator.application.stop()
    with pytest.raises(EngineStoppedError):
        future.result(0)
    with pytest.raises(EngineStoppedError):
        validator.application.submit([add(validator, 2)])


def test_recorded_blocks_execute_to_the_same_and_differences_are_found() -> None:
    validator = MemoryValidator()
    blocks = [validator.decide(add(validator, number), b"noise") for number in (1, 2)]
    state = MemoryState()
    founded = validator.ledger.found(validator.charter, validator.chain_id, state)
    state.apply(founded.changes)
    first = execute_again(validator.ledger, founded.head, state, blocks[0])
    state.apply(first.changes)
    second = execute_again(validator.ledger, first.head, state, blocks[1])
    assert second.head == validator.application.head
    other = validator.proposed()
    assert other.height == 3
    with pytest.raises(DivergenceError, match="application hash"):
        execute_again(
            validator.ledger,
            first.head,
            state,
            type(blocks[1])(*_replace(blocks[1], app_hash=bytes(32))),
        )


def _replace(block: Any, **fields: Any) -> list[Any]:
    return [fields.get(name, getattr(block, name)) for name in block.__struct_fields__]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 5), st.booleans()), max_size=25))
def test_validators_that_hear_in_any_order_agree(steps: list[tuple[int, int, bool]]) -> None:
    """Whoever proposes, both execute alike, and nothing stays reserved that is not there."""
    validators = [MemoryValidator(), MemoryValidator()]
    for turn, (user, sequence, decide) in enumerate(steps):
        raw = add(validators[0], sequence, user=user)
        proposer, other = validators[turn % 2], validators[1 - turn % 2]
        proposer.application.submit([raw])
        if turn % 3:
            other.application.insert(raw)
            other.application._take_in([raw])
        if decide:
            raws = proposer.propose()
            assert [one.application.judge(one.proposed(*raws)) for one in validators] == ["", ""]
            blocks = [one.decide(*raws) for one in validators]
            assert blocks[0] == blocks[1]
            assert not blocks[0].invalid
            assert all(result.code == 0 for result in blocks[0].results)
    for validator in validators:
        mempool = validator.application._mempool
        assert mempool._reserved == len(mempool._known) == len(mempool._by_raw)
        assert len(mempool._queue) + len(mempool._parked_order) == len(mempool)
        assert sum(len(w) for lane in mempool._parked.values() for w in lane.values()) == len(
            mempool._parked_order
        )
