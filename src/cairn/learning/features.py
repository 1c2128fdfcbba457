"""Training features from payments and labels: the same exact fold that runs inside blocks.

A label counts from `LABEL_DELAY_DAYS` calendar days after the day of the payment's booking on, in
blocks as here. So a data file that has only a column of labels, and not when each became known, is
folded as if each was known at the beginning of that day: that gives the same features as knowing
them at once, because the definition of features leaves earlier ones out.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cairn.exact.features import FEATURES, SIDES, Vector, extractor
from cairn.exact.windows import ABSENT, EMPTY, Window, add, advance, relabel, tag_of
from cairn.learning.errors import TrainingError
from cairn.primitives.hashes import sha256

FeatureMatrix = NDArray[np.int64]
"""One row per payment, one column per feature."""

Integers = Sequence[int] | NDArray[np.int64]
Name = str | bytes

_CHUNK_ROWS = 4096


class LabelFact(NamedTuple):
    """What a payment turned out to be, and when that was put on record."""

    payment: int
    """Its number among the payments."""
    labelled_at_ms: int
    """It counts for payments after this time."""
    is_fraud: bool
    """A later fact about the same payment replaces an earlier one."""


def fold_features(
    booked_at_ms: Integers,
    payer: Sequence[Name],
    payee: Sequence[Name],
    amount_units: Integers,
    *,
    terminal: Sequence[Name] = (),
    labels: Integers = (),
    label_facts: Sequence[LabelFact] = (),
    counted_at_ms: Integers = (),
    names: Sequence[str] = FEATURES,
    start: int = 0,
) -> FeatureMatrix:
    """Return the features of the payments from number `start` on; those before only fill windows.

    Args:
        booked_at_ms: Time of each payment, in the order in which they are counted.
        payer: Who pays; as payer an account has one window.
        payee: Who is paid; as payee an account has another.
        amount_units: Above 0.
        terminal: Where each was paid, an empty name for nowhere; nothing if none is known.
        labels: For each payment 1 if it is fraud, where no more is known.
        label_facts: Instead of `labels`, when which label was put on record.
        counted_at_ms: When each was counted (its block's time), which says what labels came before;
            without it, the latest booking time so far.
        names: Features to return, the columns; what they do not need is not folded.
        start: First payment to return a row for.

    Raises:
        TrainingError: The columns have different lengths, a feature is unknown, or a label is on
            record before its payment.
    """
    count = len(booked_at_ms)
    columns = (payer, payee, amount_units, *(c for c in (terminal, counted_at_ms) if len(c)))
    if any(len(column) != count for column in columns) or len(labels) not in (0, count):
        raise TrainingError("the columns of the payments have different lengths")
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise TrainingError(f"{unknown[0]!r} is no feature", "known: " + ", ".join(FEATURES))
    times = _integers(booked_at_ms)
    fold = _Fold(times, (payer, payee, terminal or ("",) * count), tuple(names))
    if label_facts:
        fold.expect(label_facts, _integers(counted_at_ms) or list(accumulate(times, max)))
    vectors = fold.vectors(_integers(amount_units), _integers(labels), start)
    rows = np.empty((max(0, count - start), len(names)), np.int64)
    for first in range(0, len(rows), _CHUNK_ROWS):
        size = min(_CHUNK_ROWS, len(rows) - first)
        rows[first : first + size] = [next(vectors) for _ in range(size)]
    return rows


class _Fold:
    """The windows of all accounts and terminals while payments pass through them."""

    def __init__(
        self, times: list[int], parties: Sequence[Sequence[Name]], names: tuple[str, ...]
    ) -> None:
        self._times = times
        self._parties = parties
        self._extract = extractor(names)
        self._windows: tuple[dict[Name, Window], ...] = ({}, {}, {})
        self._is_used = [any(side in name for name in names) for side in SIDES]
        self._is_used[0] |= "pair_first_seen" in names
        self._facts: list[tuple[int, int, int]] = []
        self._counted: list[int] = []

    def expect(self, facts: Sequence[LabelFact], counted_at_ms: list[int]) -> None:
        """Take the labels that will become known, and the times that decide before which payment.

        Raises:
            TrainingError: A label is on record before its payment.
        """
        known: dict[int, bool] = {}
        for fact in sorted(facts, key=itemgetter(1)):
            if fact.labelled_at_ms < counted_at_ms[fact.payment]:
                raise TrainingError(f"payment {fact.payment} is labelled before it is counted")
            change = int(fact.is_fraud) - int(known.get(fact.payment, False))
            known[fact.payment] = fact.is_fraud
            if change:
                self._facts.append((fact.labelled_at_ms, fact.payment, change))
        self._counted = counted_at_ms

    def vectors(self, amounts: list[int], frauds: list[int], start: int) -> Iterator[Vector]:
        """Pass all payments through; yield the features of those from `start` on."""
        payers, payees, terminals = self._windows
        on_payer, on_payee, on_terminal = self._is_used
        tags = _Tags()
        extract = self._extract
        upcoming = iter([*self._facts, None])
        fact = next(upcoming)
        facts = zip(self._times, *self._parties, amounts, strict=True)
        for number, (time, payer, payee, place, amount) in enumerate(facts):
            while fact is not None and fact[0] < self._counted[number]:
                self._relabel(fact[1], fact[2])
                fact = next(upcoming)
            payer_tag, payee_tag = tags[payer], tags[payee]
            sent = received = EMPTY
            spot = ABSENT
            if on_payer:
                sent = advance(payers.get(payer, EMPTY), time)
                payers[payer] = add(sent, time, amount, payee_tag)
            if on_payee:
                received = advance(payees.get(payee, EMPTY), time)
                payees[payee] = add(received, time, amount, payer_tag)
            if place and on_terminal:
                spot = advance(terminals.get(place, EMPTY), time)
                terminals[place] = add(spot, time, amount, payer_tag)
            if frauds and frauds[number] == 1:
                self._relabel(number, 1)
            if number >= start:
                yield extract(sent, received, spot, amount, time, payee_tag)

    def _relabel(self, number: int, change: int) -> None:
        """Change how many frauds the windows of a payment's parties hold."""
        for windows, parties in zip(self._windows, self._parties, strict=True):
            window = windows.get(parties[number])
            if window is not None:
                windows[parties[number]] = relabel(window, self._times[number], change)


class _Tags(dict[Name, bytes]):
    """Tags of names: of an account's id as in blocks, of a name of the file from its hash."""

    def __missing__(self, name: Name) -> bytes:
        tag = self[name] = tag_of(name if isinstance(name, bytes) else sha256(name.encode()))
        return tag


def _integers(values: Iterable[int]) -> list[int]:
    """Return Python's integers, which know no overflow."""
    return values.tolist() if isinstance(values, np.ndarray) else list(values)
