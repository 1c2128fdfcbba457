"""What waits for a block: order, duplicates, gaps, limits."""

import random

import pytest

from cairn.engine.errors import EngineFault, EngineStoppedError, MempoolFullError
from cairn.engine.mempool import MempoolSettings
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.ledger.transactions import (
    ENVELOPE_VERSION,
    Transaction,
    decode_envelope,
    signing_bytes,
)
from cairn.primitives.encoding import encode
from tests.engine.toy import (
    USER_KEYS,
    Add,
    Bench,
    account_of,
    transaction,
)

VICTIM = account_of(USER_KEYS[0].public_key)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.settle()
    return bench


def codes(bench: Bench, *raws: bytes) -> list[str]:
    return [outcome.code for outcome in bench.run(*raws)]


def test_a_shuffled_lane_is_put_in_order(bench: Bench) -> None:
    raws = [transaction(Add(1), sequence=n) for n in range(1, 41)]
    shuffled = random.Random(7).sample(raws, len(raws))
    outcomes = bench.run(*shuffled)
    assert {outcome.code for outcome in outcomes} == {"ok"}
    assert {outcome.height for outcome in outcomes} == {2}


def test_a_transaction_waits_for_the_ones_before_it(bench: Bench) -> None:
    later = bench.application.submit([transaction(Add(1), sequence=n) for n in (3, 2)])
    bench.settle()
    assert not later.done()
    assert codes(bench, transaction(Add(1), sequence=1)) == ["ok"]
    assert [outcome.code for outcome in later.result(timeout=0)] == ["ok", "ok"]
    assert bench.application.waiting() == 0


def test_a_gap_that_is_not_filled_is_refused_in_time(bench: Bench) -> None:
    later = bench.application.submit([transaction(Add(1), sequence=5)])
    bench.settle()
    height = bench.height
    bench.clock.now += 1_900
    bench.settle()
    assert not later.done()
    bench.clock.now += 200
    bench.engine.step()
    (outcome,) = later.result(timeout=0)
    assert (outcome.code, outcome.height) == ("ledger/bad_sequence", 0)
    assert bench.height == height
    assert bench.application.waiting() == 0


def test_a_transaction_twice_at_once_is_in_one_block_and_both_are_answered(bench: Bench) -> None:
    raw = transaction(Add(4), sequence=1)
    first, second = (bench.application.submit([raw]) for _ in range(2))
    twice = bench.application.submit([raw, raw])
    bench.settle()
    (outcome,) = first.result(timeout=0)
    assert outcome.code == "ok"
    assert second.result(timeout=0) == [outcome]
    assert twice.result(timeout=0) == [outcome, outcome]
    assert sum(len(entry.transactions) for entry in bench.keeper.entries) == 1


def test_a_transaction_that_is_in_a_block_is_answered_with_its_receipt(bench: Bench) -> None:
    raw = transaction(Add(4), sequence=1)
    (before,) = bench.run(raw)
    height = bench.height
    (again,) = bench.run(raw)
    assert (again.code, again.height, again.receipt) == ("ok", before.height, before.receipt)
    assert bench.height == height


def test_another_transaction_of_a_used_sequence_is_refused(bench: Bench) -> None:
    bench.run(transaction(Add(4), sequence=1))
    assert codes(bench, transaction(Add(5), sequence=1)) == ["ledger/bad_sequence"]


def test_the_same_body_under_a_broken_signature_does_not_take_the_place(bench: Bench) -> None:
    raw = transaction(Add(4), sequence=1)
    envelope = decode_envelope(raw)
    forged = encode(Transaction(ENVELOPE_VERSION, envelope.body, envelope.key, b"\0" * 64))
    assert codes(bench, forged, raw, forged) == [
        "ledger/bad_signature",
        "ok",
        "ledger/bad_signature",
    ]


def test_a_strangers_key_does_not_block_a_lane(bench: Bench) -> None:
    """Mallory signs for the victim's next sequences with a key of her own."""
    mallory = USER_KEYS[1]
    squatting = [transaction(Add(1), sequence=n, key=mallory, sender=VICTIM) for n in range(1, 6)]
    refused = bench.application.submit(squatting)
    bench.settle()
    assert codes(bench, *(transaction(Add(1), sequence=n) for n in range(1, 6))) == ["ok"] * 5
    bench.clock.now += 3_000
    bench.settle()
    assert {outcome.code for outcome in refused.result(timeout=0)} <= {
        "ledger/unknown_key",
        "ledger/bad_sequence",
    }


