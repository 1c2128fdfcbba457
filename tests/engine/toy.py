"""A ledger of one small module, and what tests put around an engine."""

from typing import Annotated

from msgspec import Meta

from cairn.engine.application import LedgerApplication, outcome_at
from cairn.engine.base import Chain, LogEntry, Outcome
from cairn.engine.embedded import BlockSigner, EmbeddedEngine, EmbeddedSettings
from cairn.engine.mempool import MempoolSettings
from cairn.ledger.changes import StateReader
from cairn.ledger.charter import Charter, CharterValidator, chain_id_of
from cairn.ledger.context import Context
from cairn.ledger.errors import InvalidMessageError, InvariantError, Rejection
from cairn.ledger.execution import BlockResult, Ledger, transaction_index_key
from cairn.ledger.memory import MemoryState
from cairn.ledger.messages import Event, Message
from cairn.ledger.module import Invariant, MessageSpec, Module, Registry
from cairn.ledger.records import Series, Table
from cairn.ledger.transactions import ATOMIC, Body, sign_transaction
from cairn.primitives.encoding import Record, encode
from cairn.primitives.ids import derive_id
from cairn.primitives.signatures import SigningKey

START_MS = 1_700_000_000_000
NODE_KEY = SigningKey.from_seed(b"n" * 32)
USER_KEYS = [SigningKey.from_seed(bytes((65 + i,)) * 32) for i in range(3)]


def account_of(public_key: bytes) -> bytes:
    return derive_id(b"toy/account", public_key)


class Add(Message, tag="toy/add"):
    amount: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]

    def validate(self) -> None:
        if self.amount == 0:
            raise InvalidMessageError("nothing to add")


class Note(Message, tag="toy/note"):
    text: str


class Remind(Message, tag="toy/remind"):
    due_ms: int


class Crash(Message, tag="toy/crash"):
    pass


class Skew(Message, tag="toy/skew"):
    """Breaks the invariant."""


class Added(Event, tag="toy/added"):
    total: int


class Reminded(Event, tag="toy/reminded"):
    due_ms: int


class NegativeError(Rejection):
    code = "toy/negative"


class Total(Record):
    value: int


class Reminder(Record):
    due_ms: int


class NoteEntry(Record):
    text: str


TOTALS: Table[Total] = Table("toy", "total", (bytes,), Total)
REMINDERS: Table[Reminder] = Table("toy", "reminder", (int, bytes), Reminder, ordered=True)
NOTES: Series[NoteEntry] = Series("toy", "notes", (), NoteEntry)


def add(ctx: Context, message: Add) -> None:
    row = ctx.get(TOTALS, ctx.sender)
    total = message.amount + (0 if row is None else row.value)
    if total < 0:
        raise NegativeError
    ctx.put(TOTALS, Total(total), ctx.sender)
    ctx.emit(Added(total))


def note(ctx: Context, message: Note) -> None:
    ctx.append(NOTES, NoteEntry(message.text))


def remind(ctx: Context, message: Remind) -> None:
    ctx.put(REMINDERS, Reminder(message.due_ms), message.due_ms, ctx.new_id())


def crash(ctx: Context, message: Crash) -> None:
    raise ZeroDivisionError("a bug")


def skew(ctx: Context, message: Skew) -> None:
    ctx.put(TOTALS, Total(-1), ctx.sender)


def end_block(ctx: Context) -> None:
    due = [(key, row) for key, row in ctx.scan(REMINDERS) if row.due_ms <= ctx.time_ms]
    for key, row in due:
        ctx.delete(REMINDERS, int.from_bytes(key[0], "big"), key[1])
        ctx.emit(Reminded(row.due_ms))


def next_due(ctx: Context) -> int | None:
    for _, row in ctx.scan(REMINDERS):
        return row.due_ms
    return None


def check_totals(rows: dict[bytes, tuple[Total | None, Total | None]]) -> None:
    for _, new in rows.values():
        if new is not None and new.value < 0:
            raise InvariantError("a total is negative")


def check_all_totals(reader: StateReader) -> None:
    for _, raw in reader.scan(TOTALS.prefix):
        if TOTALS.decoder.decode(raw).value < 0:
            raise InvariantError("a total is negative")


