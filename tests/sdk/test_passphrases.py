"""Passphrases: from a file, the environment, or refused with what to do."""

from pathlib import Path

import pytest

from cairn.sdk.errors import KeyFileError
from cairn.sdk.passphrases import FILE_VARIABLE, VARIABLE, read_passphrase


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def test_a_file_goes_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("from the file\nsecond line\n")
    monkeypatch.setenv(VARIABLE, "from the environment")
    assert read_passphrase(None) == "from the environment"
    assert read_passphrase(tmp_path / "secret") == "from the file"
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "secret"))
    assert read_passphrase(None) == "from the file"


def test_without_a_terminal_nobody_is_asked() -> None:
    with pytest.raises(KeyFileError, match="no terminal") as caught:
        read_passphrase(None)
    assert VARIABLE in caught.value.hint


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_passphrase(tmp_path / "none")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(KeyFileError, match="empty"):
        read_passphrase(tmp_path / "empty")
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    with pytest.raises(KeyFileError, match="UTF-8"):
        read_passphrase(tmp_path / "latin")


def test_a_short_one_opens_keys_and_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "short")
    assert read_passphrase(None) == "short"
    with pytest.raises(KeyFileError, match="fewer than 8"):
        read_passphrase(None, confirm=True)
