"""Signed, durable, proved transactions a second on one node, plain and screened, and their latency.

The client signs before the clock starts. The clock stops when every transaction is final: executed,
synced to the log and answered. Verification runs in worker processes, as in a node. The ceiling
beside each figure is what one core verifies in signatures alone, times operations per signature.
"""

import statistics
import time
from functools import partial

from bench.bank import BenchBank, running_bank
from bench.figures.ceilings import verify_per_second
from bench.harness import Figure, percentile
from bench.screening import INPUTS, go_live

CUSTOMERS = 10_000
BURSTS = 5
STEADY_PER_S = (2_000, 4_000)
"""Rates at which latency is measured; the first is what the figure is named for."""


def measure(*, quick: bool) -> list[Figure]:
    """Return throughput for 1, 10 and 100 operations a signature, screened, and latencies."""
    ceiling = verify_per_second()
    share, length = (4, 2) if quick else (1, 8)
    figures = []
    with running_bank(CUSTOMERS, windows=False) as bank:
        for per, count in ((1, 30_000), (10, 60_000), (100, 150_000)):
            rate = transactions_per_second(bank, count // share, per)
            figures.append(_plain(per, rate, ceiling))
        figures.append(_bytes_per_fact(bank))
        plain = {rate: latencies_ms(bank, rate, seconds=length) for rate in STEADY_PER_S}
    with running_bank(CUSTOMERS) as bank:
        note = go_live(bank)
        rate = transactions_per_second(bank, 30_000 // share, 1)
        screened = {rate: latencies_ms(bank, rate, seconds=length) for rate in STEADY_PER_S}
    against = {"signatures/s, one core": ceiling}
    note = f"windows, {len(INPUTS)} features, 100 trees and one rule on every transfer; {note}"
    figures += [
        Figure("ledger.screened_tx_per_s", rate, "tx/s", ">= 8 k/s", against, note),
        Figure("screening.tx_per_s", rate, "tx/s", ">= 8 k/s", against),
        *(_latency("ledger.p99_ms", rate, plain[rate]) for rate in STEADY_PER_S),
        *(_latency("screening.p99_ms", rate, screened[rate], plain[rate]) for rate in STEADY_PER_S),
    ]
    return figures


def transactions_per_second(bank: BenchBank, count: int, per_transaction: int) -> float:
    """Return the median rate of five equal bursts."""
    rates = []
    for burst in range(BURSTS):
        raws = bank.transfers(count // BURSTS, per_transaction, seed=burst)
        began = time.perf_counter()
        outcomes = bank.run(raws)
        rates.append(len(raws) / (time.perf_counter() - began))
        bank.check(outcomes)
    return statistics.median(rates)


def _plain(per: int, rate: float, ceiling: float) -> Figure:
    goals = {1: ">= 10 k tx/s", 100: ">= 400 tx/s (40 k operations/s)"}
    return Figure(
        f"ledger.tx_per_s.ops{per}",
        rate,
        "tx/s",
        goals.get(per, ""),
        {"operations/s": rate * per, "signatures/s, one core": ceiling},
        "transfers between 10 k accounts, signed, durable, proved; no rule, no windows",
    )


def latencies_ms(bank: BenchBank, rate: int, *, seconds: int) -> list[float]:
    """Return milliseconds from submitting to final, at a steady rate in batches of 10 ms."""
    batches = [bank.transfers(rate // 100, 1, seed=n) for n in range(seconds * 100)]
    waiting = []
    times: list[float] = []
    began = time.perf_counter()
    for number, raws in enumerate(batches):
        pause = began + number / 100 - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        future = bank.node.submit_later(raws)
        future.add_done_callback(partial(_note_time, times, time.perf_counter()))
        waiting.append(future)
    for future in waiting:
        bank.check(future.result(60))
    return times


def _note_time(times: list[float], submitted: float, _: object) -> None:
    times.append(1000 * (time.perf_counter() - submitted))


def _latency(name: str, rate: int, times: list[float], plain: list[float] | None = None) -> Figure:
    against = {f"p{share}": percentile(times, share / 100) for share in (50, 95)}
    if plain is not None:
        against["plain p99"] = percentile(plain, 0.99)
    return Figure(
        name if rate == STEADY_PER_S[0] else f"{name}.at{rate}",
        percentile(times, 0.99),
        "ms",
        "" if plain is None else "added to plain: < 10 ms",
        against,
        f"submit to final at {rate:,} payments a second, one a signature",
    )


def _bytes_per_fact(bank: BenchBank) -> Figure:
    """Return what one transfer adds to the block log."""
    log = bank.directory / "ledger" / "blocks"

    def size() -> int:
        return sum(path.stat().st_size for path in log.iterdir())

    before = size()
    bank.run(bank.transfers(2_000, 1))
    one = (size() - before) / 2_000
    before = size()
    bank.run(bank.transfers(20_000, 100))
    return Figure(
        "ledger.bytes_per_fact",
        one,
        "bytes",
        "",
        {"in hundreds": (size() - before) / 20_000},
        "block log: transaction, signature and receipt of one transfer",
    )
