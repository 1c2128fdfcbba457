"""What `fsck` cannot know by itself: what a ledger's stored bytes mean to each other."""

from pathlib import Path

from cairn.engine.base import LOG_ENTRY_DECODER
from cairn.ledger.errors import DivergenceError
from cairn.ledger.module import Registry
from cairn.ledger.records import HISTORY, SeriesHead, leaf_key, node_key
from cairn.modules.registry import standard_registry
from cairn.node.directory import LEDGER_FOLDER, Founding, read_founding
from cairn.node.keeper import HEAD_DECODER
from cairn.primitives.light import NIL_BLOCK_ID, BlockID, data_hash, verify_header
from cairn.primitives.merkle import Frontier, leaf_hash
from cairn.storage.fsck import FsckReport, Meaning, fsck
from cairn.storage.layers import LayeredReader

_LEAVES_AT_ONCE = 10_000


def check_disk(directory: Path, registry: Registry | None = None) -> FsckReport:
    """Return what a node's directory holds and what of it is damaged; nothing is changed.

    Raises:
        DirectoryError, CharterError: There is no ledger, or its charter is damaged.
        StorageError: A node runs on the directory, or it cannot be read.
    """
    founding = read_founding(directory)
    modules = registry or standard_registry()
    meaning = Meaning(
        _BlockCheck(founding).check,
        lambda meta: HEAD_DECODER.decode(meta).state_root,
        lambda reader, meta: check_trees(modules, reader, meta),
    )
    return fsck(directory / LEDGER_FOLDER, meaning)


class _BlockCheck:
    """Checks blocks in order: each is signed, holds its transactions, follows the one before."""

    def __init__(self, founding: Founding) -> None:
        self._founding = founding
        self._last: tuple[int, BlockID] = (0, NIL_BLOCK_ID)

    def check(self, height: int, payload: bytes) -> None:
        """Check one log entry.

        Raises:
            NonCanonicalError, HeaderError: It does not parse, or its commit does not verify.
            DivergenceError: It is of another height, or does not follow.
        """
        entry = LOG_ENTRY_DECODER.decode(payload)
        header = entry.header
        founding = self._founding
        verify_header(founding.chain_id, header, entry.commit, founding.validators)
        if header.height != height or header.data_hash != data_hash(entry.transactions):
            raise DivergenceError("the header is of another height or of other transactions")
        last_height, last_id = self._last
        self._last = (height, entry.commit.block_id)
        if last_height == height - 1 and header.last_block_id != last_id:
            raise DivergenceError("it does not follow the block before it")


def check_trees(registry: Registry, reader: LayeredReader, meta: bytes) -> None:
    """Check that every series, and the history, has its leaves and nodes and the stated root.

    Raises:
        DivergenceError: One has not; it names the tree.
        NonCanonicalError: A row does not parse.
    """
    head = HEAD_DECODER.decode(meta)
    _check_tree(reader, HISTORY, head.history, "the history")
    for table in registry.tables.values():
        if table.record is not SeriesHead:
            continue
        for key, raw in reader.scan(table.prefix):
            series: SeriesHead = table.decoder.decode(raw)
            name = f"series {table.module}/{table.name}"
            if series.frontier().root() != series.root:
                raise DivergenceError(f"{name}: the head's root is not that of its peaks")
            _check_tree(reader, key, series.frontier(), name)


def _check_tree(reader: LayeredReader, key: bytes, stated: Frontier, name: str) -> None:
    frontier = Frontier()
    for start in range(0, stated.size, _LEAVES_AT_ONCE):
        hashes = []
        for position in range(start, min(stated.size, start + _LEAVES_AT_ONCE)):
            leaf = reader.leaf(leaf_key(key, position))
            if leaf is None:
                raise DivergenceError(f"{name}: entry {position} is missing")
            hashes.append(leaf_hash(leaf))
        frontier, nodes = frontier.extend(hashes)
        for level, index, digest in nodes:
            if reader.node(node_key(key, level, index)) != digest:
                raise DivergenceError(f"{name}: node {index} of level {level} is not its subtree's")
    if frontier != stated:
        raise DivergenceError(f"{name}: the entries do not give the stated root")
