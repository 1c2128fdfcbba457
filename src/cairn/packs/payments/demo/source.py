"""The demo's payments: generated from a seed, or read from somebody's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cairn.learning.errors import DatasetError
from cairn.packs.payments.evaluate import DAY_MS, TimeSplit
from cairn.packs.payments.generator import ASSET, GeneratorSettings, generate_payments
from cairn.packs.payments.mapping import (
    CANONICAL,
    FRAUD_HANDBOOK,
    PaymentMapping,
    load_mapping,
    read_payment_files,
)
from cairn.packs.payments.records import LABEL_UNKNOWN, Payments
from cairn.primitives.ids import is_name

LIMIT_DEFAULT = 60_000
PAYMENTS_MIN = 1_000
DECIMALS_DEFAULT = 2
"""Amounts given as whole numbers are taken as cents."""
_DAYS = 60
_QUIET_DAYS = 6
"""The generator's last days, in which no new fraud begins."""
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
    asset: str
    decimals: int
    is_synthetic: bool
    told: tuple[str, ...]
    """Where they are from, a sentence each."""

    @property
    def test_row(self) -> int:
        """Row of the first payment of the test period."""
        return int(np.searchsorted(self.payments.booked_at, self.split.test_start_ms))

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
    count = wanted * (_DAYS + _QUIET_DAYS) // _DAYS
    settings = GeneratorSettings(
        seed=seed,
        payments=count,
        days=_DAYS + _QUIET_DAYS,
        customers=max(60, count // 14),
        merchants=max(20, count // 100),
        fraud_share=max(0.012, min(0.05, _FRAUDS_MIN / count)),
    )
    whole = generate_payments(settings)
    payments = whole.between(settings.start_ms, settings.start_ms + _DAYS * DAY_MS)
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
    return _split(payments, asset, decimals, tuple(told), is_synthetic=False)


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
    """Return the payments with their periods: windows fill, training, labels ripen, test.

    Raises:
        DatasetError: A period has too few payments, or lacks fraud or everyday payments.
    """
    _check_enough(len(payments))
    first, last = int(payments.booked_at[0]), int(payments.booked_at[-1]) + 1
    at = [first + (last - first) * share // 100 for share in (8, 68, 78)]
    if not first < at[0] < at[1] < at[2] < last:
        raise DatasetError("the payments are all of one moment", "give a file of several days")
    split = TimeSplit(at[0], at[1], at[2], last)
    for word, start, end in (("training", at[0], at[1]), ("test", at[2], last)):
        labels = payments.between(start, end).label
        frauds, others = int((labels == 1).sum()), int((labels == 0).sum())
        if not frauds or not others:
            raise DatasetError(
                f"the {word} period has {frauds} frauds and {others} other labelled payments",
                "both are needed: take more payments with --limit, or another file",
            )
    if not len(payments.between(at[1], at[2])):
        raise DatasetError("there are no payments between training and test", "take more payments")
    return DemoPayments(payments, split, asset, decimals, is_synthetic, told)


def _check_enough(count: int) -> None:
    if count < PAYMENTS_MIN:
        raise DatasetError(
            f"{count:,} payments are too few", f"the demo needs at least {PAYMENTS_MIN:,}"
        )
