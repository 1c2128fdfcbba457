"""The rule that a model has to beat: a payment above an amount, else the n-th within an hour.

when amount > A then alert
when the payer pays for the n-th time within an hour then alert
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.packs.payments.records import Integers, Payments

HOUR_MS = 3_600_000

_COUNTS = (3, 4, 5, 6, 8)
_RARE = 1 << 62


@dataclass(frozen=True)
class TwoLineRule:
    """The two lines with their numbers."""

    amount_units: int
    """Alert above this amount."""
    count_in_hour: int
    """Alert at this payment of one payer within an hour, itself included."""

    def alerts(self, payments: Payments) -> NDArray[np.bool_]:
        """Return whether the rule raises an alert, for each payment."""
        counts = counts_in_hour(payments)
        above: NDArray[np.bool_] = payments.amount_units > self.amount_units
        return above | (counts >= self.count_in_hour)

    def ranking(self, payments: Payments) -> NDArray[np.float64]:
        """Return a score that puts alerts first and larger amounts above smaller ones."""
        amounts = payments.amount_units.astype(np.float64)
        shares: NDArray[np.float64] = amounts / (amounts.max() + 1.0)
        return shares + self.alerts(payments)


def counts_in_hour(payments: Payments) -> Integers:
    """Return how often the payer paid in the hour up to each payment, itself included."""
    recent: dict[str, list[int]] = {}
    counts = np.zeros(len(payments), np.int64)
    times = payments.booked_at.tolist()
    for row, (time, payer) in enumerate(zip(times, payments.payer, strict=True)):
        window = [moment for moment in recent.get(payer, ()) if moment > time - HOUR_MS]
        window.append(time)
        recent[payer] = window
        counts[row] = len(window)
    return counts


def fit_rule(payments: Payments, alert_share: float) -> TwoLineRule:
    """Return the rule that finds most fraud in `payments` with at most this share of alerts.

    Args:
        payments: The period that the model is trained on, with labels.
        alert_share: Largest share of payments that may be alerted on, between 0 and 1.
    """
    counts = counts_in_hour(payments)
    budget = int(len(payments) * alert_share)
    fraud = payments.label == 1
    best, best_found = TwoLineRule(int(payments.amount_units.max(initial=0)), _RARE), -1
    for count in (*_COUNTS, _RARE):
        often = counts >= count
        left = budget - int(often.sum())
        if left < 0:
            continue
        rest = np.sort(payments.amount_units[~often])[::-1]
        amount = int(rest[left]) if left < len(rest) else 0
        found = int((fraud & (often | (payments.amount_units > amount))).sum())
        if found > best_found:
            best, best_found = TwoLineRule(amount, count), found
    return best
