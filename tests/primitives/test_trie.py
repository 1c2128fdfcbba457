"""The state trie: against a reference made from scratch, its proofs, and forged ones."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.primitives import trie
from cairn.primitives.encoding import Decoder, encode
from cairn.primitives.errors import NonCanonicalError, ProofError, TrieNodeError
from cairn.primitives.hashes import Digest, sha256, tagged_hash
from cairn.primitives.trie import BUCKET_KEYS_MAX, EMPTY_ROOT, TrieProof
from tests.vector_files import replay

quick = settings(max_examples=60, deadline=None)


class Store:
    """A trie in a dict beside the map that it should hold."""

    def __init__(self, content: Mapping[bytes, bytes] | None = None) -> None:
        self.nodes: dict[bytes, bytes] = {}
        self.content: dict[bytes, bytes] = {}
        self.root = EMPTY_ROOT
        self.update(dict(content or {}))

    def update(self, changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
        self.root, changed = trie.update(self.nodes.get, changes)
        for path, node in changed.items():
            assert self.nodes.get(path) != node, "a node that did not change was given out"
            if node is None:
                del self.nodes[path]
            else:
                self.nodes[path] = node
        for key, value in changes.items():
            if value is None:
                self.content.pop(key, None)
            else:
                self.content[key] = value
        return changed

    def prove(self, key: bytes) -> TrieProof:
        return trie.prove(self.nodes.get, key)


def make_content(count: int, start: int = 0) -> dict[bytes, bytes]:
    return {b"key-%d" % n: b"value-%d" % n for n in range(start, start + count)}


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def pairs_of(bucket: bytes) -> list[bytes]:
    return [bucket[at : at + 64] for at in range(0, len(bucket), 64)]


def reference_root(content: Mapping[bytes, bytes]) -> Digest:
    """Return the root by the words of the specification, bit by bit."""

    def hash_of(pairs: list[tuple[str, bytes]], depth: int) -> Digest:
        if len(pairs) <= 16:
            return sha256(b"\x10" + b"".join(pair for _, pair in sorted(pairs)))
        left = [pair for pair in pairs if pair[0][depth] == "0"]
        right = [pair for pair in pairs if pair[0][depth] == "1"]
        return sha256(b"\x11" + hash_of(left, depth + 1) + hash_of(right, depth + 1))

    pairs = []
    for key, value in content.items():
        hash_of_key = tagged_hash(b"cairn/state-key", key)
        bits = f"{int.from_bytes(hash_of_key, 'big'):0256b}"
        pairs.append((bits, hash_of_key + tagged_hash(b"cairn/state-value", value)))
    return hash_of(pairs, 0)


# The root


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 33, 200, 1000])
def test_the_root_is_the_specifications(count: int) -> None:
    store = Store(make_content(count))
    assert store.root == reference_root(store.content) == trie.root_of(store.nodes.get)
    assert store.root == trie.rebuild_root(reversed(store.content.items()))
    assert trie.key_count(store.nodes.get) == count


def test_hashes_are_tagged() -> None:
    assert trie.key_hash(b"k" * 300) == tagged_hash(trie.KEY_TAG, b"k" * 300)
    assert trie.value_hash(b"") == tagged_hash(trie.VALUE_TAG, b"")
    assert Store().root == EMPTY_ROOT == sha256(b"\x10")


steps = st.lists(
    st.tuples(st.integers(0, 2**32), st.integers(1, 120), st.sampled_from([0, 10, 60, 95, 100])),
    max_size=8,
)


@quick
@given(st.sampled_from([12, 40, 150, 600]), steps)
def test_any_order_gives_the_root_and_the_nodes_of_the_content(
    universe: int, drawn: list[tuple[int, int, int]]
) -> None:
    """Each step is a batch: where it begins in the universe, its size, its share of deletions."""
    store = Store()
    for seed, size, deleted_percent in drawn:
        changes: dict[bytes, bytes | None] = {}
        for at in range(size):
            key = b"key-%d" % ((seed + at * 7919) % universe)
            is_deleted = (seed + at * 31) % 100 < deleted_percent
            changes[key] = None if is_deleted else b"value-%d" % ((seed >> 8) % 3)
        store.update(changes)
        assert store.root == trie.rebuild_root(store.content.items())
        assert store.nodes == Store(store.content).nodes
        assert trie.key_count(store.nodes.get) == len(store.content)
        assert trie.root_of(store.nodes.get) == store.root


def test_a_set_of_sixteen_is_one_bucket_also_after_deletions() -> None:
    store = Store(make_content(16))
    root_path = trie.node_path(0, 0)
    bucket = store.nodes[root_path]
    assert list(store.nodes) == [root_path]
    store.update({b"another": b"one"})
    assert len(store.nodes) > 1
    store.update({b"another": None})
    assert store.nodes == {root_path: bucket}
    store.update(dict.fromkeys(store.content))
    assert (store.nodes, store.root) == ({}, EMPTY_ROOT)


def test_a_large_set_collapses_in_one_batch() -> None:
    store = Store(make_content(3000))
    store.update(dict.fromkeys(list(store.content)[5:]))
    assert len(store.nodes) == 1
    assert store.root == trie.rebuild_root(make_content(5).items())


def test_what_changes_nothing_touches_no_node() -> None:
    store = Store(make_content(500))
    root = store.root
    assert store.update({}) == {}
    assert store.update({b"absent": None, b"also absent": None}) == {}
    assert store.update({b"key-3": b"value-3", b"key-4": b"value-4", b"absent": None}) == {}
    assert store.root == root
    assert Store().update({b"absent": None}) == {}


def test_only_nodes_on_the_way_change() -> None:
    store = Store(make_content(2000))
    depth = len(store.prove(b"key-7").siblings)
    changed = store.update({b"key-7": b"another"})
    number = int.from_bytes(trie.key_hash(b"key-7"), "big")
    expected = [trie.node_path(level, number >> (256 - level)) for level in range(depth + 1)]
    assert sorted(changed) == sorted(expected)


def test_paths_are_depth_then_bits() -> None:
    assert trie.node_path(0, 0).hex() == "0000"
    assert trie.node_path(1, 1).hex() == "000180"
    assert trie.node_path(9, 0b100000001).hex() == "00098080"
    assert trie.node_path(16, 0xABCD).hex() == "0010abcd"
    assert trie.node_path(256, 2**256 - 1).hex() == "0100" + "ff" * 32


def place_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let keys of 32 bytes stand for their own hashes, to reach depths that nobody can mine."""
    monkeypatch.setattr(trie, "key_hash", Digest)


