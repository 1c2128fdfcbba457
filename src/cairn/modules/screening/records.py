"""Rows and series of screening: confirmed outcomes, and where windows are kept.

The windows themselves are records of `exact.features`, whose tables are declared in `api`, because
declarations import no arithmetic.
"""

from typing import Literal

from cairn.ledger.records import Series, Table
from cairn.primitives.encoding import Record

COMPLIANCE = "compliance"
"""Role that says what a payment turned out to be."""


class Outcome(Record):
    """What a payment turned out to be, as somebody decided last."""

    label: Literal["fraud", "genuine"]
    by: bytes
    decided_ms: int


class OutcomeEntry(Record):
    """Entry of `screening/outcomes`; a later one about the same operation replaces it."""

    transaction_id: bytes
    operation_index: int
    label: Literal["fraud", "genuine"]
    by: bytes


OUTCOMES: Table[Outcome] = Table("screening", "outcome", (bytes, int), Outcome)
OUTCOME_ENTRIES: Series[OutcomeEntry] = Series("screening", "outcomes", (), OutcomeEntry)
