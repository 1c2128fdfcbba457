"""Answers ABCI requests from the ledger's application: one method for each message, none throws.

A request that cannot be served gets a reply that says so. What must not happen (a `Fault`) is
handed to the engine, and the connection is closed without a reply: CometBFT ends when that happens,
so that no node votes on what it could not execute.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cairn.engine.comet import messages as abci
from cairn.engine.comet.application import CometApplication, Proposed
from cairn.engine.comet.codec import MESSAGE_SIZE_BYTES_MAX
from cairn.engine.comet.errors import HandshakeFault
from cairn.engine.comet.record import Offence
from cairn.engine.errors import EngineFault
from cairn.ledger.charter import Charter
from cairn.ledger.errors import Fault
from cairn.ledger.execution import STATE_VERSION
from cairn.ledger.receipts import OK
from cairn.primitives.light import ConsensusParams
from cairn.primitives.signatures import KEY_PREFIX

_log = logging.getLogger(__name__)

CONSENSUS_REQUESTS = (
    abci.RequestInitChain,
    abci.RequestPrepareProposal,
    abci.RequestProcessProposal,
    abci.RequestFinalizeBlock,
    abci.RequestCommit,
    abci.RequestExtendVote,
    abci.RequestVerifyVoteExtension,
)
"""What only one connection may ask, the consensus connection."""

QUERY_NOT_FOUND, QUERY_UNKNOWN, QUERY_STRANGER = 1, 2, 3

PEER_ADDRESS_PATH, PEER_ID_PATH = "/p2p/filter/addr/", "/p2p/filter/id/"
"""What CometBFT asks before it keeps a connection to a peer."""


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """How the application answers."""

    idle_wait_ms: int = 2_000
    """How long a proposer waits for transactions; well below the time to propose."""
    peer_ids: tuple[str, ...] = ()
    """The nodes that may connect; others are turned away."""
    first_height: int = 1


class Bridge:
    """Translates between ABCI's messages and the application.

    Args:
        application: Whom to ask.
        charter: What the genesis must say.
        chain_id: The ledger's chain id.
        settings: How to answer.
        on_fault: Called with what stops the node.
    """

    def __init__(
        self,
        application: CometApplication,
        charter: Charter,
        chain_id: str,
        *,
        settings: BridgeSettings,
        on_fault: Callable[[Fault], None],
    ) -> None:
        """Answer from `application`."""
        self._application = application
        self._charter = charter
        self._chain_id = chain_id
        self._settings = settings
        self._on_fault = on_fault
        self.on_block: Callable[[int], None] = _ignore
        """Called with each new height, from the consensus connection's thread."""
        self._handlers: dict[type[Any], Callable[[Any], Any]] = {
            abci.RequestEcho: _echo,
            abci.RequestFlush: _flush,
            abci.RequestInfo: self._info,
            abci.RequestInitChain: self._init_chain,
            abci.RequestQuery: self._query,
            abci.RequestCheckTx: self._check_tx,
            abci.RequestCommit: self._commit,
            abci.RequestListSnapshots: _list_snapshots,
            abci.RequestOfferSnapshot: _offer_snapshot,
            abci.RequestLoadSnapshotChunk: _load_snapshot_chunk,
            abci.RequestApplySnapshotChunk: _apply_snapshot_chunk,
            abci.RequestPrepareProposal: self._prepare_proposal,
            abci.RequestProcessProposal: self._process_proposal,
            abci.RequestExtendVote: _extend_vote,
            abci.RequestVerifyVoteExtension: _verify_vote_extension,
            abci.RequestFinalizeBlock: self._finalize_block,
            abci.RequestInsertTx: self._insert_tx,
            abci.RequestReapTxs: self._reap_txs,
        }

    def answer(self, request: Any) -> Any | None:
        """Return the response to a request, or None if the node stops instead."""
        try:
            return self._handlers[type(request)](request)
        except Fault as fault:
            self._on_fault(fault)
        except Exception as error:  # noqa: BLE001 - the edge of the process: it stops the node
            _log.exception("%s could not be answered", type(request).__name__)
            self._on_fault(EngineFault(f"{type(request).__name__}: {error!r}"))
        return None

    # Handshake

    def _info(self, _: abci.RequestInfo) -> abci.ResponseInfo:
        head = self._application.head
        return abci.ResponseInfo(
            data="cairn",
            app_version=STATE_VERSION,
            last_block_height=head.height,
            last_block_app_hash=head.app_hash if head.height else b"",
        )

    def _init_chain(self, request: abci.RequestInitChain) -> abci.ResponseInitChain:
        """Check the genesis against the charter; asking again gives the same answer."""
        head = self._application.head
        if request.chain_id != self._chain_id:
            raise HandshakeFault(f"the genesis is of {request.chain_id}, not {self._chain_id}")
        if head.height or request.initial_height != self._settings.first_height:
            raise HandshakeFault(f"the genesis begins at height {request.initial_height}")
        expected = {
            member.key.removeprefix(KEY_PREFIX): member.power for member in self._charter.validators
        }
        found = {one.pub_key.ed25519: one.power for one in request.validators}
        if found != expected:
            raise HandshakeFault("the genesis names other validators than the charter")
        params, own = request.consensus_params, ConsensusParams()
        if params is None or params.block is None:
            raise HandshakeFault("the genesis has no limits of blocks")
        limits = (params.block.max_bytes, params.block.max_gas)
        if limits != (own.block_size_bytes_max, own.block_gas_max):
            raise HandshakeFault(f"the genesis has other limits of blocks: {limits}")
        return abci.ResponseInitChain(app_hash=head.app_hash)

    # Transactions

    def _check_tx(self, request: abci.RequestCheckTx) -> abci.ResponseCheckTx:
        """Judge a transaction by its bytes and, if it is sound, take it in."""
        code = self._application.check(request.tx)
        if code != OK:
            return abci.ResponseCheckTx(abci.CODE_REFUSED, log=code, codespace="cairn")
        if not self._application.insert(request.tx):
            return abci.ResponseCheckTx(abci.CODE_RETRY, log="mempool full", codespace="cairn")
        return abci.ResponseCheckTx()

    def _insert_tx(self, request: abci.RequestInsertTx) -> abci.ResponseInsertTx:
        taken = self._application.insert(request.tx)
        return abci.ResponseInsertTx(abci.CODE_OK if taken else abci.CODE_RETRY)

    def _reap_txs(self, request: abci.RequestReapTxs) -> abci.ResponseReapTxs:
        size = request.max_bytes or MESSAGE_SIZE_BYTES_MAX
        return abci.ResponseReapTxs(tuple(self._application.reap(size)))

    # Blocks

    def _prepare_proposal(
        self, request: abci.RequestPrepareProposal
    ) -> abci.ResponsePrepareProposal:
        raws = self._application.propose(request.max_tx_bytes, self._settings.idle_wait_ms)
        return abci.ResponsePrepareProposal(tuple(raws))

    def _process_proposal(
        self, request: abci.RequestProcessProposal
    ) -> abci.ResponseProcessProposal:
        reason = self._application.judge(_proposed(request))
        if reason:
            proposer = request.proposer_address.hex()
            _log.warning("block %d of %s rejected: %s", request.height, proposer, reason)
            return abci.ResponseProcessProposal(abci.PROPOSAL_REJECT)
        return abci.ResponseProcessProposal(abci.PROPOSAL_ACCEPT)

    def _finalize_block(self, request: abci.RequestFinalizeBlock) -> abci.ResponseFinalizeBlock:
        block = self._application.finalize(_proposed(request))
        results = tuple(
            abci.ExecTxResult(result.code, result.data, 0, result.cost)
            for result in block.results[: len(block.transactions)]
        )
        return abci.ResponseFinalizeBlock(results, app_hash=block.app_hash)

    def _commit(self, _: abci.RequestCommit) -> abci.ResponseCommit:
        self.on_block(self._application.commit())
        return abci.ResponseCommit()

    # Queries

    def _query(self, request: abci.RequestQuery) -> abci.ResponseQuery:
        """Answer `/row` (at a key), `/receipt` (by transaction id), and whether a peer may stay."""
        if request.path.startswith(PEER_ADDRESS_PATH):
            return abci.ResponseQuery()
        if request.path.startswith(PEER_ID_PATH):
            return self._filter_peer(request.path.removeprefix(PEER_ID_PATH))
        height = self._application.head.height
        value: bytes | None
        if request.path == "/row":
            value = self._application.row(request.data)
        elif request.path == "/receipt":
            outcome = self._application.outcome(request.data)
            value = None if outcome is None else outcome.receipt
        else:
            return abci.ResponseQuery(QUERY_UNKNOWN, log="unknown path", codespace="cairn")
        if value is None:
            return abci.ResponseQuery(
                QUERY_NOT_FOUND, log="not found", key=request.data, height=height, codespace="cairn"
            )
        return abci.ResponseQuery(key=request.data, value=value, height=height)

    def _filter_peer(self, peer_id: str) -> abci.ResponseQuery:
        if peer_id in self._settings.peer_ids:
            return abci.ResponseQuery()
        _log.warning("node %s is no member and was turned away", peer_id)
        return abci.ResponseQuery(QUERY_STRANGER, log="no member", codespace="cairn")


