"""Doing the log again gives the same; where it does not, the report names the row."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cairn.engine.base import LOG_ENTRY_DECODER
from cairn.engine.signature_pool import SignaturePool
from cairn.ledger.context import Context
from cairn.ledger.errors import DivergenceError
from cairn.ledger.module import MessageSpec, Registry
from cairn.node.divergence import DIVERGENCE_FILE, DivergedError
from cairn.node.node import Node, NodeOptions
from cairn.node.opening import replay_from_genesis
from cairn.primitives.encoding import encode
from cairn.storage.store import LedgerStore
from tests.engine.toy import (
    MODULE,
    NODE_KEY,
    NOTES,
    TOTALS,
    USER_KEYS,
    Add,
    Added,
    ManualClock,
    Note,
    NoteEntry,
    Remind,
    Total,
    account_of,
    registry,
    transaction,
)
from tests.node.ledgers import create, options, settle


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A ledger with some history, closed in good order."""
    clock = ManualClock()
    path = tmp_path / "n"
    with create(path, clock) as node:
        settle(node, clock)
        for sequence in range(1, 8):
            node.submit_later(
                [
                    transaction(Add(sequence), Note("n"), sequence=sequence),
                    transaction(Add(-50), sequence=sequence, key=USER_KEYS[1]),
                    transaction(Remind(clock.now + 30), sequence=sequence, key=USER_KEYS[2]),
                ]
            )
            settle(node, clock)
    return path


def skewed(bad_total: int, *, emit: bool) -> Registry:
    """Return the toy registry with a handler that goes wrong at one total."""

    def add(ctx: Context, message: Add) -> None:
        row = ctx.get(TOTALS, ctx.sender)
        total = message.amount + (0 if row is None else row.value)
        if total < 0:
            from tests.engine.toy import NegativeError

            raise NegativeError
        stored = total + 1 if total == bad_total else total
        ctx.put(TOTALS, Total(stored), ctx.sender)
        ctx.emit(Added(stored if emit else total))

    messages = (MessageSpec(Add, add), *MODULE.messages[1:])
    return Registry((replace(MODULE, messages=messages),))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_replay_from_genesis_gives_the_same(directory: Path, workers: int) -> None:
    with Node.open(directory, NODE_KEY, options(directory)) as node:
        head = node.head()
    report = replay_from_genesis(directory, registry=registry(), signature_workers=workers)
    assert (report.height, report.app_hash) == (head.height, head.app_hash)
    assert (report.transactions, report.operations) == (21, 28)


def test_a_divergence_names_module_table_key_and_both_values(directory: Path) -> None:
    with pytest.raises(DivergedError) as diverged:
        replay_from_genesis(directory, registry=skewed(28, emit=False))
    text = json.loads((directory / DIVERGENCE_FILE).read_text())
    row = text["rows"][0]
    assert (text["what"], row["module"], row["table"]) == ("app_hash", "toy", "total")
    assert row["key"].endswith(account_of(USER_KEYS[0].public_key).hex())
    assert (row["computed"], row["recorded"]) == ("Total(value=29)", "Total(value=28)")
    assert "module toy, table total" in str(diverged.value)


def test_a_divergence_of_the_last_block_is_found_in_the_checkpoint(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "n"
    with create(path, clock) as node:
        settle(node, clock)
        node.submit_later([transaction(Add(5), sequence=1)])
        clock.now += 20
        assert node.engine.step()
    with pytest.raises(DivergedError) as diverged:
        replay_from_genesis(path, registry=skewed(5, emit=False))
    assert diverged.value.report.what == "state"
    assert diverged.value.report.rows[0].table == "total"


def test_a_receipt_that_differs_is_reported(directory: Path) -> None:
    with pytest.raises(DivergedError) as diverged:
        replay_from_genesis(directory, registry=skewed(3, emit=True))
    report = diverged.value.report
    assert report.what == "receipts"
    assert [receipt.position for receipt in report.receipts] == [0]


def test_a_crash_replay_that_diverges_stops_the_node(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "n"
    node = create(path, clock)
    settle(node, clock)
    node.submit_later([transaction(Add(5), sequence=1)])
    settle(node, clock)
    node.engine.stop()
    node._opened.store.close()
    wrong = replace(options(path), registry=skewed(5, emit=False))
    with pytest.raises(DivergedError):
        Node.open(path, NODE_KEY, wrong)
    assert (path / DIVERGENCE_FILE).exists()
    Node.open(path, NODE_KEY, options(path)).close()


def rewrite(directory: Path, height: int, **changes: object) -> None:
    """Replace fields of one log entry, with the log's own framing intact."""
    store = LedgerStore(directory / "ledger")
    payloads = [payload for _, payload in store.blocks(1)]
    store.close()
    entry = LOG_ENTRY_DECODER.decode(payloads[height - 1])
    import msgspec

    payloads[height - 1] = encode(msgspec.structs.replace(entry, **changes))
    for file in (directory / "ledger" / "blocks").iterdir():
        file.unlink()
    for file in (directory / "ledger" / "checkpoint").iterdir():
        file.unlink()
    store = LedgerStore(directory / "ledger")
    for at, payload in enumerate(payloads, 1):
        store.append_block(at, payload)
    store.close()


def entry_at(directory: Path, height: int):  # type: ignore[no-untyped-def] # noqa: ANN201
    store = LedgerStore(directory / "ledger")
    entry = LOG_ENTRY_DECODER.decode(store.block(height))
    store.close()
    return entry


@pytest.mark.parametrize("field", ["transactions", "receipts", "results", "commit", "header"])
def test_a_log_that_was_edited_is_refused(directory: Path, field: str) -> None:
    entry = entry_at(directory, 2)
    other = entry_at(directory, 4)
    rewrite(directory, 2, **{field: getattr(other, field)})
    with pytest.raises(DivergenceError):
        replay_from_genesis(directory, registry=registry())
    with pytest.raises(DivergenceError):
        Node.open(directory, NODE_KEY, options(directory))
    assert entry != other


def test_a_forged_signature_in_the_log_is_found(directory: Path) -> None:
    """The operator rewrites a transaction and everything that follows from it, headers included."""
    clock = ManualClock()
    path = directory.parent / "forged"
    node = create(path, clock)
    settle(node, clock)
    raw = transaction(Add(5), sequence=1)
    forged = raw[:-1] + bytes((raw[-1] ^ 1,))
    node._application.signatures = _Gullible(0, node.engine.fail)
    node.submit_later([forged])
    settle(node, clock)
    node.close()
    with pytest.raises(DivergenceError, match="signature"):
        replay_from_genesis(path, registry=registry())


class _Gullible(SignaturePool):
    """Takes every signature for valid."""

    def check(self, triples, verdicts) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
        verdicts([True] * len(triples))


def test_a_new_node_replays_when_its_checkpoint_is_gone(directory: Path) -> None:
    before = replay_from_genesis(directory, registry=registry())
    for file in (directory / "ledger" / "checkpoint").iterdir():
        file.unlink()
    with Node.open(directory, NODE_KEY, NodeOptions(registry=registry(), start=False)) as node:
        assert node.head().app_hash == before.app_hash
        assert node.series(NOTES.key(), start=0, limit=10).size == 7
        assert NOTES.decoder.decode(encode(NoteEntry("n"))) == NoteEntry("n")
        node.check()
