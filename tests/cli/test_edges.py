"""What a command does when something is not there, not allowed, or not as it was."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from cairn.cli import main
from cairn.cli.main import app, run
from tests.cli.conftest import Shell

SHARED = ("--dir", "--as", "--json", "--yes", "--passphrase-file", "--node")


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for name, one in group.commands.items():
        inner = (*path, name)
        found += commands(one, inner) if hasattr(one, "commands") else [(inner, one)]
    return found


ALL = commands(typer.main.get_command(app))


def test_every_noun_is_there() -> None:
    nouns = {path[0] for path, _ in ALL}
    assert nouns == {
        *("init", "node", "witness", "key", "org", "data", "training", "model", "predict", "rule"),
        *("bank", "hold", "tx", "prove", "verify", "trust", "debug", "demo", "bench", "config"),
        *("decide", "report", "approve", "go-live", "version"),
    }


@pytest.mark.parametrize(("path", "found"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_command_explains_itself(path: tuple[str, ...], found: Any) -> None:
    assert found.help, path
    assert found.help.splitlines()[0].endswith("."), path
    options = [option for parameter in found.params for option in parameter.opts]
    assert all(one in options for one in SHARED), path
    for parameter in found.params:
        if parameter.param_type_name == "option":
            assert parameter.help, (path, parameter.name)


def test_help_is_quick_because_it_loads_nothing_heavy() -> None:
    probe = "import sys; import cairn.cli.main; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    heavy = {"numpy", "numba", "lmdb", "uvicorn", "starlette", "sklearn", "lightgbm", "pyarrow"}
    assert loaded & heavy == set()
    assert "rich" not in loaded


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "Commands:" in capsys.readouterr().out
    assert run(["version"]) == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert run(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"]


def test_a_group_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bank"]) == 2
    assert "Usage: cairn bank" in capsys.readouterr().err


def test_a_whole_new_workspace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAIRN_PASSPHRASE", "four random words here")
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path, capsys)
    people = "--person risk=rita --person developer=dirk --person compliance,admin=carl"
    made = shell.json(
        f"init bank --name b {people} --policy models=2of3 --asset eur --asset gold=0"
    )
    assert made["chain_id"].startswith("b-")
    assert made["policies"]["models"].startswith("2 of ")
    rows = shell.json("org policy show --dir bank")
    assert {row["policy"]: row["threshold"] for row in rows}["models"] == 2
    assert len(shell.json("bank asset list --dir bank")) == 2
    shell("init bank --name b", code=2)
    shell("init other --name Bad", code=2)
    ran = shell("init other --policy models=3of9", code=2)
    assert "5 people hold" in ran.err
    assert "models=3of5" in ran.err
    for wrong in ("--person rita", "--asset eur=99", "--policy models=some", "--parameter x=y"):
        shell(f"init other {wrong}", code=2)
    assert not (tmp_path / "other").exists()


def test_no_workspace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAIRN_DIR", raising=False)
    shell = Shell(tmp_path, capsys)
    assert "cairn init DIR" in shell("org show", code=2).err
    assert "no workspace" in shell("org show --dir nowhere", code=2).err


def test_passphrases(cairn: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CAIRN_PASSPHRASE", "wrong words entirely")
    assert "does not open" in cairn("org show", code=2).err
    monkeypatch.delenv("CAIRN_PASSPHRASE")
    assert "no terminal" in cairn("org show", code=2).err
    (tmp_path / "secret").write_text("four random words here\n")
    cairn(f"org show --passphrase-file {tmp_path / 'secret'}")
    assert "cannot be read" in cairn("org show --passphrase-file none", code=2).err


def test_a_second_process_on_the_directory(cairn: Shell) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from cairn.storage.store import LedgerStore;"
        "store = LedgerStore(Path('ledger')); print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    ran = cairn("org show", code=3)
    assert f"in use by process {other.pid}" in ran.err
    other.communicate()
    cairn("org show")


def test_no_node_at_an_address(cairn: Shell) -> None:
    ran = cairn("org show --node http://127.0.0.1:9", code=3)
    assert "no node answers" in ran.err
    assert "hint: start it" in ran.err
    cairn("org show --node gopher://x", code=2)
    assert cairn("node status", code=3).out.startswith("running")
    cairn("node stop", code=3)


def test_a_directory_that_cannot_be_written(cairn: Shell) -> None:
    if os.geteuid() == 0:
        # The superuser may write anywhere; a file in a folder's place stops him too.
        Path("out").write_text("")
        ran = cairn("trust export -o out/trust.json", code=2)
        assert "cannot be written" in ran.err
        return
    Path("ledger").chmod(0o500)
    try:
        cairn("bank asset create usd --as core", code=3)
    finally:
        Path("ledger").chmod(0o700)


def test_damage_is_found_told_and_repaired(cairn: Shell) -> None:
    cairn("bank issue eur core 10 --as core --yes")
    assert cairn.json("debug fsck")["damage"] == []
    assert cairn.json("debug replay")["transactions"] == 1
    assert "ledger: the state root covers all rows" in cairn.json("debug check")["checked"]
    checkpoint = Path("ledger/checkpoint/data.mdb")
    raw = bytearray(checkpoint.read_bytes())
    place = raw.find((10 * 100).to_bytes(2, "big"))
    raw[place] ^= 0xFF
    checkpoint.write_bytes(raw)
    ran = cairn("debug fsck", code=70)
    assert "cairn debug rebuild" in ran.err
    cairn("debug rebuild --yes")
    assert cairn.json("debug fsck")["damage"] == []
    assert cairn.json("bank balance core")[0]["available"] == "10.00"
    log = next(Path("ledger/blocks").glob("*.log"))
    raw = bytearray(log.read_bytes())
    raw[300] ^= 1
    log.write_bytes(raw)
    ran = cairn("debug fsck", code=70)
    assert "log:" in ran.err
    cairn("org show", code=70)


def test_a_damaged_settings_file(cairn: Shell) -> None:
    Path("cairn.toml").write_text("[engine]\nspeed = 9\n")
    assert "no setting engine.speed" in cairn("org show", code=2).err
    Path("cairn.toml").write_text("[engine]\ninterval_ms = 5\n")
    rows = {row["setting"]: row for row in cairn.json("config show")}
    assert (rows["engine.interval_ms"]["value"], rows["engine.interval_ms"]["origin"]) == (
        5,
        "file",
    )


def test_blocks_and_events(cairn: Shell) -> None:
    cairn("bank issue eur core 10 --as core --yes")
    rows = cairn.json("debug events")
    assert [row["event"] for row in rows] == ["bank/asset_issued"]
    assert rows[0]["fields"]["amount_units"] == 1000
    block = cairn.json(f"debug block {rows[0]['height']}")
    assert len(block["transactions"]) == 1
    cairn("debug block 999999", code=2)


def test_an_unexpected_error_is_told_without_a_traceback(
    cairn: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by nought")

    monkeypatch.setattr(main, "app", broken)
    ran = cairn("org show", code=70)
    assert ran.err.startswith("error: unexpected ZeroDivisionError: by nought")
    monkeypatch.setenv(main.TRACEBACK_VARIABLE, "1")
    with pytest.raises(ZeroDivisionError):
        run(["org", "show"])


def test_a_closed_pipe_and_an_interrupt_end_quietly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "app", stopped)
    assert run([]) == 130
    assert capsys.readouterr().err == "error: stopped\n"
    done = subprocess.run(
        f"{sys.executable} -c 'from cairn.cli.main import main; main()' tx messages | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("message")


def test_nothing_is_coloured(cairn: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    for line, code in (("org show", 0), ("bank transfer", 2), ("--help", 0)):
        ran = cairn(line, code=code)
        assert "\x1b" not in ran.out + ran.err
