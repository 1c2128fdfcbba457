"""A small module and a ledger over it, for the tests of the kernel itself."""

from collections.abc import Sequence

from cairn.ledger.charter import Charter, CharterValidator, open_charter, sign_charter
from cairn.ledger.context import Context
from cairn.ledger.errors import Rejection
from cairn.ledger.execution import Block, BlockResult, Ledger
from cairn.ledger.hooks import AdmittedOperation, Allow, Judgement, Movement
from cairn.ledger.memory import MemoryState
from cairn.ledger.messages import Event, Message
from cairn.ledger.module import MessageSpec, Module, Registry
from cairn.ledger.records import Series, Table
from cairn.ledger.transactions import Body, sign_transaction
from cairn.primitives.encoding import Record, encode
from cairn.primitives.signatures import SigningKey

KEY = SigningKey.from_seed(bytes(range(32)))
ALICE, BOB = b"a" * 20, b"b" * 20


class Cell(Record):
    """One number."""

    value: int


class Written(Event, tag="toy/written"):
    """A cell was written."""

    name: str
    value: int


class Write(Message, tag="toy/write"):
    """Write a cell; `end` says how the handler goes on after it wrote."""

    name: str
    value: int
    end: str = "ok"


class Move(Message, tag="toy/move"):
    """Declare a movement and ask for the verdict."""

    amount: int


class RudeError(Rejection):
    """Refused after writing, which a good module never does."""

    code = "toy/rude"


CELLS: Table[Cell] = Table("toy", "cell", (str,), Cell)
LOG: Series[Cell] = Series("toy", "log", (), Cell)
DUE: Table[Cell] = Table("toy", "due", (int,), Cell, ordered=True)


def write(ctx: Context, message: Write) -> None:
    """Write, append, emit, and only then refuse or fail as the message asks."""
    ctx.put(CELLS, Cell(message.value), message.name)
    ctx.append(LOG, Cell(message.value))
    ctx.emit(Written(message.name, message.value))
    if message.end == "refuse":
        raise RudeError
    if message.end == "due":
        ctx.put(DUE, Cell(message.value), message.value)
    if message.end == "crash":
        raise ValueError("a bug")
    if message.end == "memory":
        raise MemoryError


def move(ctx: Context, message: Move) -> None:
    """Move nothing, but insist on the verdict."""
    ctx.check_verdict()


def judge(ctx: Context, operations: Sequence[AdmittedOperation]) -> list[Judgement | None]:
    """Allow every movement except those of 13 units, which get no verdict."""
    return [
        Judgement(Allow("no_rule"), (encode(Written("judged", one.movement.amount_units)),))
        if one.movement is not None and one.movement.amount_units != 13
        else None
        for one in operations
    ]


def expire(ctx: Context) -> None:
    """Write what fell due."""
    for (due,), cell in list(ctx.scan(DUE)):
        if int.from_bytes(due, "big") <= ctx.time_ms:
            ctx.delete(DUE, int.from_bytes(due, "big"))
            ctx.put(CELLS, cell, "expired")
            ctx.emit(Written("expired", cell.value))


def speaks(ctx: Context, account: bytes, key: bytes) -> bool:
    """Let the one key speak for Alice and Bob."""
    return key == KEY.public_key and account in (ALICE, BOB)


MODULE = Module(
    "toy",
    messages=(
        MessageSpec(Write, write),
        MessageSpec(Move, move, movement=lambda m: Movement(ALICE, BOB, "eur", m.amount, 0)),
    ),
    events=(Written,),
    tables=(CELLS, DUE),
    series=(LOG,),
    key_speaks=speaks,
    prepare_block=judge,
    end_block=expire,
)


class ToyLedger:
    """A ledger over the toy module, in memory."""

    def __init__(self) -> None:
        """Found it."""
        self.registry = Registry((MODULE,))
        self.ledger = Ledger(self.registry)
        charter = Charter(
            1,
            "toy",
            1_000,
            "for tests",
            (CharterValidator("toy", KEY.public_key, 1),),
            86_400_000,
            (KEY.public_key,),
            (),
            (),
        )
        charter, self.chain_id = open_charter(encode(sign_charter(charter, [KEY])))
        self.state = MemoryState()
        founded = self.ledger.found(charter, self.chain_id, self.state)
        self.state.apply(founded.changes)
        self.head = founded.head

    def body(self, *operations: Message, sequence: int = 1, mode: int = 0, **other: object) -> Body:
        """Return a body of Alice's."""
        fields = {"chain_id": self.chain_id, "sender": ALICE, "lane": 0, "fee": 0}
        fields |= {"valid_until": self.head.height + 10, **other}
        return Body(  # type: ignore[arg-type]
            fields["chain_id"],
            fields["sender"],
            fields["lane"],
            sequence,
            mode,
            fields["fee"],
            fields["valid_until"],
            operations,
        )

    def execute(self, *raws: bytes, valid: Sequence[bool] = (), time_ms: int = 0) -> BlockResult:
        """Execute a block without applying it."""
        return self.ledger.execute(
            self.head,
            self.state,
            Block(
                self.head.height + 1,
                time_ms or self.head.time_ms + 1,
                b"h" * 32,
                b"d" * 32,
                [self.ledger.decode(raw) for raw in raws],
                valid or [True] * len(raws),
            ),
        )

    def run(self, *raws: bytes, **other: object) -> BlockResult:
        """Execute a block and apply it."""
        result = self.execute(*raws, **other)  # type: ignore[arg-type]
        self.state.apply(result.changes)
        self.head = result.head
        return result

    def cell(self, name: str) -> int | None:
        """Return a cell's value."""
        raw = self.state.get(CELLS.key(name))
        return None if raw is None else CELLS.decoder.decode(raw).value


def signed(body: Body) -> bytes:
    """Return the envelope of a body."""
    return sign_transaction(body, KEY)
