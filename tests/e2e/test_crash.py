"""Processes killed with SIGKILL at write points and at random: nothing acknowledged is lost.

The script runs a thousand cycles in some minutes: `python -m tools.crash_cycles --cycles 1000`.
"""

import re
import subprocess
import sys
from pathlib import Path

from cairn.engine.embedded import SystemClock
from tests.e2e.banks import story
from tools.crash_cycles import Bank, Plan, place_of, verify
from tools.kill_points import RANDOM

ROOT = Path(__file__).parents[2]
CYCLES = 22


def test_killed_nodes_keep_what_they_acknowledged(memory_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tools.crash_cycles"),
            *("--cycles", str(CYCLES), "--seed", "11", "--dir", str(memory_path)),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": "src", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(rf"{CYCLES} cycles.* (\d+) acknowledged, lost or wrong 0", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) > 20 * CYCLES
    assert len(re.findall(r"(append|sync|applied|kept|checkpoint|segment)", done.stdout)) >= 5


def test_the_script_sees_what_is_lost(memory_path: Path) -> None:
    before = story(memory_path / "n", 6)
    plan = Plan(RANDOM, 1, 1, 0, False, 0)
    bank = Bank(before.directory, SystemClock().now_ms() - 3_600_000)
    for outcome in before.outcomes:
        bank.acknowledged[outcome.transaction_id] = place_of(outcome)
    assert verify(bank, plan) == []
    bank.acknowledged[before.outcomes[2].transaction_id] = bytes(44)
    bank.acknowledged[bytes(32)] = bytes(44)
    bank.checked[3] = 0
    problems = verify(bank, plan)
    assert len(problems) == 3
    assert problems[0].startswith("another receipt or place")
    assert problems[1].startswith("acknowledged and lost")
    assert problems[2].startswith("lane 3 says")
