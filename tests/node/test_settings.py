from pathlib import Path

import pytest

from cairn.node.errors import ConfigurationError
from cairn.node.settings import (
    SETTINGS,
    SETTINGS_FILE,
    load_settings,
    resolve_settings,
    settings_text,
)


def write(directory: Path, text: str) -> Path:
    (directory / SETTINGS_FILE).write_text(text, encoding="utf-8")
    return directory


def test_a_flag_goes_before_the_environment_the_file_and_the_default(tmp_path: Path) -> None:
    write(tmp_path, "[engine]\ninterval_ms = 30\nblock_operations = 7\n[server]\nport = 1\n")
    environment = {"CAIRN_ENGINE_INTERVAL_MS": "40", "CAIRN_SERVER_PORT": "2", "OTHER": "x"}
    resolved = {
        one.setting.name: (one.value, one.origin)
        for one in resolve_settings(tmp_path, flags={"server.port": 3}, environment=environment)
    }
    assert resolved["server.port"] == (3, "flag")
    assert resolved["engine.interval_ms"] == (40, "environment")
    assert resolved["engine.block_operations"] == (7, "file")
    assert resolved["server.host"] == ("127.0.0.1", "default")
    settings = load_settings(tmp_path, environment=environment)
    assert (settings.engine.interval_ms, settings.mempool.block_operations) == (40, 7)


@pytest.mark.parametrize(
    "text",
    [
        "[engine]\nintervall_ms = 30\n",
        "[motor]\ninterval_ms = 30\n",
        "interval_ms = 30\n",
        "[engine]\ninterval_ms = 0\n",
        "[engine]\ninterval_ms = 99999999\n",
        "[engine]\ninterval_ms = '30'\n",
        "[engine]\ninterval_ms = true\n",
        "[engine]\ninterval_ms = 1.5\n",
        "[server]\nhost = 5\n",
        "[server]\nhost = ''\n",
        "[witnesses]\npeers = [1]\n",
        "[witnesses]\npeers = 'one'\n",
        "[engine\n",
        "\x00",
    ],
)
def test_what_is_unknown_or_out_of_bounds_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigurationError):
        load_settings(tmp_path)


def test_flags_and_variables_are_checked_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        load_settings(tmp_path, flags={"engine.no_such": 1})
    with pytest.raises(ConfigurationError):
        load_settings(tmp_path, flags={"engine.interval_ms": 0})
    with pytest.raises(ConfigurationError):
        load_settings(tmp_path, environment={"CAIRN_SERVER_PORT": "many"})
    peers = load_settings(tmp_path, environment={"CAIRN_WITNESSES_PEERS": "a b, c d"})
    assert peers.witnesses.peers == ("a b", "c d")


def test_the_written_file_names_every_setting_and_changes_none(tmp_path: Path) -> None:
    write(tmp_path, settings_text())
    origins = {one.origin for one in resolve_settings(tmp_path, flags={}, environment={})}
    assert origins == {"default"}
    text = settings_text().replace("# ", "")
    for setting in SETTINGS:
        assert f"\n{setting.name.partition('.')[2]} = " in text
        assert setting.help.endswith(".")


def test_the_defaults_are_within_their_bounds_and_on_loopback(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.server.host == "127.0.0.1"
    assert settings.witnesses.peers == ()
    assert settings.signature_workers >= 0
