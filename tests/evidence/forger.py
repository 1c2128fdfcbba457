"""Makes forged bundles out of valid ones, systematically: every part, changed in every way.

A bundle is taken apart without its types, down to the records inside its byte strings. Each value
is flipped, emptied or moved by one; each element is dropped, doubled, swapped with its neighbour,
or replaced by what stands in its place in another valid bundle; and after an edit the hashes that
an attacker can compute are computed again.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cairn.evidence.bundle import Bundle, decode_bundle, encode_bundle
from cairn.evidence.errors import EvidenceError
from cairn.ledger.records import HEAD_DECODER, application_hash
from cairn.primitives.encoding import NonCanonicalError, encode, replace, scan
from cairn.primitives.hashes import sha256
from cairn.primitives.light import header_hash
from cairn.primitives.merkle import leaf_hash, node_hash
from cairn.primitives.trie import key_hash, value_hash

Path = tuple[int, ...]
Forgery = tuple[str, bytes]

FIELDS = (
    "format",
    "chain_id",
    "claim",
    "head",
    "states",
    "series",
    "ranges",
    "receipts",
    "transactions",
    "rows",
)

EXPECTED: dict[str, frozenset[str]] = {
    "format": frozenset({"malformed_bundle"}),
    "chain_id": frozenset({"malformed_bundle", "wrong_chain"}),
    "claim": frozenset(
        {
            "malformed_bundle",
            "claim",
            "surplus",
            "incomplete_range",
            "row_proof",
            "replay",
            "header_not_committed",
        }
    ),
    "head": frozenset(
        {
            "malformed_bundle",
            "header_not_committed",
            "app_hash",
            "not_witnessed",
            "checkpoint_conflict",
        }
    ),
    "states": frozenset({"malformed_bundle", "state_proof", "claim", "surplus", "key_not_valid"}),
    "series": frozenset(
        {
            "malformed_bundle",
            "state_proof",
            "series_proof",
            "incomplete_range",
            "claim",
            "surplus",
        }
    ),
    "ranges": frozenset(
        {
            "malformed_bundle",
            "state_proof",
            "series_proof",
            "incomplete_range",
            "claim",
            "surplus",
        }
    ),
    "receipts": frozenset(
        {"malformed_bundle", "history_proof", "receipt_proof", "claim", "surplus"}
    ),
    "transactions": frozenset(
        {
            "malformed_bundle",
            "history_proof",
            "receipt_proof",
            "transaction_proof",
            "signature",
            "key_not_valid",
            "claim",
            "surplus",
        }
    ),
    "rows": frozenset({"malformed_bundle", "row_proof", "claim", "surplus"}),
}
"""For each field of a bundle the reasons for which a change of it is refused."""


def field_of(name: str) -> str:
    """Return the field of the bundle that a forgery's name says it changed."""
    return name.split(":")[0]


def forgeries(raw: bytes, others: Sequence[bytes]) -> Iterator[Forgery]:
    """Yield the forgeries of a bundle, each with a name that begins with the field it changes."""
    tree = msgspec.msgpack.decode(raw)
    foreign = [msgspec.msgpack.decode(other) for other in others]
    for path, value in _walk(tree):
        place = f"{FIELDS[path[0]]}:{'.'.join(map(str, path[1:]))}"
        for how, changed in _changes(value):
            yield f"{place}:{how}", _with(tree, path, changed)
        for number, other in enumerate(foreign):
            there = _at(other, path)
            if there is not None and there != value:
                yield f"{place}:from other {number}", _with(tree, path, there)
        if isinstance(value, bytes):
            for how, changed in _inside(value):
                yield f"{place}:{how}", _with(tree, path, changed)
    for field, bundle in _rehashed(raw):
        yield f"head:{field} rehashed", encode_bundle(bundle)


