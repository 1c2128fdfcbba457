import os
import signal
import threading

import pytest

from cairn.engine.errors import WorkerDiedError
from cairn.engine.signature_pool import CHUNK_SIGNATURES, SignaturePool
from cairn.primitives.signatures import SigningKey, verify_many
from tests.engine.toy import USER_KEYS, Add, Bench, transaction

Triple = tuple[bytes, bytes, bytes]


def triples(count: int) -> list[Triple]:
    key = SigningKey.from_seed(b"k" * 32)
    made = []
    for index in range(count):
        message = b"message %d" % index
        signature = key.sign(message if index % 3 else b"another")
        made.append((key.public_key, message, signature))
    return made


def unexpected(error: WorkerDiedError) -> None:
    raise AssertionError(error)


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_decide_as_the_library_does(workers: int) -> None:
    pool = SignaturePool(workers, unexpected)
    chunk = triples(3 * CHUNK_SIGNATURES + 5)
    chunk += [(b"short", b"m", b"s" * 64), (chunk[0][0], b"m", b"short")]
    assert pool.check_all(chunk) == verify_many(chunk)
    answers: list[list[bool]] = []
    done = threading.Event()

    def verdicts(found: object) -> None:
        answers.append(list(found))  # type: ignore[call-overload]
        done.set()

    pool.check(chunk[:100], verdicts)
    assert done.wait(10)
    assert answers == [verify_many(chunk[:100])]
    pool.close()


def test_few_signatures_start_no_process() -> None:
    pool = SignaturePool(2, unexpected)
    assert pool.check_all(triples(10)) == verify_many(triples(10))
    assert pool._workers == []
    pool.close()


def test_a_worker_that_dies_stops_the_engine() -> None:
    bench = Bench()
    bench.settle()
    pool = SignaturePool(1, bench.engine.fail)
    bench.application.signatures = pool
    raws = [transaction(Add(1), sequence=n, key=key) for key in USER_KEYS for n in range(1, 60)]
    bench.application.submit(raws)
    pool.check_all(triples(100))
    (worker,) = pool._workers
    os.kill(worker.pid, signal.SIGSTOP)
    waiting = bench.application.submit(
        [transaction(Add(1), sequence=n, lane=1) for n in range(1, 60)]
    )
    os.kill(worker.pid, signal.SIGKILL)
    assert isinstance(waiting.exception(timeout=10), WorkerDiedError)
    with pytest.raises(WorkerDiedError):
        bench.engine.step()
    with pytest.raises(WorkerDiedError):
        bench.application.submit(raws)
    with pytest.raises(WorkerDiedError):
        pool.check_all(triples(100))
    pool.close()


def test_transactions_checked_by_workers_are_settled() -> None:
    bench = Bench()
    bench.settle()
    pool = SignaturePool(2, bench.engine.fail)
    bench.application.signatures = pool
    raws = [transaction(Add(1), sequence=n, key=key) for key in USER_KEYS for n in range(1, 101)]
    raws[150] = raws[150][:-1] + bytes((raws[150][-1] ^ 1,))
    future = bench.application.submit(raws)
    pool.check_all(triples(300))  # answered in order: what came before it is checked too
    pool.check_all(triples(300))
    bench.settle()
    bench.clock.now += 3_000
    bench.settle()
    codes = [outcome.code for outcome in future.result(timeout=10)]
    assert codes[:150] == ["ok"] * 150
    assert codes[150] == "ledger/bad_signature"
    assert set(codes[151:200]) == {"ledger/bad_sequence"}
    assert codes[200:] == ["ok"] * 100
    pool.close()
