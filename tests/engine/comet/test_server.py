"""The socket as CometBFT uses it: order, flushes, one consensus connection, noise, the end."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cairn.engine.comet import codec
from cairn.engine.comet import messages as abci
from cairn.engine.comet.bridge import Bridge, BridgeSettings
from cairn.engine.comet.errors import HandshakeFault, SocketPathError
from cairn.engine.comet.files import genesis_document
from cairn.engine.comet.server import AbciServer
from cairn.engine.mempool import MempoolSettings
from cairn.ledger.errors import Fault, MalformedBlockError
from cairn.primitives.light import ConsensusParams
from cairn.primitives.signatures import KEY_PREFIX
from tests.engine.comet.toy_network import MemoryValidator
from tests.engine.toy import START_MS, TOTALS, USER_KEYS, Add, account_of, transaction


class Client:
    """One connection of CometBFT."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        self._socket.connect(str(path))
        self._buffer = bytearray()

    def send(self, *requests: Any) -> None:
        self._socket.sendall(b"".join(codec.frame(codec.encode_request(one)) for one in requests))

    def send_raw(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def receive(self, count: int) -> list[Any]:
        responses: list[Any] = []
        while len(responses) < count:
            chunk = self._socket.recv(65_536)
            if not chunk:
                raise EOFError
            self._buffer += chunk
            responses += [codec.decode_response(raw) for raw in codec.split_frames(self._buffer)]
        return responses

    def ask(self, request: Any) -> Any:
        self.send(request, abci.RequestFlush())
        response, flushed = self.receive(2)
        assert flushed == abci.ResponseFlush()
        return response

    def close(self) -> None:
        self._socket.close()


class Served:
    def __init__(self, path: Path) -> None:
        self.validator = MemoryValidator(count=4, mempool=MempoolSettings(transactions_max=8))
        self.faults: list[Fault] = []
        self.heights: list[int] = []
        self.path = path
        self.bridge = Bridge(
            self.validator.application,
            self.validator.charter,
            self.validator.chain_id,
            settings=BridgeSettings(0, ("ab" * 20,)),
            on_fault=self.faults.append,
        )
        self.bridge.on_block = self.heights.append
        self.server = AbciServer(path, self.bridge.answer)

    @contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(self.path)
        try:
            yield client
        finally:
            client.close()

    def init_chain(self, **changes: Any) -> abci.RequestInitChain:
        own = ConsensusParams()
        values: dict[str, Any] = {
            "time": abci.Time(START_MS // 1000, 1_000_000),
            "chain_id": self.validator.chain_id,
            "consensus_params": abci.ConsensusParams(
                abci.BlockParams(own.block_size_bytes_max, own.block_gas_max)
            ),
            "validators": tuple(
                abci.ValidatorUpdate(abci.CryptoKey(one.key.removeprefix(KEY_PREFIX)), one.power)
                for one in self.validator.charter.validators
            ),
            "initial_height": 1,
        }
        return abci.RequestInitChain(**{**values, **changes})

    def block(self, *raws: bytes) -> abci.RequestFinalizeBlock:
        proposed = self.validator.proposed(*raws)
        return abci.RequestFinalizeBlock(
            txs=raws,
            hash=proposed.block_hash,
            height=proposed.height,
            time=abci.Time(proposed.time_ms // 1000, 0),
            next_validators_hash=bytes(32),
            proposer_address=bytes(20),
        )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path / "abci.sock")
    one.server.start()
    yield one
    one.server.stop()


def spoiled(raw: bytes) -> bytes:
    """Return a transaction with another signature, which cannot be valid."""
    return raw[:-1] + bytes((raw[-1] ^ 1,))


def signed(served: Served, sequence: int, amount: int = 5) -> bytes:
    return transaction(Add(amount), sequence=sequence, chain_id=served.validator.chain_id)


def test_replies_come_in_the_order_of_the_requests(served: Served) -> None:
    with served.client() as client:
        client.send(
            abci.RequestEcho("one"),
            abci.RequestInfo(),
            abci.RequestEcho("two"),
            abci.RequestReapTxs(),
            abci.RequestFlush(),
        )
        first, info, second, reaped, flushed = client.receive(5)
    assert (first, second) == (abci.ResponseEcho("one"), abci.ResponseEcho("two"))
    assert info == abci.ResponseInfo(data="cairn", app_version=1)
    assert reaped == abci.ResponseReapTxs()
    assert flushed == abci.ResponseFlush()


def test_a_block_from_genesis_to_commit(served: Served) -> None:
    validator, raw = served.validator, signed(served, 1)
    founded = validator.application.head.app_hash
    with served.client() as client, served.client() as query:
        assert client.ask(served.init_chain()).app_hash == founded
        assert client.ask(served.init_chain()).app_hash == founded
        finalized = client.ask(served.block(raw))
        assert [result.code for result in finalized.tx_results] == [0]
        assert query.ask(abci.RequestInfo()).last_block_height == 0
        assert client.ask(abci.RequestCommit()) == abci.ResponseCommit(0)
        info = query.ask(abci.RequestInfo())
        assert (info.last_block_height, info.last_block_app_hash) == (1, finalized.app_hash)
        key = TOTALS.key(account_of(USER_KEYS[0].public_key))
        assert query.ask(abci.RequestQuery(key, "/row")).value == validator.keeper.row(key)
        receipt = query.ask(abci.RequestQuery(bytes(32), "/receipt"))
        assert (receipt.code, receipt.log) == (1, "not found")
        assert query.ask(abci.RequestQuery(b"", "/nothing")).code == 2
    assert finalized.app_hash != founded
    assert served.heights == [1]


def test_a_bad_signature_in_a_block_is_a_result_and_no_fault(served: Served) -> None:
    bad = spoiled(signed(served, 2))
    with served.client() as client:
        client.ask(served.init_chain())
        finalized = client.ask(served.block(bad, b"noise", signed(served, 1)))
        assert [result.code for result in finalized.tx_results] == [2, 2, 0]
        client.ask(abci.RequestCommit())
    assert served.validator.keeper.blocks[0].invalid == (0, 1)
    assert not served.faults


def test_a_second_consensus_connection_is_closed(served: Served) -> None:
    with served.client() as first, served.client() as second:
        first.ask(served.init_chain())
        assert second.ask(abci.RequestInfo()).data == "cairn"
        second.send(served.init_chain(), abci.RequestFlush())
        with pytest.raises(EOFError):
            second.receive(1)
        assert first.ask(abci.RequestEcho("still here")).message == "still here"
    served.server._threads[1].join(5)
    with served.client() as successor:
        assert successor.ask(served.init_chain()).app_hash


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": "other"},
        {"initial_height": 2},
        {"validators": ()},
        {"consensus_params": None},
        {"consensus_params": abci.ConsensusParams(abci.BlockParams(1, -1))},
    ],
)
def test_another_genesis_stops_the_node(served: Served, changes: dict[str, Any]) -> None:
    with served.client() as client:
        client.send(served.init_chain(**changes))
        with pytest.raises(EOFError):
            client.receive(1)
    [fault] = served.faults
    assert isinstance(fault, HandshakeFault)


