"""Payments in memory and the canonical columns of a payments file."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.tables import Table, Value

Integers = NDArray[np.int64]

LABEL_UNKNOWN = -1

PAYMENT_SCHEMA = Schema(
    columns=(
        Column("tx_id", Kind.TEXT),
        Column("booked_at", Kind.TIMESTAMP),
        Column("payer", Kind.TEXT),
        Column("payee", Kind.TEXT),
        Column("amount_units", Kind.INTEGER),
        Column("asset", Kind.TEXT),
        Column("label", Kind.BOOLEAN, nullable=True),
        Column("scenario", Kind.TEXT, nullable=True),
    ),
    subject="payer",
)
"""The canonical columns; a row is about its payer."""

TERMINAL_SCHEMA = Schema(
    columns=(*PAYMENT_SCHEMA.columns, Column("terminal", Kind.TEXT, nullable=True)),
    subject="payer",
)
"""The same of payments where it is known at which terminal they were made."""


LEARNING_SCHEMA = Schema(
    columns=tuple(one for one in TERMINAL_SCHEMA.columns if one.name != "scenario"),
    subject="payer",
)
"""What a model may learn from: with terminals, without the scenario."""


@dataclass(frozen=True)
class Payments:
    """Payments in the order of `booked_at`, column by column."""

    tx_id: list[str]
    booked_at: Integers
    """Milliseconds since the epoch, non-decreasing."""
    payer: list[str]
    payee: list[str]
    amount_units: Integers
    asset: list[str]
    label: Integers
    """1 fraud, 0 legitimate, `LABEL_UNKNOWN`."""
    scenario: list[str]
    """Which known pattern a fraud belongs to; empty for the others and where nobody knows."""
    terminal: list[str] = field(default_factory=list)
    """Where each was made, empty for nowhere; an empty list if that is known of none."""

    def __len__(self) -> int:
        """Return the number of payments."""
        return len(self.tx_id)

    def select(self, rows: NDArray[np.bool_] | Integers) -> "Payments":
        """Return the payments of a mask, or of increasing row numbers."""
        numbers = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        picked = numbers.tolist()
        return Payments(
            tx_id=[self.tx_id[row] for row in picked],
            booked_at=self.booked_at[numbers],
            payer=[self.payer[row] for row in picked],
            payee=[self.payee[row] for row in picked],
            amount_units=self.amount_units[numbers],
            asset=[self.asset[row] for row in picked],
            label=self.label[numbers],
            scenario=[self.scenario[row] for row in picked],
            terminal=[self.terminal[row] for row in picked] if self.terminal else [],
        )

    def between(self, start_ms: int, end_ms: int) -> "Payments":
        """Return the payments with `booked_at` in [start_ms, end_ms)."""
        first, last = np.searchsorted(self.booked_at, (start_ms, end_ms))
        return self.select(np.arange(first, last))


def table_of(payments: Payments) -> Table:
    """Return `payments` as a table with the canonical columns, terminals only if they have any."""
    labels = [None if label == LABEL_UNKNOWN else bool(label) for label in payments.label.tolist()]
    columns: tuple[list[Value], ...] = (
        list(payments.tx_id),
        payments.booked_at.tolist(),
        list(payments.payer),
        list(payments.payee),
        payments.amount_units.tolist(),
        list(payments.asset),
        list(labels),
        [scenario or None for scenario in payments.scenario],
    )
    if not payments.terminal:
        return Table(PAYMENT_SCHEMA, columns, len(payments))
    terminals: list[Value] = [terminal or None for terminal in payments.terminal]
    return Table(TERMINAL_SCHEMA, (*columns, terminals), len(payments))


def learning_table(payments: Payments) -> Table:
    """Return `payments` as a table with the columns of `LEARNING_SCHEMA`."""
    whole = table_of(payments)
    columns = dict(zip(whole.schema.names, whole.columns, strict=True))
    columns.setdefault("terminal", [None] * len(payments))
    found = tuple(columns[name] for name in LEARNING_SCHEMA.names)
    return Table(LEARNING_SCHEMA, found, len(payments))


def payments_of(table: Table) -> Payments:
    """Return the payments of a table with the canonical columns, sorted by time (stable).

    The scenario may be left out, as it has to be of what a model learns from: it tells the label.
    """
    names = [name for name in PAYMENT_SCHEMA.names if name != "scenario"]
    tx_id, booked_at, payer, payee, amount_units, asset, label = map(table.column, names)
    scenario = table.column("scenario") if "scenario" in table.schema.names else [None] * len(label)
    terminal = table.column("terminal") if "terminal" in table.schema.names else []
    labels = [LABEL_UNKNOWN if value is None else int(value) for value in label]
    unsorted = Payments(
        tx_id=[str(value) for value in tx_id],
        booked_at=np.array(booked_at, np.int64),
        payer=[str(value) for value in payer],
        payee=[str(value) for value in payee],
        amount_units=np.array(amount_units, np.int64),
        asset=[str(value) for value in asset],
        label=np.array(labels, np.int64),
        scenario=["" if value is None else str(value) for value in scenario],
        terminal=["" if value is None else str(value) for value in terminal],
    )
    order = np.argsort(unsorted.booked_at, kind="stable")
    if np.array_equal(order, np.arange(len(order))):
        return unsorted
    return unsorted.select(order.astype(np.int64))
