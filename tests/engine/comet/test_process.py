"""CometBFT's files and its process: found or named as missing, started again, given up on."""

import json
import os
import stat
import threading
import tomllib
from pathlib import Path

import pytest

from cairn.engine.comet.errors import BinaryMissingError, ProcessFault, SocketPathError
from cairn.engine.comet.files import genesis_document, node_id_of, node_key_of, write_home
from cairn.engine.comet.process import CometProcess, find_binary, is_pinned
from cairn.engine.comet.rpc import parse_time
from cairn.engine.comet.settings import (
    MODULE,
    MODULE_SUM,
    PINNED_VERSION,
    TUNED,
    CometSettings,
    Knob,
    config_text,
)
from cairn.primitives.light import Timestamp, address_of
from tests.engine.comet.toy_network import VALIDATOR_KEYS, charter

RECORD = f"# mod\t{MODULE}\tv{PINNED_VERSION}\t{MODULE_SUM}\n"


def program(path: Path, text: str) -> Path:
    """Make a program that passes for the pinned CometBFT."""
    path.write_text(f"#!/bin/sh\n{RECORD}{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_configuration_says_what_the_settings_say(tmp_path: Path) -> None:
    settings = CometSettings(
        home=tmp_path,
        p2p_address="10.0.0.1:26656",
        peers=("ab@h:1", "cd@h:2"),
        overrides=(Knob("consensus", "timeout_commit", "1s", "an experiment"),),
    )
    config = tomllib.loads(config_text(settings))
    assert config["proxy_app"] == f"unix://{tmp_path}/abci.sock"
    assert config["p2p"]["persistent_peers"] == "ab@h:1,cd@h:2"
    assert config["p2p"]["laddr"] == "tcp://10.0.0.1:26656"
    assert config["mempool"]["type"] == "app"
    assert config["consensus"]["timeout_commit"] == "1s"
    for knob in TUNED:
        found = config[knob.section] if knob.section else config
        assert knob.key in found
        assert knob.reason
    assert len({(knob.section, knob.key) for knob in TUNED}) == len(TUNED)


def test_files_are_written_and_the_last_signature_is_never_touched(tmp_path: Path) -> None:
    home, key = tmp_path / "comet", VALIDATOR_KEYS[0]
    settings, founding = CometSettings(home=home), charter(4)
    write_home(settings, founding, "toy-1", key)
    state = home / "data" / "priv_validator_state.json"
    state.write_text('{"height": "7", "round": 0, "step": 3}')
    write_home(settings, founding, "toy-1", key)
    assert json.loads(state.read_text())["height"] == "7"
    validator = json.loads((home / "config" / "priv_validator_key.json").read_text())
    assert validator["address"] == address_of(key.public_key).hex().upper()
    genesis = json.loads((home / "config" / "genesis.json").read_text())
    assert genesis == genesis_document(founding, "toy-1")
    assert validator["pub_key"] == genesis["validators"][0]["pub_key"]
    for path in home.rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_the_nodes_key_is_not_the_validators() -> None:
    key = VALIDATOR_KEYS[0]
    assert node_key_of(key).public_key != key.public_key
    assert node_id_of(key) == address_of(node_key_of(key).public_key).hex()
    assert node_id_of(key) == node_id_of(VALIDATOR_KEYS[0]) != node_id_of(VALIDATOR_KEYS[1])


def test_only_the_pinned_program_is_run(tmp_path: Path) -> None:
    good = program(tmp_path / "good", "exit 0")
    other = tmp_path / "other"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    assert find_binary(good) == good
    assert not is_pinned(tmp_path / "absent")
    for path, reason in ((other, "not built from"), (tmp_path / "absent", "no program")):
        with pytest.raises(BinaryMissingError, match=reason) as caught:
            find_binary(path)
        assert "make engine" in caught.value.hint


def test_the_cache_comes_before_the_search_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BinaryMissingError):
        find_binary()
    found = program(folder / "cometbft", "exit 0")
    assert find_binary() == found
    cache = tmp_path / "cairn" / "engine" / f"cometbft-{PINNED_VERSION}"
    cache.mkdir(parents=True)
    assert find_binary() == found
    cached = program(cache / "cometbft", "exit 0")
    assert find_binary() == cached


def test_a_child_that_ends_is_started_again_and_given_up_on(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    settings = CometSettings(
        home=tmp_path / "home",
        binary=program(tmp_path / "fails", 'echo "started with $*"; exit 3'),
        restart_pause_ms=1,
        restarts_max=2,
    )
    faults: list[ProcessFault] = []
    gave_up = threading.Event()

    def on_fault(fault: ProcessFault) -> None:
        faults.append(fault)
        gave_up.set()

    process = CometProcess(settings, on_fault)
    process.start()
    assert gave_up.wait(10)
    process.stop()
    assert "exit code 3" in str(faults[0])
    health = process.health()
    assert (health.is_running, health.pid, health.restarts) == (False, 0, 2)
    assert health.last_exit == "exit code 3"
    started = settings.log_file.read_text().count(f"started with start --home {settings.home}")
    assert started == 3


def test_a_child_is_stopped_and_a_stale_socket_removed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    settings = CometSettings(
        home=tmp_path / "home",
        binary=program(tmp_path / "waits", f'echo up > "{ready}"; exec sleep 60'),
    )
    settings.rpc_socket.touch()
    process = CometProcess(settings, lambda fault: None)
    process.start()
    assert ready.read_text() == "up\n"
    assert process.health().is_running
    assert not settings.rpc_socket.exists()
    process.stop()
    assert not process.health().is_running


def test_a_directory_too_deep_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SocketPathError):
        _ = CometSettings(home=tmp_path / ("x" * 120)).abci_socket


@pytest.mark.parametrize(
    ("text", "seconds", "nanos"),
    [
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2026-11-21T09:11:20.405783503Z", 1_795_252_280, 405_783_503),
        ("0001-01-01T00:00:00Z", -62_135_596_800, 0),
        ("1969-12-31T23:59:59.5Z", -1, 500_000_000),
    ],
)
def test_times_are_read_to_the_nanosecond(text: str, seconds: int, nanos: int) -> None:
    assert parse_time(text) == Timestamp(seconds, nanos)


@pytest.mark.parametrize("text", ["", "2026-11-21T09:11:20+01:00", "2026-13-01T00:00:00Z"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_time(text)
