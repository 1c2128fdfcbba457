"""Headers, commits and validator sets: CometBFT's own vectors, and what is refused."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.primitives import light
from cairn.primitives.encoding import Decoder, RecordT, encode
from cairn.primitives.errors import HeaderError, NonCanonicalError
from cairn.primitives.light import (
    ABSENT_SIG,
    FLAG_COMMIT,
    FLAG_NIL,
    NIL_BLOCK_ID,
    BlockID,
    Commit,
    CommitSig,
    ConsensusParams,
    Header,
    PartSetHeader,
    Timestamp,
    Validator,
    ValidatorSet,
)
from cairn.primitives.merkle import EMPTY_ROOT, leaf_hash, node_hash, root_of
from cairn.primitives.signatures import SigningKey
from tests.primitives import comet_vectors as comet
from tests.vector_files import load

VECTORS = load("comet")
CHAIN = "cairn-test"
HEIGHT = 7
AT = Timestamp(1_700_000_000, 5_000_000)


def replace(record: RecordT, **changes: Any) -> RecordT:
    """Return `record` with some fields changed."""
    return msgspec.structs.replace(record, **changes)  # type: ignore[type-var]


def make_key(number: int) -> SigningKey:
    return SigningKey.from_seed(bytes([number]) * 32)


def make_set(*powers: int) -> tuple[ValidatorSet, list[SigningKey]]:
    """Return a set and its keys in the set's order."""
    keys = {make_key(n).public_key: make_key(n) for n in range(1, len(powers) + 1)}
    members = [Validator(key, power) for key, power in zip(keys, powers, strict=True)]
    ordered = light.validator_set_of(members)
    return ordered, [keys[member.public_key] for member in ordered.validators]  # type: ignore[index]


def make_header(validators: ValidatorSet, **changes: Any) -> Header:
    values: dict[str, Any] = {
        "version_block": 11,
        "version_app": 1,
        "chain_id": CHAIN,
        "height": HEIGHT,
        "time": AT,
        "last_block_id": BlockID(b"\1" * 32, PartSetHeader(1, b"\1" * 32)),
        "last_commit_hash": b"\2" * 32,
        "data_hash": EMPTY_ROOT,
        "validators_hash": light.validators_hash(validators),
        "next_validators_hash": light.validators_hash(validators),
        "consensus_hash": light.consensus_hash(ConsensusParams()),
        "app_hash": b"\3" * 32,
        "last_results_hash": EMPTY_ROOT,
        "evidence_hash": light.EMPTY_EVIDENCE_HASH,
        "proposer_address": validators.validators[0].address,
    }
    return Header(**{**values, **changes})


def sign(
    key: SigningKey,
    block_id: BlockID,
    *,
    height: int = HEIGHT,
    chain_id: str = CHAIN,
    flag: int = FLAG_COMMIT,
    vote_type: int = light.PRECOMMIT,
) -> CommitSig:
    voted = block_id if flag == FLAG_COMMIT else NIL_BLOCK_ID
    message = light.vote_sign_bytes(chain_id, height, 0, voted, AT, vote_type=vote_type)
    return CommitSig(flag, light.address_of(key.public_key), AT, key.sign(message))


def make_commit(header: Header, entries: list[CommitSig]) -> Commit:
    return Commit(header.height, 0, block_id_of(header), tuple(entries))


def block_id_of(header: Header) -> BlockID:
    digest = light.header_hash(header)
    return BlockID(digest, PartSetHeader(1, digest))


# What CometBFT published


@pytest.mark.parametrize("case", VECTORS["header_hashes"], ids=lambda case: case["source"])
def test_header_hash_is_comets(case: Any) -> None:
    assert light.header_hash(comet.header(case["header"])).hex() == case["hash"]


@pytest.mark.parametrize("case", VECTORS["commit_hashes"], ids=lambda case: case["source"])
def test_commit_hash_is_comets(case: Any) -> None:
    assert light.commit_hash(comet.commit(case["commit"])).hex() == case["hash"]


