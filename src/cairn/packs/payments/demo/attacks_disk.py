"""Attempts on what lies on the disk: the checkpoint, the block log, the data file."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cairn.learning.datasets import read_committed
from cairn.learning.tables import read_table, write_table
from cairn.ledger.changes import ChangeSet
from cairn.modules.bank.records import BALANCES
from cairn.modules.models.records import CHUNKS
from cairn.packs.payments.demo.attacks_evidence import harmless_model
from cairn.packs.payments.demo.attempts import CHECK, NODE, TRAINING, Attempt, attempt
from cairn.packs.payments.demo.bank import NODE_FLAGS, DemoBank
from cairn.packs.payments.demo.dataset import Registered
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.model import Trained
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.demo.stream import Held
from cairn.primitives.encoding import encode, replace
from cairn.sdk.local import LocalConnection, remove_checkpoint
from cairn.storage.checkpoint import Checkpoint
from cairn.storage.segment import parse_segment_head, scan_segment, segment_height
from cairn.storage.store import CHECKPOINT_FOLDER, LOG_FOLDER

_LEFT_OUT = ("node.sock", "keys", "data")
_LEDGER_FOLDER = "ledger"
_STATE = "state"
EDITED_ROW = 17


def try_disk(bank: DemoBank, data: DemoPayments, story: Held, trained: Trained) -> list[Attempt]:
    """Tamper with copies of the closed ledger, and have a node open them."""
    payer = BALANCES.key(bank.customer(data.payments.payer[data.test_row + story.row]), data.asset)
    return [
        _edit_state(bank, "a row edited in the checkpoint: a balance", payer, _richer),
        _edit_state(
            bank,
            "a model swapped in the checkpoint",
            CHUNKS.prefix,
            lambda raw: _harmless(raw, trained),
        ),
        _drop_block(bank, story.placed_height),
        _truncate(bank, story.placed_height),
    ]


def try_data(bank: DemoBank, data: DemoPayments, registered: Registered) -> Attempt:
    """Edit one payment of the committed file and train on it."""
    path = bank.folder.attacks / registered.path.name
    table = read_table(registered.path, registered.manifest.schema)
    amounts = list(table.column("amount_units"))
    amounts[EDITED_ROW] = int(data.payments.amount_units[EDITED_ROW]) + 1
    place = table.schema.names.index("amount_units")
    columns = (*table.columns[:place], amounts, *table.columns[place + 1 :])
    write_table(path, type(table)(table.schema, columns, table.row_count))

    def act() -> None:
        read_committed(path, registered.manifest, registered.keys)

    what = f"row {EDITED_ROW} edited in the data file"
    try:
        return attempt(what, TRAINING, "ChangedDataError", act)
    finally:
        path.unlink()


# Copies of the ledger


@contextmanager
def copied(bank: DemoBank, name: str) -> Iterator[Path]:
    """Yield a copy of the closed ledger, which is removed afterwards."""
    path = bank.folder.attacks / name
    shutil.copytree(bank.folder.bank, path, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def opened(bank: DemoBank, path: Path, *, is_witnessed: bool) -> LocalConnection:
    """Open a copy with the node's real key.

    Raises:
        CairnError: The node refuses.
    """
    flags: dict[str, int | str | tuple[str, ...]] = dict(NODE_FLAGS)
    if is_witnessed:
        flags["witnesses.peers"] = (bank.witness.peer,)
    return LocalConnection.open(path, bank.node_key, flags=flags)


def truncate_log(path: Path, height: int) -> None:
    """Cut a copy's block log before the block at a height."""
    segment, start, _ = _find(path, height)
    with segment.open("r+b") as file:
        file.truncate(start)
    for later in _segments(path):
        if later.name > segment.name:
            later.unlink()


def _segments(path: Path) -> list[Path]:
    """Return the files of a copy's block log, oldest first."""
    folder = path / _LEDGER_FOLDER / LOG_FOLDER
    return sorted(one for one in folder.iterdir() if segment_height(one.name) is not None)


def _find(path: Path, height: int) -> tuple[Path, int, int]:
    """Return the file of the log that holds a block, and where the block begins and ends in it.

    Raises:
        DemoError: None does.
    """
    for segment in reversed(_segments(path)):
        raw = segment.read_bytes()
        head = parse_segment_head(raw)
        if head is None or head.first_height > height:
            continue
        starts, _ = scan_segment(raw, head.salt, head.first_height)
        place = height - head.first_height
        if place < len(starts):
            end = starts[place + 1] if place + 1 < len(starts) else len(raw)
            return segment, starts[place], end
    raise DemoError(f"the block log holds no block {height}")


# The attempts


def _edit_state(
    bank: DemoBank, what: str, prefix: bytes, change: Callable[[bytes], bytes]
) -> Attempt:
    """Change the first row under a prefix in a copy's checkpoint, and check the copy.

    The row is written as the store itself writes it, so that it does not look like a broken disk.
    """
    with copied(bank, "edited") as path:
        checkpoint = Checkpoint(path / _LEDGER_FOLDER / CHECKPOINT_FOLDER)
        try:
            meta, snapshot = checkpoint.meta(), checkpoint.snapshot()
            key, value = next(iter(snapshot.scan(_STATE, prefix)))
            snapshot.close()
            assert meta is not None
            checkpoint.write(ChangeSet(state={key: change(value)}), meta)
        finally:
            checkpoint.close()

        def act() -> None:
            with opened(bank, path, is_witnessed=False) as connection:
                connection.check()

        return attempt(what, CHECK, "InvariantError", act)


def _richer(raw: bytes) -> bytes:
    row = BALANCES.decoder.decode(raw)
    return encode(replace(row, available=row.available + 1_000_000))


def _harmless(raw: bytes, trained: Trained) -> bytes:
    """Return a chunk of the model with the same piece of a harmless one."""
    row = CHUNKS.decoder.decode(raw)
    return encode(replace(row, data=harmless_model(trained)[: len(row.data)]))


def _drop_block(bank: DemoBank, height: int) -> Attempt:
    """Cut one block out of the middle of a copy's log."""
    with copied(bank, "dropped") as path:
        segment, start, end = _find(path, height)
        raw = segment.read_bytes()
        segment.write_bytes(raw[:start] + raw[end:])
        remove_checkpoint(path)
        what = f"block {height} dropped from the log"
        return attempt(what, NODE, "CorruptLogError", _opening(bank, path))


def _truncate(bank: DemoBank, height: int) -> Attempt:
    """Cut off the end of a copy's log."""
    with copied(bank, "truncated") as path:
        truncate_log(path, height)
        what = f"the log truncated before block {height}"
        return attempt(what, NODE, "CorruptLogError", _opening(bank, path))


def _opening(bank: DemoBank, path: Path) -> Callable[[], None]:
    def act() -> None:
        opened(bank, path, is_witnessed=False).close()

    return act
