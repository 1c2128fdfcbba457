from pathlib import Path

import pytest

from cairn.engine.errors import EngineStoppedError, WrongValidatorError
from cairn.ledger.errors import InvariantError
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.ledger.transactions import decode_envelope, transaction_id
from cairn.node.errors import CharterError, DirectoryError
from cairn.node.opening import replay_from_genesis
from cairn.storage.errors import DirectoryInUseError
from tests.engine.toy import (
    TOTALS,
    USER_KEYS,
    Add,
    Crash,
    ManualClock,
    Note,
    Remind,
    account_of,
    registry,
    transaction,
)
from tests.node.ledgers import CHARTER_FILE, create, options, reopen, settle

TOTAL_KEY = TOTALS.key(account_of(USER_KEYS[0].public_key))


def test_what_was_acknowledged_is_there_after_reopening(tmp_path: Path) -> None:
    clock = ManualClock()
    with create(tmp_path / "n", clock) as node:
        future = node.submit_later([transaction(Add(n), sequence=n) for n in range(1, 6)])
        settle(node, clock)
        outcomes = future.result(timeout=0)
        before = node.head()
    with reopen(tmp_path / "n", clock) as node:
        assert node.head() == before
        assert [node.receipt(outcome.transaction_id) for outcome in outcomes] == outcomes
        row = node.row(TOTAL_KEY)
        assert row is not None
        assert TOTALS.decoder.decode(row).value == 15


def test_blocks_after_the_checkpoint_are_done_again(tmp_path: Path) -> None:
    clock = ManualClock()
    node = create(tmp_path / "n", clock)
    node.submit_later([transaction(Add(1), Note("a"), sequence=1)])
    settle(node, clock)
    node.submit_later([transaction(Remind(clock.now + 10_000), sequence=2)])
    settle(node, clock)
    before = node.head()
    # A process that dies writes no checkpoint: only the files are let go.
    node._opened.store.close()
    node.engine.stop()
    with reopen(tmp_path / "n", clock) as again:
        assert again.head() == before
        clock.now += 10_000
        assert again.engine.step()
        settle(again, clock)
        assert again.head().height == before.height + 2
        assert again.check()[-1] == "ledger: the state root covers all rows"
    report = replay_from_genesis(tmp_path / "n", registry=registry())
    assert report.height == before.height + 2
    assert report.transactions == 2


def test_a_block_that_was_logged_and_not_answered_is_there_after_reopening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    node = create(tmp_path / "n", clock)
    settle(node, clock)
    store = node._opened.store

    def crash(*_: object) -> None:
        raise OSError(5, "the process dies between the append and the apply")

    monkeypatch.setattr(store, "apply", crash)
    raw = transaction(Add(7), sequence=1)
    future = node.submit_later([raw])
    clock.now += 20
    with pytest.raises(Exception, match="the process dies"):
        node.engine.step()
    assert future.exception(timeout=0) is not None
    monkeypatch.undo()
    node.close()
    with reopen(tmp_path / "n", clock) as again:
        outcome = again.receipt(transaction_id(decode_envelope(raw).body))
        assert outcome is not None
        assert (outcome.code, outcome.height) == ("ok", 2)
        settle(again, clock)
        (repeated,) = _run(again, clock, raw)
        assert repeated == outcome


def _run(node, clock, *raws):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN002, ANN202
    future = node.submit_later(list(raws))
    settle(node, clock)
    return future.result(timeout=0)


