"""What the holds were worth, beside the two-line rule, and that no money was lost or made."""

from dataclasses import dataclass

import numpy as np

from cairn.learning.metrics import AlertQuality, at_budget
from cairn.modules.bank.records import ASSETS, BALANCES
from cairn.packs.payments.demo.bank import COMPLIANCE, DemoBank
from cairn.packs.payments.demo.model import Evaluated
from cairn.packs.payments.demo.rule import REAL_HOURS
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.demo.stream import Held, Stream
from cairn.packs.payments.records import LABEL_UNKNOWN

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Quality:
    """The test period in numbers."""

    held: AlertQuality
    """The holds, among payments of known fate."""
    baseline: AlertQuality
    """The two-line rule, with as many alerts."""
    stopped_units: int
    """Amount of the frauds that were held."""
    fraud_units: int
    """Amount of all frauds."""
    wrong_units: int
    """Amount of the payments that were held and were genuine."""
    wrong_unit_hours: float
    """Amount times hours of wrong holds, on the demo's clock."""
    wrong_unit_hours_real: float
    """The same if each had lasted as long as the rule allows in earnest."""


@dataclass(frozen=True, slots=True)
class Money:
    """All units of the asset, by pocket."""

    supply_units: int
    available_units: int
    held_units: int
    escrowed_units: int

    @property
    def is_conserved(self) -> bool:
        """Whether the pockets add up to what was issued."""
        return self.supply_units == self.available_units + self.held_units + self.escrowed_units


def measure(data: DemoPayments, evaluated: Evaluated, stream: Stream) -> Quality:
    """Return how good the holds were, from when the rule acted; those on the other rail count."""
    live = data.payments.select(np.arange(data.test_row + stream.live_row, len(data.payments)))
    known = live.select(live.label != LABEL_UNKNOWN)
    labels = data.payments.label[data.test_row :]
    held = [one for one in stream.stopped if labels[one.row] != LABEL_UNKNOWN]
    wrong = [one for one in held if not one.is_fraud]
    found = [one for one in held if one.is_fraud]
    hours = [
        one.amount_units * (one.decided_ms - one.placed_ms) / _HOUR_MS
        for one in wrong
        if isinstance(one, Held) and one.decided_ms
    ]
    return Quality(
        AlertQuality(len(held), len(found), int((known.label == 1).sum())),
        at_budget(known.label, evaluated.comparison.rule_numbers.ranking(known), len(held)),
        sum(one.amount_units for one in found),
        int(known.amount_units[known.label == 1].sum()),
        sum(one.amount_units for one in wrong),
        sum(hours),
        float(sum(one.amount_units for one in wrong) * REAL_HOURS),
    )


def count_money(bank: DemoBank, asset: str) -> Money:
    """Return all units of an asset on the ledger, by pocket."""
    reader = bank.client(COMPLIANCE)
    balances = [row.record for row in reader.scan(BALANCES)]
    return Money(
        reader.require(ASSETS, asset).supply_units,
        sum(balance.available for balance in balances),
        sum(balance.held for balance in balances),
        sum(balance.escrowed for balance in balances),
    )
