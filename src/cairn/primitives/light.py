"""Headers, commits and validator sets in CometBFT's format, and the checks of a light client.

A header is 14 fields under a Merkle root; a commit is the precommits of one round, one entry for
each validator in the order of the set. A header is final if validators with more than two thirds
of the voting power signed its hash. The embedded engine writes the same format with one validator.

Two rules are stricter than CometBFT's: every entry of a commit is checked, votes for nil included,
and signatures follow `primitives.signatures`, not ZIP-215.

Source: CometBFT v0.38, spec/core/data_structures.md and spec/core/encoding.md
"""

from collections.abc import Iterable

from cairn.primitives import protobuf as pb
from cairn.primitives.encoding import Record
from cairn.primitives.errors import HeaderError, InvalidKeyError, InvalidSignatureError
from cairn.primitives.hashes import DIGEST_SIZE_BYTES, Digest, sha256
from cairn.primitives.merkle import EMPTY_ROOT, leaf_hash, root_of
from cairn.primitives.signatures import (
    KEY_PREFIX,
    PUBLIC_KEY_SIZE_BYTES,
    SIGNATURE_SIZE_BYTES,
    verify,
)

ADDRESS_SIZE_BYTES = 20
CHAIN_ID_SIZE_BYTES_MAX = 50
HEIGHT_MAX = 2**63 - 1
ROUND_MAX = 2**31 - 1
PARTS_MAX = 2**32 - 1
VOTING_POWER_MAX = (2**63 - 1) // 8
"""Largest total voting power of a set."""

SECONDS_MIN = -62_135_596_800
"""0001-01-01T00:00:00Z, which CometBFT writes for an absent time."""
SECONDS_MAX = 253_402_300_799
"""9999-12-31T23:59:59Z."""

FLAG_ABSENT, FLAG_COMMIT, FLAG_NIL = 1, 2, 3
"""What an entry of a commit is: no vote, a vote for the block, a vote for nil."""

PREVOTE, PRECOMMIT = 1, 2

EMPTY_EVIDENCE_HASH = EMPTY_ROOT
"""The evidence hash of a block without evidence of misbehaviour."""


class Timestamp(Record):
    """A point in time, UTC."""

    seconds: int
    """Seconds since the epoch."""
    nanos: int = 0
    """Nanoseconds within the second, 0 to 999,999,999."""


ZERO_TIME = Timestamp(SECONDS_MIN, 0)


class PartSetHeader(Record):
    """Into how many parts a block was cut for gossip, and the Merkle root over them."""

    total: int = 0
    hash: bytes = b""


class BlockID(Record):
    """What a vote names: the hash of a header and of the block's parts; both empty for nil."""

    hash: bytes = b""
    part_set_header: PartSetHeader = PartSetHeader()


NIL_BLOCK_ID = BlockID()


class Header(Record):
    """The header of a block; hashes are 32 bytes, or empty where CometBFT has none.

    CometBFT leaves the length of the application hash to the application: at most 32 bytes here.
    """

    version_block: int
    version_app: int
    chain_id: str
    height: int
    time: Timestamp
    last_block_id: BlockID
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    """The application hash after the block before this one."""
    last_results_hash: bytes
    """The results hash of the block before this one."""
    evidence_hash: bytes
    proposer_address: bytes


class CommitSig(Record):
    """What one validator contributed to a commit."""

    block_id_flag: int
    validator_address: bytes
    time: Timestamp
    signature: bytes


ABSENT_SIG = CommitSig(FLAG_ABSENT, b"", ZERO_TIME, b"")


class Commit(Record):
    """The precommits of one round for a block: one entry per validator, in the set's order."""

    height: int
    round: int
    block_id: BlockID
    signatures: tuple[CommitSig, ...]


class Validator(Record):
    """A member of a validator set."""

    public_key: bytes
    voting_power: int

    @property
    def address(self) -> bytes:
        """The address of the public key."""
        return address_of(self.public_key)


class ValidatorSet(Record):
    """The validators of a height, in the order in which commits list them."""

    validators: tuple[Validator, ...]