@pytest.mark.parametrize("case", VECTORS["validators_hashes"], ids=lambda case: case["source"])
def test_validators_hash_is_comets(case: Any) -> None:
    assert light.validators_hash(comet.validator_set(case["validators"])).hex() == case["hash"]


@pytest.mark.parametrize("case", VECTORS["consensus_hashes"], ids=lambda case: case["source"])
def test_consensus_hash_is_comets(case: Any) -> None:
    params = ConsensusParams(case["block_size_bytes_max"], case["block_gas_max"])
    assert light.consensus_hash(params).hex() == case["hash"]


@pytest.mark.parametrize("case", VECTORS["data_hashes"], ids=lambda case: case["source"])
def test_data_hash_is_comets(case: Any) -> None:
    assert light.data_hash(map(bytes.fromhex, case["transactions"])).hex() == case["hash"]


@pytest.mark.parametrize("case", VECTORS["byte_slice_roots"], ids=lambda case: case["hash"][:8])
def test_root_of_byte_slices_is_comets(case: Any) -> None:
    assert root_of(leaf_hash(bytes.fromhex(item)) for item in case["slices"]).hex() == case["hash"]


@pytest.mark.parametrize("case", VECTORS["sign_bytes"], ids=lambda case: case["name"])
def test_sign_bytes_are_comets(case: Any) -> None:
    produced = light.vote_sign_bytes(
        case["chain_id"],
        case["height"],
        case["round"],
        comet.block_id(case["block_id"]),
        comet.timestamp(case["time"]),
        vote_type=case["type"],
    )
    assert produced.hex() == case["bytes"]


@pytest.mark.parametrize("case", VECTORS["block_id_bytes"], ids=lambda case: case["source"])
def test_votes_embed_the_block_id_as_comet_encodes_it(case: Any) -> None:
    produced = light.vote_sign_bytes("", 1, 0, comet.block_id(case["block_id"]), light.ZERO_TIME)
    assert bytes.fromhex(case["bytes"]) in produced


@pytest.mark.parametrize("case", VECTORS["signed_headers"], ids=lambda case: case["name"])
def test_headers_of_real_chains_verify(case: Any) -> None:
    header, commit = comet.header(case["header"]), comet.commit(case["commit"])
    validators = comet.validator_set(case["validators"])
    digest = light.verify_header(case["chain_id"], header, commit, validators)
    assert digest.hex() == case["block_hash"]
    assert light.validator_set_of(reversed(validators.validators)) == validators
    addresses = [member.address.hex() for member in validators.validators]
    assert addresses == [member["address"] for member in case["validators"]]


def test_results_hash_covers_code_data_and_gas() -> None:
    """The leaves are the deterministic fields of ExecTxResult: 1 code, 2 data, 5 and 6 gas."""
    leaves = [b"", bytes.fromhex("080e1203666f6f"), bytes.fromhex("28073009")]
    results = [(0, b"", 0, 0), (14, b"foo", 0, 0), (0, b"", 7, 9)]
    assert [light.result_leaf_hash(result) for result in results] == [*map(leaf_hash, leaves)]
    expected = node_hash(node_hash(leaf_hash(b""), leaf_hash(leaves[1])), leaf_hash(leaves[2]))
    assert light.results_hash(results) == expected
    assert light.results_hash([]) == EMPTY_ROOT


# Times, addresses, order


def test_times_convert_to_milliseconds_rounded_down() -> None:
    validators, _ = make_set(1)
    for time_ms in (0, 1, 999, 1000, 1_700_000_000_123, -1):
        header = make_header(validators, time=light.timestamp_of_ms(time_ms))
        assert light.header_time_ms(header) == time_ms
    header = make_header(validators, time=Timestamp(12, 999_999))
    assert light.header_time_ms(header) == 12_000


def test_an_address_needs_a_prefixed_key() -> None:
    for key in (b"", b"\xed\x01" + bytes(31), b"\xec\x01" + bytes(32), bytes(32)):
        with pytest.raises(HeaderError, match="34 bytes"):
            light.address_of(key)


