# ruff: noqa: RUF009 - `wire` declares a field, as dataclasses.field does
"""The messages of ABCI 2.0 that CometBFT and an application exchange.

Names and field numbers are those of CometBFT v0.40.0, `proto/tendermint/abci/types.proto`; fields
that the ledger does not use are left out and skipped when read: events, most consensus parameters.
`InsertTx` and `ReapTxs` are what v0.40 adds for a mempool in the application.
"""

from dataclasses import dataclass

from cairn.engine.comet.wire import (
    BOOL,
    BYTES,
    INT,
    STRING,
    UINT,
    wire,
)
from cairn.primitives.light import SECONDS_MIN

CODE_OK = 0
CODE_REFUSED = 1
CODE_RETRY = 32_000
"""From this code on CometBFT offers the transaction again later."""

PROPOSAL_ACCEPT, PROPOSAL_REJECT = 1, 2
VOTE_EXTENSION_ACCEPT, VOTE_EXTENSION_REJECT = 1, 2
SNAPSHOT_ABORT, SNAPSHOT_REJECT = 2, 3
CHUNK_ABORT = 2


# Parts


@dataclass(frozen=True, slots=True)
class Time:
    """`google.protobuf.Timestamp`."""

    seconds: int = wire(1, INT)
    nanos: int = wire(2, INT)

    @property
    def ms(self) -> int:
        """Milliseconds since the epoch, rounded down."""
        return self.seconds * 1000 + self.nanos // 1_000_000


ZERO_TIME = Time(SECONDS_MIN, 0)
"""What CometBFT writes for a time that it has not got."""


@dataclass(frozen=True, slots=True)
class BlockParams:
    """Limits of a block."""

    max_bytes: int = wire(1, INT)
    max_gas: int = wire(2, INT)


@dataclass(frozen=True, slots=True)
class VersionParams:
    """The application's version, which headers carry."""

    app: int = wire(1, UINT)


@dataclass(frozen=True, slots=True)
class ConsensusParams:
    """The parameters that the ledger looks at."""

    block: BlockParams | None = wire(1, BlockParams, optional=True)
    version: VersionParams | None = wire(4, VersionParams, optional=True)


@dataclass(frozen=True, slots=True)
class CryptoKey:
    """`tendermint.crypto.PublicKey`, ed25519 alone: 32 bytes."""

    ed25519: bytes = wire(1, BYTES)


@dataclass(frozen=True, slots=True)
class ValidatorUpdate:
    """A validator and its voting power; 0 removes it."""

    pub_key: CryptoKey = wire(1, CryptoKey)
    power: int = wire(2, INT)


@dataclass(frozen=True, slots=True)
class Validator:
    """A validator by its address."""

    address: bytes = wire(1, BYTES)
    power: int = wire(3, INT)


@dataclass(frozen=True, slots=True)
class VoteInfo:
    """What a validator contributed to a commit: 1 nothing, 2 a vote for the block, 3 for nil."""

    validator: Validator = wire(1, Validator)
    block_id_flag: int = wire(3, INT)


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """Who voted in the last commit."""

    round: int = wire(1, INT)
    votes: tuple[VoteInfo, ...] = wire(2, VoteInfo, repeated=True)


@dataclass(frozen=True, slots=True)
class ExtendedVoteInfo:
    """As `VoteInfo`, with the extension of the vote."""

    validator: Validator = wire(1, Validator)
    vote_extension: bytes = wire(3, BYTES)
    extension_signature: bytes = wire(4, BYTES)
    block_id_flag: int = wire(5, INT)


@dataclass(frozen=True, slots=True)
class ExtendedCommitInfo:
    """Who voted in the last commit, for the proposer."""

    round: int = wire(1, INT)
    votes: tuple[ExtendedVoteInfo, ...] = wire(2, ExtendedVoteInfo, repeated=True)


@dataclass(frozen=True, slots=True)
class Misbehavior:
    """What a validator is convicted of: 1 two votes in one round, 2 an attack on light clients."""

    type: int = wire(1, INT)
    validator: Validator = wire(2, Validator)
    height: int = wire(3, INT)
    time: Time = wire(4, Time)
    total_voting_power: int = wire(5, INT)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a node offers for state sync."""

    height: int = wire(1, UINT)
    format: int = wire(2, UINT)
    chunks: int = wire(3, UINT)
    hash: bytes = wire(4, BYTES)
    metadata: bytes = wire(5, BYTES)


@dataclass(frozen=True, slots=True)
class ExecTxResult:
    """The fields of a transaction's result that the next header commits to."""

    code: int = wire(1, UINT)
    data: bytes = wire(2, BYTES)
    gas_wanted: int = wire(5, INT)
    gas_used: int = wire(6, INT)


