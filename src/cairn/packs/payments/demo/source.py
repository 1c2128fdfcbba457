"""The demo's payments: generated from a seed, or read from somebody's files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from cairn.learning.errors import DatasetError
from cairn.packs.payments.evaluate import DAY_MS, TimeSplit
from cairn.packs.payments.generator import ASSET, GeneratorSettings, generate_payments
from cairn.packs.payments.handbook import FILES
from cairn.packs.payments.mapping import (
    CANONICAL,
    FRAUD_HANDBOOK,
    PaymentMapping,
    load_mapping,
    read_payment_files,
)
from cairn.packs.payments.records import LABEL_UNKNOWN, Integers, Payments
from cairn.primitives.ids import is_name

LIMIT_DEFAULT = 60_000
PAYMENTS_MIN = 1_000
DECIMALS_DEFAULT = 2
"""Amounts given as whole numbers are taken as cents."""
_DAYS = 60
_TERMINALS = 3
"""Of each merchant."""
_RIPEN_DAYS = 7
"""How long labels take, if the data span enough days."""
_WHOLE_DAYS_MIN = 20
"""From so many days on, periods begin at midnight."""
_FRAUDS_MIN = 150
_MAPPING_HINT = (
    "give --mapping FILE, a YAML file that says which column is which, for example "
    "`columns: {tx_id: id, booked_at: when, payer: from, payee: to, "
    "amount_units: {column: amount, kind: decimal, scale: 2}, asset: {constant: eur}, "
    "label: is_fraud}`"
)


@dataclass(frozen=True)
class DemoPayments:
    """Payments of one asset in the order of time, and how their time is split."""

    payments: Payments
    split: TimeSplit
    """The training period, and the stream."""
    evaluation_end_ms: int
    """The evaluation's period begins where training ends; after it, its labels ripen."""
    asset: str
    decimals: int
    is_synthetic: bool
    told: tuple[str, ...]
    """Where they are from, a sentence each."""
    handbook: Path | None = None
    """The folder of the Fraud Detection Handbook's payments, if that is where they are from."""

    @property
    def train_end_row(self) -> int:
        """Row of the first payment after the training period, which is evaluated on."""
        return self._row(self.split.train_end_ms)

    @property
    def evaluation_end_row(self) -> int:
        """Row of the first payment that is neither learned from nor evaluated on."""
        return self._row(self.evaluation_end_ms)

    @property
    def test_row(self) -> int:
        """Row of the first payment of the stream."""
        return self._row(self.split.test_start_ms)

    @property
    def days(self) -> Integers:
        """UTC day of each payment's booking, since the epoch."""
        return self.payments.booked_at // DAY_MS

    def _row(self, time_ms: int) -> int:
        return int(np.searchsorted(self.payments.booked_at, time_ms))

    def money(self, units: int) -> str:
        """Return an amount as people write it."""
        return f"{self.asset.upper()} {units / 10**self.decimals:,.{self.decimals}f}"


