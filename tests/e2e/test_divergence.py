"""A module that comes to something else than the record: named, stopped, and nothing written.

The altered code runs in processes of its own: what it does to a module stays there.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.modules.bank.records import BALANCES
from cairn.node.divergence import DIVERGENCE_FILE
from tests.e2e.banks import Story, let_go, open_bank, story, submit
from tools.crash_bank import ACCOUNTS

ROOT = Path(__file__).parents[2]
ALTERED = """
import sys
from pathlib import Path
from cairn.modules.bank import settlement
from cairn.modules.bank.records import BALANCES, Balance

credit, seen = settlement.credit, [0]

def altered(ctx, account, asset, amount_units):
    seen[0] += ctx.height > 0
    credit(ctx, account, asset, amount_units + (ctx.height > 0 and seen[0] == {at}))

settlement.credit = altered
"""
REPLAY = """
from cairn.node.opening import replay_from_genesis
from cairn.cli.errors import tell_error
from cairn.sdk.local import node_errors
from cairn.sdk.errors import CairnError
try:
    with node_errors():
        replay_from_genesis(Path(sys.argv[1]))
except CairnError as error:
    sys.exit(tell_error(error))
"""
OPEN = """
from tests.e2e.banks import open_bank
from cairn.cli.errors import tell_error
from cairn.sdk.local import node_errors
from cairn.sdk.errors import CairnError
try:
    with node_errors():
        open_bank(Path(sys.argv[1]), storage__checkpoint_blocks=1).close()
except CairnError as error:
    sys.exit(tell_error(error))
"""


def run_altered(program: str, directory: Path, at: int = 3) -> "subprocess.CompletedProcess[str]":
    """Run a program whose bank credits one unit too much, once, from the `at`-th payment on."""
    return subprocess.run(
        [sys.executable, "-c", ALTERED.format(at=at) + program, str(directory)],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


def files_of(before: Story) -> dict[str, bytes]:
    """Return what must not change: log, charter, and the checkpoint unless it does not matter."""
    paths = [before.log, before.directory / "charter.cairn", before.checkpoint / "data.mdb"]
    return {str(path): path.read_bytes() for path in paths}


def check_report(before: Story) -> dict[str, object]:
    """Check that the report names the row, and return it."""
    report = json.loads((before.directory / DIVERGENCE_FILE).read_text())
    row = report["rows"][0]
    assert (row["module"], row["table"]) == ("bank", "balance")
    assert any(row["key"].endswith(key) for key in shown_keys()), row["key"]
    assert row["computed"].startswith("Balance(available=")
    assert 0 < report["height"] <= before.height
    return report  # type: ignore[no-any-return]


def shown_keys() -> list[str]:
    """Return how the accounts' balances are named in reports."""
    from cairn.ledger.records import describe_key

    shown = [describe_key(BALANCES.key(account, "eur")) for account in ACCOUNTS]
    return [text.partition("balance")[2] for text in shown]


@pytest.mark.parametrize("at", [1, 3, 6])
def test_a_replay_of_an_altered_module_names_height_module_table_key_and_both_values(
    memory_path: Path, at: int
) -> None:
    before = story(memory_path / "n")
    files = files_of(before)
    done = run_altered(REPLAY, before.directory, at)
    assert done.returncode == 70, done.stderr
    assert done.stderr.startswith("error: ")
    assert "\n\nhint: " in done.stderr
    assert "module bank, table balance" in done.stderr
    assert "Traceback" not in done.stderr
    report = check_report(before)
    assert f"block {report['height']} of crash-" in done.stderr
    row = report["rows"][0]  # type: ignore[index]
    computed, recorded = row["computed"], row["recorded"]
    assert computed != recorded
    assert recorded.startswith("Balance(available=")
    assert files_of(before) == files
    before.check_intact()


def test_a_node_that_opens_with_an_altered_module_stops_and_writes_nothing(
    memory_path: Path,
) -> None:
    """Not even a checkpoint: the right program must open the directory afterwards."""
    before = story(memory_path / "n", checkpointed=False)
    files = {name: raw for name, raw in files_of(before).items() if not name.endswith(".mdb")}
    done = run_altered(OPEN, before.directory)
    assert done.returncode == 70, done.stderr
    assert "error: " in done.stderr
    assert "hint: " in done.stderr
    assert "module bank, table balance" in done.stderr
    check_report(before)
    assert {name: raw for name, raw in files_of(before).items() if name in files} == files
    with open_bank(before.directory) as node:
        submit(node, 1)
    before.check_intact()


def test_a_ledger_that_a_later_program_founds_differently_can_still_be_opened(
    memory_path: Path,
) -> None:
    before = story(memory_path / "n", checkpointed=False)
    (before.checkpoint / "data.mdb").unlink()
    (before.checkpoint / "lock.mdb").unlink()
    done = run_altered(OPEN, before.directory, at=0)
    assert done.returncode == 0, done.stderr
    founding = "\nfrom cairn.modules.bank import genesis\nmint = genesis.mint\n"
    founding += "genesis.mint = lambda ctx, account, asset, units: "
    founding += "mint(ctx, account, asset, units + 1)\n"
    (before.checkpoint / "data.mdb").unlink()
    (before.checkpoint / "lock.mdb").unlink()
    done = run_altered(founding + OPEN, before.directory, at=0)
    assert done.returncode == 70, done.stderr
    assert "block 0 of crash-" in done.stderr
    assert "module bank, table " in done.stderr
    before.check_intact()


def test_the_rows_of_a_node_that_goes_on_are_those_of_a_replay(memory_path: Path) -> None:
    before = story(memory_path / "n", checkpointed=False)
    done = run_altered(REPLAY, before.directory, at=0)
    assert (done.returncode, done.stderr) == (0, "")
    node = open_bank(before.directory)
    submit(node, 1)
    let_go(node)
    assert not (before.directory / DIVERGENCE_FILE).exists()