# Requests


@dataclass(frozen=True, slots=True)
class RequestEcho:
    """Wants its text back."""

    message: str = wire(1, STRING)


@dataclass(frozen=True, slots=True)
class RequestFlush:
    """Wants all replies so far to be sent."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """Asks where the application stands."""

    version: str = wire(1, STRING)
    block_version: int = wire(2, UINT)
    p2p_version: int = wire(3, UINT)
    abci_version: str = wire(4, STRING)


@dataclass(frozen=True, slots=True)
class RequestInitChain:
    """Hands over the genesis."""

    time: Time = wire(1, Time)
    chain_id: str = wire(2, STRING)
    consensus_params: ConsensusParams | None = wire(3, ConsensusParams, optional=True)
    validators: tuple[ValidatorUpdate, ...] = wire(4, ValidatorUpdate, repeated=True)
    app_state_bytes: bytes = wire(5, BYTES)
    initial_height: int = wire(6, INT)


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """Asks for something in the state."""

    data: bytes = wire(1, BYTES)
    path: str = wire(2, STRING)
    height: int = wire(3, INT)
    prove: bool = wire(4, BOOL)


@dataclass(frozen=True, slots=True)
class RequestCheckTx:
    """Asks whether a transaction may wait; type 1 asks again after a block."""

    tx: bytes = wire(1, BYTES)
    type: int = wire(2, INT)


@dataclass(frozen=True, slots=True)
class RequestCommit:
    """Wants the finalized block to be kept."""


@dataclass(frozen=True, slots=True)
class RequestListSnapshots:
    """Asks for the snapshots at hand."""


@dataclass(frozen=True, slots=True)
class RequestOfferSnapshot:
    """Offers a peer's snapshot."""

    snapshot: Snapshot | None = wire(1, Snapshot, optional=True)
    app_hash: bytes = wire(2, BYTES)


@dataclass(frozen=True, slots=True)
class RequestLoadSnapshotChunk:
    """Asks for one chunk of a snapshot."""

    height: int = wire(1, UINT)
    format: int = wire(2, UINT)
    chunk: int = wire(3, UINT)


@dataclass(frozen=True, slots=True)
class RequestApplySnapshotChunk:
    """Hands over one chunk of the snapshot that was accepted."""

    index: int = wire(1, UINT)
    chunk: bytes = wire(2, BYTES)
    sender: str = wire(3, STRING)


@dataclass(frozen=True, slots=True)
class RequestPrepareProposal:
    """Asks the proposer for a block's transactions."""

    max_tx_bytes: int = wire(1, INT)
    txs: tuple[bytes, ...] = wire(2, BYTES, repeated=True)
    local_last_commit: ExtendedCommitInfo = wire(3, ExtendedCommitInfo)
    misbehavior: tuple[Misbehavior, ...] = wire(4, Misbehavior, repeated=True)
    height: int = wire(5, INT)
    time: Time = wire(6, Time)
    next_validators_hash: bytes = wire(7, BYTES)
    proposer_address: bytes = wire(8, BYTES)


@dataclass(frozen=True, slots=True)
class RequestProcessProposal:
    """Asks whether a proposed block is well-formed."""

    txs: tuple[bytes, ...] = wire(1, BYTES, repeated=True)
    proposed_last_commit: CommitInfo = wire(2, CommitInfo)
    misbehavior: tuple[Misbehavior, ...] = wire(3, Misbehavior, repeated=True)
    hash: bytes = wire(4, BYTES)
    height: int = wire(5, INT)
    time: Time = wire(6, Time)
    next_validators_hash: bytes = wire(7, BYTES)
    proposer_address: bytes = wire(8, BYTES)


@dataclass(frozen=True, slots=True)
class RequestFinalizeBlock:
    """Hands over a decided block."""

    txs: tuple[bytes, ...] = wire(1, BYTES, repeated=True)
    decided_last_commit: CommitInfo = wire(2, CommitInfo)
    misbehavior: tuple[Misbehavior, ...] = wire(3, Misbehavior, repeated=True)
    hash: bytes = wire(4, BYTES)
    height: int = wire(5, INT)
    time: Time = wire(6, Time)
    next_validators_hash: bytes = wire(7, BYTES)
    proposer_address: bytes = wire(8, BYTES)


@dataclass(frozen=True, slots=True)
class RequestExtendVote:
    """Asks for an extension of a precommit; extensions are switched off."""

    hash: bytes = wire(1, BYTES)
    height: int = wire(2, INT)


@dataclass(frozen=True, slots=True)
class RequestVerifyVoteExtension:
    """Asks whether another validator's extension is acceptable."""

    hash: bytes = wire(1, BYTES)
    validator_address: bytes = wire(2, BYTES)
    height: int = wire(3, INT)
    vote_extension: bytes = wire(4, BYTES)