def key_speaks(ctx: Context, account: bytes, key: bytes) -> bool:
    return account == account_of(key)


MODULE = Module(
    name="toy",
    messages=(
        MessageSpec(Add, add),
        MessageSpec(Note, note),
        MessageSpec(Remind, remind),
        MessageSpec(Crash, crash),
        MessageSpec(Skew, skew),
    ),
    events=(Added, Reminded),
    tables=(TOTALS, REMINDERS),
    series=(NOTES,),
    invariants=(Invariant("totals", check_all_totals, (TOTALS,), check_totals),),
    end_block=end_block,
    next_due=next_due,
    key_speaks=key_speaks,
)


def registry() -> Registry:
    return Registry((MODULE,))


def charter(**changes: object) -> Charter:
    fields: dict[str, object] = {
        "version": 1,
        "name": "toy",
        "time_ms": START_MS,
        "purpose": "a test",
        "validators": (CharterValidator("node", NODE_KEY.public_key, 10),),
        "trusting_period_ms": 90_000,
        "founders": (USER_KEYS[0].public_key,),
        "parameters": (),
        "sections": (),
    }
    return Charter(**(fields | changes))  # type: ignore[arg-type]


CHAIN_ID = chain_id_of(encode(charter()))


def transaction(
    *operations: Message,
    sequence: int,
    key: SigningKey = USER_KEYS[0],
    lane: int = 0,
    valid_until: int = 1_000,
    mode: int = ATOMIC,
    chain_id: str = CHAIN_ID,
    sender: bytes | None = None,
) -> bytes:
    body = Body(
        chain_id,
        account_of(key.public_key) if sender is None else sender,
        lane,
        sequence,
        mode,
        0,
        valid_until,
        operations,
    )
    return sign_transaction(body, key)


class ManualClock:
    """A clock that moves when told to."""

    def __init__(self, now_ms: int = START_MS + 1_000) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now


class MemoryKeeper:
    """Keeps blocks in memory."""

    def __init__(self, state: MemoryState) -> None:
        self.state = state
        self.entries: list[LogEntry] = []
        self.fail_next: Exception | None = None

    def keep(self, entry: LogEntry, result: BlockResult) -> None:
        if self.fail_next is not None:
            raise self.fail_next
        self.entries.append(entry)
        self.state.apply(result.changes)

    def reader(self) -> StateReader:
        return self.state

    def outcome(self, transaction_id: bytes) -> Outcome | None:
        place = self.state.index(transaction_index_key(transaction_id))
        if place is None:
            return None
        height, position = int.from_bytes(place[:8], "big"), int.from_bytes(place[8:], "big")
        return outcome_at(self.entries[height - 1], 0, position, transaction_id)


class Bench:
    """An engine over a toy ledger in memory, with its clock."""

    def __init__(
        self,
        *,
        mempool: MempoolSettings | None = None,
        interval_ms: int = 20,
        block_operations: int = 2_000,
        invariant_interval_blocks: int = 1,
    ) -> None:
        self.clock = ManualClock()
        self.ledger = Ledger(registry())
        state = MemoryState()
        founded = self.ledger.found(charter(), CHAIN_ID, state)
        state.apply(founded.changes)
        self.keeper = MemoryKeeper(state)
        self.application = LedgerApplication(
            self.ledger,
            self.keeper,
            founded.head,
            clock=self.clock,
            settings=mempool or MempoolSettings(block_operations=block_operations),
            invariant_interval_blocks=invariant_interval_blocks,
        )
        self.engine = EmbeddedEngine(
            self.application,
            Chain(CHAIN_ID, None, None, (), founded.head.app_hash, START_MS),
            BlockSigner(NODE_KEY, 10, 0),
            clock=self.clock,
            trusting_period_ms=90_000,
            settings=EmbeddedSettings(interval_ms, block_operations),
        )
        self.application.on_work = self.engine.wake

    @property
    def height(self) -> int:
        return self.engine.chain.height

    def settle(self) -> None:
        """Make blocks, an interval apart, until the engine rests."""
        while True:
            self.clock.now += 20
            if not self.engine.step():
                return

    def run(self, *raws: bytes) -> list[Outcome]:
        """Submit, make blocks, and return the outcomes."""
        future = self.application.submit(raws)
        self.settle()
        return future.result(timeout=0)