def test_a_block_that_was_not_logged_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    node = create(tmp_path / "n", clock)
    settle(node, clock)
    before = node.head()

    def crash(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(node._opened.store, "append_block", crash)
    future = node.submit_later([transaction(Add(7), sequence=1)])
    clock.now += 20
    with pytest.raises(Exception, match="No space"):
        node.engine.step()
    assert future.exception(timeout=0) is not None
    assert node.health().status == "stopped"
    monkeypatch.undo()
    node.close()
    with reopen(tmp_path / "n", clock) as again:
        assert again.head() == before
        (outcome,) = _run(again, clock, transaction(Add(7), sequence=1))
        assert outcome.code == "ok"


def test_a_bug_leaves_nothing_and_the_node_can_be_opened_again(tmp_path: Path) -> None:
    clock = ManualClock()
    node = create(tmp_path / "n", clock)
    settle(node, clock)
    before = node.head()
    node.submit_later([transaction(Crash(), sequence=1)])
    clock.now += 20
    with pytest.raises(Exception, match="ZeroDivisionError"):
        node.engine.step()
    node.close()
    with reopen(tmp_path / "n", clock) as again:
        assert again.head() == before


def test_one_process_at_a_time_has_the_directory(tmp_path: Path) -> None:
    with create(tmp_path / "n"), pytest.raises(DirectoryInUseError):
        reopen(tmp_path / "n")


def test_a_directory_is_founded_once(tmp_path: Path) -> None:
    create(tmp_path / "n").close()
    with pytest.raises(DirectoryError, match="not empty"):
        create(tmp_path / "n")
    with pytest.raises(DirectoryError, match="no ledger"):
        reopen(tmp_path / "m")


def test_a_charter_that_is_not_signed_or_not_accepted_writes_nothing(tmp_path: Path) -> None:
    from cairn.ledger.charter import sign_charter
    from cairn.node.node import Node
    from cairn.primitives.encoding import encode
    from tests.engine.toy import NODE_KEY, charter

    given = options(tmp_path)
    for file in (
        CHARTER_FILE[:-1],
        encode(sign_charter(charter(), [USER_KEYS[1]])),
        encode(sign_charter(charter(sections=(("nobody", b""),)), [USER_KEYS[0]])),
        encode(sign_charter(charter(parameters=(("nothing.here", 1),)), [USER_KEYS[0]])),
    ):
        with pytest.raises(CharterError):
            Node.create(tmp_path / "n", file, NODE_KEY, given)
    with pytest.raises(WrongValidatorError):
        Node.create(tmp_path / "n", CHARTER_FILE, USER_KEYS[0], given)
    assert not (tmp_path / "n").exists()


def test_a_closed_node_takes_nothing(tmp_path: Path) -> None:
    node = create(tmp_path / "n")
    waiting = node.submit_later([transaction(Add(1), sequence=1)])
    node.close()
    with pytest.raises(EngineStoppedError):
        waiting.result(timeout=0)
    with pytest.raises(EngineStoppedError):
        node.submit_later([transaction(Add(1), sequence=1)])


def test_the_full_check_finds_a_row_that_the_root_does_not_cover(tmp_path: Path) -> None:
    from cairn.ledger.changes import ChangeSet
    from cairn.primitives.encoding import encode
    from tests.engine.toy import Total

    clock = ManualClock()
    with create(tmp_path / "n", clock) as node:
        _run(node, clock, transaction(Add(1), sequence=1))
        node.check()
        node._opened.store._active.add(ChangeSet(state={TOTAL_KEY: encode(Total(9))}))
        with pytest.raises(InvariantError, match="state root"):
            node.check()
        node.engine.fail(InvariantError("stop here, without a checkpoint"))


def test_events_are_read_block_by_block(tmp_path: Path) -> None:
    clock = ManualClock()
    with create(tmp_path / "n", clock) as node:
        _run(node, clock, transaction(Add(1), Add(2), sequence=1))
        _run(node, clock, transaction(Remind(clock.now + 5), sequence=2))
        page = node.events(1, limit=2, wait_ms=0)
        decoded = [registry().event_decoder.decode(item.event) for item in page.events]
        assert [type(event).__name__ for event in decoded] == ["Added", "Added"]
        assert [item.operation for item in page.events] == [0, 1]
        rest = node.events(page.next_height, limit=100, wait_ms=0)
        assert [item.transaction_id for item in rest.events] == [b""]
        assert rest.next_height == node.head().height + 1
        assert node.events(rest.next_height, limit=100, wait_ms=0).events == ()


def test_rows_come_in_pages(tmp_path: Path) -> None:
    clock = ManualClock()
    with create(tmp_path / "n", clock) as node:
        for key in USER_KEYS:
            _run(node, clock, transaction(Add(1), sequence=1, key=key))
        first = node.rows(TOTALS.prefix, cursor=b"", limit=2)
        second = node.rows(TOTALS.prefix, cursor=first.cursor, limit=2)
        assert (len(first.rows), len(second.rows), second.cursor) == (2, 1, b"")
        assert sorted(first.rows + second.rows) == list(first.rows + second.rows)
        assert node.next_sequence(account_of(USER_KEYS[0].public_key), 0) == 2
        assert node.next_sequence(account_of(USER_KEYS[0].public_key), 1) == 1


def test_a_receipt_names_what_the_block_did(tmp_path: Path) -> None:
    clock = ManualClock()
    with create(tmp_path / "n", clock) as node:
        (outcome,) = _run(node, clock, transaction(Add(-1), sequence=1))
        receipt = RECEIPT_DECODER.decode(outcome.receipt)
        assert outcome.code == "ledger/operation_refused"
        assert receipt.operations[0].code == "toy/negative"
        block = node.block(outcome.height)
        assert block.receipts[outcome.position] == outcome.receipt
