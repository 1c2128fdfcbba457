"""Protocol parameters: integers in the state with defaults and bounds, changed by governance."""

from dataclasses import dataclass

from cairn.ledger.records import Table
from cairn.primitives.encoding import Record


class ParameterValue(Record):
    """State row of a parameter that was set; one without a row has its default."""

    value: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """A protocol parameter: `name` is `module.name_with_unit`."""

    name: str
    default: int
    minimum: int
    maximum: int
    help: str


PARAMETERS: Table[ParameterValue] = Table("ledger", "parameter", (str,), ParameterValue)

TRANSACTION_COST_MAX = Parameter(
    "ledger.transaction_cost_max",
    2_000_000,
    1_000,
    10_000_000,
    "Most that one transaction may cost.",
)
SENDER_COST_MAX = Parameter(
    "ledger.sender_cost_max",
    5_000_000,
    1_000,
    1_000_000_000,
    "Most that one sender's transactions may cost within one block.",
)
BLOCK_COST_MAX = Parameter(
    "ledger.block_cost_max",
    5_000_000,
    10_000,
    1_000_000_000,
    "Most that one block's transactions may cost.",
)
OPERATIONS_MAX = Parameter(
    "ledger.operations_max", 256, 1, 4_096, "Most operations in one transaction."
)
VALIDITY_BLOCKS_MAX = Parameter(
    "ledger.validity_blocks_max",
    100_000,
    10,
    10_000_000,
    "How many heights ahead `valid_until` may lie.",
)

LEDGER_PARAMETERS = (
    TRANSACTION_COST_MAX,
    SENDER_COST_MAX,
    BLOCK_COST_MAX,
    OPERATIONS_MAX,
    VALIDITY_BLOCKS_MAX,
)
