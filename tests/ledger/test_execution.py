"""The kernel's rules, each row of src/cairn/ledger/README.md, on a toy module."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cairn.ledger.context import Context
from cairn.ledger.errors import MalformedBlockError, MissingVerdictError
from cairn.ledger.execution import Ledger
from cairn.ledger.hooks import AdmittedOperation, Allow, JudgedOutcome, Judgement
from cairn.ledger.module import Registry
from cairn.ledger.receipts import RECEIPT_DECODER, NotAdmitted, Receipt
from cairn.ledger.records import HISTORY, HISTORY_DECODER, SeriesHead, leaf_key
from cairn.primitives import trie
from cairn.primitives.encoding import Decoder, encode
from cairn.primitives.hashes import sha256
from tests.ledger.toy import (
    ALICE,
    BOB,
    CELLS,
    KEY,
    LOG,
    MODULE,
    Cell,
    Move,
    ToyLedger,
    Write,
    signed,
)

NOT_ADMITTED: Decoder[NotAdmitted] = Decoder(NotAdmitted)


@pytest.fixture
def toy() -> ToyLedger:
    return ToyLedger()


def receipt(raw: bytes) -> Receipt:
    return RECEIPT_DECODER.decode(raw)


def codes(raw: bytes) -> tuple[str, ...]:
    return tuple(outcome.code for outcome in receipt(raw).operations)


def test_a_transaction_takes_effect_and_leaves_a_receipt(toy: ToyLedger) -> None:
    result = toy.run(signed(toy.body(Write("x", 7))))
    assert toy.cell("x") == 7
    assert receipt(result.receipts[0]).code == "ok"
    assert result.results[0].code == 0
    assert len(receipt(result.receipts[0]).operations[0].events) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"chain_id": "another-chain"}, "ledger/wrong_chain"),
        ({"sender": b"m" * 20}, "ledger/unknown_key"),
        ({"sequence": 2}, "ledger/bad_sequence"),
        ({"valid_until": 1_000_000}, "ledger/expired_transaction"),
    ],
)
def test_admission_refuses_without_a_trace(
    toy: ToyLedger, change: dict[str, object], code: str
) -> None:
    toy.run(signed(toy.body(Write("x", 1))))
    before = toy.head.state_root
    change = {"sequence": 2, **change} if code != "ledger/bad_sequence" else {"sequence": 3}
    result = toy.run(signed(toy.body(Write("x", 2), **change)))  # type: ignore[arg-type]
    assert NOT_ADMITTED.decode(result.receipts[0]).code == code
    assert result.head.state_root == before
    assert not any(key.startswith(b"t") for key in result.changes.index)


def test_refusals_come_in_order_of_precedence(toy: ToyLedger) -> None:
    """All is wrong at once; what is mended first uncovers the next refusal."""
    wrong = {"chain_id": "other", "sender": b"m" * 20, "sequence": 9, "valid_until": 999_999_999}
    seen = []
    for mended in ({}, {"chain_id": toy.chain_id}, {"sender": ALICE}, {"sequence": 1}):
        wrong |= mended
        raw = signed(toy.body(Write("x", 1), **wrong))  # type: ignore[arg-type]
        seen.append(NOT_ADMITTED.decode(toy.execute(raw).receipts[0]).code)
        if not mended:
            first = toy.execute(raw, valid=[False]).receipts[0]
            garbled = toy.execute(raw[:-1], valid=[False]).receipts[0]
    assert NOT_ADMITTED.decode(garbled).code == "ledger/malformed_transaction"
    assert NOT_ADMITTED.decode(first).code == "ledger/bad_signature"
    assert seen == [
        "ledger/wrong_chain",
        "ledger/unknown_key",
        "ledger/bad_sequence",
        "ledger/expired_transaction",
    ]


def test_a_replayed_transaction_changes_nothing(toy: ToyLedger) -> None:
    raw = signed(toy.body(Write("x", 1)))
    toy.run(raw)
    index = dict(toy.state.index_rows)
    result = toy.run(raw)
    assert NOT_ADMITTED.decode(result.receipts[0]).code == "ledger/bad_sequence"
    changed = {key: value for key, value in toy.state.index_rows.items() if key.startswith(b"t")}
    assert changed == {key: value for key, value in index.items() if key.startswith(b"t")}


def test_a_block_that_holds_one_id_twice_is_malformed(toy: ToyLedger) -> None:
    raw = signed(toy.body(Write("x", 1)))
    with pytest.raises(MalformedBlockError):
        toy.execute(raw, raw)


def test_lanes_have_sequences_of_their_own(toy: ToyLedger) -> None:
    raws = [signed(toy.body(Write(f"x{lane}", lane), lane=lane)) for lane in range(16)]
    assert [result.code for result in toy.run(*raws).results] == [0] * 16
    again = signed(toy.body(Write("y", 1), lane=3, sequence=2))
    assert toy.run(again).results[0].code == 0


def test_a_rude_module_is_rolled_back_wholly(toy: ToyLedger) -> None:
    toy.run(signed(toy.body(Write("x", 1))))
    log = toy.state.get(LOG.key())
    result = toy.run(signed(toy.body(Write("x", 2, "refuse"), sequence=2)))
    assert codes(result.receipts[0]) == ("toy/rude",)
    assert receipt(result.receipts[0]).operations[0].events == ()
    assert toy.cell("x") == 1
    assert toy.state.get(LOG.key()) == log
    assert set(result.changes.state) == {key for key in result.changes.state if b"sequence" in key}


def test_an_atomic_transaction_is_undone_as_a_whole(toy: ToyLedger) -> None:
    body = toy.body(Write("x", 1), Write("y", 2, "refuse"), Write("z", 3))
    result = toy.run(signed(body))
    assert receipt(result.receipts[0]).code == "ledger/operation_refused"
    assert codes(result.receipts[0]) == ("ledger/undone", "toy/rude", "ledger/undone")
    assert [toy.cell(name) for name in "xyz"] == [None, None, None]


def test_independent_operations_stand_alone(toy: ToyLedger) -> None:
    body = toy.body(Write("x", 1), Write("y", 2, "refuse"), Write("z", 3), mode=1)
    result = toy.run(signed(body))
    assert codes(result.receipts[0]) == ("ok", "toy/rude", "ok")
    assert [toy.cell(name) for name in "xyz"] == [1, None, 3]
    size = SeriesHead
    head = LOG.table.decoder.decode(toy.state.get(LOG.key()) or b"")
    assert isinstance(head, size)
    assert head.size == 2


def test_a_refused_transaction_consumes_its_sequence(toy: ToyLedger) -> None:
    toy.run(signed(toy.body(Write("x", 1, "refuse"))))
    again = toy.run(signed(toy.body(Write("x", 1))))
    assert NOT_ADMITTED.decode(again.receipts[0]).code == "ledger/bad_sequence"
    assert toy.run(signed(toy.body(Write("x", 1), sequence=2))).results[0].code == 0


@pytest.mark.parametrize(("end", "error"), [("crash", ValueError), ("memory", MemoryError)])
def test_anything_but_a_refusal_leaves_execution(
    toy: ToyLedger, end: str, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        toy.execute(signed(toy.body(Write("x", 1, end))))


def test_a_movement_without_a_verdict_is_a_fault(toy: ToyLedger) -> None:
    assert codes(toy.run(signed(toy.body(Move(12)))).receipts[0]) == ("ok",)
    with pytest.raises(MissingVerdictError):
        toy.execute(signed(toy.body(Move(13), sequence=2)))


def test_the_explanation_of_a_verdict_stays_when_the_operation_is_refused(toy: ToyLedger) -> None:
    body = toy.body(Move(5), Write("x", 1, "refuse"))
    result = toy.run(signed(body))
    first, second = receipt(result.receipts[0]).operations
    assert (first.code, len(first.events)) == ("ledger/undone", 1)
    assert (second.code, len(second.events)) == ("toy/rude", 0)


def test_end_of_block_work_leaves_a_last_receipt(toy: ToyLedger) -> None:
    toy.run(signed(toy.body(Write("x", 5_000, "due"))))
    assert toy.cell("expired") is None
    result = toy.run(time_ms=6_000)
    assert len(result.receipts) == 1
    assert receipt(result.receipts[0]).transaction_id == b""
    assert toy.cell("expired") == 5_000
    leaf = HISTORY_DECODER.decode(
        toy.state.leaf(leaf_key(HISTORY, toy.head.history.size - 1)) or b""
    )
    assert (leaf.transaction_count, leaf.receipt_count) == (0, 1)


def test_an_empty_block_leaves_the_application_hash_alone(toy: ToyLedger) -> None:
    toy.run(signed(toy.body(Write("x", 1))))
    before = toy.head
    toy.run()
    assert toy.head.app_hash == before.app_hash
    assert toy.head.height == before.height + 1


def test_the_root_covers_all_rows(toy: ToyLedger) -> None:
    for sequence in range(1, 40):
        toy.run(signed(toy.body(Write(f"x{sequence}", sequence), sequence=sequence)))
    rows = list(toy.state.rows.items())
    assert toy.head.state_root == trie.rebuild_root(rows)
    key, value = rows[0]
    assert toy.head.state_root != trie.rebuild_root([*rows[1:], (key, value + b"\0")])


def test_budgets_are_enforced_and_leave_a_receipt(toy: ToyLedger) -> None:
    body = toy.body(*(Write(f"x{n}", n) for n in range(257)), mode=1)
    result = toy.run(signed(body))
    assert receipt(result.receipts[0]).code == "ledger/budget_exceeded"
    assert toy.cell("x1") is None
    assert toy.run(signed(toy.body(Write("x", 1), sequence=2))).results[0].code == 0


def test_operations_of_unknown_kinds_are_malformed(toy: ToyLedger) -> None:
    body = encode((toy.chain_id, ALICE, 0, 1, 0, 0, 9, (("toy/none", 1),)))
    raw = encode((1, body, KEY.public_key, KEY.sign(b"cairn transaction 1\n" + body)))
    assert toy.ledger.decode(raw).body is None
    empty = encode((toy.chain_id, ALICE, 0, 1, 0, 0, 9, ()))
    raw = encode((1, empty, KEY.public_key, KEY.sign(b"cairn transaction 1\n" + empty)))
    assert toy.ledger.decode(raw).body is None


def test_the_same_block_gives_the_same_roots_on_two_replicas() -> None:
    one, two = ToyLedger(), ToyLedger()
    for sequence in range(1, 30):
        senders = (ALICE, BOB) if sequence % 2 else (BOB, ALICE)
        raws = [
            signed(one.body(Write(f"{s[0]}", sequence), sender=s, sequence=sequence))
            for s in senders
        ]
        assert one.run(*raws).head == two.run(*raws).head
    assert sha256(one.head.app_hash) == sha256(two.head.app_hash)


# Outcomes of judged operations


def test_remembered_outcomes_come_back_when_the_operations_have_run() -> None:
    heard: list[tuple[int, str]] = []

    def remember(ctx: Context, operations: Sequence[AdmittedOperation]) -> list[Judgement | None]:
        """Ask for what becomes of every movement but the smallest."""
        judged: list[Judgement | None] = []
        for one in operations:
            units = 0 if one.movement is None else one.movement.amount_units
            memo = units if units > 1 else None
            judged.append(Judgement(Allow("no_rule"), (), memo) if units else None)
        return judged

    def listen(ctx: Context, outcomes: Sequence[JudgedOutcome]) -> None:
        heard.extend((one.judgement.memo, one.code) for one in outcomes)
        ctx.put(CELLS, Cell(len(outcomes)), "heard")

    toy = ToyLedger()
    module = replace(MODULE, prepare_block=remember, after_operations=listen)
    toy.ledger = Ledger(Registry((module,)))
    toy.run(
        signed(toy.body(Move(5), Write("x", 1, "refuse"), sequence=1)),
        signed(toy.body(Move(6), Move(1), sequence=2)),
        signed(toy.body(Move(7), Write("x", 1, "refuse"), Move(8), sequence=3, mode=1)),
    )
    assert heard == [(5, "ledger/undone"), (6, "ok"), (7, "ok"), (8, "ok")]
    assert toy.cell("heard") == 4
