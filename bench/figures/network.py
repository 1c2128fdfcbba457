"""Signed transactions a second on networks of one and four validators, all on this machine.

Every validator checks every signature, keeps its own state and syncs its own log; one of them is
given all transactions in bulk and answers when all are final. The client signs before the clock
starts. The charter allows blocks of six times the usual cost, because they come less often.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.bank import VALIDATOR, BenchBank, charter_file, key_of, open_customers
from bench.harness import Figure, percentile
from cairn.engine.base import Outcome
from cairn.engine.comet.errors import BinaryMissingError
from cairn.engine.comet.process import find_binary
from cairn.ledger.charter import (
    CHARTER_DECODER,
    SIGNED_CHARTER_DECODER,
    Charter,
    CharterValidator,
    open_charter,
    sign_charter,
)
from cairn.primitives.encoding import encode
from cairn.primitives.signatures import SigningKey
from tools.comet_testnet import Testnet, TestnetSettings, ValidatorProcess

CUSTOMERS = 10_000
BURSTS = 3
BLOCK_COST_MAX = 30_000_000
STEADY_PER_S = 500
IDLE_SECONDS = 10.0
START_SECONDS = 60.0


@dataclass(frozen=True)
class Head:
    """What a bench bank wants to know of a ledger's head."""

    height: int


class NetworkNode:
    """The first validator of a testnet, as a bench bank sees a node."""

    def __init__(self, validator: ValidatorProcess, chain_id: str) -> None:
        self.chain_id = chain_id
        self._validator = validator

    def head(self) -> Head:
        return Head(self._validator.height())

    def submit(self, raws: Sequence[bytes], *, wait_ms: int) -> list[Outcome]:
        answer = self._validator.ask_later("submit", list(raws)).result(wait_ms / 1000)
        if answer.get("codes") != {"ok": len(raws)}:
            raise RuntimeError(f"not all went well: {answer}")
        return []


def measure(*, quick: bool) -> list[Figure]:
    """Return throughput, latency and idle writes of one and four validators."""
    try:
        find_binary()
    except BinaryMissingError as missing:
        print(f"network: skipped, {missing}: {missing.hint}", file=sys.stderr)
        return []
    share = 4 if quick else 1
    figures = []
    with running_network(1) as (net, bank):
        figures.append(_throughput(bank, "network.v1.tx_per_s.ops1", 30_000 // share, 1))
    with running_network(4) as (net, bank):
        figures.append(_throughput(bank, "network.v4.tx_per_s.ops1", 18_000 // share, 1))
        figures.append(_throughput(bank, "network.v4.tx_per_s.ops100", 90_000 // share, 100))
        figures += _latency(net, bank, seconds=3 if quick else 10)
        figures.append(_idle_bytes(net))
    return figures


def network_charter(keys: Sequence[SigningKey]) -> bytes:
    """Return the bench bank's charter with other validators and larger blocks."""
    signed = SIGNED_CHARTER_DECODER.decode(charter_file(windows=False))
    charter = CHARTER_DECODER.decode(signed.charter)
    members = tuple(CharterValidator(f"v{n}", key.public_key, 1) for n, key in enumerate(keys))
    larger = [(f"ledger.{name}_cost_max", BLOCK_COST_MAX) for name in ("block", "sender")]
    network = Charter(
        charter.version,
        charter.name,
        charter.time_ms,
        charter.purpose,
        members,
        charter.trusting_period_ms,
        charter.founders,
        tuple(sorted([*charter.parameters, *larger])),
        charter.sections,
    )
    return encode(sign_charter(network, [VALIDATOR]))


@contextmanager
def running_network(count: int) -> Iterator[tuple[Testnet, BenchBank]]:
    """Yield validators on new directories, and a bank whose customers are funded."""
    keys = [VALIDATOR, *(key_of(f"validator {number}") for number in range(1, count))]
    file = network_charter(keys)
    _, chain_id = open_charter(file)
    settings = TestnetSettings(
        "cairn.modules.registry:standard_registry", signature_workers=1 if count == 1 else 0
    )
    with (
        tempfile.TemporaryDirectory(prefix="cairn-bench-") as directory,
        Testnet(Path(directory), file, keys, settings) as net,
    ):
        net.start()
        net.wait_height(1, START_SECONDS)
        node = NetworkNode(net.validators[0], chain_id)
        bank = BenchBank(node, Path(directory), [])  # type: ignore[arg-type]
        open_customers(bank, CUSTOMERS)
        yield net, bank


def _throughput(bank: BenchBank, name: str, count: int, per_transaction: int) -> Figure:
    rates = []
    for burst in range(BURSTS):
        raws = bank.transfers(count // BURSTS, per_transaction, seed=burst)
        began = time.perf_counter()
        bank.run(raws)
        rates.append(len(raws) / (time.perf_counter() - began))
    rate = statistics.median(rates)
    note = "" if per_transaction == 1 else f"{rate * per_transaction:,.0f} operations a second"
    return Figure(name, rate, "tx/s", ">= 2 k/s" if ".v4." in name else "", note=note)


def _latency(net: Testnet, bank: BenchBank, *, seconds: int) -> list[Figure]:
    """Return how long transactions take to be final at a steady rate, a tenth of a second each."""
    ticks = [bank.transfers(STEADY_PER_S // 10, 1, seed=tick) for tick in range(10 * seconds)]
    times: list[float] = []
    began = time.perf_counter()
    waiting = []
    for number, raws in enumerate(ticks):
        time.sleep(max(0.0, began + number / 10 - time.perf_counter()))
        submitted = time.perf_counter()
        future = net.validators[0].ask_later("submit", raws)

        def done(_: object, since: float = submitted) -> None:
            times.append(1000 * (time.perf_counter() - since))

        future.add_done_callback(done)
        waiting.append(future)
    for future in waiting:
        future.result(START_SECONDS)
    note = f"{STEADY_PER_S} tx/s in tenths of a second"
    return [
        Figure(f"network.v4.p{part}_ms", percentile(times, part / 100), "ms", goal, note=note)
        for part, goal in ((50, ""), (95, ""), (99, "< 3 s"))
    ]


def _idle_bytes(net: Testnet) -> Figure:
    """Return what a day without a transaction writes on one validator, by its growth in seconds."""
    first, height = _size(net), net.validators[0].height()
    time.sleep(IDLE_SECONDS)
    grown, blocks = _size(net) - first, net.validators[0].height() - height
    per_day = grown / IDLE_SECONDS * 86_400 / 2**20
    note = f"{blocks} blocks in {IDLE_SECONDS:.0f} s, log and CometBFT's record, before compaction"
    return Figure("network.v4.idle_mib_per_day", per_day, "MiB", "< 1 GiB", note=note)


def _size(net: Testnet) -> int:
    files = net.validators[1].directory.rglob("*")
    return sum(path.stat().st_blocks * 512 for path in files if path.is_file())
