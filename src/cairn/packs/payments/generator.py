"""Synthetic payments with known fraud, from a seed. Nothing in them comes from real people.

Everyday traffic: card payments at shops that a customer prefers, by hour of day and weekday, and
transfers between friends. So that nothing gives a crime away by itself, the same shapes also occur
without one: rents and salaries (fan-in and fan-out), collections for a gift or a journey, shopping
trips through unknown shops, and large sums between private people.

On top of it six patterns, each fraud labelled with its own:

    stolen_card  a small test payment, then a burst at shops that the customer never used
    terminal     for three weeks or so a terminal of one shop charges its customers
    mule         victims pay into one account within hours, which passes the money on at once
    cycle        money goes round a ring of accounts and comes back, a little less at each step
    fan_in       many accounts pay sums just below a reporting limit into one
    fan_out      one account spreads a large sum over many

Every name begins with `syn-`, so that no synthetic payment can be taken for a real one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng
from numpy.typing import NDArray

from cairn.learning.tables import write_table
from cairn.packs.payments.records import Integers, Payments, table_of

Reals = NDArray[np.floating[Any]]

SECOND_MS = 1000
HOUR_MS = 3_600 * SECOND_MS
DAY_MS = 24 * HOUR_MS
START_MS = 1_767_225_600_000
"""First instant of 2026, UTC."""
ASSET = "eur"
REPORTING_LIMIT_UNITS = 100_000
"""Fan-in stays just below this sum (in cents)."""

_MERCHANT = "syn-m"
"""How the names of merchants begin."""

_SCENARIO_SHARES = {
    "stolen_card": 0.26,
    "terminal": 0.36,
    "mule": 0.14,
    "cycle": 0.08,
    "fan_in": 0.08,
    "fan_out": 0.08,
}
_HARMLESS_SHARES = {"trip": 0.025, "collection": 0.012, "large": 0.015}
"""What looks like fraud and is not, as shares of all payments."""
_GOLDEN = 0.6180339887498949
"""Steps of this fraction spread incidents evenly over the period, however many there are."""

_HOURS = np.array(
    [2, 1, 1, 1, 1, 2, 5, 9, 13, 15, 16, 19, 24, 21, 17, 16, 18, 23, 25, 21, 15, 10, 7, 4], float
)
_WEEKDAYS = np.array([1.0, 0.95, 1.0, 1.05, 1.25, 1.4, 0.8])


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings:
    """What to generate; the same settings give the same payments with the same numpy version."""

    seed: int
    payments: int = 60_000
    days: int = 60
    customers: int = 3_000
    merchants: int = 400
    fraud_share: float = 0.012
    """Share of the payments that are fraud, at least 0 and below 0.5."""
    start_ms: int = START_MS
    terminals: int = 0
    """Terminals of each merchant; 0 if they are not told apart."""


@dataclass(frozen=True)
class _Batch:
    """Some payments, unsorted; accounts are numbers into the list of names."""

    time: Integers
    payer: Integers
    payee: Integers
    amount: Integers
    scenario: str = ""


@dataclass(frozen=True)
class _Town:
    """Who lives there; accounts are numbered customers, merchants, landlords, employers."""

    settings: GeneratorSettings
    names: list[str]
    weight: Reals
    """How often each customer pays, summing to 1."""
    level: Reals
    """Logarithm of each customer's usual amount in cents."""
    shops: Integers
    """Preferred merchants of each customer, shape (customers, 8)."""
    friends: Integers
    """Friends of each customer, shape (customers, 4)."""
    popularity: Reals
    landlords: Integers
    employers: Integers


