"""The state trie: one root over a map from key to value, and proofs of presence and of absence.

The rule: a binary trie over the hashes of keys. A set of at most 16 keys, none included, is one
bucket, hashed as SHA-256(0x10 || its pairs (key hash, value hash), sorted); a larger set is an
inner node, hashed as SHA-256(0x11 || left || right), that splits on the next bit, from the most
significant on. The root therefore depends on the content alone.

Nodes are stored by path: two bytes of depth, then the bits that lead to the node, left aligned. A
stored node begins with what is hashed; an inner node ends with the number of keys below it, which
is not hashed. An empty bucket is not stored.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping

from cairn.primitives.encoding import Record
from cairn.primitives.errors import ProofError, TrieNodeError
from cairn.primitives.hashes import DIGEST_SIZE_BYTES, Digest

BUCKET_KEYS_MAX = 16
DEPTH_MAX = 256

KEY_TAG = b"cairn/state-key"
VALUE_TAG = b"cairn/state-value"
# `tagged_hash` written out, because these two are most of what a small batch costs.
_KEY_PREFIX = bytes((len(KEY_TAG),)) + KEY_TAG
_VALUE_PREFIX = bytes((len(VALUE_TAG),)) + VALUE_TAG

NodeReader = Callable[[bytes], bytes | None]
"""Returns the stored node at a path, or None."""

_BUCKET, _INNER = b"\x10", b"\x11"
_BUCKET_BYTE, _INNER_BYTE = 0x10, 0x11
_PAIR = 2 * DIGEST_SIZE_BYTES
_HALF = DIGEST_SIZE_BYTES
_INNER_HASHED = 65
_COUNT_SIZE = 8
_INNER_SIZE = _INNER_HASHED + _COUNT_SIZE
_BUCKET_SIZE_MAX = 1 + BUCKET_KEYS_MAX * _PAIR

_sha256 = hashlib.sha256

EMPTY_ROOT = Digest(_sha256(_BUCKET).digest())

# For each depth: the depth field as an integer above the prefix bits, the padding of the prefix to
# whole bytes, and the length of the path.
_PATH_BYTES = tuple(2 + (depth + 7) // 8 for depth in range(DEPTH_MAX + 1))
_PATH_PAD = tuple(-depth % 8 for depth in range(DEPTH_MAX + 1))
_PATH_HEAD = tuple(depth << 8 * (_PATH_BYTES[depth] - 2) for depth in range(DEPTH_MAX + 1))


class TrieProof(Record):
    """What leads from a bucket to the root; the bucket tells presence from absence."""

    siblings: tuple[bytes, ...]
    """Hashes of the other child at each inner node, from the root down."""
    bucket: bytes
    """The pairs of the bucket in which the key belongs: key hash and value hash, 64 bytes each."""


def key_hash(key: bytes) -> Digest:
    """Return the hash that places `key` in the trie: `tagged_hash(KEY_TAG, key)`."""
    return Digest(_sha256(_KEY_PREFIX + len(key).to_bytes(8, "big") + key).digest())


def value_hash(value: bytes) -> Digest:
    """Return the hash of a value: `tagged_hash(VALUE_TAG, value)`."""
    return Digest(_sha256(_VALUE_PREFIX + len(value).to_bytes(8, "big") + value).digest())


def node_path(depth: int, prefix: int) -> bytes:
    """Return the path of the node at `depth` under the leading bits `prefix`."""
    number = _PATH_HEAD[depth] | prefix << _PATH_PAD[depth]
    return number.to_bytes(_PATH_BYTES[depth], "big")


def node_hash(node: bytes) -> Digest:
    """Return the hash of a stored node."""
    return Digest(_sha256(node[:_INNER_HASHED] if node[0] == _INNER_BYTE else node).digest())


def root_of(read: NodeReader) -> Digest:
    """Return the root of the stored trie."""
    node = read(node_path(0, 0))
    return node_hash(node) if node else EMPTY_ROOT


def key_count(read: NodeReader) -> int:
    """Return how many keys the stored trie holds."""
    return _count_of(read(node_path(0, 0)))


# Updating


def update(
    read: NodeReader, changes: Mapping[bytes, bytes | None]
) -> tuple[Digest, dict[bytes, bytes | None]]:
    """Return the root after `changes`, and the nodes that differ (None for one that is gone).

    Args:
        read: The nodes of the trie before the changes.
        changes: Values to set by key; None deletes, and deleting an absent key does nothing.

    Raises:
        TrieNodeError: A stored node is missing or malformed.
    """
    if not changes:
        return root_of(read), {}
    hashed = sorted(
        (key_hash(key), None if value is None else value_hash(value))
        for key, value in changes.items()
    )
    batch = _Batch(read, hashed)
    root, _ = batch.apply(0, 0, 0, len(hashed), EMPTY_ROOT)
    return Digest(root), batch.changed


class _Batch:
    """One descent through the trie with a sorted batch of changes."""

    __slots__ = ("_keys", "_read", "_values", "changed")

    def __init__(self, read: NodeReader, hashed: list[tuple[Digest, Digest | None]]) -> None:
        self._read = read
        self._keys: list[bytes] = [pair[0] for pair in hashed]
        self._values: list[bytes | None] = [pair[1] for pair in hashed]
        self.changed: dict[bytes, bytes | None] = {}

    def apply(
        self, depth: int, prefix: int, start: int, end: int, expected: bytes
    ) -> tuple[bytes, int]:
        """Apply changes [start, end) to a node; return its hash and by how much its count moves.

        Args:
            depth: Bits that lead to the node.
            prefix: Those bits as an integer.
            start: The first change that belongs under the node.
            end: The first change after those.
            expected: The node's hash before; a node that is not stored must be an empty bucket.
        """
        path = (_PATH_HEAD[depth] | prefix << _PATH_PAD[depth]).to_bytes(_PATH_BYTES[depth], "big")
        node = self._read(path)
        if not node:
            if expected != EMPTY_ROOT:
                raise TrieNodeError(f"the node {path.hex()} is missing")
            node = _BUCKET
        if node[0] == _BUCKET_BYTE:
            return self._apply_to_bucket(depth, prefix, start, end, node)
        if len(node) != _INNER_SIZE or node[0] != _INNER_BYTE:
            raise TrieNodeError(f"the inner node {path.hex()} is malformed")
        left, right, delta = node[1:33], node[33:65], 0
        if end - start == 1:
            goes_right = self._keys[start][depth >> 3] >> (~depth & 7) & 1
            middle = start if goes_right else end
        else:
            middle = bisect_left(self._keys, _boundary(depth, prefix), start, end)
        if start < middle:
            left, delta = self.apply(depth + 1, prefix << 1, start, middle, left)
        if middle < end:
            right, delta_right = self.apply(depth + 1, prefix << 1 | 1, middle, end, right)
            delta += delta_right
        count = int.from_bytes(node[65:], "big") + delta
        if count <= BUCKET_KEYS_MAX:
            return self._collapse(depth, prefix), delta
        hashed = _INNER + left + right
        changed = hashed + count.to_bytes(_COUNT_SIZE, "big")
        if changed != node:
            self.changed[path] = changed
        return _sha256(hashed).digest(), delta

    def _apply_to_bucket(
        self, depth: int, prefix: int, start: int, end: int, node: bytes
    ) -> tuple[bytes, int]:
        if len(node) & 63 != 1 or len(node) > _BUCKET_SIZE_MAX:
            raise TrieNodeError(f"the bucket {node_path(depth, prefix).hex()} is malformed")
        if end - start == 1:
            changed = _with_change(node, self._keys[start], self._values[start])
        else:
            pairs = {node[i : i + 32]: node[i + 32 : i + 64] for i in range(1, len(node), _PAIR)}
            for key, value in zip(self._keys[start:end], self._values[start:end], strict=True):
                if value is None:
                    pairs.pop(key, None)
                else:
                    pairs[key] = value
            changed = _BUCKET + b"".join([key + pairs[key] for key in sorted(pairs)])
        delta = (len(changed) - len(node)) // _PAIR
        if len(changed) > _BUCKET_SIZE_MAX:
            pairs_sorted = [changed[i : i + _PAIR] for i in range(1, len(changed), _PAIR)]
            return self._build(depth, prefix, pairs_sorted), delta
        if changed != node:
            self.changed[node_path(depth, prefix)] = changed if len(changed) > 1 else None
        return _sha256(changed).digest(), delta

    def _build(self, depth: int, prefix: int, pairs: list[bytes]) -> bytes:
        """Store the subtree over sorted pairs and return its hash."""
        if len(pairs) <= BUCKET_KEYS_MAX:
            node = _BUCKET + b"".join(pairs)
            if pairs:
                self.changed[node_path(depth, prefix)] = node
            return _sha256(node).digest()
        middle = bisect_left(pairs, _boundary(depth, prefix))
        left = self._build(depth + 1, prefix << 1, pairs[:middle])
        right = self._build(depth + 1, prefix << 1 | 1, pairs[middle:])
        hashed = _INNER + left + right
        self.changed[node_path(depth, prefix)] = hashed + len(pairs).to_bytes(_COUNT_SIZE, "big")
        return _sha256(hashed).digest()

    def _collapse(self, depth: int, prefix: int) -> bytes:
        """Store the bucket that an inner node becomes when its two children fit into one."""
        bucket = _BUCKET
        for child in (node_path(depth + 1, prefix << 1), node_path(depth + 1, prefix << 1 | 1)):
            before = self._read(child)
            node = self.changed.pop(child, before)
            if node is not None:
                if node[0] != _BUCKET_BYTE:
                    raise TrieNodeError(f"a count above the node {child.hex()} is wrong")
                bucket += node[1:]
            if before is not None:
                self.changed[child] = None
        self.changed[node_path(depth, prefix)] = bucket if len(bucket) > 1 else None
        return _sha256(bucket).digest()


def _boundary(depth: int, prefix: int) -> bytes:
    """Return the smallest key hash on the right below the node (depth, prefix)."""
    return ((prefix << 1 | 1) << (DEPTH_MAX - 1 - depth)).to_bytes(_HALF, "big")


def _find(bucket: bytes, hash_of_key: bytes) -> int:
    """Return where in a sorted bucket node the pair of a key begins, or would have to begin."""
    low, high = 0, len(bucket) // _PAIR
    while low < high:
        middle = (low + high) // 2
        if bucket[1 + middle * _PAIR : 33 + middle * _PAIR] < hash_of_key:
            low = middle + 1
        else:
            high = middle
    return 1 + low * _PAIR


def _with_change(bucket: bytes, hash_of_key: bytes, hash_of_value: bytes | None) -> bytes:
    """Return a bucket node with one key set, or deleted for None."""
    position = _find(bucket, hash_of_key)
    value_at = position + _HALF
    is_present = bucket[position:value_at] == hash_of_key
    if hash_of_value is None:
        return bucket[:position] + bucket[position + _PAIR :] if is_present else bucket
    rest = bucket[position + _PAIR :] if is_present else bucket[position:]
    return bucket[:position] + hash_of_key + hash_of_value + rest


def rebuild_root(items: Iterable[tuple[bytes, bytes]]) -> Digest:
    """Return the root over all items, from scratch and without nodes: the reference for checks.

    Args:
        items: Key and value of the whole state, each key once, in any order.
    """
    pairs = sorted(key_hash(key) + value_hash(value) for key, value in items)
    return Digest(_rebuild(0, 0, pairs))


def _rebuild(depth: int, prefix: int, pairs: list[bytes]) -> bytes:
    if len(pairs) <= BUCKET_KEYS_MAX:
        return _sha256(_BUCKET + b"".join(pairs)).digest()
    middle = bisect_left(pairs, _boundary(depth, prefix))
    left = _rebuild(depth + 1, prefix << 1, pairs[:middle])
    right = _rebuild(depth + 1, prefix << 1 | 1, pairs[middle:])
    return _sha256(_INNER + left + right).digest()


# Proving and verifying


def prove(read: NodeReader, key: bytes) -> TrieProof:
    """Return the proof of what the stored trie holds under `key`, also if it holds nothing.

    Raises:
        TrieNodeError: A stored node is missing or malformed.
    """
    number = int.from_bytes(key_hash(key), "big")
    siblings: list[bytes] = []
    expected: bytes = EMPTY_ROOT
    for depth in range(DEPTH_MAX + 1):
        path = node_path(depth, number >> (DEPTH_MAX - depth))
        node = read(path)
        if not node:
            if expected != EMPTY_ROOT:
                raise TrieNodeError(f"the node {path.hex()} is missing")
            return TrieProof(tuple(siblings), b"")
        if node[0] == _BUCKET_BYTE:
            return TrieProof(tuple(siblings), node[1:])
        if len(node) != _INNER_SIZE or node[0] != _INNER_BYTE:
            break
        left, right = node[1:33], node[33:65]
        goes_right = number >> (DEPTH_MAX - 1 - depth) & 1
        siblings.append(left if goes_right else right)
        expected = right if goes_right else left
    raise TrieNodeError(f"the node {path.hex()} is malformed")


def verify_presence(root: bytes, key: bytes, value: bytes, proof: TrieProof) -> None:
    """Check that the trie under `root` holds `value` under `key`.

    Raises:
        ProofError: The proof is malformed, belongs to another key or root, or shows another value
            or none.
    """
    hash_of_key = key_hash(key)
    _check_proof(root, hash_of_key, proof)
    position = _find(_BUCKET + proof.bucket, hash_of_key) - 1
    if proof.bucket[position : position + _HALF] != hash_of_key:
        raise ProofError("the key is not in the trie")
    if proof.bucket[position + _HALF : position + _PAIR] != value_hash(value):
        raise ProofError("the key has another value in the trie")


def verify_absence(root: bytes, key: bytes, proof: TrieProof) -> None:
    """Check that the trie under `root` holds nothing under `key`.

    Raises:
        ProofError: The proof is malformed, belongs to another key or root, or shows a value.
    """
    hash_of_key = key_hash(key)
    _check_proof(root, hash_of_key, proof)
    position = _find(_BUCKET + proof.bucket, hash_of_key) - 1
    if proof.bucket[position : position + _HALF] == hash_of_key:
        raise ProofError("the key is in the trie")


def _check_proof(root: bytes, hash_of_key: bytes, proof: TrieProof) -> None:
    """Check that a well-formed bucket on the way of the key leads to `root`."""
    depth = len(proof.siblings)
    if depth > DEPTH_MAX:
        raise ProofError(f"a proof of depth {depth}")
    if len(proof.bucket) % _PAIR or len(proof.bucket) > BUCKET_KEYS_MAX * _PAIR:
        raise ProofError(f"a bucket of {len(proof.bucket)} bytes")
    number = int.from_bytes(hash_of_key, "big")
    off_path = DEPTH_MAX - depth
    previous = b""
    for position in range(0, len(proof.bucket), _PAIR):
        entry = proof.bucket[position : position + _HALF]
        if int.from_bytes(entry, "big") >> off_path != number >> off_path:
            raise ProofError("an entry of the bucket is off the path")
        if entry <= previous:
            raise ProofError("the entries of the bucket are not in ascending order")
        previous = entry
    digest = _sha256(_BUCKET + proof.bucket).digest()
    for level in reversed(range(depth)):
        sibling = proof.siblings[level]
        if len(sibling) != DIGEST_SIZE_BYTES:
            raise ProofError(f"a hash of {len(sibling)} bytes")
        goes_right = number >> (DEPTH_MAX - 1 - level) & 1
        digest = _sha256(_INNER + (sibling + digest if goes_right else digest + sibling)).digest()
    if digest != root:
        raise ProofError("the proof leads to another root")


def _count_of(node: bytes | None) -> int:
    if not node:
        return 0
    if node[0] == _INNER_BYTE:
        return int.from_bytes(node[_INNER_HASHED:], "big")
    return len(node) // _PAIR
