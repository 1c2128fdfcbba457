"""Signed, durable, proved transactions a second on one node, plain and screened, and their latency.

The client signs before the clock starts. The clock stops when every transaction is final: executed,
synced to the log and answered. Verification runs in worker processes, as in a node. The ceiling
beside each figure is what one core verifies in signatures alone, times operations per signature.
"""

import statistics
import time

from bench.bank import BenchBank, running_bank
from bench.figures.ceilings import verify_per_second
from bench.harness import Figure, percentile
from bench.screening import go_live

CUSTOMERS = 10_000
BURSTS = 5
LATENCY_LOAD = 0.5
"""Share of the highest rate at which latency is measured."""


def measure(*, quick: bool) -> list[Figure]:
    """Return throughput for 1, 10 and 100 operations a signature, screened, and latencies."""
    ceiling = verify_per_second()
    share = 4 if quick else 1
    figures = []
    with running_bank(CUSTOMERS, windows=False) as bank:
        for per, count in ((1, 30_000), (10, 60_000), (100, 150_000)):
            rate = transactions_per_second(bank, count // share, per)
            figures.append(_plain(per, rate, ceiling))
        figures.append(_bytes_per_fact(bank))
    with running_bank(CUSTOMERS) as bank:
        alerts = go_live(bank)
        rate = transactions_per_second(bank, 30_000 // share, 1)
        note = f"windows, 24 features, 100 trees and one rule on every transfer; {alerts}"
        figures.append(
            Figure(
                "ledger.screened_tx_per_s",
                rate,
                "tx/s",
                ">= 8 k/s",
                {"signatures/s, one core": ceiling},
                note,
            )
        )
        figures.append(Figure("screening.tx_per_s", rate, "tx/s", ">= 8 k/s"))
        figures.append(_latency(bank, rate * LATENCY_LOAD, seconds=2 if quick else 6))
    return figures


def transactions_per_second(bank: BenchBank, count: int, per_transaction: int) -> float:
    """Return the median rate of five equal bursts."""
    rates = []
    for burst in range(BURSTS):
        raws = bank.transfers(count // BURSTS, per_transaction, seed=burst)
        began = time.perf_counter()
        bank.run(raws)
        rates.append(len(raws) / (time.perf_counter() - began))
    return statistics.median(rates)


def _plain(per: int, rate: float, ceiling: float) -> Figure:
    goals = {1: ">= 10 k tx/s", 100: ">= 400 tx/s (40 k operations/s)"}
    return Figure(
        f"ledger.tx_per_s.ops{per}",
        rate,
        "tx/s",
        goals.get(per, ""),
        {"operations/s": rate * per, "signatures/s, one core": ceiling},
        "transfers between 10 k accounts, signed, durable, proved; no rule",
    )


def _latency(bank: BenchBank, rate: float, *, seconds: int) -> Figure:
    """Return the latency from submitting to final at a steady rate, every payment screened."""
    batch = max(1, int(rate / 100))
    batches = [bank.transfers(batch, 1, seed=n) for n in range(seconds * 100)]
    waiting = []
    times: list[float] = []
    began = time.perf_counter()
    for number, raws in enumerate(batches):
        pause = began + number / 100 - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        submitted = time.perf_counter()
        future = bank.node.submit_later(raws)
        future.add_done_callback(
            lambda _, at=submitted: times.append(time.perf_counter() - at)  # type: ignore[misc]
        )
        waiting.append(future)
    for future in waiting:
        future.result(60)
    milliseconds = [1000 * one for one in times]
    return Figure(
        "screening.p99_ms",
        percentile(milliseconds, 0.99),
        "ms",
        "",
        {"p50": percentile(milliseconds, 0.5), "p95": percentile(milliseconds, 0.95)},
        f"submit to final at {batch * 100:,} screened payments a second",
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
