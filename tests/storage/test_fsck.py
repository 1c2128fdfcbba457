"""`fsck` finds every damage, names it and changes nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from cairn.ledger.changes import ChangeSet
from cairn.primitives import trie
from cairn.primitives.errors import ProofError
from cairn.storage.checkpoint import _sealed
from cairn.storage.errors import CorruptLogError, DirectoryInUseError, WrongFormatError
from cairn.storage.fsck import FsckReport, Meaning, fsck
from cairn.storage.layers import LayeredReader
from cairn.storage.store import LedgerStore

TABLE = b"\x03toy\x04cell"
BLOCKS = 30


def block(height: int) -> bytes:
    return b"block %d" % height * 20


def check_block(height: int, payload: bytes) -> None:
    if payload != block(height):
        raise ProofError("the block is another one")


def check_rows(reader: LayeredReader, meta: bytes) -> None:
    for height in range(1, BLOCKS + 1):
        if reader.leaf(b"%d" % height) != b"leaf":
            raise ProofError(f"leaf {height} is missing")


MEANING = Meaning(check_block, bytes, check_rows)


def make(directory: Path) -> None:
    store = LedgerStore(directory)
    for height in range(BLOCKS + 1):
        state: dict[bytes, bytes | None] = {
            TABLE + bytes((height % 20, n)): b"%d" % height for n in range(40)
        }
        root, nodes = trie.update(store.reader.trie_node, state)
        changes = ChangeSet(state=state, trie=nodes, leaves={b"%d" % height: b"leaf"})
        if height:
            store.append_block(height, block(height))
        store.apply(height, changes, root)
    store.checkpoint()
    store.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound") / "ledger"
    make(directory)
    return directory


@pytest.fixture
def ledger(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "ledger"))


def change_row(
    directory: Path, database: str, key: bytes, value: bytes | None, *, is_sealed: bool = True
) -> None:
    environment = lmdb.open(str(directory / "checkpoint"), max_dbs=8, map_size=2**30)
    with environment.begin(write=True) as transaction:
        opened = environment.open_db(database.encode(), transaction)
        if value is None:
            assert transaction.delete(key, db=opened)
        else:
            transaction.put(key, _sealed(key, value) if is_sealed else value, db=opened)
    environment.close()


def log_file(directory: Path) -> Path:
    return next((directory / "blocks").iterdir())


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))


def flip_pages(path: Path) -> None:
    """Change what kind of page each page is, which could crash LMDB."""
    for page in range(2, path.stat().st_size // 4096):
        flip(path, page * 4096 + 10)


def test_a_sound_ledger_has_no_damage(ledger: Path) -> None:
    files = {path: path.read_bytes() for path in (log_file(ledger), ledger / "FORMAT")}
    seen: list[tuple[str, int]] = []
    report = fsck(ledger, MEANING, progress=lambda what, count: seen.append((what, count)))
    assert report.damage == []
    assert report.notes == []
    assert (report.blocks, report.checkpoint_height, report.rows) == (BLOCKS, BLOCKS, 800)
    assert report.leaves == BLOCKS + 1
    assert report.trie_nodes > 10
    assert ("blocks", BLOCKS) in seen
    assert ("rows", 800) in seen
    assert files == {path: path.read_bytes() for path in files}
    LedgerStore(ledger).close()


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "row changed": (
        lambda path: change_row(path, "state", TABLE + bytes((3, 3)), b"forged"),
        "rows do not give the state root",
    ),
    "row rotten": (
        lambda path: change_row(path, "state", TABLE + bytes((3, 3)), b"rotten", is_sealed=False),
        "a row's checksum is wrong",
    ),
    "row removed": (
        lambda path: change_row(path, "state", TABLE + bytes((3, 3)), None),
        "rows do not give the state root",
    ),
    "row added": (
        lambda path: change_row(path, "state", TABLE + b"extra", b""),
        "rows do not give the state root",
    ),
    "trie root changed": (
        lambda path: change_row(path, "trie", trie.node_path(0, 0), bytes(68)),
        "checkpoint: ",
    ),
    "leaf removed": (lambda path: change_row(path, "leaves", b"7", None), "leaf 7 is missing"),
    "meta changed": (
        lambda path: change_row(path, "meta", b"meta", BLOCKS.to_bytes(8, "big") + bytes(32)),
        "state root",
    ),
    "checkpoint ahead of the log": (
        lambda path: change_row(path, "meta", b"meta", (99).to_bytes(8, "big") + bytes(32)),
        "the log ends at 30",
    ),
    "log flipped": (lambda path: flip(log_file(path), 900), "log: "),
    "log head flipped": (lambda path: flip(log_file(path), 20), "the head of blocks-"),
    "log gone": (lambda path: log_file(path).unlink(), "the log ends at 0"),
    "pages flipped": (
        lambda path: flip_pages(path / "checkpoint" / "data.mdb"),
        "mixed or invalid page flags",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_is_found(ledger: Path, name: str) -> None:
    damage, expected = DAMAGE[name]
    damage(ledger)
    report = fsck(ledger, MEANING)
    assert any(expected in line for line in report.damage), report


def test_a_block_that_means_nothing_is_named(ledger: Path) -> None:
    def check(height: int, payload: bytes) -> None:
        if height in (4, 9):
            raise CorruptLogError("not a block", segment="s", offset=0, height=height)

    report = fsck(ledger, Meaning(check, bytes, check_rows))
    assert [line.split(":")[1] for line in report.damage] == [" block 4", " block 9"]


def test_an_interrupted_append_is_a_note(ledger: Path) -> None:
    (ledger / "checkpoint" / "data.mdb").unlink()
    path = log_file(ledger)
    path.write_bytes(path.read_bytes()[:-1])
    report = fsck(ledger, MEANING)
    assert report.damage == []
    assert len(report.notes) == 2
    assert f"the append of block {BLOCKS} was interrupted" in report.notes[0]
    assert report == FsckReport(blocks=BLOCKS - 1, notes=report.notes)


def test_the_same_tail_below_the_checkpoint_is_damage(ledger: Path) -> None:
    path = log_file(ledger)
    path.write_bytes(path.read_bytes()[:-1])
    report = fsck(ledger, MEANING)
    assert any("the log ends at 29" in line for line in report.damage)


def test_fsck_wants_a_ledger_that_nobody_uses(ledger: Path, tmp_path: Path) -> None:
    store = LedgerStore(ledger)
    with pytest.raises(DirectoryInUseError):
        fsck(ledger, MEANING)
    store.close()
    with pytest.raises(WrongFormatError):
        fsck(tmp_path, MEANING)