class ConsensusParams(Record):
    """The engine's parameters that the consensus hash covers."""

    block_size_bytes_max: int = 4 * 2**20
    block_gas_max: int = -1
    """-1 for no bound."""


TxResult = tuple[int, bytes, int, int]
"""The hashed fields of a transaction's result: code, data, gas wanted, gas used."""


# Times and addresses


def timestamp_of_ms(time_ms: int) -> Timestamp:
    """Return the timestamp of `time_ms` milliseconds since the epoch."""
    seconds, milliseconds = divmod(time_ms, 1000)
    return Timestamp(seconds, milliseconds * 1_000_000)


def header_time_ms(header: Header) -> int:
    """Return the time of a header in milliseconds since the epoch, rounded down."""
    return header.time.seconds * 1000 + header.time.nanos // 1_000_000


def address_of(public_key: bytes) -> bytes:
    """Return the validator address of a public key, 20 bytes.

    Raises:
        HeaderError: The key is not 34 bytes with the prefix of ed25519.
    """
    if len(public_key) != PUBLIC_KEY_SIZE_BYTES or not public_key.startswith(KEY_PREFIX):
        raise HeaderError("a validator key is not an ed25519 key of 34 bytes")
    return sha256(public_key[len(KEY_PREFIX) :])[:ADDRESS_SIZE_BYTES]


# Hashes


def header_hash(header: Header) -> Digest:
    """Return the hash of a header, which is the hash of its block.

    Raises:
        HeaderError: A field is out of range or of a wrong length.
    """
    _check_header_form(header)
    hashes = (
        header.last_commit_hash,
        header.data_hash,
        header.validators_hash,
        header.next_validators_hash,
        header.consensus_hash,
        header.app_hash,
        header.last_results_hash,
        header.evidence_hash,
        header.proposer_address,
    )
    fields = (
        pb.varint_field(1, header.version_block) + pb.varint_field(2, header.version_app),
        pb.string_field(1, header.chain_id),
        pb.varint_field(1, header.height),
        _timestamp_bytes(header.time),
        _block_id_bytes(header.last_block_id),
        *(pb.bytes_field(1, value) for value in hashes),
    )
    return _root_of_values(fields)


def commit_hash(commit: Commit) -> Digest:
    """Return the hash of a commit: the `last_commit_hash` of the header one height above."""
    return _root_of_values(
        pb.varint_field(1, entry.block_id_flag)
        + pb.bytes_field(2, entry.validator_address)
        + pb.message_field(3, _timestamp_bytes(entry.time))
        + pb.bytes_field(4, entry.signature)
        for entry in commit.signatures
    )


def validators_hash(validators: ValidatorSet) -> Digest:
    """Return the hash of a validator set in its order.

    Raises:
        HeaderError: A key is malformed, or a voting power does not fit into 64 bits.
    """
    return _root_of_values(_validator_bytes(validator) for validator in validators.validators)


def data_hash(transactions: Iterable[bytes]) -> Digest:
    """Return the root over the transactions of a block."""
    return root_of(transaction_leaf_hash(raw) for raw in transactions)


def transaction_leaf_hash(raw: bytes) -> Digest:
    """Return the leaf hash under `data_hash` of one transaction as sent."""
    return leaf_hash(sha256(raw))


def results_hash(results: Iterable[TxResult]) -> Digest:
    """Return the root over the results of a block: the next header's `last_results_hash`."""
    return root_of(result_leaf_hash(result) for result in results)


def result_leaf_hash(result: TxResult) -> Digest:
    """Return the leaf hash under `results_hash` of one result."""
    code, data, gas_wanted, gas_used = result
    return leaf_hash(
        pb.varint_field(1, code)
        + pb.bytes_field(2, data)
        + pb.varint_field(5, gas_wanted)
        + pb.varint_field(6, gas_used)
    )


def consensus_hash(params: ConsensusParams) -> Digest:
    """Return the hash of the engine's parameters."""
    return sha256(
        pb.varint_field(1, params.block_size_bytes_max) + pb.varint_field(2, params.block_gas_max)
    )


