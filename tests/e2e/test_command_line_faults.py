"""What a person sees when something is wrong: `error:`, `hint:`, and the exit code."""

import contextlib
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from nacl.pwhash import argon2id

from cairn.ledger.charter import sign_charter
from cairn.modules.bank.records import BALANCES
from cairn.primitives.encoding import encode, replace
from cairn.sdk.keys import KeyCost, create_key_file
from cairn.sdk.workspace import NODE_KEY_FILE
from tests.e2e.banks import Story, open_bank, story
from tools.crash_bank import ACCOUNTS, ASSET, CLERK, VALIDATOR, charter, transaction

ROOT = Path(__file__).parents[2]
PASSPHRASE = "four random words here"
CHEAP = KeyCost(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)
MAIN = "from cairn.cli.main import main; main()"
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT / "src"),
    "CAIRN_PASSPHRASE": PASSPHRASE,
    "PATH": os.environ.get("PATH", ""),
    "HOME": "/nonexistent",
}


@pytest.fixture
def before(memory_path: Path) -> Story:
    """A bank with the key file of its node."""
    made = story(memory_path / "n")
    create_key_file(made.directory / NODE_KEY_FILE, PASSPHRASE, key=VALIDATOR, cost=CHEAP)
    return made


def cairn(
    before: Story, *arguments: str, options: tuple[str, ...] = ()
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *options, "-c", MAIN, *arguments, "--dir", str(before.directory)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def check_told(done: "subprocess.CompletedProcess[str]", code: int, error: str, hint: str) -> None:
    """Check an exit code, and that the message has its two parts and no traceback."""
    assert done.returncode == code, done.stderr
    told, _, advice = done.stderr[done.stderr.index("error: ") :].partition("\n\n")
    assert error in told
    assert advice.startswith("hint: ")
    assert hint in advice
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def damage_log(before: Story) -> None:
    content = bytearray(before.log.read_bytes())
    content[len(content) // 3] ^= 1
    before.log.write_bytes(bytes(content))


def cut_checkpoint(before: Story) -> None:
    data = before.checkpoint / "data.mdb"
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


def rot_row(before: Story) -> None:
    with open_bank(before.directory) as node:
        value = node.row(BALANCES.key(ACCOUNTS[0], ASSET))
    assert value is not None
    data = before.checkpoint / "data.mdb"
    rotten = value[:-3] + bytes((value[-3] ^ 1,)) + value[-2:]
    data.write_bytes(data.read_bytes().replace(value, rotten))


def change_charter(before: Story) -> None:
    other = encode(sign_charter(replace(charter(), name="other"), [VALIDATOR]))
    (before.directory / "charter.cairn").write_bytes(other)


def change_key(before: Story) -> None:
    (before.directory / NODE_KEY_FILE).unlink()
    create_key_file(before.directory / NODE_KEY_FILE, PASSPHRASE, key=CLERK, cost=CHEAP)


def break_settings(before: Story) -> None:
    (before.directory / "cairn.toml").write_text("[engine]\ninterval_ms = 0\n")


CASES: dict[str, tuple[Callable[[Story], None], tuple[str, ...], int, str, str]] = {
    "log": (damage_log, ("node", "start"), 70, "block log damaged", "backup"),
    "log replayed": (damage_log, ("debug", "replay"), 70, "block log damaged", "backup"),
    "checkpoint": (cut_checkpoint, ("node", "start"), 70, "checkpoint damaged", "debug rebuild"),
    "row": (rot_row, ("debug", "check"), 70, "checksum", "debug rebuild"),
    "charter": (change_charter, ("node", "start"), 70, "the store is of crash-", "charter"),
    "key": (change_key, ("node", "start"), 2, "not the charter's one validator", "charter names"),
    "settings": (break_settings, ("node", "start"), 2, "interval_ms is 0", "config show"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_fault_is_told_with_a_hint_and_its_exit_code(before: Story, name: str) -> None:
    damage, arguments, code, error, hint = CASES[name]
    damage(before)
    check_told(cairn(before, *arguments), code, error, hint)


def test_a_damaged_checkpoint_is_made_anew_by_the_command_that_the_hint_names(
    before: Story,
) -> None:
    cut_checkpoint(before)
    done = cairn(before, "debug", "rebuild", "--yes")
    assert done.returncode == 0, done.stderr
    before.check_intact()


def test_without_assertions_nothing_is_opened(before: Story) -> None:
    done = cairn(before, "node", "start", options=("-O",))
    check_told(done, 70, "python -O", "hint: ")


def test_a_second_node_is_told_who_has_the_directory(before: Story) -> None:
    with open_bank(before.directory):
        done = cairn(before, "node", "start")
        check_told(done, 3, f"in use by process {os.getpid()}", "stop the other node")


def serve(before: Story, file_size_bytes_max: int | None) -> "subprocess.Popen[str]":
    def limit() -> None:
        if file_size_bytes_max is not None:
            limits = (file_size_bytes_max, file_size_bytes_max)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            MAIN,
            "node",
            "start",
            "--port",
            "0",
            "--dir",
            str(before.directory),
        ],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )
    assert process.stderr is not None
    ready = process.stderr.readline()
    assert ready.startswith("crash-"), ready + process.stderr.read()
    return process


def post(before: Story, sequences: range) -> tuple[int, bytes]:
    """Submit transactions over the node's socket; return status and body."""
    connection = http.client.HTTPConnection("localhost", timeout=30)
    raws = [transaction(0, sequence) for sequence in sequences]
    with socket.socket(socket.AF_UNIX) as connected:
        connected.connect(str(before.directory / "node.sock"))
        connection.sock = connected
        connection.request("POST", "/v1/transactions", msgspec.msgpack.encode(raws))
        with connection.getresponse() as response:
            return response.status, response.read()


def test_a_node_whose_disk_fills_up_ends_with_70_and_says_why(before: Story) -> None:
    process = serve(before, before.log.stat().st_size + 60_000)
    codes: list[int] = []
    with process:
        # Until it has ended, and nobody answers.
        with contextlib.suppress(OSError, http.client.HTTPException):
            for sequence in range(13, 2_000, 10):
                codes.append(post(before, range(sequence, sequence + 10))[0])
        assert process.stderr is not None
        told = process.stderr.read()
    assert process.returncode == 70, told
    assert "error: " in told
    assert "no space to write" in told
    assert "\n\nhint: free some space" in told
    assert "Traceback" not in told
    assert codes[0] == 200
    assert codes[-1] in (200, 500, 503)
    before.check_intact()


def test_a_node_that_is_told_to_end_ends_with_0_and_leaves_a_checkpoint(before: Story) -> None:
    process = serve(before, None)
    with process:
        status, body = post(before, range(13, 14))
        assert (status, json.loads(body)[0]["code"]) == (200, "ok")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        told = process.stderr.read()
    assert (process.returncode, "stopped" in told) == (0, True)
    before.check_intact()
