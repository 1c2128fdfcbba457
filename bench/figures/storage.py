"""What restarting costs: opening a ledger with many accounts, replaying blocks after a crash."""

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.bank import VALIDATOR, BenchBank, charter_file, open_customers, running_bank
from bench.figures.ledger import transactions_per_second
from bench.harness import Figure, seconds
from cairn.node.node import Node, NodeOptions
from cairn.node.settings import load_settings
from cairn.storage.store import StoreSettings

REPLAYED = 50_000


def measure(*, quick: bool) -> list[Figure]:
    """Return cold start and throughput with many keys, and the speed of crash replay."""
    return [*_many_accounts(100_000 if quick else 1_000_000), _replay()]


def _many_accounts(accounts: int) -> list[Figure]:
    """Return what a ledger of this many accounts needs to open, and how fast it is then."""
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as directory:
        path = Path(directory) / "node"
        with Node.create(path, charter_file(windows=False), VALIDATOR) as node:
            bank = BenchBank(node, path, [])
            open_customers(bank, accounts)
            rate = transactions_per_second(bank, 15_000, 1)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())

        def open_and_close() -> None:
            Node.open(path, VALIDATOR, NodeOptions(start=False)).close()

        opened = seconds(open_and_close, runs=3)
    rows = 2 * accounts
    return [
        Figure(
            "storage.cold_start_s",
            opened,
            "s",
            "<= 2 s with 1 M accounts",
            {},
            f"open and close with {accounts:,} accounts ({rows:,} rows, {size / 2**20:,.0f} MiB)",
        ),
        Figure(
            f"ledger.tx_per_s.ops1.keys{rows}",
            rate,
            "tx/s",
            "",
            {},
            f"as ledger.tx_per_s.ops1, between {accounts:,} accounts",
        ),
    ]


def _replay() -> Figure:
    """Return how fast a log without a checkpoint is executed again at start."""
    settings = replace(
        load_settings(Path("/nonexistent")),
        storage=StoreSettings(checkpoint_blocks=1_000_000, checkpoint_rows=100_000_000),
    )
    with running_bank(10_000, windows=False, options=NodeOptions(settings=settings)) as bank:
        bank.run(bank.transfers(REPLAYED, 10))
        with tempfile.TemporaryDirectory(prefix="cairn-bench-") as directory:
            crashed = Path(directory) / "node"
            # The idle node's files, as a crash would leave them: the pending rows are lost.
            shutil.copytree(bank.directory, crashed, ignore=shutil.ignore_patterns("*.sock"))
            began = time.perf_counter()
            node = Node.open(crashed, VALIDATOR, NodeOptions(start=False))
            took = time.perf_counter() - began
            node.close()
            same = node.head().app_hash == bank.node.head().app_hash
    if not same:
        raise RuntimeError("the replayed ledger has another application hash")
    return Figure(
        "storage.replay_ops_per_s",
        bank.operations / took,
        "operations/s",
        ">= 20 k",
        {},
        f"{bank.operations:,} operations since genesis, every root and receipt compared",
    )