def vote_sign_bytes(
    chain_id: str,
    height: int,
    round: int,
    block_id: BlockID,
    time: Timestamp,
    *,
    vote_type: int = PRECOMMIT,
) -> bytes:
    """Return the bytes that a validator signs for a vote, a precommit unless said otherwise."""
    vote = (
        pb.varint_field(1, vote_type) + pb.sfixed64_field(2, height) + pb.sfixed64_field(3, round)
    )
    if block_id != NIL_BLOCK_ID:
        vote += pb.message_field(4, _block_id_bytes(block_id))
    vote += pb.message_field(5, _timestamp_bytes(time)) + pb.string_field(6, chain_id)
    return pb.delimited(vote)


def validator_set_of(validators: Iterable[Validator]) -> ValidatorSet:
    """Return the set in CometBFT's order: by voting power, the largest first, then by address."""
    ordered = sorted(validators, key=lambda member: (-member.voting_power, member.address))
    return ValidatorSet(tuple(ordered))


# Verifying


def verify_header(
    chain_id: str, header: Header, commit: Commit, validators: ValidatorSet
) -> Digest:
    """Return the hash of a header that its validator set has committed.

    Raises:
        HeaderError: The header belongs to another chain, is malformed, names another validator
            set, is not what the commit names, or the commit does not carry a quorum.
    """
    if header.chain_id != chain_id:
        raise HeaderError("the header belongs to another chain")
    block_hash = header_hash(header)
    if header.validators_hash != validators_hash(validators):
        raise HeaderError("the header names another validator set")
    if commit.block_id.hash != block_hash:
        raise HeaderError("the commit is for another header")
    verify_commit(chain_id, validators, commit.block_id, header.height, commit)
    return block_hash


def verify_commit(
    chain_id: str, validators: ValidatorSet, block_id: BlockID, height: int, commit: Commit
) -> None:
    """Check that more than two thirds of the voting power signed `block_id` at `height`.

    Raises:
        HeaderError: The set or the commit is malformed; the commit is for another height or block;
            it has not one entry per validator; an entry names another validator or its signature
            is invalid; the power that signed is too small.
    """
    total_power = _check_validator_set(validators)
    _check_block_id(commit.block_id)
    if not (0 < commit.height <= HEIGHT_MAX and 0 <= commit.round <= ROUND_MAX):
        raise HeaderError("the height or round of the commit is out of range")
    if commit.height != height:
        raise HeaderError(f"the commit is for height {commit.height}, not {height}")
    if commit.block_id != block_id or not block_id.hash:
        raise HeaderError("the commit is for another block")
    if len(commit.signatures) != len(validators.validators):
        raise HeaderError(
            f"{len(commit.signatures)} entries for {len(validators.validators)} validators"
        )
    signed_power = 0
    for validator, entry in zip(validators.validators, commit.signatures, strict=True):
        if _has_signed(chain_id, commit, validator, entry):
            signed_power += validator.voting_power
    if signed_power * 3 <= total_power * 2:
        raise HeaderError(f"{signed_power} of {total_power} voting power signed, too little")


def _has_signed(chain_id: str, commit: Commit, validator: Validator, entry: CommitSig) -> bool:
    """Return whether `entry` is this validator's valid vote for the block.

    Raises:
        HeaderError: The entry is malformed, another validator's, or its signature is invalid.
    """
    if entry.block_id_flag == FLAG_ABSENT:
        if entry != ABSENT_SIG:
            raise HeaderError("an absent entry of the commit is not empty")
        return False
    if entry.block_id_flag not in (FLAG_COMMIT, FLAG_NIL):
        raise HeaderError(f"an entry of the commit has flag {entry.block_id_flag}")
    if len(entry.signature) != SIGNATURE_SIZE_BYTES:
        raise HeaderError("a signature of the commit is not 64 bytes")
    if entry.validator_address != validator.address:
        raise HeaderError("an entry of the commit names another validator")
    _check_time(entry.time)
    is_for_block = entry.block_id_flag == FLAG_COMMIT
    block_id = commit.block_id if is_for_block else NIL_BLOCK_ID
    message = vote_sign_bytes(chain_id, commit.height, commit.round, block_id, entry.time)
    try:
        verify(validator.public_key, message, entry.signature)
    except (InvalidKeyError, InvalidSignatureError) as error:
        raise HeaderError(f"the signature of {validator.address.hex()} is invalid") from error
    return is_for_block


