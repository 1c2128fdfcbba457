"""A ledger of random messages of all modules replays to the same roots, whatever replays it."""

import sys
from pathlib import Path

import pytest

from cairn.ledger.receipts import OK, RECEIPT_DECODER
from cairn.node.opening import replay_from_genesis
from tests.e2e.recording import record
from tools.replay_everywhere import (
    HASH_SEEDS,
    Interpreter,
    environment_of,
    find_interpreters,
    replay,
    replay_everywhere,
)

OWN = ".".join(str(part) for part in sys.version_info[:3])
OTHERS = [one for one in find_interpreters() if one.version != OWN]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("recorded") / "n"
    outcomes = record(directory, seed=1, blocks=100)
    receipts = [RECEIPT_DECODER.decode(one.receipt) for one in outcomes if one.receipt]
    codes = {operation.code for receipt in receipts for operation in receipt.operations}
    assert OK in codes
    assert len({code.partition("/")[0] for code in codes}) > 6, "refusals of many modules"
    assert len(codes) > 30
    return directory


@pytest.mark.parametrize("hash_seed", HASH_SEEDS)
def test_any_hash_seed_gives_the_same_roots(ledger: Path, hash_seed: str) -> None:
    expected = replay_from_genesis(ledger)
    replayed = replay(Path(sys.executable), ledger, hash_seed)
    assert replayed.error == ""
    assert replayed.report["state_root"] == expected.state_root.hex()
    assert replayed.report["app_hash"] == expected.app_hash.hex()
    assert replayed.report["height"] == expected.height >= 100


@pytest.mark.parametrize("other", OTHERS, ids=lambda one: one.version)
def test_another_interpreter_gives_the_same_roots(ledger: Path, other: Interpreter) -> None:
    python = environment_of(other, may_install=False)
    if isinstance(python, str):
        pytest.skip(f"{other.version}: {python}")
    expected = replay_from_genesis(ledger)
    replayed = replay(python, ledger, HASH_SEEDS[-1])
    assert replayed.error == ""
    assert replayed.report["state_root"] == expected.state_root.hex()
    assert replayed.report["app_hash"] == expected.app_hash.hex()


def test_the_tool_has_a_line_for_every_interpreter(
    ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay_everywhere(ledger, may_install=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(HASH_SEEDS) + max(1, len(OTHERS))
    assert all("every root the same" in line for line in lines[: len(HASH_SEEDS)])
    for other, line in zip(OTHERS, lines[len(HASH_SEEDS) :], strict=False):
        assert other.version in line
        assert "every root the same" in line or "passed over" in line


def test_the_tool_says_so_when_roots_differ(
    ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "python"
    script.write_text('#!/bin/sh\necho \'{"height": 1, "state_root": "", "app_hash": ""}\'\n')
    script.chmod(0o755)
    assert replay(script, ledger, "0") != replay(Path(sys.executable), ledger, "0")
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho oh no >&2\nexit 3\n")
    broken.chmod(0o755)
    assert replay(broken, ledger, "0").error == "oh no"
