"""Attacks on facts: rows, series, ranges, transactions, receipts and keys."""

from typing import Any

import msgspec

from cairn.evidence.bundle import (
    Bundle,
    LiveClaim,
    RangeClaim,
    StateClaim,
    TransactionClaim,
)
from cairn.evidence.proofs import RangeProof, SeriesProof, StateProof
from cairn.ledger.transactions import Body, Transaction, sign_transaction, transaction_id
from cairn.modules.bank.records import HOLD_SERIES, HOLDS
from cairn.modules.identity.messages import Approve
from cairn.modules.identity.records import ACCOUNTS, KEYS, Account, Key
from cairn.modules.models.records import PROMOTIONS
from cairn.node.prover import prove_series
from cairn.primitives.encoding import encode, replace
from cairn.primitives.hashes import sha256
from cairn.primitives.trie import TrieProof, key_hash, value_hash
from tests.evidence.attack import (
    ANN,
    BOB,
    HOME,
    OPERATOR,
    Made,
    attack,
    opened,
    other_chain,
)
from tests.evidence.story import Told
from tests.evidence.world import (
    World,
    plain_receipt,
    signed_head,
)
from tests.modules.harness import key_of

# Rows: the operator signs roots over malformed buckets


def bucket_bundle(honest: Told, key: bytes, value: bytes | None, pairs: list[bytes]) -> Bundle:
    """Return a bundle over a one-bucket state of these pairs, signed with the real key."""
    chain = honest.story.chain
    bucket = b"".join(pairs)
    head = signed_head(
        chain.chain_id, OPERATOR, chain.validators, state_root=sha256(b"\x10" + bucket)
    )
    bundle = opened(honest, "state_absent")
    proof = StateProof(key, value, TrieProof((), bucket))
    return replace(bundle, claim=StateClaim(key), head=head, states=(proof,))


def pair(key: bytes, value: bytes) -> bytes:
    """Return a pair of a bucket."""
    return key_hash(key) + value_hash(value)


@attack()
def bucket_with_a_key_twice(honest: Told) -> Made:
    """Signs a state in which a key has two values, to show each where it suits."""
    key = HOLDS.key(bytes(20))
    pairs = sorted([pair(key, b"\x01"), pair(key, b"\x02")])
    return bucket_bundle(honest, key, b"\x01", pairs), "state_proof"


@attack()
def bucket_out_of_order(honest: Told) -> Made:
    """Signs a bucket that is not sorted, so that one content has two roots."""
    key = HOLDS.key(bytes(20))
    pairs = sorted([pair(key, b"\x01"), pair(b"\x01a\x01b", b"\x02")], reverse=True)
    return bucket_bundle(honest, key, b"\x01", pairs), "state_proof"


@attack()
def bucket_of_seventeen(honest: Told) -> Made:
    """Signs a bucket of more keys than a bucket holds."""
    key = HOLDS.key(bytes(20))
    pairs = sorted([pair(key, b"\x01"), *(pair(b"\x01a\x01%c" % i, b"\x02") for i in range(16))])
    return bucket_bundle(honest, key, b"\x01", pairs), "state_proof"


@attack()
def bucket_off_the_path(honest: Told) -> Made:
    """Signs a tree in which a bucket holds keys that belong elsewhere, to prove theirs absent."""
    chain = honest.story.chain
    key = HOLDS.key(bytes(20))
    number = key_hash(key)[0] >> 7
    foreign = next(
        pair(b"\x01a\x01%c" % i, b"\x02")
        for i in range(256)
        if key_hash(b"\x01a\x01%c" % i)[0] >> 7 != number
    )
    inner = sha256(b"\x10" + foreign)
    sibling = sha256(b"the other side")
    left, right = (sibling, inner) if number else (inner, sibling)
    root = sha256(b"\x11" + left + right)
    head = signed_head(chain.chain_id, OPERATOR, chain.validators, state_root=root)
    proof = StateProof(key, None, TrieProof((sibling,), foreign))
    bundle = opened(honest, "state_absent")
    return replace(bundle, claim=StateClaim(key), head=head, states=(proof,)), "state_proof"


@attack()
def absence_of_a_present_key(honest: Told) -> Made:
    """Says that a row is absent, beside the proof that it is there."""
    bundle = opened(honest, "state_present")
    state = replace(bundle.states[0], value=None)
    return replace(bundle, states=(state,)), "state_proof"