def _proposed(request: abci.RequestProcessProposal | abci.RequestFinalizeBlock) -> Proposed:
    offences = tuple(
        Offence(one.type, one.validator.address, one.height, one.time.ms)
        for one in request.misbehavior
    )
    return Proposed(
        request.height,
        request.time.ms,
        request.hash,
        request.proposer_address,
        request.next_validators_hash,
        offences,
        request.txs,
    )


def _echo(request: abci.RequestEcho) -> abci.ResponseEcho:
    return abci.ResponseEcho(request.message)


def _flush(_: abci.RequestFlush) -> abci.ResponseFlush:
    return abci.ResponseFlush()


def _list_snapshots(_: abci.RequestListSnapshots) -> abci.ResponseListSnapshots:
    return abci.ResponseListSnapshots()


def _offer_snapshot(_: abci.RequestOfferSnapshot) -> abci.ResponseOfferSnapshot:
    return abci.ResponseOfferSnapshot(abci.SNAPSHOT_REJECT)


def _load_snapshot_chunk(_: abci.RequestLoadSnapshotChunk) -> abci.ResponseLoadSnapshotChunk:
    return abci.ResponseLoadSnapshotChunk()


def _apply_snapshot_chunk(_: abci.RequestApplySnapshotChunk) -> abci.ResponseApplySnapshotChunk:
    return abci.ResponseApplySnapshotChunk(abci.CHUNK_ABORT)


def _extend_vote(_: abci.RequestExtendVote) -> abci.ResponseExtendVote:
    return abci.ResponseExtendVote()


def _verify_vote_extension(
    request: abci.RequestVerifyVoteExtension,
) -> abci.ResponseVerifyVoteExtension:
    is_empty = not request.vote_extension
    return abci.ResponseVerifyVoteExtension(
        abci.VOTE_EXTENSION_ACCEPT if is_empty else abci.VOTE_EXTENSION_REJECT
    )


def _ignore(_: int) -> None:
    """Tell nobody: no listener was set."""
