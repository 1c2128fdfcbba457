"""The same history gives the same state in other processes, with other hash seeds and kernels."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from cairn.exact.scoring import Scorer
from cairn.modules.inference import scorers
from cairn.modules.rules import live
from tests.modules.founding import found
from tests.modules.scenario import digest_of, run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def digest() -> str:
    ledger = found(replicas=2)
    run(ledger)
    return digest_of(ledger).hex()


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_another_hash_seed_gives_the_same_state(digest: str, hash_seed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.modules.scenario"],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest


def test_without_memory_of_models_and_rules_and_without_numba_the_state_is_the_same(
    digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorers, "_scorers", {})
    monkeypatch.setattr(scorers, "SCORERS_MAX", 1)
    monkeypatch.setattr(scorers, "Scorer", partial(Scorer, kernel="numpy"))
    monkeypatch.setattr(live, "_compiled", {})
    monkeypatch.setattr(live, "COMPILED_MAX", 1)
    ledger = found(check_invariants=False)
    run(ledger)
    assert digest_of(ledger).hex() == digest