def test_the_set_is_ordered_by_power_then_address() -> None:
    validators, _ = make_set(5, 9, 5, 1)
    ordering = [(-member.voting_power, member.address) for member in validators.validators]
    assert ordering == sorted(ordering)
    assert [member.voting_power for member in validators.validators] == [9, 5, 5, 1]


def test_every_field_moves_the_hash() -> None:
    validators, _ = make_set(1)
    header = make_header(validators)
    names = list(Header.__annotations__)
    changes: dict[str, Any] = {name: bytes([9]) * 32 for name in names[6:14]}
    changes |= {"version_block": 12, "version_app": 2, "chain_id": "other", "height": 8}
    changes |= {
        "time": Timestamp(1),
        "last_block_id": NIL_BLOCK_ID,
        "proposer_address": b"\x09" * 20,
    }
    hashes = {
        name: light.header_hash(replace(header, **{name: value})) for name, value in changes.items()
    }
    assert sorted(changes) == sorted(names)
    assert len({light.header_hash(header), *hashes.values()}) == 1 + len(changes)


def test_records_keep_their_canonical_bytes() -> None:
    validators, keys = make_set(3, 2)
    header = make_header(validators)
    commit = make_commit(header, [sign(key, block_id_of(header)) for key in keys])
    for record in (header, commit, validators):
        decoder: Decoder[Any] = Decoder(type(record))
        assert decoder.decode(encode(record)) == record


# Malformed headers


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("version_app", -1, "version"),
        ("version_block", 2**64, "version"),
        ("chain_id", "", "chain id"),
        ("chain_id", "x" * 51, "chain id"),
        ("height", 0, "height"),
        ("height", 2**63, "height"),
        ("time", Timestamp(0, 10**9), "time"),
        ("time", Timestamp(0, -1), "time"),
        ("time", Timestamp(light.SECONDS_MAX + 1), "time"),
        ("last_block_id", BlockID(b"\1" * 31), "block id"),
        ("last_block_id", BlockID(b"\1" * 32, PartSetHeader(1, b"\1")), "part set"),
        ("last_block_id", BlockID(b"\1" * 32, PartSetHeader(-1, b"")), "part set"),
        ("last_block_id", BlockID(b"\1" * 32, PartSetHeader(2**32, b"")), "part set"),
        ("last_commit_hash", b"\1" * 33, "hash"),
        ("data_hash", b"\1", "hash"),
        ("next_validators_hash", b"\1" * 31, "hash"),
        ("consensus_hash", b"\1" * 31, "hash"),
        ("last_results_hash", b"\1" * 31, "hash"),
        ("evidence_hash", b"\1" * 31, "hash"),
        ("app_hash", b"\1" * 33, "application hash"),
        ("validators_hash", b"", "validators hash"),
        ("proposer_address", b"\1" * 19, "proposer"),
    ],
)
def test_a_malformed_header_has_no_hash(field: str, value: Any, reason: str) -> None:
    validators, _ = make_set(1)
    with pytest.raises(HeaderError, match=reason):
        light.header_hash(make_header(validators, **{field: value}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version_block", 0),
        ("version_app", 2**64 - 1),
        ("chain_id", "x" * 50),
        ("height", 1),
        ("height", 2**63 - 1),
        ("time", Timestamp(-62_135_596_800)),
        ("time", Timestamp(253_402_300_799, 999_999_999)),
        ("last_block_id", BlockID(b"\1" * 32, PartSetHeader(2**32 - 1, b""))),
        ("app_hash", b""),
    ],
)
def test_the_bounds_themselves_are_in(field: str, value: Any) -> None:
    validators, (key,) = make_set(1)
    header = make_header(validators, **{field: value})
    block_id = block_id_of(header)
    entry = sign(key, block_id, height=header.height, chain_id=header.chain_id)
    light.verify_header(header.chain_id, header, make_commit(header, [entry]), validators)


