"""A refusal undoes every write, also of a rude module that writes first; anything else stops."""

import pytest

from cairn.ledger.context import Context
from cairn.ledger.errors import Fault, InvalidMessageError, Rejection
from cairn.ledger.hooks import Movement
from cairn.ledger.messages import Event, Message
from cairn.ledger.module import MessageSpec, Module
from cairn.ledger.receipts import OPERATION_REFUSED, UNDONE
from cairn.ledger.records import Series, Table
from cairn.ledger.transactions import ATOMIC, INDEPENDENT
from cairn.primitives.encoding import Record
from tests.modules.harness import Harness


class Row(Record):
    value: int


class RudeError(Rejection):
    """The module changed its mind."""

    code = "rude/refused"


class Rudely(Message, tag="rude/rudely"):
    """Write everything that can be written, then fail in some way or not at all."""

    name: str
    value: int
    end: str

    def validate(self) -> None:
        """Refuse what no state could make acceptable."""
        if self.end == "invalid":
            raise InvalidMessageError


class Written(Event, tag="rude/written"):
    name: str


ROWS: Table[Row] = Table("rude", "row", (str,), Row, ordered=True)
ENTRIES: Series[Row] = Series("rude", "entries", (), Row)
KEYED: Series[Row] = Series("rude", "keyed", (str,), Row)

UNEXPECTED: dict[str, type[BaseException]] = {
    "fault": Fault,
    "key": KeyError,
    "memory": MemoryError,
    "recursion": RecursionError,
    "value": ValueError,
    "os": OSError,
    "interrupt": KeyboardInterrupt,
}


def rudely(ctx: Context, message: Rudely) -> None:
    """Write, append, delete and emit before looking at what was asked."""
    ctx.check_verdict()
    ctx.put(ROWS, Row(message.value), message.name)
    ctx.put(ROWS, Row(-message.value), "always")
    ctx.append(ENTRIES, Row(message.value))
    ctx.append(KEYED, Row(message.value), message.name)
    ctx.put(ROWS, Row(2 * message.value), message.name)
    ctx.delete(ROWS, "first")
    ctx.emit(Written(message.name))
    if message.end == "refuse":
        raise RudeError
    if message.end in UNEXPECTED:
        raise UNEXPECTED[message.end]("unexpected")


def end_block(ctx: Context) -> None:
    if ctx.get(ROWS, "at-end") is not None:
        raise RudeError


RUDE = Module(
    name="rude",
    messages=(
        MessageSpec(
            Rudely, rudely, movement=lambda m: Movement(bytes(20), bytes(20), m.name, 1, 0)
        ),
    ),
    events=(Written,),
    tables=(ROWS,),
    series=(ENTRIES, KEYED),
    end_block=end_block,
)


def founded(replicas: int = 2) -> Harness:
    ledger = Harness(RUDE, replicas=replicas)
    ledger.done("pia", Rudely("first", 1, ""))
    ledger.done("pia", Rudely("first", 1, ""))
    ledger.done("pia", Rudely("kept", 5, ""))
    return ledger


def everything(ledger: Harness) -> tuple[object, ...]:
    state = ledger.state
    return (
        dict(state.rows),
        dict(state.trie),
        dict(state.leaves),
        dict(state.nodes),
        dict(state.index_rows),
        ledger.head,
    )


def test_a_refused_operation_leaves_nothing_behind() -> None:
    ledger = founded()
    before = ledger.rows_but_sequences()
    entries = ledger.context().series_size(ENTRIES)
    outcome = ledger.run("pia", Rudely("kept", 99, "refuse"))
    assert outcome.codes == ("rude/refused",)
    assert outcome.events == ()
    assert ledger.rows_but_sequences() == before
    assert ledger.context().series_size(ENTRIES) == entries
    assert ledger.context().series_size(KEYED, "kept") == 1


def test_an_atomic_transaction_is_undone_as_a_whole() -> None:
    ledger = founded()
    before = ledger.rows_but_sequences()
    outcome = ledger.run(
        "pia", Rudely("a", 1, ""), Rudely("b", 2, "refuse"), Rudely("c", 3, ""), mode=ATOMIC
    )
    assert outcome.code == OPERATION_REFUSED
    assert outcome.codes == (UNDONE, "rude/refused", UNDONE)
    assert outcome.events == ()
    assert ledger.rows_but_sequences() == before


@pytest.mark.parametrize("mode", [ATOMIC, INDEPENDENT])
def test_an_operation_that_is_never_acceptable_stops_no_node(mode: int) -> None:
    """An atomic transaction with one is not judged; none of its other operations may run then."""
    ledger = founded()
    before = ledger.rows_but_sequences()
    outcome = ledger.run("pia", Rudely("a", 1, ""), Rudely("b", 2, "invalid"), mode=mode)
    if mode == ATOMIC:
        assert outcome.codes == (UNDONE, "ledger/invalid_message")
        assert ledger.rows_but_sequences() == before
    else:
        assert outcome.codes == ("ok", "ledger/invalid_message")


def test_independent_operations_stand_alone() -> None:
    ledger = founded()
    outcome = ledger.run(
        "pia", Rudely("a", 1, ""), Rudely("b", 2, "refuse"), Rudely("c", 3, ""), mode=INDEPENDENT
    )
    assert outcome.codes == ("ok", "rude/refused", "ok")
    assert outcome.events == (Written("a"), Written("c"))
    context = ledger.context()
    assert [context.get(ROWS, name) for name in ("a", "b", "c", "always")] == [
        Row(2),
        None,
        Row(6),
        Row(-3),
    ]
    last = [context.series_get(ENTRIES, context.series_size(ENTRIES) - i)[1] for i in (2, 1)]
    assert last == [Row(1), Row(3)]


def test_a_refused_transaction_leaves_its_neighbours_alone() -> None:
    ledger = founded()
    twin = founded()
    ledger.submit("pia", Rudely("a", 1, ""))
    ledger.submit("paul", Rudely("a", 7, "refuse"))
    ledger.submit("berta", Rudely("b", 2, ""))
    twin.submit("pia", Rudely("a", 1, ""))
    twin.submit("berta", Rudely("b", 2, ""))
    assert [outcome.code for outcome in ledger.block()] == ["ok", OPERATION_REFUSED, "ok"]
    twin.block()
    assert ledger.rows_but_sequences() == twin.rows_but_sequences()


def test_a_row_made_and_undone_in_one_block_is_not_scanned() -> None:
    ledger = founded()
    ledger.run("pia", Rudely("zzz", 1, "refuse"), Rudely("y", 1, ""), mode=INDEPENDENT)
    names = [key[0].decode() for key, _ in ledger.context().scan(ROWS)]
    assert names == ["y", "kept", "always"]


@pytest.mark.parametrize("end", UNEXPECTED)
def test_anything_but_a_refusal_leaves_execution(end: str) -> None:
    ledger = founded(replicas=1)
    before = everything(ledger)
    ledger.submit("paul", Rudely("fine", 1, ""))
    ledger.submit("pia", Rudely("kept", 99, end))
    with pytest.raises(UNEXPECTED[end]):
        ledger.block()
    assert everything(ledger) == before


def test_a_refusal_outside_an_operation_leaves_execution() -> None:
    ledger = founded(replicas=1)
    before = everything(ledger)
    ledger.submit("pia", Rudely("at-end", 6, ""))
    with pytest.raises(RudeError):
        ledger.block()
    assert everything(ledger) == before
