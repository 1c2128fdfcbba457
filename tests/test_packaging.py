"""The package's own promises: locks, versions, entry points and what a wheel holds."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
LOCKED = re.compile(r"^([a-z0-9][a-z0-9.-]*)==", re.MULTILINE)
HEADING = re.compile(r"^## \[(.+?)\]", re.MULTILINE)


def project() -> dict[str, Any]:
    """Return the content of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def locked(name: str) -> list[str]:
    """Return the names that a lock file pins."""
    return LOCKED.findall((ROOT / "requirements" / name).read_text(encoding="utf-8"))


def names(requirements: list[str]) -> list[str]:
    """Return the normalised names of requirements."""
    return [
        re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", text, maxsplit=1)[0]).lower()
        for text in requirements
    ]


def test_what_the_project_needs_is_locked() -> None:
    needed = names(project()["project"]["dependencies"])
    assert [name for name in needed if name not in locked("core.txt")] == []
    assert [name for name in needed if name not in locked("dev.txt")] == []


def test_every_extra_and_tool_is_locked_for_development() -> None:
    """So that `make test` tests the extras; one that is not locked needs a target of its own."""
    tables = project()
    needed = [
        name
        for group in tables["project"]["optional-dependencies"].values()
        for name in names(group)
    ]
    needed += names(tables["dependency-groups"]["dev"])
    assert [name for name in needed if name not in locked("dev.txt")] == []


@pytest.mark.parametrize("name", ["core.txt", "dev.txt"])
def test_locks_hold_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []


def test_the_signature_library_is_pinned_exactly() -> None:
    assert "pynacl==1.6.2" in project()["project"]["dependencies"]


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert {"Unreleased", project()["project"]["version"]} & set(HEADING.findall(text))
    assert "### Protocol" in text


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert project()["project"]["license"] == "Apache-2.0"


def test_a_wheel_holds_the_package_and_the_modules_specifications(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    held = zipfile.ZipFile(wheel).namelist()
    sources = sorted(
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "cairn").rglob("*")
        if path.suffix in (".py", ".md", ".typed", ".json", ".html", ".js", ".css")
        and "__pycache__" not in path.parts
    )
    assert [name for name in sources if name not in held] == []
    assert [name for name in held if not name.startswith(("cairn/", "cairn_ledger-"))] == []


def test_the_command_is_installed_under_one_name() -> None:
    assert project()["project"]["scripts"] == {"cairn": "cairn.cli.main:main"}