def test_what_must_not_happen_gets_no_reply(served: Served) -> None:
    raw = signed(served, 1)
    with served.client() as client:
        client.send(served.block(raw, raw))
        with pytest.raises(EOFError):
            client.receive(1)
    [fault] = served.faults
    assert isinstance(fault, MalformedBlockError)
    assert served.validator.application.head.height == 0


def test_proposals_are_judged(served: Served) -> None:
    raw = signed(served, 1)

    def ask(*raws: bytes) -> int:
        block = served.block(*raws)
        request = abci.RequestProcessProposal(
            txs=block.txs, hash=block.hash, height=block.height, time=block.time
        )
        with served.client() as client:
            return int(client.ask(request).status)

    assert ask() == ask(raw) == abci.PROPOSAL_ACCEPT
    assert ask(raw, raw) == ask(raw, b"noise") == abci.PROPOSAL_REJECT


def test_noise_gets_an_exception_and_the_connection_ends(served: Served) -> None:
    with served.client() as client:
        client.send_raw(b"\x03\xff\xff\xff")
        [response] = client.receive(1)
        assert isinstance(response, abci.ResponseException)
        with pytest.raises(EOFError):
            client.receive(1)
    with served.client() as client:
        assert client.ask(abci.RequestEcho("well")).message == "well"
    assert not served.faults


def test_transactions_of_peers_and_ours(served: Served) -> None:
    application = served.validator.application
    raw = signed(served, 1)
    with served.client() as client:
        assert client.ask(abci.RequestCheckTx(b"noise")).log == "ledger/malformed_transaction"
        assert client.ask(abci.RequestInsertTx(raw)).code == abci.CODE_OK
        assert client.ask(abci.RequestCheckTx(raw)).code == abci.CODE_OK
        future = application.submit([signed(served, 2)])
        assert client.ask(abci.RequestReapTxs(1 << 20)).txs == (signed(served, 2),)
        assert client.ask(abci.RequestReapTxs(1 << 20)).txs == ()
        application.submit([signed(served, number) for number in range(3, 8)])
        assert client.ask(abci.RequestInsertTx(raw)).code == abci.CODE_RETRY
        assert client.ask(abci.RequestCheckTx(raw)).code == abci.CODE_RETRY
    assert not future.done()


def test_only_members_may_connect(served: Served) -> None:
    with served.client() as client:
        assert client.ask(abci.RequestQuery(b"", "/p2p/filter/addr/127.0.0.1:1")).code == 0
        assert client.ask(abci.RequestQuery(b"", "/p2p/filter/id/" + "ab" * 20)).code == 0
        assert client.ask(abci.RequestQuery(b"", "/p2p/filter/id/" + "cd" * 20)).code == 3


def test_snapshots_and_vote_extensions_are_declined(served: Served) -> None:
    with served.client() as client:
        assert client.ask(abci.RequestListSnapshots()).snapshots == ()
        assert client.ask(abci.RequestOfferSnapshot()).result == abci.SNAPSHOT_REJECT
        assert client.ask(abci.RequestLoadSnapshotChunk()).chunk == b""
        assert client.ask(abci.RequestApplySnapshotChunk()).result == abci.CHUNK_ABORT
        assert client.ask(abci.RequestExtendVote()).vote_extension == b""
        verified = client.ask(abci.RequestVerifyVoteExtension(vote_extension=b"x"))
        assert verified.status == abci.VOTE_EXTENSION_REJECT


def test_a_path_that_no_socket_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SocketPathError):
        AbciServer(tmp_path / ("x" * 120), lambda request: None)


def test_the_genesis_names_the_charters_validators(served: Served) -> None:
    document = genesis_document(served.validator.charter, served.validator.chain_id)
    assert [one["power"] for one in document["validators"]] == ["10"] * 4
    assert document["genesis_time"] == "2023-11-14T22:13:20.001Z"
    assert document["consensus_params"]["block"] == {"max_bytes": "4194304", "max_gas": "-1"}
