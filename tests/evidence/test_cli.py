"""The command: exit codes, what it prints, and the distribution that holds nothing else."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from cairn.evidence.cli import REFUSED, USAGE, VERIFIED, main, parse_time
from cairn.evidence.errors import EvidenceError

ROOT = Path(__file__).parent.parent.parent
BUNDLES = ROOT / "vectors" / "bundles"
FORGED = ROOT / "vectors" / "forged"
PAYMENT = BUNDLES / "payment_released.cairn"
TRUST = BUNDLES / "trust.json"

BORROWED = ("nacl", "msgspec", "_cffi_backend*", "cffi")
"""What the empty environment borrows from this one: PyNaCl and msgspec, and nothing else."""


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_a_verified_bundle_ends_with_its_assurance(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(PAYMENT, "--trust", TRUST, "--replay") == VERIFIED
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("assurance   witnessed: cosigned by witness.example/")
    assert "not shown\n" in out
    assert err == ""


def test_json_is_the_same_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(PAYMENT, "--trust", TRUST, "--json", "--at", "2023-11-15") == VERIFIED
    report = json.loads(capsys.readouterr().out)
    assert report["assurance"]["word"] == "witnessed"
    assert report["assurance"]["witnesses"] == ["witness.example/supervisor"]
    assert any("held by rule" in finding for finding in report["findings"])


def test_a_forged_bundle_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    entry = next(
        one
        for one in json.loads((FORGED / "index.json").read_text())
        if one["name"] == "retired_key"
    )
    arguments = (FORGED / entry["bundle"], "--trust", FORGED / entry["trust"])
    assert run(*arguments) == REFUSED
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: evidence/key_not_valid: ")
    assert "\n\nhint: " in err
    assert run(*arguments, "--json") == REFUSED
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "evidence/key_not_valid"


def test_without_a_trust_file_it_says_why_one_is_needed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(PAYMENT) == USAGE
    err = capsys.readouterr().err
    assert err.startswith("error: --trust TRUST is missing\n\nhint: ")
    assert "must not come from whoever handed you the bundle" in err


@pytest.mark.parametrize(
    "arguments",
    [
        (PAYMENT, "--trust", BUNDLES / "nothing.json"),
        (BUNDLES / "nothing.cairn", "--trust", TRUST),
        (PAYMENT, "--trust", PAYMENT),
        (PAYMENT, "--trust", TRUST, "--at", "yesterday"),
        (PAYMENT, "--trust", TRUST, "--at", "99999-01-01"),
    ],
)
def test_wrong_usage_is_told_apart_from_a_refusal(
    arguments: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == USAGE
    assert capsys.readouterr().err.startswith("error: ")


def test_unknown_options_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(PAYMENT, "--trust", TRUST, "--believe")
    assert stopped.value.code == USAGE
    assert "--believe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("0", 0),
        ("1700000000123", 1_700_000_000_123),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000_500),
        ("2023-11-14T22:13:20", 1_700_000_000_000),
        ("2023-11-14", 1_699_920_000_000),
    ],
)
def test_times_are_read_as_utc(text: str, time_ms: int) -> None:
    assert parse_time(text) == time_ms


def test_every_refusal_has_a_code_and_a_hint_of_its_own_page() -> None:
    classes = EvidenceError.__subclasses__()
    codes = [one.code for one in classes]
    assert len(codes) == len(set(codes)) >= 20
    assert all(one.hint for one in classes)
    page = (ROOT / "docs" / "reference" / "evidence.md").read_text()
    missing = [code for code in codes if f"`{code}`" not in page]
    assert missing == []


# The distribution


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "build_verifier.py"), str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_the_wheel_holds_the_verifier_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
        metadata = archive.read(next(f for f in files if f.endswith("METADATA"))).decode()
    packages = {name.split("/")[1] for name in files if name.startswith("cairn/")}
    assert packages == {
        "__init__.py",
        "py.typed",
        "evidence",
        "exact",
        "ledger",
        "modules",
        "primitives",
    }
    barred = ("handlers.py", "api.py", "module.py", "queries.py", "execution.py", "context.py")
    assert [name for name in files if name.endswith(barred)] == []
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert sorted(line.split(":")[1].split("=")[0].strip(" >") for line in needed) == [
        "msgspec",
        "numpy",
        "pynacl",
    ]
    assert next(line for line in needed if "numpy" in line).endswith("extra == 'replay'")


def test_both_distributions_have_one_version() -> None:
    paths = (ROOT / "pyproject.toml", ROOT / "packaging" / "cairn-verify" / "pyproject.toml")
    own, other = (tomllib.loads(path.read_text())["project"] for path in paths)
    assert own["version"] == other["version"]
    assert own["requires-python"] == other["requires-python"]
    mine = {text for text in own["dependencies"] if text.startswith(("msgspec", "pynacl"))}
    assert mine == set(other["dependencies"])


def test_it_installs_alone_and_verifies(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "borrowed"
    site.mkdir()
    import msgspec

    for pattern in BORROWED:
        for found in Path(msgspec.__file__).parent.parent.glob(pattern):
            (site / found.name).symlink_to(found)
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    subprocess.run(
        [home / "bin" / "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel)],
        check=True,
        capture_output=True,
    )
    environment = {"PYTHONPATH": str(site), "PATH": ""}

    def verify(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [home / "bin" / "cairn-verify", *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    done = verify(PAYMENT, "--trust", TRUST, "--replay")
    assert done.returncode == VERIFIED, done.stderr
    assert "computed again, with the same result: 2 scores" in done.stdout
    forged = verify(FORGED / "value_edited.cairn", "--trust", FORGED / "trust-1.json")
    assert forged.returncode == REFUSED
    assert forged.stderr.startswith("error: evidence/state_proof: ")
    assert verify(PAYMENT).returncode == USAGE
