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
