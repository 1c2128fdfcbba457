"""Layers: any sequence of blocks, checkpoints and views reads like a dictionary of that moment."""

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cairn.ledger.changes import ChangeSet
from cairn.storage.checkpoint import Checkpoint
from cairn.storage.errors import MisuseError, ViewExpiredError
from cairn.storage.layers import Layer, LayeredReader
from cairn.storage.store import LedgerStore, StoreSettings

TABLES = (b"\x01a\x01b", b"\x01a\x02bb", b"\x02aa\x01b", b"\x01a\x01\xff")
PARTS = (b"", b"\x00", b"\x01x", b"\x01y", b"\x02xy", b"\xff", b"\xff\xff")
KEYS = tuple(table + part for table in TABLES for part in PARTS)
PREFIXES = (b"", b"\x01", b"\x01a", b"\x01a\x01", *TABLES, TABLES[0] + b"\x01", TABLES[3] + b"\xff")
NEVER = StoreSettings(10**9, 10**9)

Rows = dict[bytes, bytes]
changed_rows = st.dictionaries(
    st.sampled_from(KEYS), st.one_of(st.none(), st.binary(max_size=3)), max_size=8
)


def matching(rows: Rows, prefix: bytes) -> list[tuple[bytes, bytes]]:
    return sorted((key, value) for key, value in rows.items() if key.startswith(prefix))


class StoreMachine(RuleBasedStateMachine):
    """A store beside a dictionary; views beside copies of it."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(machine_directory)
        for path in sorted(self.directory.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        self.store = LedgerStore(self.directory, settings=NEVER)
        self.store.apply(0, ChangeSet(), b"0")
        self.rows: Rows = {}
        self.height = 0
        self.blocks: dict[int, dict[bytes, bytes | None]] = {}
        self.views: list[tuple[LayeredReader, Rows, int]] = []

    @rule(changes=changed_rows)
    def block(self, changes: dict[bytes, bytes | None]) -> None:
        self.height += 1
        self.blocks[self.height] = changes
        self.store.append_block(self.height, b"block")
        self.apply(self.height)
        for key, value in changes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def apply(self, height: int) -> None:
        changes = ChangeSet(state=self.blocks[height])
        changes.index[b"%d" % height] = b"i"
        changes.trie[b"root"] = b"root %d" % height
        self.store.apply(height, changes, b"%d" % height)

    @rule()
    def begin_checkpoint(self) -> None:
        """Freeze a layer and leave it there: the writer may or may not have finished."""
        self.store.checkpoint()
        if self.store.applied_height > self.store.checkpoint_height:
            self.store._begin_checkpoint()

    @precondition(lambda self: self.store._writer is None)
    @rule()
    def freeze(self) -> None:
        self.store._begin_checkpoint()

    @rule()
    def checkpoint(self) -> None:
        self.store.checkpoint()
        assert self.store.checkpoint_height == self.height
        assert self.store.checkpoint_meta == b"%d" % self.height

    @rule()
    def view(self) -> None:
        self.views.append((self.store.view(), dict(self.rows), self.height))

    @precondition(lambda self: self.views)
    @rule(data=st.data())
    def close_view(self, data: st.DataObject) -> None:
        view, _, _ = self.views.pop(data.draw(st.integers(0, len(self.views) - 1)))
        view.close()
        with pytest.raises(ViewExpiredError):
            view.get(KEYS[0])

    @rule()
    def crash(self) -> None:
        """Reopen without a checkpoint, and replay."""
        for view, _, _ in self.views:
            view.close()
        self.views.clear()
        self.store.close()
        self.store = LedgerStore(self.directory, settings=NEVER)
        if self.store.checkpoint_meta is None:
            self.store.apply(0, ChangeSet(), b"0")
        for height, _ in self.store.blocks(self.store.checkpoint_height + 1):
            self.apply(height)
        assert self.store.applied_height == self.height

    @invariant()
    def reads_like_the_dictionary(self) -> None:
        self.compare(self.store.reader, self.rows, self.height)
        for view, rows, height in self.views:
            self.compare(view, rows, height)

    def compare(self, reader: object, rows: Rows, height: int) -> None:
        assert isinstance(reader, LayeredReader)
        for key in KEYS:
            assert reader.get(key) == rows.get(key)
        for prefix in PREFIXES:
            assert list(reader.scan(prefix)) == matching(rows, prefix)
        assert reader.trie_node(b"root") == (b"root %d" % height if height else None)
        assert reader.index(b"%d" % height) == (b"i" if height else None)
        assert reader.index(b"%d" % (height + 1)) is None

    def teardown(self) -> None:
        self.store.close()


machine_directory = ""


def test_any_sequence_reads_like_a_dictionary(tmp_path: Path) -> None:
    global machine_directory
    machine_directory = str(tmp_path)

    StoreMachine.TestCase.settings = settings(
        max_examples=25, stateful_step_count=20, deadline=None
    )
    StoreMachine.TestCase().runTest()


def test_a_scan_that_began_in_a_view_is_not_disturbed_by_blocks(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path, settings=NEVER)
    table = TABLES[0]
    before = {table + bytes((2 * n,)): b"old" for n in range(100)}
    store.apply(0, ChangeSet(state=dict(before)), b"")
    view = store.view()
    scan = view.scan(table)
    seen = [next(scan) for _ in range(10)]
    store.append_block(1, b"")
    store.apply(1, ChangeSet(state={table + bytes((n,)): b"new" for n in range(250)}), b"")
    store.checkpoint()
    assert [*seen, *scan] == sorted(before.items())
    assert list(view.scan(table)) == sorted(before.items())
    store.close()
    with pytest.raises(ViewExpiredError):
        view.get(TABLES[1])
    with pytest.raises(ViewExpiredError):
        list(view.scan(table))
    with pytest.raises(ViewExpiredError):
        store.view()


def test_a_state_key_of_no_table_is_a_bug(tmp_path: Path) -> None:
    layer = Layer()
    for key in (b"", b"\x05abc", b"\x01a", b"\x01a\x04b"):
        with pytest.raises(MisuseError):
            layer.add(ChangeSet(state={key: b""}))
    checkpoint = Checkpoint(tmp_path)
    with pytest.raises(MisuseError):
        checkpoint.write(ChangeSet(index={b"k" * 600: b""}), b"")
    checkpoint.close()