def _walk(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value below the bundle with its path, lists included."""
    if path:
        yield path, tree
    if isinstance(tree, list):
        for index, part in enumerate(tree):
            yield from _walk(part, (*path, index))


def _changes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield other values in the place of one."""
    if isinstance(value, bool):
        yield "flipped", not value
    elif isinstance(value, int):
        yield "plus one", value + 1
        yield "minus one", value - 1
        yield "huge", 2**63 - 1
        yield "negative", -(2**63)
    elif isinstance(value, bytes):
        yield "grown", value + b"\0"
        if value:
            yield "first bit", bytes((value[0] ^ 0x80,)) + value[1:]
            yield "last bit", value[:-1] + bytes((value[-1] ^ 0x01,))
            yield "cut", value[:-1]
            yield "emptied", b""
    elif isinstance(value, str):
        yield "grown", value + "x"
        yield "emptied", ""
        yield "upper", value.upper() + "X"
    elif value is None:
        yield "zero", 0
        yield "empty", b""
    elif isinstance(value, list):
        yield from _list_changes(value)
    if value is not None:
        yield "nil", None


def _list_changes(value: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield a list with elements dropped, doubled and swapped: at its ends and in the middle."""
    for index in sorted({0, len(value) // 2, len(value) - 1} if value else set()):
        yield f"without {index}", value[:index] + value[index + 1 :]
        yield f"{index} twice", value[: index + 1] + value[index:]
        if index + 1 < len(value) and value[index] != value[index + 1]:
            yield (
                f"{index} swapped",
                [*value[:index], value[index + 1], value[index], *value[index + 2 :]],
            )
    yield "with more", [*value, value[-1] if value else b""]
    if value:
        yield "emptied", []


def _inside(value: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a byte string that holds a record with one value of the record changed."""
    if len(value) < 3:
        return
    try:
        scan(value)
        tree = msgspec.msgpack.decode(value)
    except (NonCanonicalError, UnicodeDecodeError):
        return
    if not isinstance(tree, list) or encode(tuple(tree)) != value:
        return
    for path, part in _walk(tree):
        if isinstance(part, list):
            continue
        how, changed = next(_changes(part))
        yield f"inside {'.'.join(map(str, path))} {how}", _with(tree, path, changed)


def every_change_inside(record: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield a record with each of its values changed in every way; and records within records."""
    if not record:
        return
    tree = msgspec.msgpack.decode(record)
    for path, part in _walk(tree):
        for how, changed in _changes(part):
            if not isinstance(changed, int) or -(2**63) <= changed < 2**63:
                yield f"{'.'.join(map(str, path))} {how}", _with(tree, path, changed)
        if isinstance(part, bytes):
            for how, changed in _inside(part):
                yield f"{'.'.join(map(str, path))} {how}", _with(tree, path, changed)


def _with(tree: Any, path: Path, value: Any) -> bytes:
    """Return the bytes of a tree with another value at a path."""
    return msgspec.msgpack.encode(_replaced(tree, path, value))


def _replaced(tree: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    index = path[0]
    return [*tree[:index], _replaced(tree[index], path[1:], value), *tree[index + 1 :]]


def _at(tree: Any, path: Path) -> Any:
    """Return the value at a path, None if there is none."""
    for index in path:
        if not isinstance(tree, list) or index >= len(tree):
            return None
        tree = tree[index]
    return tree


# Hashes that an attacker can compute again


def _rehashed(raw: bytes) -> Iterator[tuple[str, Bundle]]:
    """Yield bundles with one fact changed and every hash above it computed again."""
    bundle = decode_bundle(raw)
    if bundle.states:
        state = bundle.states[0]
        value = b"\xc0" if state.value is None else _other(state.value)
        pairs = dict(_pairs(state.proof.bucket))
        pairs[key_hash(state.key)] = value_hash(value)
        bucket = b"".join(key + digest for key, digest in sorted(pairs.items()))
        proof = replace(state.proof, bucket=bucket)
        root = trie_root(state.key, proof.siblings, bucket)
        changed = replace(state, value=value, proof=proof)
        states = (changed, *bundle.states[1:])
        yield "state", resigned(replace(bundle, states=states), state_root=root)
    if bundle.series and bundle.series[0].head.value is not None:
        yield "series", _rehashed_series(bundle)
    if bundle.transactions:
        yield "receipt", _rehashed_receipt(bundle)


def _rehashed_series(bundle: Bundle) -> Bundle:
    """Return a bundle whose first run has another entry, and a head that fits."""
    run = bundle.series[0]
    assert run.head.value is not None
    entries = (_other(run.entries[0]), *run.entries[1:])
    head = HEAD_DECODER.decode(run.head.value)
    root = leaf_hash(entries[0]) if head.size == 1 else sha256(b"as it comes")
    value = encode(replace(head, root=root))
    pairs = dict(_pairs(run.head.proof.bucket))
    pairs[key_hash(run.head.key)] = value_hash(value)
    bucket = b"".join(key + digest for key, digest in sorted(pairs.items()))
    proof = replace(run.head.proof, bucket=bucket)
    state_root = trie_root(run.head.key, proof.siblings, bucket)
    changed = replace(run, head=replace(run.head, value=value, proof=proof), entries=entries)
    return resigned(replace(bundle, series=(changed, *bundle.series[1:])), state_root=state_root)


def _rehashed_receipt(bundle: Bundle) -> Bundle:
    """Return a bundle whose first receipt is another one, and a history that fits."""
    transaction = bundle.transactions[0]
    proof = transaction.receipt
    receipt = _other(proof.receipt)
    root = climb(leaf_hash(receipt), proof.position, proof.receipt_path)
    tree = msgspec.msgpack.decode(proof.history.leaf)
    tree[4] = root
    leaf = msgspec.msgpack.encode(tree)
    history_root = climb(leaf_hash(leaf), proof.history.index, proof.history.path)
    changed = replace(proof, receipt=receipt, history=replace(proof.history, leaf=leaf))
    transactions = (replace(transaction, receipt=changed), *bundle.transactions[1:])
    return resigned(replace(bundle, transactions=transactions), history_root=history_root)


def resigned(bundle: Bundle, **opened: bytes) -> Bundle:
    """Return a bundle with other roots, and the hashes up to the commit's block id computed again.

    The signatures stay: nobody but the validators can make them.
    """
    head = replace(bundle.head, **opened)
    app_hash = application_hash(head.state_root, head.history_size, head.history_root)
    header = replace(head.header, app_hash=app_hash)
    block_hash = header_hash(header)
    parts = replace(head.commit.block_id.part_set_header, hash=block_hash)
    block_id = replace(head.commit.block_id, hash=block_hash, part_set_header=parts)
    commit = replace(head.commit, block_id=block_id)
    return replace(bundle, head=replace(head, header=header, commit=commit))


def trie_root(key: bytes, siblings: Sequence[bytes], bucket: bytes) -> bytes:
    """Return the root to which a bucket leads along a key's own bits."""
    number = int.from_bytes(key_hash(key), "big")
    digest: bytes = sha256(b"\x10" + bucket)
    for level in range(len(siblings) - 1, -1, -1):
        if number >> (255 - level) & 1:
            digest = sha256(b"\x11" + siblings[level] + digest)
        else:
            digest = sha256(b"\x11" + digest + siblings[level])
    return digest


def climb(digest: bytes, index: int, path: Sequence[bytes]) -> bytes:
    """Return a root above a leaf, as if the tree were full: good enough for a forger."""
    for sibling in path:
        digest = node_hash(sibling, digest) if index & 1 else node_hash(digest, sibling)
        index >>= 1
    return digest


def _pairs(bucket: bytes) -> list[tuple[bytes, bytes]]:
    return [(bucket[at : at + 32], bucket[at + 32 : at + 64]) for at in range(0, len(bucket), 64)]


def _other(record: bytes) -> bytes:
    """Return the bytes of a record with one of its values changed."""
    return next((changed for _, changed in _inside(record)), record + b"\0")


def refusal(error: EvidenceError) -> str:
    """Return a refusal's code without its prefix."""
    return error.code.removeprefix("evidence/")