def test_defaults_are_pinned() -> None:
    assert Timestamp(-62_135_596_800, 0) == light.ZERO_TIME
    assert Timestamp(1) == Timestamp(1, 0)
    assert light.timestamp_of_ms(1_999) == Timestamp(1, 999_000_000)
    assert ConsensusParams() == ConsensusParams(4_194_304, -1)
    assert light.VOTING_POWER_MAX == 1_152_921_504_606_846_975
    with pytest.raises(HeaderError, match="34 bytes"):
        light.validators_hash(ValidatorSet((Validator(bytes(32), 1),)))


# Commits


def test_a_quorum_is_more_than_two_thirds() -> None:
    validators, keys = make_set(1, 1, 1)
    header = make_header(validators)
    block_id = block_id_of(header)
    entries = [sign(key, block_id) for key in keys]
    light.verify_header(CHAIN, header, make_commit(header, entries), validators)
    two_of_three = make_commit(header, [*entries[:2], ABSENT_SIG])
    with pytest.raises(HeaderError, match="2 of 3"):
        light.verify_header(CHAIN, header, two_of_three, validators)

    validators, keys = make_set(67, 33)
    header = make_header(validators)
    by_power = make_commit(header, [sign(keys[0], block_id_of(header)), ABSENT_SIG])
    light.verify_header(CHAIN, header, by_power, validators)


def test_votes_for_nil_do_not_count_but_must_be_valid() -> None:
    validators, keys = make_set(4, 1, 1)
    header = make_header(validators)
    block_id = block_id_of(header)
    entries = [sign(keys[0], block_id), sign(keys[1], block_id), ABSENT_SIG]
    entries[2] = sign(keys[2], block_id, flag=FLAG_NIL)
    light.verify_header(CHAIN, header, make_commit(header, entries), validators)

    forged = replace(entries[2], signature=bytes(64))
    with pytest.raises(HeaderError, match="invalid"):
        light.verify_header(CHAIN, header, make_commit(header, [*entries[:2], forged]), validators)

    entries[0] = sign(keys[0], block_id, flag=FLAG_NIL)
    with pytest.raises(HeaderError, match="1 of 6"):
        light.verify_header(CHAIN, header, make_commit(header, entries), validators)


def test_a_vote_counts_only_for_what_was_signed() -> None:
    validators, (key,) = make_set(1)
    header = make_header(validators)
    block_id = block_id_of(header)
    other_parts = BlockID(block_id.hash, PartSetHeader(2, block_id.hash))
    forgeries = [
        sign(key, block_id, chain_id="cairn-other"),
        sign(key, block_id, height=HEIGHT + 1),
        sign(key, block_id, vote_type=light.PREVOTE),
        sign(key, other_parts),
        replace(sign(key, block_id), time=Timestamp(1)),
        replace(sign(key, block_id, flag=FLAG_NIL), block_id_flag=FLAG_COMMIT),
        replace(sign(make_key(9), block_id), validator_address=light.address_of(key.public_key)),
    ]
    light.verify_header(CHAIN, header, make_commit(header, [sign(key, block_id)]), validators)
    for forged in forgeries:
        with pytest.raises(HeaderError, match="invalid"):
            light.verify_header(CHAIN, header, make_commit(header, [forged]), validators)


def test_malformed_entries_are_refused() -> None:
    validators, keys = make_set(5, 1)
    header = make_header(validators)
    block_id = block_id_of(header)
    good = [sign(key, block_id) for key in keys]
    cases: list[tuple[list[CommitSig], str]] = [
        ([good[0]], "1 entries for 2"),
        ([*good, good[0]], "3 entries for 2"),
        ([good[0], good[0]], "another validator"),
        ([good[1], good[0]], "another validator"),
        ([good[0], replace(ABSENT_SIG, signature=b"\1")], "absent"),
        ([good[0], replace(ABSENT_SIG, time=AT)], "absent"),
        ([good[0], replace(good[1], block_id_flag=0)], "flag 0"),
        ([good[0], replace(good[1], block_id_flag=4)], "flag 4"),
        ([good[0], replace(good[1], signature=good[1].signature[:63])], "64 bytes"),
        ([good[0], replace(good[1], time=Timestamp(0, 10**9))], "time"),
    ]
    for entries, reason in cases:
        with pytest.raises(HeaderError, match=reason):
            light.verify_header(CHAIN, header, make_commit(header, entries), validators)


