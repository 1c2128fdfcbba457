"""The registration of modules: messages, handlers, hooks, parameters and invariants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cairn.ledger.changes import StateReader
from cairn.ledger.hooks import (
    AfterOperations,
    ChargeFee,
    EndBlock,
    KeySpeaks,
    Movement,
    MovementPrice,
    NextDue,
    PrepareBlock,
    PriceBlock,
)
from cairn.ledger.messages import Event, Message, union_of
from cairn.ledger.parameters import LEDGER_PARAMETERS, Parameter
from cairn.ledger.records import Series, Table
from cairn.ledger.transactions import Body, body_decoder
from cairn.primitives.encoding import Decoder, Record

OPERATION_COST = 100
"""Cost of a plain operation; handlers that do more declare more."""


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """One message of a module, how it is handled and what it costs.

    The cost pays for the most that the handler does in any state. What depends on the state is
    charged beside it: judging a movement by the `movement_price` hook, and a message that is
    `priced` by the `price_block` hook.

    `movement` says what value the message wants to move, from the message alone; such a message
    gets its verdict from `prepare_block`. A message that moves value after a person's decision
    (releasing a hold, settling an escrow, issuing) has `allow` instead: the basis of a standing
    `Allow` verdict.
    """

    message: type[Message]
    handler: Callable[..., None]
    cost: int | Callable[[Any], int] = OPERATION_COST
    movement: Callable[[Any], Movement] | None = None
    allow: str | None = None
    priced: bool = False


@dataclass(frozen=True, slots=True)
class Invariant:
    """A law that the state keeps.

    `full` walks all rows. `incremental`, where there is one, gets the rows that one block changed
    (key to old and new record, of the tables named) and is run every N blocks.
    Both raise `InvariantError`.
    """

    name: str
    full: Callable[[StateReader], None]
    tables: tuple[Table[Any], ...] = ()
    incremental: Callable[[Mapping[bytes, tuple[Any, Any]]], None] | None = None


@dataclass(frozen=True, slots=True)
class Module:
    """Everything that the ledger knows of a module."""

    name: str
    messages: tuple[MessageSpec, ...] = ()
    events: tuple[type[Event], ...] = ()
    tables: tuple[Table[Any], ...] = ()
    series: tuple[Series[Any], ...] = ()
    parameters: tuple[Parameter, ...] = ()
    invariants: tuple[Invariant, ...] = ()
    genesis: Callable[..., None] | None = None
    """`genesis(ctx, section)`: writes the first rows from the module's section of the charter."""
    genesis_section: type[Record] | None = None
    movement_price: MovementPrice | None = None
    price_block: PriceBlock | None = None
    prepare_block: PrepareBlock | None = None
    after_operations: AfterOperations | None = None
    end_block: EndBlock | None = None
    next_due: NextDue | None = None
    key_speaks: KeySpeaks | None = None
    charge_fee: ChargeFee | None = None


@dataclass(slots=True)
class Registry:
    """The modules of one ledger, in order, and what follows from them."""

    modules: tuple[Module, ...]
    specs: dict[type[Message], MessageSpec] = field(init=False)
    parameters: dict[str, Parameter] = field(init=False)
    tables: dict[bytes, Table[Any]] = field(init=False)
    body_decoder: Decoder[Body] = field(init=False)
    event_decoder: Decoder[Event] = field(init=False)

    def __post_init__(self) -> None:
        """Build the look-ups; a name or tag that is used twice is a programmer's error."""
        specs = [spec for module in self.modules for spec in module.messages]
        self.specs = {spec.message: spec for spec in specs}
        assert len(self.specs) == len(specs), "a message is registered twice"
        parameters = [*LEDGER_PARAMETERS, *(p for m in self.modules for p in m.parameters)]
        self.parameters = {parameter.name: parameter for parameter in parameters}
        assert len(self.parameters) == len(parameters), "a parameter is declared twice"
        declared = [table for module in self.modules for table in module.tables]
        declared += [series.table for module in self.modules for series in module.series]
        self.tables = {table.prefix: table for table in declared}
        assert len(self.tables) == len(declared), "a table is declared twice"
        self.body_decoder = body_decoder(list(self.specs))
        events = [event for module in self.modules for event in module.events]
        self.event_decoder = Decoder(union_of(events))

    def hook(self, name: str) -> Callable[..., Any] | None:
        """Return the one hook of this name among the modules, or None if no module has it."""
        found = [hook for module in self.modules if (hook := getattr(module, name)) is not None]
        assert len(found) <= 1, f"two modules register {name}"
        return found[0] if found else None

    def hooks(self, name: str) -> Sequence[Callable[..., Any]]:
        """Return the hooks of this name, in the modules' order."""
        return [hook for module in self.modules if (hook := getattr(module, name)) is not None]