def test_the_deepest_trie(monkeypatch: pytest.MonkeyPatch) -> None:
    place_by_key(monkeypatch)
    keys = [bytes(31) + bytes([last]) for last in range(17)]
    store = Store(dict.fromkeys(keys, b"x"))
    assert store.root == trie.rebuild_root(store.content.items())
    proof = store.prove(keys[3])
    assert len(proof.siblings) == 252
    assert proof.siblings[:250] == (EMPTY_ROOT,) * 250
    trie.verify_presence(store.root, keys[3], b"x", proof)
    far = b"\xff" + bytes(31)
    trie.verify_absence(store.root, far, store.prove(far))
    assert store.prove(far) == TrieProof(proof.siblings[:0] + store.prove(far).siblings, b"")
    store.update({keys[16]: None})
    assert len(store.nodes) == 1


def test_children_may_be_empty_and_fill_up(monkeypatch: pytest.MonkeyPatch) -> None:
    place_by_key(monkeypatch)
    left = [bytes([number]) + bytes(31) for number in range(40)]
    right = [bytes([200 + number]) + bytes(31) for number in range(3)]
    store = Store(dict.fromkeys(left, b"x"))
    trie.verify_absence(store.root, right[0], store.prove(right[0]))
    changes: dict[bytes, bytes | None] = dict.fromkeys(left[:30])
    store.update({**changes, **dict.fromkeys(right, b"y")})
    assert store.nodes == Store(store.content).nodes
    assert len(store.nodes) == 1


# A damaged store


def test_a_damaged_store_is_named() -> None:
    store = Store(make_content(400))
    proof = store.prove(b"key-1")
    number = int.from_bytes(trie.key_hash(b"key-1"), "big")
    depth = len(proof.siblings)
    inner, bucket = (trie.node_path(d, number >> (256 - d)) for d in (depth - 1, depth))
    damage: list[tuple[bytes, bytes | None]] = [
        (bucket, None),
        (bucket, b""),
        (bucket, store.nodes[bucket][:-1]),
        (bucket, b"\x12" + store.nodes[bucket][1:]),
        (inner, store.nodes[inner][:-1]),
        (inner, None),
        (trie.node_path(0, 0), b"\x00"),
    ]
    for path, node in damage:
        nodes: dict[bytes, bytes | None] = {**store.nodes, path: node}
        with pytest.raises(TrieNodeError):
            trie.update(nodes.get, {b"key-1": b"another"})
    for path, node in damage:
        if node is None or node[:1] != b"\x10":
            nodes = {**store.nodes, path: node}
            with pytest.raises(TrieNodeError):
                trie.prove(nodes.get, b"key-1")


