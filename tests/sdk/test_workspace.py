"""A workspace: found where it is, private where it must be, and its damage named."""

import stat
from pathlib import Path

import pytest

from cairn.sdk.errors import KeyFileError, UsageError
from cairn.sdk.workspace import VARIABLE, Workspace, find_workspace
from tests.sdk.conftest import PASSPHRASE


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def test_it_is_found_by_argument_then_variable_then_around_here(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no workspace here"):
        find_workspace()
    assert find_workspace(workspace.directory) == workspace
    monkeypatch.setenv(VARIABLE, str(workspace.directory))
    assert find_workspace() == workspace
    monkeypatch.delenv(VARIABLE)
    monkeypatch.chdir(workspace.directory / "keys")
    assert find_workspace().directory == workspace.directory


def test_another_directory_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no workspace"):
        find_workspace(tmp_path)


def test_secrets_are_readable_by_the_owner_alone(workspace: Workspace) -> None:
    workspace.add_customers({"alice": b"a" * 20})
    secret = [workspace.directory / "node.key", workspace.directory / "pseudonym.key"]
    secret += [workspace.directory / "customers.json", *workspace.directory.glob("keys/*.json")]
    assert len(secret) == 9
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secret)


def test_keys_by_name(workspace: Workspace) -> None:
    people = workspace.people()
    assert list(people) == ["carl", "core", "dana", "dirk", "rita", "vera"]
    assert workspace.open_key("rita", PASSPHRASE).public_key == people["rita"]
    with pytest.raises(KeyFileError, match="no key of 'nobody'") as caught:
        workspace.open_key("nobody", PASSPHRASE)
    assert "carl, core" in caught.value.hint
    with pytest.raises(UsageError, match="not a name"):
        workspace.open_key("../node", PASSPHRASE)


def test_the_pseudonym_key_stays_the_same_and_its_damage_is_named(workspace: Workspace) -> None:
    assert workspace.pseudonym_key() == workspace.pseudonym_key()
    (workspace.directory / "pseudonym.key").write_text("00ff\n")
    with pytest.raises(UsageError, match="damaged"):
        workspace.pseudonym_key()


def test_customers_are_added_and_damage_is_named(workspace: Workspace) -> None:
    assert workspace.customers() == {}
    workspace.add_customers({"alice": b"a" * 20})
    workspace.add_customers({"bob": b"b" * 20})
    assert workspace.customers() == {"alice": b"a" * 20, "bob": b"b" * 20}
    (workspace.directory / "customers.json").write_text('{"alice": 1}')
    with pytest.raises(UsageError, match="damaged"):
        workspace.customers()


def test_a_damaged_charter_is_named(workspace: Workspace) -> None:
    path = workspace.directory / "charter.cairn"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UsageError, match="damaged"):
        workspace.charter()


def test_trust_comes_from_the_charter(workspace: Workspace) -> None:
    trust = workspace.trust()
    assert trust.chain_id == workspace.chain_id
    (workspace.directory / "trust.json").write_text("{}")
    with pytest.raises(UsageError, match="format"):
        workspace.trust()
