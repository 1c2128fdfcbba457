"""Rows and series of screening: attempts that windows counted, and confirmed outcomes.

The windows themselves are records of `exact.windows`, whose tables are declared in `windows.py`,
because declarations import no arithmetic.
"""

from typing import Literal

from cairn.ledger.records import Series, Table
from cairn.primitives.encoding import Record

COMPLIANCE = "compliance"
"""Role that says what a payment turned out to be."""

Label = Literal["fraud", "genuine"]


class AttemptEntry(Record):
    """Entry of `screening/attempts`: a movement that windows counted, whatever became of it."""

    transaction_id: bytes
    operation_index: int
    payer: bytes
    payee: bytes
    terminal: bytes
    """Empty if there is none."""
    asset: str
    amount_units: int
    booked_at_ms: int
    """Time at which windows counted it: as stated, but not after the block's own."""


class Outcome(Record):
    """What a payment turned out to be, as somebody decided last."""

    attempt: int
    """Its position in `screening/attempts`."""
    label: Label
    by: bytes
    decided_ms: int


class OutcomeEntry(Record):
    """Entry of `screening/outcomes`; a later one about the same attempt replaces it."""

    attempt: int
    transaction_id: bytes
    operation_index: int
    label: Label
    by: bytes


OUTCOMES: Table[Outcome] = Table("screening", "outcome", (bytes, int), Outcome)
ATTEMPTS: Series[AttemptEntry] = Series("screening", "attempts", (), AttemptEntry)
OUTCOME_ENTRIES: Series[OutcomeEntry] = Series("screening", "outcomes", (), OutcomeEntry)