def test_a_wrong_count_is_found_before_keys_are_lost() -> None:
    store = Store(make_content(400))
    path = trie.node_path(0, 0)
    wrong = store.nodes[path][:65] + (17).to_bytes(8, "big")
    with pytest.raises(TrieNodeError, match="count"):
        trie.update({**store.nodes, path: wrong}.get, {b"key-1": None})


# Proofs


@quick
@given(st.sampled_from([0, 1, 5, 16, 17, 60, 700]), st.integers(0, 1000))
def test_presence_and_absence_are_proved(count: int, number: int) -> None:
    store = Store(make_content(count))
    key = b"key-%d" % number
    proof = store.prove(key)
    value = store.content.get(key)
    if value is None:
        trie.verify_absence(store.root, key, proof)
        with pytest.raises(ProofError, match="not in the trie"):
            trie.verify_presence(store.root, key, b"value-%d" % number, proof)
    else:
        trie.verify_presence(store.root, key, value, proof)
        with pytest.raises(ProofError, match="another value"):
            trie.verify_presence(store.root, key, value + b"0", proof)
        with pytest.raises(ProofError, match="is in the trie"):
            trie.verify_absence(store.root, key, proof)
    decoder: Decoder[TrieProof] = Decoder(TrieProof)
    assert decoder.decode(encode(proof)) == proof


def forgeries(proof: TrieProof) -> list[tuple[TrieProof, str]]:
    """Return proofs that differ from a proof with siblings and at least three pairs, and why."""
    siblings, bucket = proof.siblings, proof.bucket
    pairs = pairs_of(bucket)
    another, off_path = "another root", "off the path"
    forged = [(TrieProof(siblings, flip(bucket, at)), ".") for at in (0, 31, 32, 63)]
    forged += [(TrieProof(siblings, flip(bucket, len(bucket) - 1)), another)]
    for at, digest in enumerate(siblings):
        before, after = siblings[:at], siblings[at + 1 :]
        forged.append((TrieProof((*before, flip(digest, 9), *after), bucket), another))
        forged.append((TrieProof((*before, *after), bucket), another))
        forged.append((TrieProof((*before, digest[:31], *after), bucket), "31 bytes"))
        forged.append((TrieProof((*before, digest + b"\0", *after), bucket), "33 bytes"))
    swapped = b"".join([pairs[1], pairs[0], *pairs[2:]])
    twice = b"".join([pairs[0], *pairs])
    other_value = pairs[0][:32] + bytes(32)
    forged += [
        (TrieProof(siblings, swapped), "ascending"),
        (TrieProof(siblings, twice), "ascending"),
        (TrieProof(siblings, b"".join([pairs[0], other_value, *pairs[1:]])), "ascending"),
        (TrieProof(siblings, b"".join(pairs[1:])), another),
        (TrieProof(siblings, b""), another),
        (TrieProof(siblings, bucket[:-1]), "bytes"),
        (TrieProof(siblings, bucket[:-32]), "bytes"),
        (TrieProof(siblings, bucket + b"\xff" * 64), off_path),
        (TrieProof(siblings, bytes([bucket[0] ^ 0x80]) + bucket[1:]), off_path),
        (TrieProof((*siblings, EMPTY_ROOT), bucket), "."),
        (TrieProof((EMPTY_ROOT, *siblings), bucket), "."),
        (TrieProof((EMPTY_ROOT,) * 257, bucket), "depth 257"),
        (TrieProof(siblings[:-1], siblings[-1] * 2), "."),
    ]
    return forged


@pytest.mark.parametrize("key", [b"key-3", b"absent-2"])
def test_forged_proofs_are_refused(key: bytes) -> None:
    store = Store(make_content(300))
    proof = store.prove(key)
    assert len(proof.siblings) > 3
    assert len(proof.bucket) >= 3 * 64
    for forged, reason in forgeries(proof):
        with pytest.raises(ProofError, match=reason):
            trie.verify_absence(store.root, key, forged)
        with pytest.raises(ProofError, match=reason):
            trie.verify_presence(store.root, key, b"value-3", forged)
    for root in (flip(store.root, 0), store.root[:31], b"", EMPTY_ROOT):
        with pytest.raises(ProofError, match="another root"):
            trie.verify_absence(root, b"absent-2", store.prove(b"absent-2"))


@quick
@given(st.integers(0, 299), st.integers(0, 10**6))
def test_a_flipped_bit_anywhere_is_refused(number: int, seed: int) -> None:
    store = Store(make_content(300))
    key, value = b"key-%d" % number, b"value-%d" % number
    raw = encode(store.prove(key))
    forged_raw = flip(raw, seed % len(raw))
    decoder: Decoder[TrieProof] = Decoder(TrieProof)
    with pytest.raises((ProofError, NonCanonicalError)):
        trie.verify_presence(store.root, key, value, decoder.decode(forged_raw))