def test_form_chain_and_expiry_are_refused_by_code(bench: Bench) -> None:
    body = decode_envelope(transaction(Add(1), sequence=1)).body
    empty = encode(
        Transaction(
            ENVELOPE_VERSION,
            body[:-1],
            USER_KEYS[0].public_key,
            USER_KEYS[0].sign(signing_bytes(body[:-1])),
        )
    )
    assert codes(
        bench,
        b"",
        b"\xc1" * 70_000,
        empty,
        transaction(sequence=1),
        transaction(Add(1), sequence=1, chain_id="toy-other"),
        transaction(Add(1), sequence=1, valid_until=1),
        transaction(Add(1), sequence=1, valid_until=10_000_000),
        transaction(Add(1), sequence=1, valid_until=2),
    ) == [
        *["ledger/malformed_transaction"] * 4,
        "ledger/wrong_chain",
        *["ledger/expired_transaction"] * 2,
        "ok",
    ]


def test_an_invalid_message_still_uses_its_sequence(bench: Bench) -> None:
    outcomes = bench.run(transaction(Add(0), sequence=1), transaction(Add(1), sequence=2))
    assert [outcome.code for outcome in outcomes] == ["ledger/operation_refused", "ok"]
    receipt = RECEIPT_DECODER.decode(outcomes[0].receipt)
    assert receipt.operations[0].code == "ledger/invalid_message"


def test_a_full_mempool_pushes_back_and_takes_nothing() -> None:
    bench = Bench(mempool=MempoolSettings(transactions_max=4))
    bench.settle()
    bench.application.submit([transaction(Add(1), sequence=n) for n in (1, 2, 3)])
    with pytest.raises(MempoolFullError, match="at most 4"):
        bench.application.submit([transaction(Add(1), sequence=n) for n in (4, 5)])
    assert bench.application.waiting() == 3
    last = bench.application.submit([transaction(Add(1), sequence=4)])
    bench.settle()
    assert last.result(timeout=0)[0].code == "ok"
    raws = [transaction(Add(1), sequence=n) for n in range(5, 9)]
    assert codes(bench, *raws) == ["ok"] * 4
    big = Bench(mempool=MempoolSettings(size_bytes_max=300))
    with pytest.raises(MempoolFullError):
        big.application.submit([transaction(*[Add(1)] * 60, sequence=1)])


def test_refusals_give_their_room_back() -> None:
    bench = Bench(mempool=MempoolSettings(transactions_max=2))
    bench.settle()
    for _ in range(5):
        assert codes(bench, b"junk", transaction(Add(1), sequence=1, valid_until=1)) == [
            "ledger/malformed_transaction",
            "ledger/expired_transaction",
        ]
        raw = transaction(Add(1), sequence=1)[:-1] + b"\0"
        assert codes(bench, raw, raw) == ["ledger/bad_signature"] * 2


def test_blocks_hold_no_more_bytes_than_set() -> None:
    raws = [transaction(Add(1), sequence=n) for n in range(1, 7)]
    bench = Bench(mempool=MempoolSettings(block_size_bytes_max=2 * len(raws[0]) + 10))
    bench.settle()
    assert [outcome.height for outcome in bench.run(*raws)] == [2, 2, 3, 3, 4, 4]


def test_who_waits_when_the_engine_stops_hears_of_it(bench: Bench) -> None:
    parked = bench.application.submit([transaction(Add(1), sequence=9)])
    bench.application.stop()
    with pytest.raises(EngineStoppedError):
        parked.result(timeout=0)
    other = Bench()
    waiting = other.application.submit([transaction(Add(1), sequence=1)])
    other.engine.fail(EngineFault("a test"))
    with pytest.raises(EngineFault):
        waiting.result(timeout=0)


def test_nothing_is_answered_at_once(bench: Bench) -> None:
    assert bench.application.submit([]).result(timeout=0) == []


def test_check_tells_what_may_wait(bench: Bench) -> None:
    raw = transaction(Add(1), sequence=1)
    assert bench.application.check(
        [raw, b"junk", raw[:-1] + b"\0", transaction(Add(1), sequence=1, chain_id="toy-other")]
    ) == ["ok", "ledger/malformed_transaction", "ledger/bad_signature", "ledger/wrong_chain"]