@attack()
def absence_by_leaving_a_key_out_of_its_bucket(honest: Told) -> Made:
    """Takes a row out of its bucket and says that it is absent."""
    bundle = opened(honest, "state_present")
    state = bundle.states[0]
    bucket = state.proof.bucket
    pairs = [bucket[at : at + 64] for at in range(0, len(bucket), 64)]
    left = b"".join(one for one in pairs if not one.startswith(key_hash(state.key)))
    proof = StateProof(state.key, None, TrieProof(state.proof.siblings, left))
    return replace(bundle, states=(proof,)), "state_proof"


@attack()
def presence_proof_of_another_key(honest: Told) -> Made:
    """Shows the proof of one row for another one."""
    bundle = opened(honest, "state_present")
    key = HOLDS.key(honest.story.holds["released"])
    state = replace(bundle.states[0], key=key)
    return replace(bundle, claim=StateClaim(key), states=(state,)), "state_proof"


@attack()
def value_edited(honest: Told) -> Made:
    """Edits a row: an open hold becomes a released one."""
    bundle = opened(honest, "state_present")
    state = bundle.states[0]
    assert state.value is not None
    tree = msgspec.msgpack.decode(state.value)
    changed = [("released" if part == "open" else part) for part in tree]
    edited = replace(state, value=msgspec.msgpack.encode(changed))
    return replace(bundle, states=(edited,)), "state_proof"


# Series and ranges


def range_bundle(honest: Told, name: str = "range") -> tuple[Bundle, RangeProof]:
    """Return an honest bundle of a range, and its range."""
    bundle = opened(honest, name)
    return bundle, bundle.ranges[0]


def hold_run(honest: Told, start: int, end: int) -> SeriesProof:
    """Return an honest proof of some entries of the series of holds."""
    return prove_series(honest.source.view, HOLD_SERIES.key(), start, end)


@attack()
def gap_in_a_range(honest: Told) -> Made:
    """Leaves an entry out of the middle of a range."""
    bundle, complete = range_bundle(honest)
    entries = complete.series.entries[:1] + complete.series.entries[2:]
    changed = replace(complete, series=replace(complete.series, entries=entries))
    return replace(bundle, ranges=(changed,)), "series_proof"


@attack()
def neighbour_before_missing(honest: Told) -> Made:
    """Begins a range at its second entry, with a correct proof of what is left."""
    bundle, complete = range_bundle(honest)
    start = complete.series.start
    run = hold_run(honest, start + 1, start + len(complete.series.entries))
    changed = replace(complete, series=run)
    return replace(bundle, ranges=(changed,)), "incomplete_range"


@attack()
def neighbour_after_missing(honest: Told) -> Made:
    """Ends a range before its last entry, with a correct proof of what is left."""
    bundle, complete = range_bundle(honest)
    start = complete.series.start
    run = hold_run(honest, start, start + len(complete.series.entries) - 1)
    changed = replace(complete, series=run)
    return replace(bundle, ranges=(changed,)), "incomplete_range"


@attack()
def range_ends_after_the_proving_header(honest: Told) -> Made:
    """Claims a range up to a time that the header does not cover."""
    bundle, complete = range_bundle(honest, "range_to_the_end")
    until_ms = honest.source.view.time_ms + 1
    claim = RangeClaim(HOLD_SERIES.key(), complete.from_ms, until_ms)
    changed = replace(complete, until_ms=until_ms)
    return replace(bundle, claim=claim, ranges=(changed,)), "incomplete_range"


@attack()
def range_narrower_than_claimed(honest: Told) -> Made:
    """Proves a shorter range than the one that it claims."""
    bundle, _ = range_bundle(honest)
    claim = RangeClaim(HOLD_SERIES.key(), 0, honest.story.times["told"])
    return replace(bundle, claim=claim), "claim"


@attack()
def range_of_another_series(honest: Told) -> Made:
    """Proves a range of another series than the one that it claims."""
    bundle, _ = range_bundle(honest, "range_to_the_end")
    assert isinstance(bundle.claim, RangeClaim)
    claim = replace(bundle.claim, series=PROMOTIONS.key("fraud"))
    return replace(bundle, claim=claim), "claim"


@attack()
def series_said_to_be_empty(honest: Told) -> Made:
    """Shows the absence of the head of a series that does not exist, for one that does."""
    bundle = opened(honest, "live_at_time")
    empty = opened(honest, "live_no_deployment").series[0]
    claim = LiveClaim("fraud", None, honest.story.times["payments"])
    return replace(bundle, claim=claim, series=(empty,)), "claim"