def generated(seed: int, limit: int | None) -> DemoPayments:
    """Return synthetic payments of sixty days.

    Raises:
        DatasetError: Fewer are asked for than the demo can learn from.
    """
    wanted = limit or LIMIT_DEFAULT
    _check_enough(wanted)
    settings = GeneratorSettings(
        seed=seed,
        payments=wanted,
        days=_DAYS,
        customers=max(60, wanted // 14),
        merchants=max(20, wanted // 100),
        fraud_share=max(0.012, min(0.05, _FRAUDS_MIN / wanted)),
        terminals=_TERMINALS,
    )
    payments = generate_payments(settings)
    told = (
        f"{len(payments):,} synthetic payments of {_DAYS} days, from seed {seed}: nothing in them "
        "comes from real people, and every name begins with `syn-`",
    )
    return _split(payments, ASSET, DECIMALS_DEFAULT, told, is_synthetic=True)


def read_from(data: Path, mapping: Path | None, limit: int | None, seed: int) -> DemoPayments:
    """Return payments of somebody's file, or of a folder's last files by name.

    If they are more than `limit`, those of some payers are taken, chosen by the seed: so the period
    stays long, and each payer's habits whole.

    Raises:
        DatasetError: There is no such file, it is not as the mapping says, its payments carry no
            labels, or they are too few.
    """
    if not data.exists():
        raise DatasetError(f"there is no file or folder {data}", "check the path after --data")
    used, kind = _mapping(data, mapping)
    wanted = limit or LIMIT_DEFAULT
    _check_enough(wanted)
    try:
        payments = _read(data, used, wanted)
    except DatasetError as error:
        if mapping is not None or kind:
            raise
        raise DatasetError(f"no mapping was given, and {error}", _MAPPING_HINT) from error
    told = [f"Payments of {data.name}, read by {kind or 'their canonical column names'}"]
    if len(payments) > wanted:
        count = len(payments)
        payments = _of_some_payers(payments, wanted, seed)
        told.append(
            f"Of {count:,} payments those of some payers are taken, {len(payments):,} (--limit)"
        )
    payments, asset, dropped = _cleaned(payments)
    if dropped:
        told.append(f"{dropped:,} of them pay nothing, or the payer himself, and are left out")
    amount = used.columns["amount_units"]
    decimals = DECIMALS_DEFAULT if amount.kind == "integer" else amount.scale
    found = _split(payments, asset, decimals, tuple(told), is_synthetic=False)
    is_whole = used is FRAUD_HANDBOOK and all((data / name).is_file() for name in FILES)
    return replace(found, handbook=data) if is_whole else found


def _mapping(data: Path, mapping: Path | None) -> tuple[PaymentMapping, str]:
    """Return how to read the data, and what it is called; nothing for canonical columns."""
    if mapping is not None:
        return load_mapping(mapping), f"the mapping {mapping.name}"
    if data.is_dir() and any(data.glob(FRAUD_HANDBOOK.files)):
        return FRAUD_HANDBOOK, "the built-in mapping of the Fraud Detection Handbook's payments"
    return CANONICAL, ""


def _read(data: Path, mapping: PaymentMapping, wanted: int) -> Payments:
    """Return the payments of a folder's last files, by name, until there are enough."""
    files: Sequence[Path] = [data]
    if data.is_dir():
        files = sorted(path for path in data.glob(mapping.files) if path.is_file())
    if not files:
        raise DatasetError(f"no file in {data} matches {mapping.files!r}", "change `files`")
    for count in range(1, len(files) + 1):
        payments = read_payment_files(files[-count:], mapping)
        if len(payments) >= wanted:
            break
    return payments


def _of_some_payers(payments: Payments, wanted: int, seed: int) -> Payments:
    """Return all payments of as many payers as make up at most `wanted` payments."""
    _, payer, counts = np.unique(
        np.array(payments.payer, object), return_inverse=True, return_counts=True
    )
    order = np.random.default_rng(seed).permutation(len(counts))
    is_taken = np.zeros(len(counts), np.bool_)
    is_taken[order] = np.cumsum(counts[order]) <= wanted
    return payments.select(is_taken[payer])


def _cleaned(payments: Payments) -> tuple[Payments, str, int]:
    """Return the payments that a ledger can carry, their asset, and how many were left out.

    Raises:
        DatasetError: There are several assets, or its name is none; nobody labelled a payment.
    """
    assets = sorted(dict.fromkeys(name.lower() for name in payments.asset))
    if len(assets) != 1 or not is_name(assets[0]):
        raise DatasetError(
            f"the payments are in {len(assets)} assets: {', '.join(assets[:5])}",
            "give a file with one asset, named by a-z 0-9 . _ -",
        )
    if not (payments.label != LABEL_UNKNOWN).any():
        raise DatasetError(
            "no payment says whether it was fraud",
            "a model learns from known cases: map a column of true and false to `label`",
        )
    parties = zip(payments.payer, payments.payee, strict=True)
    pays_others = np.array([payer != payee for payer, payee in parties])
    kept = pays_others & (payments.amount_units > 0)
    dropped = int((~kept).sum())
    return (payments.select(kept) if dropped else payments), assets[0], dropped


def _split(
    payments: Payments, asset: str, decimals: int, told: tuple[str, ...], *, is_synthetic: bool
) -> DemoPayments:
    """Return the payments with their periods.

    Raises:
        DatasetError: A period has too few payments, or lacks fraud or everyday payments.
    """
    _check_enough(len(payments))
    at = _times(int(payments.booked_at[0]), int(payments.booked_at[-1]) + 1)
    if not all(earlier < later for earlier, later in pairwise(at)):
        raise DatasetError("the payments are all of one moment", "give a file of several days")
    periods = (("training", at[1], at[2]), ("evaluation", at[2], at[3]), ("test", at[4], at[5]))
    for word, start, end in periods:
        labels = payments.between(start, end).label
        frauds, others = int((labels == 1).sum()), int((labels == 0).sum())
        if not frauds or not others:
            raise DatasetError(
                f"the {word} period has {frauds} frauds and {others} other labelled payments",
                "both are needed: take more payments with --limit, or another file",
            )
    if not len(payments.between(at[3], at[4])):
        raise DatasetError("there are no payments between training and test", "take more payments")
    split = TimeSplit(at[1], at[2], at[4], at[5])
    return DemoPayments(payments, split, at[3], asset, decimals, is_synthetic, told)


def _times(first: int, last: int) -> list[int]:
    """Return where windows fill, training, evaluation, ripening and stream begin, and the end."""
    at = [first + (last - first) * share // 100 for share in (0, 12, 58, 70, 82, 100)]
    if last - first < _WHOLE_DAYS_MIN * DAY_MS:
        return at
    days = [time // DAY_MS for time in at]
    days[4] = min(days[4], last // DAY_MS - 1)
    days[3] = days[4] - min(_RIPEN_DAYS, days[4] - days[3] + 1)
    days[2] = days[3] - min(_RIPEN_DAYS, days[3] - days[2] + 1)
    return [first, *(day * DAY_MS for day in days[1:5]), last]


def _check_enough(count: int) -> None:
    if count < PAYMENTS_MIN:
        raise DatasetError(
            f"{count:,} payments are too few", f"the demo needs at least {PAYMENTS_MIN:,}"
        )