def test_a_proof_is_for_one_key() -> None:
    """A bucket far from the key shows nothing about it."""
    store = Store(make_content(300))
    absent = store.prove(b"absent-2")
    others = [key for key in store.content if store.prove(key).bucket != absent.bucket]
    for key in others[:60]:
        with pytest.raises(ProofError):
            trie.verify_absence(store.root, b"absent-2", store.prove(key))
        with pytest.raises(ProofError):
            trie.verify_absence(store.root, key, absent)


def test_an_oversized_bucket_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A root over 17 pairs in one bucket, which no honest trie has, opens to nothing."""
    place_by_key(monkeypatch)
    keys = [bytes([number]) * 32 for number in range(1, BUCKET_KEYS_MAX + 2)]
    bucket = b"".join(key + trie.value_hash(b"x") for key in keys)
    root = sha256(b"\x10" + bucket)
    with pytest.raises(ProofError, match="1088 bytes"):
        trie.verify_presence(root, keys[0], b"x", TrieProof((), bucket))


def test_a_bucket_with_off_path_entries_is_refused_under_its_own_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even whoever computes the root cannot hide a key in a bucket off its path."""
    place_by_key(monkeypatch)
    left, right = b"\x01" * 32, b"\xf1" * 32
    bucket = left + trie.value_hash(b"x") + right + trie.value_hash(b"x")
    digest = sha256(b"\x10" + bucket)
    root = sha256(b"\x11" + digest + EMPTY_ROOT)
    with pytest.raises(ProofError, match="off the path"):
        trie.verify_presence(root, left, b"x", TrieProof((EMPTY_ROOT,), bucket))


def test_the_deepest_proof_is_of_depth_256(monkeypatch: pytest.MonkeyPatch) -> None:
    place_by_key(monkeypatch)
    bucket = bytes(32) + trie.value_hash(b"x")
    root = sha256(b"\x10" + bucket)
    for _ in range(256):
        root = sha256(b"\x11" + root + EMPTY_ROOT)
    trie.verify_presence(root, bytes(32), b"x", TrieProof((EMPTY_ROOT,) * 256, bucket))
    root = sha256(b"\x11" + root + EMPTY_ROOT)
    with pytest.raises(ProofError, match="depth 257"):
        trie.verify_presence(root, bytes(32), b"x", TrieProof((EMPTY_ROOT,) * 257, bucket))


def test_the_border_between_two_hashes_cannot_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    place_by_key(monkeypatch)
    key = bytes(32)
    digest = sha256(b"\x10" + key + trie.value_hash(b"x"))
    root = sha256(b"\x11" + digest + EMPTY_ROOT + b"tail")
    proof = TrieProof((EMPTY_ROOT + b"tail",), key + trie.value_hash(b"x"))
    with pytest.raises(ProofError, match="36 bytes"):
        trie.verify_presence(root, key, b"x", proof)


def test_a_node_is_never_taken_for_another_kind() -> None:
    store = Store(make_content(300))
    root_node = store.nodes[trie.node_path(0, 0)]
    with pytest.raises(ProofError):
        trie.verify_absence(store.root, b"absent-2", TrieProof((), root_node[1:65]))


# Vectors


def test_the_trie_is_written_down() -> None:
    cases: list[dict[str, Any]] = []
    for count in (0, 1, 16, 17, 64):
        store = Store(make_content(count))
        proofs = []
        for key in (b"key-0", b"key-15", b"absent-2"):
            value = store.content.get(key)
            proof = store.prove(key)
            proofs.append(
                {
                    "key": key.hex(),
                    "value": None if value is None else value.hex(),
                    "siblings": [digest.hex() for digest in proof.siblings],
                    "bucket": proof.bucket.hex(),
                }
            )
        content = [[key.hex(), value.hex()] for key, value in store.content.items()]
        cases.append({"content": content, "root": store.root.hex(), "proofs": proofs})
    store = Store(make_content(64))
    refused = [
        {
            "key": b"key-15".hex(),
            "value": b"value-15".hex(),
            "siblings": [digest.hex() for digest in forged.siblings],
            "bucket": forged.bucket.hex(),
        }
        for forged, _ in forgeries(store.prove(b"key-15"))
    ]
    about = (
        "State tries by content: [key, value] pairs, root, and proofs (a value of null is absence);"
        " the proofs in `refused` claim presence under `refused_root` and must not verify"
    )
    replay(
        "trie",
        {"about": about, "cases": cases, "refused_root": store.root.hex(), "refused": refused},
    )
