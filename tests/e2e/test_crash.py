"""Processes killed with SIGKILL at write points and at random: nothing acknowledged is lost.

The script runs a thousand cycles in some minutes: `python -m tools.crash_cycles --cycles 1000`.
"""

import re
import subprocess
import sys
from pathlib import Path

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