def _check_validator_set(validators: ValidatorSet) -> int:
    """Return the total voting power of a well-formed set."""
    if not validators.validators:
        raise HeaderError("the validator set is empty")
    addresses = [validator.address for validator in validators.validators]
    if len(dict.fromkeys(addresses)) != len(addresses):
        raise HeaderError("a validator is in the set twice")
    total_power = 0
    for validator in validators.validators:
        if validator.voting_power <= 0:
            raise HeaderError("a validator has no voting power")
        total_power += validator.voting_power
    if total_power > VOTING_POWER_MAX:
        raise HeaderError("the total voting power is out of range")
    return total_power


def _check_header_form(header: Header) -> None:
    if not (0 <= header.version_block < 2**64 and 0 <= header.version_app < 2**64):
        raise HeaderError("a version of the header is out of range")
    if not header.chain_id or len(header.chain_id.encode()) > CHAIN_ID_SIZE_BYTES_MAX:
        raise HeaderError("the chain id of the header is empty or too long")
    if not 0 < header.height <= HEIGHT_MAX:
        raise HeaderError("the height of the header is out of range")
    _check_time(header.time)
    _check_block_id(header.last_block_id)
    hashes = (
        header.last_commit_hash,
        header.data_hash,
        header.next_validators_hash,
        header.consensus_hash,
        header.last_results_hash,
        header.evidence_hash,
    )
    if any(len(value) not in (0, DIGEST_SIZE_BYTES) for value in hashes):
        raise HeaderError("a hash of the header is not 32 bytes")
    if len(header.app_hash) > DIGEST_SIZE_BYTES:
        raise HeaderError("the application hash of the header is too long")
    if len(header.validators_hash) != DIGEST_SIZE_BYTES:
        raise HeaderError("the validators hash of the header is not 32 bytes")
    if len(header.proposer_address) != ADDRESS_SIZE_BYTES:
        raise HeaderError("the proposer address of the header is not 20 bytes")


def _check_block_id(block_id: BlockID) -> None:
    parts = block_id.part_set_header
    if len(block_id.hash) not in (0, DIGEST_SIZE_BYTES):
        raise HeaderError("the hash of a block id is not 32 bytes")
    if len(parts.hash) not in (0, DIGEST_SIZE_BYTES) or not 0 <= parts.total <= PARTS_MAX:
        raise HeaderError("the part set header of a block id is malformed")


def _check_time(time: Timestamp) -> None:
    if not (SECONDS_MIN <= time.seconds <= SECONDS_MAX and 0 <= time.nanos < 10**9):
        raise HeaderError("a time is out of range")


# Protobuf bodies


def _root_of_values(values: Iterable[bytes]) -> Digest:
    return root_of(leaf_hash(value) for value in values)


def _timestamp_bytes(time: Timestamp) -> bytes:
    return pb.varint_field(1, time.seconds) + pb.varint_field(2, time.nanos)


def _block_id_bytes(block_id: BlockID) -> bytes:
    """Return a block id; its canonical form in votes has the same fields and numbers."""
    parts = block_id.part_set_header
    body = pb.varint_field(1, parts.total) + pb.bytes_field(2, parts.hash)
    return pb.bytes_field(1, block_id.hash) + pb.message_field(2, body)


def _validator_bytes(validator: Validator) -> bytes:
    address_of(validator.public_key)
    public_key = pb.bytes_field(1, validator.public_key[len(KEY_PREFIX) :])
    return pb.message_field(1, public_key) + pb.varint_field(2, validator.voting_power)