@dataclass(frozen=True, slots=True)
class RequestInsertTx:
    """Hands over a transaction that a peer has sent."""

    tx: bytes = wire(1, BYTES)


@dataclass(frozen=True, slots=True)
class RequestReapTxs:
    """Asks for transactions to send to peers; 0 is no bound."""

    max_bytes: int = wire(1, UINT)
    max_gas: int = wire(2, UINT)


# Responses


@dataclass(frozen=True, slots=True)
class ResponseException:
    """The request failed; CometBFT ends when it gets one."""

    error: str = wire(1, STRING)


@dataclass(frozen=True, slots=True)
class ResponseEcho:
    """The text of the request."""

    message: str = wire(1, STRING)


@dataclass(frozen=True, slots=True)
class ResponseFlush:
    """All replies so far are on their way."""


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """Where the application stands."""

    data: str = wire(1, STRING)
    version: str = wire(2, STRING)
    app_version: int = wire(3, UINT)
    last_block_height: int = wire(4, INT)
    last_block_app_hash: bytes = wire(5, BYTES)


@dataclass(frozen=True, slots=True)
class ResponseInitChain:
    """What the application made of the genesis."""

    consensus_params: ConsensusParams | None = wire(1, ConsensusParams, optional=True)
    validators: tuple[ValidatorUpdate, ...] = wire(2, ValidatorUpdate, repeated=True)
    app_hash: bytes = wire(3, BYTES)


@dataclass(frozen=True, slots=True)
class ResponseQuery:
    """What was asked for, or a code that is not 0."""

    code: int = wire(1, UINT)
    log: str = wire(3, STRING)
    key: bytes = wire(6, BYTES)
    value: bytes = wire(7, BYTES)
    height: int = wire(9, INT)
    codespace: str = wire(10, STRING)


@dataclass(frozen=True, slots=True)
class ResponseCheckTx:
    """Whether the transaction may wait."""

    code: int = wire(1, UINT)
    log: str = wire(3, STRING)
    gas_wanted: int = wire(5, INT)
    codespace: str = wire(8, STRING)


@dataclass(frozen=True, slots=True)
class ResponseCommit:
    """The block is kept; CometBFT may forget blocks below `retain_height`, 0 for none."""

    retain_height: int = wire(3, INT)


@dataclass(frozen=True, slots=True)
class ResponseListSnapshots:
    """The snapshots at hand."""

    snapshots: tuple[Snapshot, ...] = wire(1, Snapshot, repeated=True)


@dataclass(frozen=True, slots=True)
class ResponseOfferSnapshot:
    """Whether the snapshot is taken."""

    result: int = wire(1, INT)


@dataclass(frozen=True, slots=True)
class ResponseLoadSnapshotChunk:
    """The chunk, empty if it is not at hand."""

    chunk: bytes = wire(1, BYTES)


@dataclass(frozen=True, slots=True)
class ResponseApplySnapshotChunk:
    """What became of the chunk."""

    result: int = wire(1, INT)
    refetch_chunks: tuple[int, ...] = wire(2, UINT, repeated=True)
    reject_senders: tuple[str, ...] = wire(3, STRING, repeated=True)


@dataclass(frozen=True, slots=True)
class ResponsePrepareProposal:
    """The transactions of the block to propose."""

    txs: tuple[bytes, ...] = wire(1, BYTES, repeated=True)


@dataclass(frozen=True, slots=True)
class ResponseProcessProposal:
    """Whether to vote for the block."""

    status: int = wire(1, INT)


@dataclass(frozen=True, slots=True)
class ResponseExtendVote:
    """The extension."""

    vote_extension: bytes = wire(1, BYTES)


@dataclass(frozen=True, slots=True)
class ResponseVerifyVoteExtension:
    """Whether the extension is acceptable."""

    status: int = wire(1, INT)


@dataclass(frozen=True, slots=True)
class ResponseFinalizeBlock:
    """What the block did."""

    tx_results: tuple[ExecTxResult, ...] = wire(2, ExecTxResult, repeated=True)
    validator_updates: tuple[ValidatorUpdate, ...] = wire(3, ValidatorUpdate, repeated=True)
    consensus_param_updates: ConsensusParams | None = wire(4, ConsensusParams, optional=True)
    app_hash: bytes = wire(5, BYTES)


@dataclass(frozen=True, slots=True)
class ResponseInsertTx:
    """Whether the transaction was taken."""

    code: int = wire(1, UINT)


@dataclass(frozen=True, slots=True)
class ResponseReapTxs:
    """Transactions to send to peers."""

    txs: tuple[bytes, ...] = wire(1, BYTES, repeated=True)
