"""Synthetic payments: the same from the same seed, labelled, and shaped as they claim."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cairn.learning.tables import read_table
from cairn.packs.payments.generator import (
    DAY_MS,
    HOUR_MS,
    REPORTING_LIMIT_UNITS,
    GeneratorSettings,
    generate_payments,
    write_payments,
)
from cairn.packs.payments.records import PAYMENT_SCHEMA, Payments, payments_of, table_of

SETTINGS = GeneratorSettings(
    seed=5, payments=12_000, customers=800, merchants=120, fraud_share=0.04
)
SCENARIOS = ["cycle", "fan_in", "fan_out", "mule", "stolen_card", "terminal"]


@pytest.fixture(scope="module")
def payments() -> Payments:
    return generate_payments(SETTINGS)


def test_the_same_seed_gives_the_same_payments(payments: Payments) -> None:
    again = table_of(generate_payments(SETTINGS))
    assert again == table_of(payments)
    other = generate_payments(GeneratorSettings(seed=6, payments=12_000))
    assert other.booked_at.tolist() != payments.booked_at.tolist()


def test_everything_is_marked_as_synthetic(payments: Payments) -> None:
    for names in (payments.tx_id, payments.payer, payments.payee):
        assert all(name.startswith("syn-") for name in names)


def test_merchants_have_terminals_and_nothing_else_changes(payments: Payments) -> None:
    found = generate_payments(replace(SETTINGS, terminals=3))
    assert table_of(replace(found, terminal=[])) == table_of(payments)
    for payee, terminal in zip(found.payee, found.terminal, strict=True):
        assert (terminal[:-3] == payee) if payee.startswith("syn-m") else not terminal
    assert {name[-3:] for name in found.terminal} == {"", "-t0", "-t1", "-t2"}
    bad = [t for t, s in zip(found.terminal, found.scenario, strict=True) if s == "terminal"]
    assert {name[-3:] for name in bad} == {"-t0"}


def test_form_and_ranges(payments: Payments) -> None:
    assert len(payments) == SETTINGS.payments
    assert len(set(payments.tx_id)) == len(payments)
    assert (np.diff(payments.booked_at) >= 0).all()
    assert payments.booked_at[0] >= SETTINGS.start_ms
    assert payments.booked_at[-1] < SETTINGS.start_ms + SETTINGS.days * DAY_MS
    assert payments.amount_units.min() >= 50
    assert all(payer != payee for payer, payee in zip(payments.payer, payments.payee, strict=True))


def test_the_fraud_share_is_the_asked_one(payments: Payments) -> None:
    assert payments.label.sum() == pytest.approx(SETTINGS.payments * SETTINGS.fraud_share, abs=3)
    found = Counter(payments.scenario)
    assert sorted(name for name in found if name) == SCENARIOS
    labels = [bool(scenario) for scenario in payments.scenario]
    assert labels == payments.label.astype(bool).tolist()


def test_no_fraud_at_all_can_be_asked_for() -> None:
    none = generate_payments(GeneratorSettings(seed=1, payments=2_000, fraud_share=0.0))
    assert none.label.sum() == 0
    assert len(none) == 2_000


def test_days_are_busier_than_nights(payments: Payments) -> None:
    hours = (payments.booked_at % DAY_MS // HOUR_MS)[payments.label == 0]
    night = (hours < 6).sum()
    evening = ((hours >= 16) & (hours < 22)).sum()
    assert evening > 4 * night


def test_frauds_are_as_frequent_on_the_last_days(payments: Payments) -> None:
    days = (payments.booked_at[payments.label == 1] - SETTINGS.start_ms) // DAY_MS
    last = (days >= SETTINGS.days - 6).sum()
    assert last > 0.5 * len(days) * 6 / SETTINGS.days


def test_a_compromised_terminal_is_so_for_longer_than_labels_take(payments: Payments) -> None:
    spans = []
    rows = [row for row, name in enumerate(payments.scenario) if name == "terminal"]
    for payee in dict.fromkeys(payments.payee[row] for row in rows):
        times = payments.booked_at[[row for row in rows if payments.payee[row] == payee]]
        spans.append((times.max() - times.min()) / DAY_MS)
    assert len(spans) >= 3
    assert min(spans) > 10


def test_patterns_are_spread_over_the_period(payments: Payments) -> None:
    middle = SETTINGS.start_ms + SETTINGS.days * DAY_MS // 2
    for name in SCENARIOS:
        times = payments.booked_at[np.array([scenario == name for scenario in payments.scenario])]
        assert times.min() < middle < times.max(), name


def test_fan_in_stays_below_the_limit_and_goes_to_few(payments: Payments) -> None:
    rows = [row for row, name in enumerate(payments.scenario) if name == "fan_in"]
    assert all(payments.amount_units[row] < REPORTING_LIMIT_UNITS for row in rows)
    assert len({payments.payee[row] for row in rows}) < len(rows) / 4


def test_cycles_close(payments: Payments) -> None:
    rows = [row for row, name in enumerate(payments.scenario) if name == "cycle"]
    following = {payments.payer[row]: payments.payee[row] for row in rows}
    closed = 0
    for first in following:
        account, steps = following[first], 1
        while account != first and account in following and steps < 10:
            account, steps = following[account], steps + 1
        closed += account == first
    assert closed >= len(following) // 2


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_are_read_back(tmp_path: Path, payments: Payments, suffix: str) -> None:
    path = tmp_path / f"payments.{suffix}"
    write_payments(path, payments)
    assert table_of(payments_of(read_table(path, PAYMENT_SCHEMA))) == table_of(payments)