def promotions_run(honest: Told, start: int, end: int) -> SeriesProof:
    """Return an honest proof of some promotions."""
    return prove_series(honest.source.view, PROMOTIONS.key("fraud"), start, end)


def with_promotions(honest: Told, name: str, run: SeriesProof) -> Bundle:
    """Return an honest bundle with another run of the promotions."""
    bundle = opened(honest, name)
    series = [run if one.head.key == run.head.key else one for one in bundle.series]
    return replace(bundle, series=tuple(series))


@attack()
def promotions_without_the_last(honest: Told) -> Made:
    """Hides the roll-back: the promotions shown end before it."""
    return (
        with_promotions(honest, "live_after_roll_back", promotions_run(honest, 0, 2)),
        "incomplete_range",
    )


@attack()
def promotions_without_the_first(honest: Told) -> Made:
    """Hides the first promotion: those shown begin after it."""
    return (
        with_promotions(honest, "live_after_roll_back", promotions_run(honest, 1, 3)),
        "incomplete_range",
    )


@attack()
def promotions_beyond_the_question(honest: Told) -> Made:
    """Adds later promotions than the question needs."""
    return (
        with_promotions(honest, "live_at_time", promotions_run(honest, 0, 3)),
        "incomplete_range",
    )


# Transactions, receipts and keys


def signed_by(chain_id: str, key: Any, sender: bytes = ANN) -> bytes:
    """Return a transaction that says little, signed with `key` in the name of `sender`."""
    operations = (Approve("model", sha256(b"a subject")),)
    body = Body(chain_id, sender, 0, 1, 0, 0, 99, operations)
    return sign_transaction(body, key)


def people_rows(key: bytes, row: Key) -> dict[bytes, bytes]:
    """Return the rows of ann and bob, and of one key."""
    return {
        ACCOUNTS.key(ANN): encode(Account("person", HOME, "ann", (), "active")),
        ACCOUNTS.key(BOB): encode(Account("person", HOME, "bob", (), "active")),
        ACCOUNTS.key(HOME): encode(Account("organisation", HOME, "home", (), "active")),
        KEYS.key(key): encode(row),
    }


def key_bundle(honest: Told, row: Key | None, *, height: int = 7) -> Bundle:
    """Return a bundle of a transaction at a height, signed with a key of the given row."""
    chain = honest.story.chain
    key = key_of("ann")
    raw = signed_by(chain.chain_id, key)
    rows = people_rows(key.public_key, Key(ANN, 1, None) if row is None else row)
    if row is None:
        del rows[KEYS.key(key.public_key)]
    world = World(
        chain.chain_id,
        OPERATOR,
        chain.validators,
        rows=rows,
        blocks=[(height, [raw], [plain_receipt(raw)])],
    )
    return world.bundle(
        TransactionClaim(_id(raw)),
        states=[
            world.state(KEYS.key(key.public_key)),
            world.state(ACCOUNTS.key(ANN)),
            world.state(ACCOUNTS.key(HOME)),
        ],
        transactions=[world.transaction(0, 0)],
    )


def _id(raw: bytes) -> bytes:
    return transaction_id(msgspec.msgpack.decode(raw)[1])


@attack()
def retired_key(honest: Told) -> Made:
    """Lets a transaction in that a retired key has signed."""
    return key_bundle(honest, Key(ANN, 1, 7)), "key_not_valid"


@attack()
def key_from_the_future(honest: Told) -> Made:
    """Lets a transaction in that a key has signed before it was registered."""
    return key_bundle(honest, Key(ANN, 8, None)), "key_not_valid"


@attack()
def key_of_somebody_else(honest: Told) -> Made:
    """Lets a transaction in that somebody else's key has signed."""
    return key_bundle(honest, Key(BOB, 1, None)), "key_not_valid"


@attack()
def key_of_nobody(honest: Told) -> Made:
    """Lets a transaction in that an unregistered key has signed."""
    return key_bundle(honest, None), "key_not_valid"


@attack()
def key_not_shown(honest: Told) -> Made:
    """Does not show whose key has signed."""
    bundle = opened(honest, "transaction")
    states = tuple(state for state in bundle.states if not state.key.startswith(KEYS.prefix))
    return replace(bundle, states=states), "key_not_valid"


