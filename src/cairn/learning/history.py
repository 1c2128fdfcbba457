"""Facts about payments as they came to be known, and features recomputed from them.

A fact has two times: the one that it is about (`booked_at_ms`) and the one at which it was on
record (`known_ms`, the time of its block). What is asked as of a time T uses facts known before T
alone, whatever they are about; so a payment that is booked late, or an outcome that is found out
later, never changes an earlier answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from cairn.learning import features
from cairn.learning.errors import DatasetError
from cairn.learning.features import fold_features
from cairn.primitives.ids import ID_SIZE_BYTES

UNKNOWN = -1
GENUINE = 0
FRAUD = 1

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelFact:
    """That somebody found out what a payment was."""

    payment: int
    """Position of the payment among the facts."""
    label: int
    """`FRAUD` or `GENUINE`."""
    known_ms: int


@dataclass(frozen=True)
class Facts:
    """Payments in the order in which they came on record, column by column."""

    names: list[str]
    """By what people name each payment."""
    known_ms: Integers
    booked_at_ms: Integers
    payer: list[bytes]
    payee: list[bytes]
    terminal: list[bytes]
    """Empty where there is none."""
    asset: list[str]
    amount_units: Integers
    labels: tuple[LabelFact, ...] = ()
    """In the order in which they came on record."""
    asserted: dict[int, dict[str, int]] = field(default_factory=dict)
    """By the position of a payment: what its submitter stated."""

    def __post_init__(self) -> None:
        """Check that the columns fit and times do not go back.

        Raises:
            DatasetError: They do not.
        """
        columns = (self.known_ms, self.booked_at_ms, self.payer, self.payee, self.terminal)
        if any(len(column) != len(self) for column in (*columns, self.asset, self.amount_units)):
            raise DatasetError("the columns of the payments have different lengths")
        if (np.diff(self.known_ms) < 0).any():
            raise DatasetError("the payments are not in the order in which they were known")
        known = [label.known_ms for label in self.labels]
        if known != sorted(known):
            raise DatasetError("the labels are not in the order in which they were known")

    def __len__(self) -> int:
        """Return the number of payments."""
        return len(self.names)

    def as_of(self, time_ms: int) -> "Facts":
        """Return what was known before a time."""
        count = int(np.searchsorted(self.known_ms, time_ms))
        return Facts(
            names=self.names[:count],
            known_ms=self.known_ms[:count],
            booked_at_ms=self.booked_at_ms[:count],
            payer=self.payer[:count],
            payee=self.payee[:count],
            terminal=self.terminal[:count],
            asset=self.asset[:count],
            amount_units=self.amount_units[:count],
            labels=tuple(label for label in self.labels if label.known_ms < time_ms),
            asserted={at: stated for at, stated in self.asserted.items() if at < count},
        )

    def last_labels(self) -> Integers:
        """Return what each payment was found to be last, `UNKNOWN` where nobody said."""
        labels = np.full(len(self), UNKNOWN, np.int64)
        for fact in self.labels:
            if fact.payment < len(self):
                labels[fact.payment] = fact.label
        return labels

    def between(self, from_ms: int, until_ms: int) -> NDArray[np.bool_]:
        """Return which payments were booked in [from_ms, until_ms)."""
        found: NDArray[np.bool_] = (self.booked_at_ms >= from_ms) & (self.booked_at_ms < until_ms)
        return found


def facts_of_columns(
    names: Sequence[str],
    booked_at_ms: Sequence[int],
    parties: tuple[Sequence[str], Sequence[str], Sequence[str]],
    amounts: tuple[Sequence[str], Sequence[int]],
    labels: Sequence[int],
) -> Facts:
    """Return facts of a file of payments in the order of their time.

    Each payment counts as known when it was booked, and so does its label: features look at labels
    only after their delay, so that it makes no difference when within the delay one was known.

    Args:
        names: By what each payment is named.
        booked_at_ms: Non-decreasing.
        parties: Payers, payees and terminals, by any names; an empty text is no terminal.
        amounts: Assets and amounts in units.
        labels: `FRAUD`, `GENUINE` or `UNKNOWN`.
    """
    times = np.asarray(booked_at_ms, np.int64)
    payers, payees, terminals = parties
    known: dict[str, bytes] = {"": b""}
    facts = [
        LabelFact(at, label, int(times[at])) for at, label in enumerate(labels) if label != UNKNOWN
    ]
    return Facts(
        names=list(names),
        known_ms=times,
        booked_at_ms=times,
        payer=[_identity(known, name) for name in payers],
        payee=[_identity(known, name) for name in payees],
        terminal=[_identity(known, name) for name in terminals],
        asset=list(amounts[0]),
        amount_units=np.asarray(amounts[1], np.int64),
        labels=tuple(facts),
    )


def fold_history(facts: Facts, names: tuple[str, ...], wanted: NDArray[np.bool_]) -> Integers:
    """Return features of the wanted payments, the same bits as in the receipts of their blocks.

    Each asset has windows of its own. A label counts for payments that were known after it.

    Args:
        facts: The payments from the first one on.
        names: Entries of `exact.features.FEATURES`, the columns.
        wanted: For each payment whether a row is wanted.
    """
    rows = np.empty((len(facts), len(names)), np.int64)
    for asset in dict.fromkeys(facts.asset):
        places = [at for at, one in enumerate(facts.asset) if one == asset]
        first = next((at for at, place in enumerate(places) if wanted[place]), len(places))
        number = {place: at for at, place in enumerate(places)}
        rows[places[first:]] = fold_features(
            facts.booked_at_ms[places],
            [facts.payer[place] for place in places],
            [facts.payee[place] for place in places],
            facts.amount_units[places],
            terminal=[facts.terminal[place] for place in places],
            label_facts=[
                features.LabelFact(number[one.payment], one.known_ms, one.label == FRAUD)
                for one in facts.labels
                if one.payment in number
            ],
            counted_at_ms=facts.known_ms[places],
            names=names,
            start=first,
        )
    return rows[wanted]


def _identity(known: dict[str, bytes], name: str) -> bytes:
    """Return an id for a name of a file; only whether two are the same matters."""
    found = known.get(name)
    if found is None:
        found = known[name] = sha256(name.encode()).digest()[:ID_SIZE_BYTES]
    return found
