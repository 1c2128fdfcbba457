"""Node and witness as processes of their own, and commands that talk to them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Shell
from tests.sdk.conftest import CHEAP, PASSPHRASE

Start = Callable[..., "subprocess.Popen[str]"]
CAIRN = (sys.executable, "-c", "from cairn.cli.main import main; main()")


@pytest.fixture
def short(founded: Path, cairn: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell in a workspace whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(founded, Path(folder) / "b")
        monkeypatch.chdir(Path(folder) / "b")
        cairn.directory = Path(folder) / "b"
        yield cairn


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command that runs on, and returns once it says where it listens."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*CAIRN, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "CAIRN_PASSPHRASE": PASSPHRASE},
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def test_commands_use_the_running_node(
    short: Shell, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start("node", "start", "--port", "0")
    assert "at height " in first_line(node)
    status = short.json("node status")
    assert (status["running"], status["status"]) == (True, "ok")
    monkeypatch.setenv("CAIRN_PASSPHRASE", "not the one")
    assert short.json("org show")
    monkeypatch.setenv("CAIRN_PASSPHRASE", PASSPHRASE)
    short("bank issue eur core 10 --as core --yes")
    assert short.json("bank balance core")[0]["available"] == "10.00"
    short("bank transfer core rita 11 eur --as core --yes", code=1)
    short("prove state bank/balance core eur -o balance.cairn")
    short("verify balance.cairn --trust trust.json")
    for line, code in (("debug check", 2), ("debug replay", 3), ("node checkpoint", 2)):
        short(line, code=code)
    second = start("node", "start", "--port", "0")
    assert second.wait(20) == 3
    short("node stop")
    assert node.wait(20) == 0
    assert not (short.directory / "node.sock").exists()
    assert short.json("bank balance core")[0]["available"] == "10.00"
    assert short.json("debug replay")["transactions"] == 2


def test_a_killed_node_loses_nothing(short: Shell, start: Start) -> None:
    node = start("node", "start", "--port", "0")
    first_line(node)
    short("bank issue eur core 10 --as core --yes")
    node.send_signal(signal.SIGKILL)
    node.wait()
    assert (short.directory / "node.sock").exists()
    assert short.json("bank balance core")[0]["available"] == "10.00"
    assert short.json("debug fsck")["damage"] == []


def test_a_node_that_cannot_start_says_why(short: Shell, start: Start) -> None:
    for arguments, code in (
        (("node", "start", "--set", "engine.nothing=1"), 2),
        (("node", "start", "--set", "engine.interval_ms=x"), 2),
        (("node", "start", "--set", "engine.interval_ms=0"), 2),
        (("node", "start", "--port", "0", "--set", "server.socket="), 2),
    ):
        node = start(*arguments)
        assert node.wait(20) == code
        assert first_line(node).startswith("error: ")


def test_a_witness_cosigns(
    short: Shell, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.cli.witness.KEY_COST", CHEAP)
    witness = str(tmp_path / "witness")
    made = short.json(f"witness init {witness} --name supervisor")
    short(f"witness init {witness} --name supervisor", code=2)
    short(f"witness init {witness}2", "--name", "with blank", code=2)
    short(f"witness add-log {witness} --workspace .")
    short(f"witness add-log {witness}", code=2)
    short(f"witness add-log {witness} --log nonsense", code=2)
    assert short(f"witness key {witness}").out.strip() == made["verifier_key"]
    short("prove state bank/asset eur -o plain.cairn")
    process = start("witness", "start", witness, "--port", "0")
    address = first_line(process).split()[2].rstrip(",")
    peer = f"{address} {made['verifier_key']}"
    Path("cairn.toml").write_text(f'[witnesses]\npeers = ["{peer}"]\n')
    short("trust add-witness", made["verifier_key"])
    short("trust add-witness nonsense", code=2)
    short("trust export --witness-threshold 1 -o strict.json")
    short("prove state bank/asset eur -o seen.cairn")
    assert short.json("verify seen.cairn --trust strict.json")["assurance"]["witnesses"] == [
        "supervisor"
    ]
    assert short.json("verify seen.cairn --trust strict.json")["assurance"]["word"] == "witnessed"
    assert "evidence/not_witnessed" in short("verify plain.cairn --trust strict.json", code=1).err
    short(f"witness status {witness}", code=3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    rows = short.json(f"witness status {witness}")
    assert rows[0]["origin"] == short.json("trust show")["chain_id"]
    assert rows[0]["height"] >= 1
    assert rows[0]["evidence_files"] == []
    short(f"witness status {tmp_path}", code=2)
