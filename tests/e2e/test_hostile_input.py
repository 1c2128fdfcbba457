"""Everything that can be sent to a running node: it answers with a code and goes on."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.engine.base import Outcome
from cairn.engine.errors import MempoolFullError
from cairn.exact.models import encode_model
from cairn.exact.rules import encode_rule
from cairn.ledger.admission import decode_transaction
from cairn.ledger.messages import Message
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.ledger.transactions import (
    ATOMIC,
    INDEPENDENT,
    TRANSACTION_DECODER,
    TRANSACTION_SIZE_BYTES_MAX,
    Body,
    Transaction,
    sign_transaction,
    signing_bytes,
)
from cairn.modules.bank.messages import Transfer
from cairn.modules.registry import standard_registry
from cairn.modules.screening.windows import PAYEE_WINDOWS, PAYER_WINDOWS
from cairn.node.node import Node
from cairn.primitives.encoding import encode, replace
from cairn.primitives.hashes import sha256
from cairn.primitives.signatures import SigningKey
from tests.e2e.banks import WAIT_MS, found_bank, submit
from tests.e2e.messages import Attacker, weird_values
from tests.modules.founding import amount_model, hold_rule, tree_model
from tools.crash_bank import (
    ACCOUNTS,
    ASSET,
    CHAIN_ID,
    CLERK,
    CLERK_ACCOUNT,
    ORGANISATION,
    ROLES,
    START_MS,
    VALID_UNTIL,
    transaction,
)

REGISTRY = standard_registry()
REFUSED = {
    "ledger/malformed_transaction",
    "ledger/bad_signature",
    "ledger/wrong_chain",
    "ledger/unknown_key",
    "ledger/bad_sequence",
    "ledger/expired_transaction",
    "ledger/budget_exceeded",
}
STRANGER = SigningKey.from_seed(sha256(b"stranger"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node for the whole file; it must survive all of it."""
    directory = tmp_path_factory.mktemp("hostile") / "n"
    with found_bank(directory, mempool__sequence_wait_ms=0) as running:
        submit(running, 5)
        yield running
        assert running.fault is None
        running.check()


def body(sequence: int, *operations: Message, lane: int = 0, mode: int = INDEPENDENT) -> Body:
    return Body(CHAIN_ID, CLERK_ACCOUNT, lane, sequence, mode, 0, VALID_UNTIL, operations)


def next_raw(node: Node, *operations: Message, lane: int = 0, mode: int = INDEPENDENT) -> bytes:
    sequence = node.next_sequence(CLERK_ACCOUNT, lane)
    return sign_transaction(body(sequence, *operations, lane=lane, mode=mode), CLERK)


def payment(amount_units: int = 7) -> Transfer:
    return Transfer(ACCOUNTS[0], ACCOUNTS[1], ASSET, amount_units, START_MS, bytes(32))


def signed(raw_body: bytes, key: SigningKey = CLERK) -> bytes:
    """Return a well-signed envelope around any bytes."""
    return encode(Transaction(1, raw_body, key.public_key, key.sign(signing_bytes(raw_body))))


def windows(node: Node) -> list[tuple[bytes, bytes]]:
    """Return all of screening's features."""
    rows: list[tuple[bytes, bytes]] = []
    for table in (PAYER_WINDOWS, PAYEE_WINDOWS):
        rows += node.rows(table.prefix, cursor=b"", limit=1_000).rows
    return rows


def check_refused(node: Node, raws: Sequence[bytes]) -> None:
    """Submit what must not enter any block; nothing moves."""
    before, features = node.head(), windows(node)
    outcomes = node.submit(raws, wait_ms=WAIT_MS)
    assert {outcome.code for outcome in outcomes} <= REFUSED
    assert {outcome.height for outcome in outcomes} == {0}
    head = node.head()
    assert (head.app_hash, windows(node)) == (before.app_hash, features)
    assert node.fault is None


def check_alive(node: Node) -> None:
    (outcome,) = node.submit([next_raw(node, payment())], wait_ms=WAIT_MS)
    assert outcome.code == "ok"