@attack()
def signature_forged(honest: Told) -> Made:
    """Puts a transaction into a block whose signature does not verify."""
    chain = honest.story.chain
    key = key_of("ann")
    envelope = msgspec.msgpack.decode(signed_by(chain.chain_id, key), type=Transaction)
    raw = encode(replace(envelope, signature=bytes(64)))
    world = World(
        chain.chain_id,
        OPERATOR,
        chain.validators,
        rows=people_rows(key.public_key, Key(ANN, 1, None)),
        blocks=[(7, [raw], [plain_receipt(raw)])],
    )
    bundle = world.bundle(
        TransactionClaim(_id(raw)),
        states=[world.state(KEYS.key(key.public_key))],
        transactions=[world.transaction(0, 0)],
    )
    return bundle, "signature"


@attack()
def transaction_of_another_chain(honest: Told) -> Made:
    """Replays a transaction that was signed for another ledger."""
    chain = honest.story.chain
    key = key_of("ann")
    raw = signed_by(other_chain().chain_id, key)
    world = World(
        chain.chain_id,
        OPERATOR,
        chain.validators,
        rows=people_rows(key.public_key, Key(ANN, 1, None)),
        blocks=[(7, [raw], [plain_receipt(raw)])],
    )
    bundle = world.bundle(
        TransactionClaim(_id(raw)),
        states=[world.state(KEYS.key(key.public_key))],
        transactions=[world.transaction(0, 0)],
    )
    return bundle, "wrong_chain"


def two_in_a_block(honest: Told, *, swapped: bool) -> tuple[World, list[bytes]]:
    """Return a block of ann's and bob's transactions, their receipts in order or not."""
    chain = honest.story.chain
    raws = [
        signed_by(chain.chain_id, key_of("ann")),
        signed_by(chain.chain_id, key_of("bob"), BOB),
    ]
    receipts = [plain_receipt(raw) for raw in raws]
    if swapped:
        receipts.reverse()
    rows = people_rows(key_of("ann").public_key, Key(ANN, 1, None))
    world = World(
        chain.chain_id, OPERATOR, chain.validators, rows=rows, blocks=[(7, raws, receipts)]
    )
    return world, raws


@attack()
def receipt_of_another_transaction(honest: Told) -> Made:
    """Signs a block in which two receipts have changed places."""
    world, raws = two_in_a_block(honest, swapped=True)
    key = KEYS.key(key_of("ann").public_key)
    bundle = world.bundle(
        TransactionClaim(_id(raws[0])),
        states=[world.state(key)],
        transactions=[world.transaction(0, 0)],
    )
    return bundle, "receipt_proof"


@attack()
def receipt_swapped_between_positions(honest: Told) -> Made:
    """Shows the receipt of the next position, with its own path, at this one."""
    world, raws = two_in_a_block(honest, swapped=False)
    proof, other = world.transaction(0, 0), world.transaction(0, 1)
    moved = replace(
        proof.receipt, receipt=other.receipt.receipt, receipt_path=other.receipt.receipt_path
    )
    bundle = world.bundle(
        TransactionClaim(_id(raws[0])),
        states=[world.state(KEYS.key(key_of("ann").public_key))],
        transactions=[replace(proof, receipt=moved)],
    )
    return bundle, "receipt_proof"


@attack()
def transaction_at_another_position(honest: Told) -> Made:
    """Shows a transaction at the position, and with the receipt, of its neighbour."""
    world, raws = two_in_a_block(honest, swapped=False)
    proof, other = world.transaction(0, 0), world.transaction(0, 1)
    bundle = world.bundle(
        TransactionClaim(_id(raws[0])),
        states=[world.state(KEYS.key(key_of("ann").public_key))],
        transactions=[replace(proof, receipt=other.receipt)],
    )
    return bundle, "transaction_proof"


@attack()
def receipt_edited(honest: Told) -> Made:
    """Edits what became of a payment: refused becomes ok."""
    bundle = opened(honest, "payment_refused")
    proof = bundle.transactions[0]
    receipt = proof.receipt.receipt.replace(b"\xb4bank/refused_by_rule", b"\xa2ok")
    assert receipt != proof.receipt.receipt
    changed = replace(proof, receipt=replace(proof.receipt, receipt=receipt))
    return replace(bundle, transactions=(changed,)), "receipt_proof"


@attack()
def block_dropped_from_the_history(honest: Told) -> Made:
    """Shows a transaction of a block that the history does not hold."""
    bundle = opened(honest, "transaction")
    world, _ = two_in_a_block(honest, swapped=False)
    proof = world.transaction(0, 0)
    return replace(bundle, transactions=(proof,)), "history_proof"
