"""Key files: sealed, never overwritten, refused when anything about them is wrong."""

import json
import stat
from pathlib import Path

import pytest

from cairn.primitives.did import did_key
from cairn.sdk.errors import KeyFileError
from cairn.sdk.keys import create_key_file, generate_key, open_key_file, public_key_text
from tests.sdk.conftest import CHEAP


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "rita.json"


def test_a_key_comes_back_with_its_passphrase(path: Path) -> None:
    made = create_key_file(path, "correct", cost=CHEAP)
    assert open_key_file(path, "correct").seed == made.seed
    assert public_key_text(path) == did_key(made.public_key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.seed.hex() not in path.read_text()


def test_two_files_of_one_key_have_nothing_secret_in_common(path: Path) -> None:
    key = generate_key()
    create_key_file(path, "correct", key=key, cost=CHEAP)
    create_key_file(path.with_name("again.json"), "correct", key=key, cost=CHEAP)
    first, second = (json.loads(p.read_text()) for p in (path, path.with_name("again.json")))
    assert first["sealed_seed"] != second["sealed_seed"]
    assert first["kdf"]["salt"] != second["kdf"]["salt"]


def test_a_wrong_passphrase_is_refused(path: Path) -> None:
    create_key_file(path, "correct", cost=CHEAP)
    with pytest.raises(KeyFileError, match="passphrase does not open"):
        open_key_file(path, "Correct")


def test_a_key_is_never_overwritten(path: Path) -> None:
    create_key_file(path, "correct", cost=CHEAP)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="exists"):
        create_key_file(path, "other", cost=CHEAP)
    assert path.read_bytes() == before


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(KeyFileError, match="no key file"):
        open_key_file(path, "correct")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", "cairn-key/2", "not a key file of format"),
        ("sealed_seed", "zz", "damaged"),
        ("sealed_seed", "00", "passphrase does not open"),
        ("public_key", "did:key:z6MkjecMcHWJJALLDakLoDdQZycs3Tuj98NbYz99VdficWDG", "another"),
        ("kdf", {"passes": 1, "memory_bytes": 1 << 40, "salt": "00" * 16}, "unreasonable cost"),
        ("kdf", {"passes": 99, "memory_bytes": 8192, "salt": "00" * 16}, "unreasonable cost"),
        ("kdf", {"passes": 1, "memory_bytes": 8192, "salt": "00"}, "unreasonable cost"),
        ("kdf", {}, "damaged"),
    ],
)
def test_a_changed_file_is_refused(path: Path, field: str, value: object, message: str) -> None:
    create_key_file(path, "correct", cost=CHEAP)
    document = json.loads(path.read_text())
    document[field] = value
    path.write_text(json.dumps(document))
    with pytest.raises(KeyFileError, match=message):
        open_key_file(path, "correct")


def test_what_is_not_json_is_no_key_file(path: Path) -> None:
    path.parent.mkdir()
    for text in ("", "[" * 100_000, "[]", "null"):
        path.write_text(text)
        with pytest.raises(KeyFileError, match="not a key file"):
            open_key_file(path, "correct")