# Bytes


def test_every_byte_of_a_transaction_matters(node: Node) -> None:
    raw = next_raw(node, payment())
    flipped = [
        raw[:place] + bytes((raw[place] ^ bit,)) + raw[place + 1 :]
        for place in range(len(raw))
        for bit in (1, 0x80, 0xFF)
    ]
    check_refused(node, flipped)
    check_refused(node, [raw[:size] for size in range(len(raw))])
    check_refused(node, [raw + b"\x00", raw + raw, b"\x00" + raw, raw[1:]])
    (outcome,) = node.submit([raw], wait_ms=WAIT_MS)
    assert outcome.code == "ok"


@settings(max_examples=150, deadline=None)
@given(raws=st.lists(st.binary(max_size=300), max_size=8))
def test_any_bytes_get_an_answer(node: Node, raws: list[bytes]) -> None:
    check_refused(node, [*raws, b"any"])
    check_refused(node, [signed(raw) for raw in [*raws, b""]])


BOMBS: dict[str, Callable[[], bytes]] = {
    "nested arrays": lambda: b"\x91" * 60_000 + b"\xc0",
    "nested maps": lambda: b"\x81\xa1a" * 20_000 + b"\xc0",
    "array of 2^32 elements": lambda: b"\xdd\xff\xff\xff\xff" + bytes(100),
    "arrays of 2^32 elements": lambda: b"\xdd\xff\xff\xff\xff" * 10_000,
    "bytes of 2^32": lambda: b"\xc6\xff\xff\xff\xff" + bytes(100),
    "string of 2^32": lambda: b"\xdb\xff\xff\xff\xff" + bytes(100),
    "map of 2^32": lambda: b"\xdf\xff\xff\xff\xff" + bytes(100),
    "extension": lambda: b"\xc9\xff\xff\xff\xff\x01" + bytes(100),
    "bad UTF-8": lambda: b"\x94\x01\xa4\xff\xfe\xfd\xfc\xc4\x00\xc4\x00",
    "floats": lambda: b"\x94" + b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00" * 4,
    "many elements": lambda: b"\xdc\xff\xfe" + bytes(65_534),
    "too large": lambda: bytes(TRANSACTION_SIZE_BYTES_MAX + 1),
    "far too large": lambda: bytes(3_000_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(node: Node, name: str) -> None:
    bomb = BOMBS[name]()
    check_refused(node, [bomb])
    check_refused(node, [signed(bomb[:60_000])])
    nested = msgspec.msgpack.encode(body(1)).replace(b"\x90", b"\x91" + bomb[:60_000])
    check_refused(node, [signed(nested)])
    check_alive(node)


def spellings(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def test_wrong_values_in_every_field_of_body_and_operation(node: Node) -> None:
    sequence = node.next_sequence(CLERK_ACCOUNT, 0)
    fields = list(msgspec.msgpack.decode(encode(body(sequence, payment()))))
    operation = list(fields[-1][0])
    raws = []
    for place in range(len(fields)):
        for value in weird_values():
            if value == fields[place]:
                continue
            raws.append(signed(spellings([*fields[:place], value, *fields[place + 1 :]])))
    for place in range(len(operation)):
        for value in weird_values():
            changed = [*operation[:place], value, *operation[place + 1 :]]
            raws.append(signed(spellings([*fields[:-1], [changed]])))
    for extra in ([*operation, 0], operation[:-1], [], ["bank/none"], operation[1:]):
        raws.append(signed(spellings([*fields[:-1], [extra]])))
    known = [raw for raw in raws if decodes(raw)]
    check_refused(node, [raw for raw in raws if raw not in known])
    # What decodes is refused in a block, or is a payment like any other; it has a code either way.
    for raw in known:
        (outcome,) = node.submit([raw], wait_ms=WAIT_MS)
        assert outcome.code
        assert node.fault is None
    check_alive(node)


def decodes(raw: bytes) -> bool:
    return decode_transaction(REGISTRY, raw).body is not None


@pytest.mark.parametrize("lane", [-1, 16, 255, 2**31, 2**63 - 1, -(2**63)])
def test_lanes_out_of_range_are_malformed(node: Node, lane: int) -> None:
    fields = list(msgspec.msgpack.decode(encode(body(1, payment()))))
    fields[2] = lane
    check_refused(node, [signed(spellings(fields))])


# Whole transactions


def test_replayed_and_doubled_transactions_count_once(node: Node) -> None:
    raw = next_raw(node, payment())
    first = node.submit([raw] * 40, wait_ms=WAIT_MS)
    assert len(set(first)) == 1
    assert first[0].code == "ok"
    before, features = node.head().app_hash, windows(node)
    futures = [node.submit_later([raw, raw]) for _ in range(20)]
    again = [outcome for future in futures for outcome in future.result(WAIT_MS / 1000)]
    assert {*again} == {*first}
    assert (node.head().app_hash, windows(node)) == (before, features)


def test_every_transaction_of_the_past_is_answered_with_its_place(node: Node) -> None:
    raws = [transaction(0, sequence) for sequence in range(1, 6)]
    features = windows(node)
    outcomes = node.submit(raws, wait_ms=WAIT_MS)
    assert outcomes == [node.receipt(outcome.transaction_id) for outcome in outcomes]
    assert all(outcome.height for outcome in outcomes)
    assert windows(node) == features


def test_signatures_and_bodies_that_do_not_belong_together_are_refused(node: Node) -> None:
    one = TRANSACTION_DECODER.decode(next_raw(node, payment(1)))
    other = TRANSACTION_DECODER.decode(next_raw(node, payment(2)))
    mixed = [
        Transaction(1, one.body, one.key, other.signature),
        Transaction(1, other.body, one.key, one.signature),
        Transaction(1, one.body, STRANGER.public_key, one.signature),
        Transaction(1, one.body, one.key, bytes(64)),
        Transaction(1, one.body, one.key, one.signature[32:] + one.signature[:32]),
        Transaction(2, one.body, one.key, one.signature),
    ]
    check_refused(node, [encode(transaction) for transaction in mixed])
    check_refused(node, [signed(one.body, STRANGER)])


def test_a_stranger_who_signs_somebodys_body_first_keeps_nobody_out(node: Node) -> None:
    raw = next_raw(node, payment())
    stolen = signed(TRANSACTION_DECODER.decode(raw).body, STRANGER)
    futures = [node.submit_later([stolen]), node.submit_later([raw, stolen])]
    first = futures[0].result(WAIT_MS / 1000)
    second = futures[1].result(WAIT_MS / 1000)
    assert second[0].code == "ok"
    assert {first[0].code, second[1].code} <= {"ledger/unknown_key", "ok"}
    assert node.fault is None


def test_sequences_far_ahead_and_long_past_are_refused(node: Node) -> None:
    sequence = node.next_sequence(CLERK_ACCOUNT, 0)
    numbers = (sequence - 1, sequence + 1, sequence + 2**40, 2**53)
    raws = [sign_transaction(body(number, payment(3)), CLERK) for number in numbers]
    check_refused(node, raws)


def test_refused_payments_that_are_admitted_move_no_balance_and_no_stranger_moves_a_feature(
    node: Node,
) -> None:
    features = windows(node)
    stranger = Body(CHAIN_ID, bytes(20), 0, 1, ATOMIC, 0, VALID_UNTIL, (payment(),))
    check_refused(node, [sign_transaction(stranger, STRANGER), sign_transaction(stranger, CLERK)])
    wrong_chain = body(node.next_sequence(CLERK_ACCOUNT, 0), payment())
    for changes in ({"chain_id": "crash-" + "a" * 32}, {"valid_until": 1}, {"sequence": 1}):
        changed = replace(wrong_chain, **changes)
        check_refused(node, [sign_transaction(changed, CLERK)])
    assert windows(node) == features


# Messages that decode


LOCKING_OUT = (
    "identity/recover",
    "identity/revoke_key",
    "identity/revoke_role",
    "identity/rotate_key",
    "identity/suspend",
)
"""What lets the clerk shut himself out, after which nothing is reached any more."""


def attack(node: Node, attacker: Attacker, rounds: int, *, per_transaction: int) -> set[str]:
    """Submit messages of every kind at their bounds; return the codes seen."""
    draw = random.Random(rounds)
    codes: set[str] = set()
    tags = {kind: kind.__struct_config__.tag for kind in REGISTRY.specs}  # type: ignore[attr-defined]
    kinds = [kind for kind, tag in tags.items() if tag not in LOCKING_OUT]
    for _ in range(rounds):
        raws: list[bytes] = []
        for lane in range(8):
            count = 1 + draw.randrange(per_transaction)
            operations = [attacker.message(draw.choice(kinds)) for _ in range(count)]
            mode = draw.choice((ATOMIC, INDEPENDENT))
            raw = next_raw(node, *operations, lane=lane, mode=mode)
            if len(raw) <= TRANSACTION_SIZE_BYTES_MAX:
                raws.append(raw)
        for outcome in node.submit(raws, wait_ms=WAIT_MS):
            codes |= codes_of(outcome)
            attacker.learn(*new_ids(outcome))
        assert node.fault is None, node.fault
    return codes


def codes_of(outcome: Outcome) -> set[str]:
    if not outcome.receipt:
        return {outcome.code}
    return {operation.code for operation in RECEIPT_DECODER.decode(outcome.receipt).operations}


def new_ids(outcome: Outcome) -> list[bytes]:
    """Return byte strings in the events of an outcome: what now exists."""
    if not outcome.receipt:
        return []
    found = []
    for operation in RECEIPT_DECODER.decode(outcome.receipt).operations:
        for event in operation.events:
            fields = msgspec.msgpack.decode(event)
            found += [field for field in fields if isinstance(field, bytes) and field]
    return found


def attacker_of(seed: int) -> Attacker:
    models = [encode_model(amount_model()), encode_model(tree_model(2, 3))]
    rules = [encode_rule(hold_rule("big")), encode_rule(hold_rule("two", priority=3))]
    keys = [CLERK.public_key, STRANGER.public_key]
    return Attacker(
        seed,
        ids=[CLERK_ACCOUNT, ORGANISATION, *ACCOUNTS[:6], *keys, bytes(20), bytes(32)],
        names=[ASSET, "governance", "models", "recovery", "rules", "big", "fraud", *ROLES],
        blobs=[*models, *rules],
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_messages_of_every_kind_at_their_bounds_never_halt_a_node(
    memory_path: Path, seed: int
) -> None:
    with found_bank(memory_path / "n") as node:
        codes = attack(node, attacker_of(seed), 40, per_transaction=5)
        assert len(codes) > 25, sorted(codes)
        submit(node, 1, lane=9)
        node.check()


# Bounds


def test_a_full_mempool_says_so_and_takes_nothing(memory_path: Path) -> None:
    with found_bank(memory_path / "n", mempool__transactions_max=50) as node:
        raws = [transaction(0, sequence) for sequence in range(1, 61)]
        with pytest.raises(MempoolFullError) as caught:
            node.submit(raws, wait_ms=WAIT_MS)
        assert caught.value.code == "engine/mempool_full"
        assert "wait" in caught.value.hint
        assert node.health().waiting == 0
        outcomes = node.submit(raws[:50], wait_ms=WAIT_MS)
        assert {outcome.code for outcome in outcomes} == {"ok"}
        for raw in raws[50:]:
            assert node.submit([raw], wait_ms=WAIT_MS)[0].code == "ok"
        check_refused(node, [b"x"] * 50)
        check_refused(node, [b"x"] * 50)


def test_a_mempool_full_of_bytes_says_so(memory_path: Path) -> None:
    with found_bank(memory_path / "n", mempool__size_bytes_max=70_000) as node:
        with pytest.raises(MempoolFullError):
            node.submit([bytes(60_000), bytes(60_000)], wait_ms=WAIT_MS)
        check_refused(node, [bytes(60_000)])
        submit(node, 1)
