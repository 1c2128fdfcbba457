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
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

from cairn.primitives.encoding import Record
from cairn.primitives.errors import ProofError, TrieNodeError
from cairn.primitives.hashes import DIGEST_SIZE_BYTES, Digest, tagged_hash

BUCKET_KEYS_MAX = 16
DEPTH_MAX = 256

KEY_TAG = b"cairn/state-key"
VALUE_TAG = b"cairn/state-value"

NodeReader = Callable[[bytes], bytes | None]
"""Returns the stored node at a path, or None."""

_BUCKET, _INNER = b"\x10", b"\x11"
_BUCKET_BYTE, _INNER_BYTE = 0x10, 0x11
_PAIR = 2 * DIGEST_SIZE_BYTES
_HALF = DIGEST_SIZE_BYTES
_LEFT, _RIGHT = slice(1, 33), slice(33, 65)
_INNER_HASHED = 65
_COUNT_SIZE = 8
_BUCKET_SIZE_MAX = 1 + BUCKET_KEYS_MAX * _PAIR

_sha256 = hashlib.sha256

EMPTY_ROOT = Digest(_sha256(_BUCKET).digest())

# For each depth: the depth field as an integer above the prefix bits, the padding of the prefix to
# whole bytes, and the length of the path.
_PATH_BYTES = tuple(2 + (depth + 7) // 8 for depth in range(DEPTH_MAX + 1))
_PATH_PAD = tuple(-depth % 8 for depth in range(DEPTH_MAX + 1))
_PATH_HEAD = tuple(depth << 8 * (_PATH_BYTES[depth] - 2) for depth in range(DEPTH_MAX + 1))


class TrieProof(Record):
    """What leads from a bucket to the root; whether it shows presence or absence, the bucket says."""

    siblings: tuple[bytes, ...]
    """Hashes of the other child at each inner node, from the root down."""
    bucket: bytes
    """The pairs of the bucket in which the key belongs: key hash and value hash, 64 bytes each."""


def key_hash(key: bytes) -> Digest:
    """Return the hash that places `key` in the trie."""
    return tagged_hash(KEY_TAG, key)


def value_hash(value: bytes) -> Digest:
    """Return the hash of a value."""
    return tagged_hash(VALUE_TAG, value)


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
    return EMPTY_ROOT if node is None else node_hash(node)


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
    root, _ = batch.apply(0, 0, 0, len(hashed))
    return Digest(root), batch.changed


class _Batch:
    """One descent through the trie with a sorted batch of changes."""

    __slots__ = ("_keys", "_read", "_values", "changed")

    def __init__(self, read: NodeReader, hashed: list[tuple[Digest, Digest | None]]) -> None:
        self._read = read
        self._keys: list[bytes] = [pair[0] for pair in hashed]
        self._values: list[bytes | None] = [pair[1] for pair in hashed]
        self.changed: dict[bytes, bytes | None] = {}

    def apply(self, depth: int, prefix: int, start: int, end: int) -> tuple[bytes, int]:
        """Apply changes [start, end) to the node; return its hash and the change of its count."""
        path = (_PATH_HEAD[depth] | prefix << _PATH_PAD[depth]).to_bytes(_PATH_BYTES[depth], "big")
        node = self._read(path)
        if node is None or node[0] == _BUCKET_BYTE:
            return self._apply_to_bucket(depth, prefix, start, end, node or _BUCKET)
        left, right = node[1:33], node[33:65]
        middle = self._split(depth, prefix, start, end)
        count = int.from_bytes(node[65:], "big")
        left_new, right_new, delta = left, right, 0
        if start < middle:
            left_new, delta = self.apply(depth + 1, prefix << 1, start, middle)
        if middle < end:
            right_new, delta_right = self.apply(depth + 1, prefix << 1 | 1, middle, end)
            delta += delta_right
        count += delta
        if count <= BUCKET_KEYS_MAX:
            return self._collapse(depth, prefix), delta
        hashed = _INNER + left_new + right_new
        if delta or left_new != left or right_new != right:
            self.changed[path] = hashed + count.to_bytes(_COUNT_SIZE, "big")
        return _sha256(hashed).digest(), delta

    def _split(self, depth: int, prefix: int, start: int, end: int) -> int:
        """Return the first change of [start, end) that goes right."""
        if end - start == 1:
            goes_right = self._keys[start][depth >> 3] >> (~depth & 7) & 1
            return start if goes_right else end
        return bisect_left(self._keys, _boundary(depth, prefix), start, end)

    def _apply_to_bucket(
        self, depth: int, prefix: int, start: int, end: int, node: bytes
    ) -> tuple[bytes, int]:
        """Apply changes to a bucket, which may become an inner node."""
        pairs = dict(_pairs(node))
        before = len(pairs)
        values = self._values
        for position, key in enumerate(self._keys[start:end], start):
            value = values[position]
            if value is None:
                pairs.pop(key, None)
            else:
                pairs[key] = value
        return self._store(depth, prefix, sorted(pairs.items()), node), len(pairs) - before

    def _store(
        self, depth: int, prefix: int, pairs: list[tuple[bytes, bytes]], before: bytes
    ) -> bytes:
        """Store a set of pairs where `before` stood; return its hash."""
        path = node_path(depth, prefix)
        if len(pairs) <= BUCKET_KEYS_MAX:
            node = _BUCKET + b"".join([key + value for key, value in pairs])
            if node != before:
                self.changed[path] = node if pairs else None
            return _sha256(node).digest()
        middle = bisect_left(pairs, (_boundary(depth, prefix), b""))
        left = self._store(depth + 1, prefix << 1, pairs[:middle], _BUCKET)
        right = self._store(depth + 1, prefix << 1 | 1, pairs[middle:], _BUCKET)
        hashed = _INNER + left + right
        self.changed[path] = hashed + len(pairs).to_bytes(_COUNT_SIZE, "big")
        return _sha256(hashed).digest()

    def _collapse(self, depth: int, prefix: int) -> bytes:
        """Make one bucket of what is left below an inner node; return its hash."""
        pairs = self._gather(depth + 1, prefix << 1) + self._gather(depth + 1, prefix << 1 | 1)
        return self._store(depth, prefix, pairs, b"")

    def _gather(self, depth: int, prefix: int) -> list[tuple[bytes, bytes]]:
        """Return the pairs below a node as it is now, and remove the node."""
        path = node_path(depth, prefix)
        stored = self._read(path)
        node = self.changed.get(path, stored)
        if stored is None:
            self.changed.pop(path, None)
        else:
            self.changed[path] = None
        if node is None:
            return []
        if node[0] == _BUCKET_BYTE:
            return _pairs(node)
        return self._gather(depth + 1, prefix << 1) + self._gather(depth + 1, prefix << 1 | 1)


def _boundary(depth: int, prefix: int) -> bytes:
    """Return the smallest key hash under `prefix` that goes right at `depth`."""
    return ((prefix << 1 | 1) << (DEPTH_MAX - depth - 1)).to_bytes(DIGEST_SIZE_BYTES, "big")


def _pairs(node: bytes) -> list[tuple[bytes, bytes]]:
    """Return the pairs of a stored bucket."""
    return [(node[at : at + _HALF], node[at + _HALF : at + _PAIR]) for at in range(1, len(node), _PAIR)]


def _count_of(node: bytes | None) -> int:
    """Return how many keys lie below a stored node."""
    if node is None:
        return 0
    if node[0] == _INNER_BYTE:
        return int.from_bytes(node[_INNER_HASHED:], "big")
    return (len(node) - 1) // _PAIR


def rebuild_root(items: Iterable[tuple[bytes, bytes]]) -> Digest:
    """Return the root over all `items`, computed from nothing; for checks."""
    pairs = sorted((key_hash(key), value_hash(value)) for key, value in items)
    return _rebuild(pairs, 0, 0)


def _rebuild(pairs: Sequence[tuple[bytes, bytes]], depth: int, prefix: int) -> Digest:
    if len(pairs) <= BUCKET_KEYS_MAX:
        return Digest(_sha256(_BUCKET + b"".join(key + value for key, value in pairs)).digest())
    middle = bisect_left(pairs, (_boundary(depth, prefix), b""))
    left = _rebuild(pairs[:middle], depth + 1, prefix << 1)
    right = _rebuild(pairs[middle:], depth + 1, prefix << 1 | 1)
    return Digest(_sha256(_INNER + left + right).digest())


# Proofs


def prove(read: NodeReader, key: bytes) -> TrieProof:
    """Return the proof that `key` has its value, or that it is absent."""
    hashed = int.from_bytes(key_hash(key), "big")
    siblings: list[bytes] = []
    for depth in range(DEPTH_MAX + 1):
        prefix = hashed >> (DEPTH_MAX - depth)
        node = read(node_path(depth, prefix))
        if node is None or node[0] == _BUCKET_BYTE:
            return TrieProof(tuple(siblings), b"" if node is None else node[1:])
        goes_right = hashed >> (DEPTH_MAX - depth - 1) & 1
        siblings.append(node[_LEFT] if goes_right else node[_RIGHT])
    raise TrieNodeError("an inner node stands below the last bit of a key")


def verify_presence(root: bytes, key: bytes, value: bytes, proof: TrieProof) -> None:
    """Check that `key` has `value` under `root`.

    Raises:
        ProofError: The proof is malformed, leads elsewhere, or shows another value or none.
    """
    if _shown_value(root, key, proof) != value_hash(value):
        raise ProofError("the key has another value, or none")


def verify_absence(root: bytes, key: bytes, proof: TrieProof) -> None:
    """Check that `key` has no value under `root`.

    Raises:
        ProofError: The proof is malformed, leads elsewhere, or shows a value.
    """
    if _shown_value(root, key, proof) is not None:
        raise ProofError("the key is present")


def _shown_value(root: bytes, key: bytes, proof: TrieProof) -> bytes | None:
    """Return the value hash that a proof shows for `key`, None if it shows absence."""
    depth = len(proof.siblings)
    if depth > DEPTH_MAX:
        raise ProofError(f"{depth} siblings, more than {DEPTH_MAX}")
    if any(len(sibling) != DIGEST_SIZE_BYTES for sibling in proof.siblings):
        raise ProofError("a sibling is not 32 bytes")
    if len(proof.bucket) % _PAIR or len(proof.bucket) > BUCKET_KEYS_MAX * _PAIR:
        raise ProofError(f"a bucket of {len(proof.bucket)} bytes is not at most 16 pairs")
    wanted = key_hash(key)
    number = int.from_bytes(wanted, "big")
    pairs = _pairs(_BUCKET + proof.bucket)
    keys = [pair[0] for pair in pairs]
    if any(left >= right for left, right in pairwise(keys)):
        raise ProofError("the bucket is not sorted, or holds a key twice")
    shift = DEPTH_MAX - depth
    if any(int.from_bytes(other, "big") >> shift != number >> shift for other in keys):
        raise ProofError("the bucket holds a key of another path")
    digest = _sha256(_BUCKET + proof.bucket).digest()
    for level in range(depth - 1, -1, -1):
        sibling = proof.siblings[level]
        if number >> (DEPTH_MAX - level - 1) & 1:
            digest = _sha256(_INNER + sibling + digest).digest()
        else:
            digest = _sha256(_INNER + digest + sibling).digest()
    if digest != root:
        raise ProofError("the proof leads to another root")
    return dict(pairs).get(wanted)
