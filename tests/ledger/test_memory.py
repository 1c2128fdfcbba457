from cairn.ledger.changes import ChangeSet
from cairn.ledger.memory import MemoryState


def keys(state: MemoryState, prefix: bytes = b"") -> list[bytes]:
    return [key for key, _ in state.scan(prefix)]


def test_rows_are_scanned_in_key_order_under_their_prefix() -> None:
    state = MemoryState()
    state.apply(ChangeSet(state={b"ab": b"1", b"b": b"2", b"a": b"3", b"aa": b"4", b"ac": None}))
    assert list(state.scan(b"a")) == [(b"a", b"3"), (b"aa", b"4"), (b"ab", b"1")]
    assert keys(state, b"ab") == [b"ab"]
    assert keys(state, b"c") == []
    state.apply(ChangeSet(state={b"aa": None, b"a": b"5", b"a\xff": b"6"}))
    assert list(state.scan(b"a")) == [(b"a", b"5"), (b"ab", b"1"), (b"a\xff", b"6")]
    assert state.get(b"aa") is None
    assert state.get(b"b") == b"2"


def test_many_new_rows_are_in_order_too() -> None:
    state = MemoryState()
    state.apply(ChangeSet(state={b"500x": b""}))
    state.apply(ChangeSet(state={b"%d" % (i * 7919 % 5_000): b"" for i in range(5_000)}))
    assert keys(state) == sorted(state.rows)
    assert len(keys(state)) == 5_001


def test_every_kind_of_change_is_kept_where_it_is_read() -> None:
    state = MemoryState()
    changes = ChangeSet(
        trie={b"t": b"1"}, leaves={b"l": b"2"}, nodes={b"n": b"3"}, index={b"i": b"4"}
    )
    state.apply(changes)
    read = (state.trie_node(b"t"), state.leaf(b"l"), state.node(b"n"), state.index(b"i"))
    assert read == (b"1", b"2", b"3", b"4")
    state.apply(ChangeSet(trie={b"t": None, b"never": None}))
    assert state.trie_node(b"t") is None
    assert state.leaf(b"t") is None


def test_a_copy_goes_its_own_way() -> None:
    state = MemoryState()
    state.apply(ChangeSet(state={b"a": b"1"}, leaves={b"l": b"2"}))
    other = state.copy()
    other.apply(ChangeSet(state={b"a": None, b"b": b"1"}, leaves={b"m": b"3"}))
    assert keys(state) == [b"a"]
    assert keys(other) == [b"b"]
    assert state.leaf(b"m") is None
    assert other.leaf(b"l") == b"2"