def generate_payments(settings: GeneratorSettings) -> Payments:
    """Return synthetic payments, sorted by time, with label and scenario."""
    scenarios = (*_SCENARIO_SHARES, *_HARMLESS_SHARES)
    streams = SeedSequence(settings.seed).spawn(3 + len(scenarios))
    town = _build_town(settings, default_rng(streams[0]))
    fraud_count = round(settings.payments * settings.fraud_share)
    counts = {name: round(fraud_count * share) for name, share in _SCENARIO_SHARES.items()}
    for name, share in _HARMLESS_SHARES.items():
        counts[name] = round((settings.payments - fraud_count) * share)
    batches: list[_Batch] = []
    for name, stream in zip(scenarios, streams[3:], strict=True):
        batches += _repeat(town, default_rng(stream), name, counts[name])
    rest = settings.payments - sum(len(batch.time) for batch in batches)
    monthly = _monthly(town, default_rng(streams[1]))
    keep = min(rest // 4, len(monthly.time))
    batches.append(_head(monthly, keep))
    batches.append(_everyday(town, default_rng(streams[2]), rest - keep))
    payments = _assemble(town, batches)
    if not settings.terminals:
        return payments
    # A stream of its own, so that everything else is the same with terminals and without.
    return replace(payments, terminal=_terminals(payments, settings))


def write_payments(path: Path, payments: Payments) -> None:
    """Write `payments` as CSV or Parquet, by the suffix of `path`."""
    write_table(path, table_of(payments))


def _build_town(settings: GeneratorSettings, rng: Generator) -> _Town:
    """Return customers with habits, merchants, landlords and employers."""
    customers, merchants = settings.customers, settings.merchants
    landlords, employers = max(1, customers // 60), max(1, customers // 100)
    names = [f"syn-c{number:05d}" for number in range(customers)]
    names += [f"{_MERCHANT}{number:05d}" for number in range(merchants)]
    names += [f"syn-l{number:05d}" for number in range(landlords)]
    names += [f"syn-e{number:05d}" for number in range(employers)]
    weight = rng.gamma(1.5, size=customers) + 0.05
    popularity: Reals = 1.0 / (np.arange(merchants) + 3.0)
    first = customers + merchants
    return _Town(
        settings=settings,
        names=names,
        weight=weight / weight.sum(),
        level=rng.normal(7.8, 0.6, customers),
        shops=customers + rng.choice(merchants, (customers, 8), p=popularity / popularity.sum()),
        friends=rng.integers(0, customers, (customers, 4)),
        popularity=popularity / popularity.sum(),
        landlords=np.arange(first, first + landlords),
        employers=np.arange(first + landlords, first + landlords + employers),
    )


def _terminals(payments: Payments, settings: GeneratorSettings) -> list[str]:
    """Return the terminal of each payment to a merchant; a fraud there is at the first one."""
    rng = default_rng(SeedSequence(settings.seed, spawn_key=(1_000,)))
    chosen = rng.integers(0, settings.terminals, len(payments)).tolist()
    return [
        f"{payee}-t{0 if scenario == 'terminal' else number}" if payee.startswith(_MERCHANT) else ""
        for payee, scenario, number in zip(payments.payee, payments.scenario, chosen, strict=True)
    ]


def _everyday(town: _Town, rng: Generator, count: int) -> _Batch:
    """Return card payments and transfers between friends."""
    customers = town.settings.customers
    payer = rng.choice(customers, count, p=town.weight)
    shop = town.shops[payer, rng.integers(0, 8, count)]
    roaming = rng.random(count) < 0.2
    shop[roaming] = _merchants(town, rng, int(roaming.sum()))
    amount = np.exp(rng.normal(town.level[payer], 0.7))
    to_friend = rng.random(count) < 0.07
    friend = town.friends[payer, rng.integers(0, 4, count)]
    friend[friend == payer] = (payer[friend == payer] + 1) % customers
    amount[to_friend] = np.round(amount[to_friend] * 1.5 / 500) * 500 + 500
    unusual = rng.random(count) < 0.01
    amount[unusual] *= rng.uniform(3, 12, int(unusual.sum()))
    payee = np.where(to_friend, friend, shop)
    return _Batch(_times(town.settings, rng, count), payer, payee, _cents(amount))


def _monthly(town: _Town, rng: Generator) -> _Batch:
    """Return rents and salaries: legitimate fan-in and fan-out, in random order."""
    customers, days = town.settings.customers, town.settings.days
    months = np.arange(0, max(days, 1), 30)
    renters = rng.permutation(customers)[: customers * 2 // 5]
    workers = rng.permutation(customers)[: customers * 3 // 5]
    landlord = rng.choice(town.landlords, len(renters))
    employer = rng.choice(town.employers, len(workers))
    rent = np.round(rng.uniform(450, 1_600, len(renters))) * 100
    salary = np.round(rng.normal(280_000, 70_000, len(workers)).clip(120_000))
    day = np.concatenate(
        [month + rng.integers(0, 4, len(renters)) for month in months]
        + [month + 24 + rng.integers(0, 3, len(workers)) for month in months]
    )
    batch = _Batch(
        time=town.settings.start_ms + day * DAY_MS + rng.integers(6, 18 * 3600, len(day)) * 1000,
        payer=np.concatenate([renters] * len(months) + [employer] * len(months)),
        payee=np.concatenate([landlord] * len(months) + [workers] * len(months)),
        amount=_cents(np.concatenate([rent] * len(months) + [salary] * len(months))),
    )
    inside = np.flatnonzero(day < days)
    return _pick(batch, rng.permutation(inside))


def _stolen_card(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return a test payment and a burst at unknown shops within some hours."""
    count = int(rng.integers(4, 11))
    victim = int(rng.choice(town.settings.customers, p=town.weight))
    gaps = rng.exponential(12 * 60, count).astype(np.int64) + 20
    amount = np.exp(rng.normal(town.level[victim] + 1.1, 0.6, count))
    amount[0] = rng.uniform(50, 400)
    return _Batch(
        time=start + np.cumsum(gaps) * SECOND_MS,
        payer=np.full(count, victim),
        payee=_merchants(town, rng, count, uniform=True),
        amount=_cents(amount),
    )


def _terminal(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return charges to a compromised terminal's customers, for longer than labels take.

    So whoever knows the terminal's frauds of the week before last can tell the later ones.
    """
    settings = town.settings
    count = int(rng.integers(25, 55))
    terminal = int(_merchants(town, rng, 1, uniform=True)[0])
    known = np.flatnonzero((town.shops == terminal).any(axis=1))
    pool = known if len(known) >= 4 else np.arange(settings.customers)
    day = rng.integers(0, rng.integers(18, 29), count)
    hour = np.where(rng.random(count) < 0.35, rng.integers(0, 6, count), rng.integers(6, 24, count))
    second = day * 86_400 + hour * 3_600 + rng.integers(0, 3_600, count)
    return _Batch(
        time=start - start % DAY_MS + second * SECOND_MS,
        payer=rng.choice(pool, count),
        payee=np.full(count, terminal),
        amount=_cents(np.exp(rng.normal(town.level.mean() + 0.6, 0.6, count))),
    )


def _mule(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return payments of victims into one account and their passing on."""
    victims = int(rng.integers(3, 9))
    exits = int(rng.integers(1, 4))
    accounts = rng.choice(town.settings.customers, victims + 1 + exits, replace=False)
    mule = accounts[victims]
    paid = np.round(rng.uniform(300, 2_500, victims)) * 100
    arrival = np.sort(rng.integers(0, 9 * 3_600, victims))
    leaving = arrival[-1] + np.sort(rng.integers(300, 3 * 3_600, exits))
    return _Batch(
        time=start + np.concatenate([arrival, leaving]) * SECOND_MS,
        payer=np.concatenate([accounts[:victims], np.full(exits, mule)]),
        payee=np.concatenate([np.full(victims, mule), accounts[victims + 1 :]]),
        amount=_cents(np.concatenate([paid, np.full(exits, paid.sum() * 0.96 / exits)])),
    )


def _cycle(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return money that goes round a ring, losing a little at each step."""
    size = int(rng.integers(3, 8))
    ring = rng.choice(town.settings.customers, size, replace=False)
    gaps = rng.exponential(5 * 3_600, size).astype(np.int64) + 60
    kept: Reals = np.cumprod(rng.uniform(0.93, 0.995, size))
    amount = rng.uniform(2_000, 9_000) * 100 * kept
    time = start + np.cumsum(gaps) * SECOND_MS
    return _Batch(time, ring, np.roll(ring, -1), _cents(amount))


def _fan_in(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return many sums just below the reporting limit into one account within two days."""
    count = int(rng.integers(7, 16))
    accounts = rng.choice(town.settings.customers, count + 1, replace=False)
    return _Batch(
        time=start + rng.integers(0, 2 * 86_400, count) * SECOND_MS,
        payer=accounts[1:],
        payee=np.full(count, accounts[0]),
        amount=_cents(REPORTING_LIMIT_UNITS * rng.uniform(0.85, 0.995, count)),
    )


def _fan_out(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return one large sum spread over many accounts within a day."""
    count = int(rng.integers(7, 16))
    accounts = rng.choice(town.settings.customers, count + 1, replace=False)
    return _Batch(
        time=start + rng.integers(0, 86_400, count) * SECOND_MS,
        payer=np.full(count, accounts[0]),
        payee=accounts[1:],
        amount=_cents(rng.uniform(4_000, 12_000) * 100 / count * rng.uniform(0.8, 1.2, count)),
    )


def _trip(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return a shopping trip: several payments at any shops within about two hours."""
    count = int(rng.integers(3, 8))
    payer = int(rng.choice(town.settings.customers, p=town.weight))
    gaps = rng.exponential(18 * 60, count).astype(np.int64) + 60
    day_start = start - start % DAY_MS
    return _Batch(
        time=day_start + (rng.integers(9 * 3_600, 19 * 3_600) + np.cumsum(gaps)) * SECOND_MS,
        payer=np.full(count, payer),
        payee=_merchants(town, rng, count, uniform=True),
        amount=_cents(np.exp(rng.normal(town.level[payer] + 0.5, 0.7, count))),
    )


def _collection(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return equal shares that several people pay into one account for a gift or a journey."""
    count = int(rng.integers(4, 14))
    accounts = rng.choice(town.settings.customers, count + 1, replace=False)
    share = np.round(np.exp(rng.uniform(np.log(20), np.log(900))) / 5) * 500 + 500
    return _Batch(
        time=start + rng.integers(0, 3 * 86_400, count) * SECOND_MS,
        payer=accounts[1:],
        payee=np.full(count, accounts[0]),
        amount=_cents(np.full(count, share)),
    )


def _large(town: _Town, rng: Generator, start: int) -> _Batch:
    """Return a large sum between private people, at times passed on the same day."""
    count = 2 if rng.random() < 0.3 else 1
    accounts = rng.choice(town.settings.customers, count + 1, replace=False)
    amount = np.exp(rng.uniform(np.log(200), np.log(9_000))) * 100 * np.array([1.0, 0.97])[:count]
    return _Batch(
        time=start + np.cumsum(rng.integers(600, 9 * 3_600, count)) * SECOND_MS,
        payer=accounts[:count],
        payee=accounts[1:],
        amount=_cents(np.round(amount / 1_000) * 1_000),
    )


_SCENARIOS: dict[str, Callable[[_Town, Generator, int], _Batch]] = {
    "stolen_card": _stolen_card,
    "terminal": _terminal,
    "mule": _mule,
    "cycle": _cycle,
    "fan_in": _fan_in,
    "fan_out": _fan_out,
    "trip": _trip,
    "collection": _collection,
    "large": _large,
}


def _repeat(town: _Town, rng: Generator, name: str, count: int) -> list[_Batch]:
    """Return incidents of one pattern with `count` payments in all; the last may be cut.

    What would come after the last day comes on the first ones: as the rest of an incident that had
    begun before. So the pattern is as frequent on the last days as on any other.
    """
    settings = town.settings
    span_ms = settings.days * DAY_MS
    place = rng.random()
    scenario = name if name in _SCENARIO_SHARES else ""
    batches: list[_Batch] = []
    while count > 0:
        place = (place + _GOLDEN) % 1.0
        start = settings.start_ms + int(place * span_ms) // SECOND_MS * SECOND_MS
        found = _head(_SCENARIOS[name](town, rng, start), count)
        time = settings.start_ms + (found.time - settings.start_ms) % span_ms
        batches.append(_Batch(time, found.payer, found.payee, found.amount, scenario))
        count -= len(found.time)
    return batches


def _times(settings: GeneratorSettings, rng: Generator, count: int) -> Integers:
    """Return times with the pattern of a day and a week."""
    weekday = (settings.start_ms // DAY_MS + 3 + np.arange(settings.days)) % 7
    day_weight = _WEEKDAYS[weekday]
    day = rng.choice(settings.days, count, p=day_weight / day_weight.sum())
    hour = rng.choice(24, count, p=_HOURS / _HOURS.sum())
    second = day * 86_400 + hour * 3_600 + rng.integers(0, 3_600, count)
    return settings.start_ms + second.astype(np.int64) * SECOND_MS


def _merchants(town: _Town, rng: Generator, count: int, *, uniform: bool = False) -> Integers:
    """Return merchants by popularity, or any."""
    weights = None if uniform else town.popularity
    chosen = rng.choice(town.settings.merchants, count, p=weights)
    return (town.settings.customers + chosen).astype(np.int64)


def _cents(amount: Reals) -> Integers:
    """Return amounts in whole cents, at least 50."""
    return np.rint(amount).astype(np.int64).clip(50)


def _pick(batch: _Batch, rows: Integers) -> _Batch:
    """Return the payments at `rows`."""
    return _Batch(
        batch.time[rows], batch.payer[rows], batch.payee[rows], batch.amount[rows], batch.scenario
    )


def _head(batch: _Batch, count: int) -> _Batch:
    """Return the first `count` payments."""
    return _pick(batch, np.arange(min(count, len(batch.time))))


def _assemble(town: _Town, batches: list[_Batch]) -> Payments:
    """Return all payments sorted by time, with ids in that order."""
    time = np.concatenate([batch.time for batch in batches])
    order = np.argsort(time, kind="stable")
    payer = np.concatenate([batch.payer for batch in batches])[order].tolist()
    payee = np.concatenate([batch.payee for batch in batches])[order].tolist()
    scenario = [batch.scenario for batch in batches for _ in range(len(batch.time))]
    scenario = [scenario[row] for row in order.tolist()]
    return Payments(
        tx_id=[f"syn-t{number:08d}" for number in range(len(order))],
        booked_at=time[order],
        payer=[town.names[account] for account in payer],
        payee=[town.names[account] for account in payee],
        amount_units=np.concatenate([batch.amount for batch in batches])[order],
        asset=[ASSET] * len(order),
        label=np.array([bool(name) for name in scenario], np.int64),
        scenario=scenario,
    )