def test_a_commit_for_something_else_is_refused() -> None:
    validators, (key,) = make_set(1)
    header = make_header(validators)
    block_id = block_id_of(header)
    commit = make_commit(header, [sign(key, block_id)])
    with pytest.raises(HeaderError, match="another chain"):
        light.verify_header("cairn-other", header, commit, validators)
    with pytest.raises(HeaderError, match="another validator set"):
        light.verify_header(CHAIN, header, commit, make_set(2)[0])
    with pytest.raises(HeaderError, match="another header"):
        light.verify_header(CHAIN, replace(header, app_hash=b"\4" * 32), commit, validators)
    with pytest.raises(HeaderError, match="for height 7, not 8"):
        light.verify_commit(CHAIN, validators, block_id, 8, commit)
    with pytest.raises(HeaderError, match="another block"):
        light.verify_commit(CHAIN, validators, BlockID(block_id.hash), HEIGHT, commit)
    nil = replace(commit, block_id=NIL_BLOCK_ID)
    with pytest.raises(HeaderError, match="another block"):
        light.verify_commit(CHAIN, validators, NIL_BLOCK_ID, HEIGHT, nil)
    for bad in ({"height": 0}, {"height": 2**63}, {"round": -1}, {"round": 2**31}):
        with pytest.raises(HeaderError, match="out of range"):
            light.verify_commit(CHAIN, validators, block_id, HEIGHT, replace(commit, **bad))
    short = BlockID(b"\1" * 31)
    with pytest.raises(HeaderError, match="block id"):
        light.verify_commit(CHAIN, validators, short, HEIGHT, replace(commit, block_id=short))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_refused(seed: int, bit: int) -> None:
    """Every byte of header, commit and set is bound, and nothing but a named error comes out."""
    validators, keys = make_set(3, 2, 2)
    header = make_header(validators)
    entries = [sign(key, block_id_of(header)) for key in keys]
    entries[2] = sign(keys[2], block_id_of(header), flag=FLAG_NIL)
    raw = encode((header, make_commit(header, entries), validators))
    at = seed % len(raw)
    forged = raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]
    decoder: Decoder[Any] = Decoder(tuple[Header, Commit, ValidatorSet])
    light.verify_header(CHAIN, *decoder.decode(raw))
    with pytest.raises((HeaderError, NonCanonicalError)):
        light.verify_header(CHAIN, *decoder.decode(forged))


def test_the_largest_round_and_power_are_in() -> None:
    validators, (key,) = make_set(light.VOTING_POWER_MAX)
    block_id = block_id_of(make_header(validators))
    message = light.vote_sign_bytes(CHAIN, HEIGHT, 2**31 - 1, block_id, AT)
    entry = CommitSig(FLAG_COMMIT, light.address_of(key.public_key), AT, key.sign(message))
    commit = Commit(HEIGHT, 2**31 - 1, block_id, (entry,))
    light.verify_commit(CHAIN, validators, block_id, HEIGHT, commit)


def test_a_malformed_set_is_refused() -> None:
    validators, (key,) = make_set(1)
    header = make_header(validators)
    block_id = block_id_of(header)
    member = validators.validators[0]
    commit = make_commit(header, [sign(key, block_id)])
    cases: list[tuple[ValidatorSet, str]] = [
        (ValidatorSet(()), "empty"),
        (ValidatorSet((member, member)), "twice"),
        (ValidatorSet((Validator(key.public_key, 0),)), "no voting power"),
        (ValidatorSet((Validator(key.public_key, -1),)), "no voting power"),
        (ValidatorSet((Validator(key.public_key, light.VOTING_POWER_MAX + 1),)), "out of range"),
        (ValidatorSet((Validator(key.public_key[2:], 1),)), "34 bytes"),
    ]
    for bad, reason in cases:
        with pytest.raises(HeaderError, match=reason):
            light.verify_commit(CHAIN, bad, block_id, HEIGHT, commit)
