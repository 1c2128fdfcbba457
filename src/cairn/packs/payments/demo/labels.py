"""What payments turned out to be, put on record when it becomes known: a week after the booking.

Which frauds a payment's features may know is part of their definition: those booked seven days and
more before it. So they have to be on record by then, and it makes no difference if one is earlier.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from cairn.exact.windows import LABEL_DELAY_DAYS
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.screening.messages import RecordOutcome
from cairn.modules.screening.records import OUTCOME_ENTRIES
from cairn.modules.training.records import OUTCOMES, LabelRange
from cairn.packs.payments.demo.bank import COMPLIANCE, DemoBank
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.records import LABEL_UNKNOWN
from cairn.primitives.encoding import replace

LABELS_PER_SIGNATURE = 100


def spans(data: DemoPayments, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the rows [start, end) in parts of at most `size` rows, none as long as labels take."""
    days = data.days
    while start < end:
        last_day = int(days[start]) + LABEL_DELAY_DAYS
        stop = min(end, start + size, int(np.searchsorted(days, last_day)))
        yield start, stop
        start = stop


class LabelDesk:
    """Compliance's desk: knows the attempts of the payments, and puts their labels on record."""

    def __init__(self, bank: DemoBank, data: DemoPayments) -> None:
        """Know of no payment yet."""
        self._bank = bank
        self._data = data
        self._labels: list[int] = data.payments.label.tolist()
        self._is_told = np.zeros(len(data.payments), np.bool_)
        self._next = 0
        self.attempts: list[int] = []
        """Position in `screening/attempts` of each payment so far, by row."""
        self.recorded = 0

    @property
    def size(self) -> int:
        """How many outcomes are on record."""
        return self._bank.client(COMPLIANCE).series_size(OUTCOME_ENTRIES)

    def record_due(self, day: int) -> None:
        """Record what has to be known for payments of a day.

        Of payments before the stream these are the frauds alone, and none of those on which the
        model is evaluated: their labels come after the plan. Of the stream every label comes.
        """
        data = self._data
        end = min(int(np.searchsorted(data.days, day - LABEL_DELAY_DAYS + 1)), len(self.attempts))
        due = [row for row in range(self._next, end) if self._is_wanted(row)]
        self._next = max(self._next, end)
        self.record(due)

    def record_rest(self) -> int:
        """Record all labels of the stream that are left, a week later; return how many."""
        before = self.recorded
        self.record(row for row in range(self._next, len(self.attempts)) if self._is_wanted(row))
        return self.recorded - before

    def ranges_of_stream(self) -> tuple[LabelRange, ...]:
        """Return where the labels of the stream stand among all outcomes."""
        first = self.attempts[self._data.test_row]
        ranges: list[LabelRange] = []
        for at, entry in enumerate(self._bank.client(COMPLIANCE).series(OUTCOME_ENTRIES)):
            if entry.record.attempt < first:
                continue
            if ranges and ranges[-1].end == at:
                ranges[-1] = replace(ranges[-1], end=at + 1)
            else:
                ranges.append(LabelRange(OUTCOMES, at, at + 1))
        return tuple(ranges)

    def message(self, row: int) -> RecordOutcome | None:
        """Return the message about one payment, which then counts as told; None if unknown."""
        label = self._labels[row]
        if label == LABEL_UNKNOWN or self._is_told[row]:
            return None
        self._is_told[row] = True
        self.recorded += 1
        return RecordOutcome(self.attempts[row], "fraud" if label == 1 else "genuine")

    def record(self, rows: Iterable[int]) -> None:
        """Record what the payments of rows turned out to be, those told before left out."""
        messages = [message for row in rows if (message := self.message(row)) is not None]
        parts = [
            messages[start : start + LABELS_PER_SIGNATURE]
            for start in range(0, len(messages), LABELS_PER_SIGNATURE)
        ]
        for final in self._bank.client(COMPLIANCE).submit_many(parts, mode=INDEPENDENT):
            final.check()

    def _is_wanted(self, row: int) -> bool:
        data = self._data
        if row >= data.test_row:
            return True
        is_evaluated = data.train_end_row <= row < data.evaluation_end_row
        return self._labels[row] == 1 and not is_evaluated
