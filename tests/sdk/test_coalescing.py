"""The coalescer: few transactions, each caller his own outcome."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cairn.ledger.messages import Message
from cairn.modules.bank.messages import Issue, Transfer
from cairn.modules.bank.records import BALANCES
from cairn.modules.models.messages import UploadChunk
from cairn.sdk.client import Client
from cairn.sdk.coalescing import Coalescer
from cairn.sdk.errors import RejectedError, UsageError
from cairn.sdk.outcomes import OperationOutcome
from tests.sdk.conftest import ClientOf
from tests.sdk.test_client import opened


class Counting(Client):
    """A client that counts its transactions."""

    sizes: tuple[int, ...] = ()

    def submit_each(self, *messages: Message) -> list[OperationOutcome]:
        self.sizes += (len(messages),)
        return super().submit_each(*messages)


@pytest.fixture
def core(client_of: ClientOf) -> Counting:
    client = client_of("core")
    client.__class__ = Counting
    assert isinstance(client, Counting)
    return client


def test_strangers_share_a_transaction_and_each_gets_his_own_outcome(core: Counting) -> None:
    alice, bob = opened(core, b"alice", b"bob")
    core.submit(Issue("eur", alice, 10))
    now_ms = core.head().time_ms

    def pay(number: int) -> str:
        units = 1 if number % 5 else 1_000_000
        message = Transfer(alice, bob, "eur", units, now_ms, bytes((number,)) * 32)
        return coalescer.submit(message).result(20).code

    with Coalescer(core, wait_ms=30) as coalescer, ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(pay, range(50)))
    assert all(codes[number] == "bank/insufficient_funds" for number in range(0, 50, 5))
    assert sorted(codes).count("ok") == 10
    assert core.require(BALANCES, bob, "eur").available == 10
    assert sum(core.sizes) == 50
    assert len(core.sizes) < 10


def test_a_transaction_takes_no_more_than_it_may(core: Counting) -> None:
    (alice,) = opened(core, b"alice")
    with Coalescer(core, operations_max=8, wait_ms=50) as coalescer:
        futures = [coalescer.submit(Issue("eur", alice, 1)) for _ in range(20)]
    assert [future.result(0).code for future in futures] == ["ok"] * 20
    assert max(core.sizes) <= 8
    assert core.require(BALANCES, alice, "eur").available == 20


def test_bytes_bound_a_transaction_too(core: Counting) -> None:
    chunk = UploadChunk(b"d" * 32, 0, 512, b"x" * 32_000)
    with Coalescer(core, wait_ms=50) as coalescer:
        futures = [coalescer.submit(chunk) for _ in range(3)]
    assert [future.result(0).code for future in futures] == ["identity/missing_role"] * 3
    assert max(core.sizes) == 1


def test_when_the_whole_fails_everybody_hears(core: Counting) -> None:
    core.account = b"\x07" * 20
    with Coalescer(core, wait_ms=20) as coalescer:
        futures = [coalescer.submit(Issue("eur", b"a" * 20, 1)) for _ in range(3)]
    for future in futures:
        with pytest.raises(RejectedError) as caught:
            future.result(0)
        assert caught.value.code == "ledger/unknown_key"


def test_what_is_cancelled_in_time_is_not_submitted(core: Counting) -> None:
    (alice,) = opened(core, b"alice")
    with Coalescer(core, wait_ms=100) as coalescer:
        first, second = (coalescer.submit(Issue("eur", alice, n)) for n in (1, 2))
        assert first.cancel()
    assert second.result(0).code == "ok"
    assert not second.cancel()
    assert core.require(BALANCES, alice, "eur").available == 2
    with Coalescer(core, wait_ms=100) as coalescer:
        assert coalescer.submit(Issue("eur", alice, 1)).cancel()
    assert sum(core.sizes) == 1


def test_several_transactions_are_under_way(core: Counting) -> None:
    (alice,) = opened(core, b"alice")
    with Coalescer(core, operations_max=5, wait_ms=0, under_way_max=4) as coalescer:
        futures = [coalescer.submit(Issue("eur", alice, 1)) for _ in range(40)]
        heights = {future.result(20).code for future in futures}
    assert heights == {"ok"}
    assert core.require(BALANCES, alice, "eur").available == 40


def test_after_closing_nothing_is_taken(core: Counting) -> None:
    coalescer = Coalescer(core)
    coalescer.close()
    with pytest.raises(UsageError, match="closed"):
        coalescer.submit(Issue("eur", b"a" * 20, 1))
    with pytest.raises(UsageError, match="1 to 256"):
        Coalescer(core, operations_max=257)
