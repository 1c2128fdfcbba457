"""The tutorial's commands run as they stand on the page, on the files that its script makes."""

import contextlib
import csv
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from cairn.cli import main
from cairn.sdk.connecting import connect
from cairn.sdk.workspace import find_workspace

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "your-own-model.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS_MAX = 12
XGBOOST_SCRIPT = """
import pandas, xgboost
rows = pandas.read_csv("credit.csv")
inputs = rows.drop(columns=["id", "default", "education", "marriage"])
model = xgboost.XGBClassifier(n_estimators=30, max_depth=3, n_jobs=1)
model.fit(inputs, rows["default"])
model.save_model("model.json")
"""


@dataclass(frozen=True)
class Ran:
    """What a process did."""

    code: int
    out: str
    err: str


def blocks(kind: str) -> list[str]:
    """Return the page's blocks of a language."""
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    return [text for language, text in found if language == kind]


def commands() -> list[str]:
    """Return the lines that the reader types, in order."""
    return [line for text in blocks("sh") for line in text.splitlines() if line.strip()]


def shown(number: int) -> list[str]:
    """Return the parts of lines that the page shows as output, up to what it leaves out."""
    lines = [line for line in blocks("text")[number].splitlines() if line.strip()]
    parts = [part.strip() for line in lines for part in line.split("[…]")]
    return [" ".join(part.split()) for part in parts if part]


class Desk:
    """A directory in which commands are typed."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.directory = directory
        self.environment = environment

    def __call__(self, line: str, *, code: int | None = 0) -> Ran:
        """Run a line; check its exit code and that nobody sees a traceback."""
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            self.environment[name] = value
            return Ran(0, "", "")
        assert words[0] == "cairn"
        ran = self.python("-c", "from cairn.cli.main import main; main()", *words[1:])
        assert code is None or ran.code == code, f"{line}\n{ran.out}{ran.err}"
        assert "Traceback" not in ran.err
        return ran

    def python(self, *arguments: str) -> Ran:
        found = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(found.returncode, found.stdout, found.stderr)


class Within(Desk):
    """The same in this process, which saves starting one for each line."""

    def __call__(self, line: str, *, code: int | None = 0) -> Ran:
        words = shlex.split(line)
        if words[0] == "export":
            return super().__call__(line)
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.directory),
            mock.patch.dict(os.environ, self.environment, clear=True),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            found = main.run(words[1:])
        ran = Ran(found, out.getvalue(), err.getvalue())
        assert code is None or ran.code == code, f"{line}\n{ran.out}{ran.err}"
        assert "Traceback" not in ran.err
        return ran


def environment() -> dict[str, str]:
    """Return an environment with nothing of Cairn in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the stranger's files; no test changes it."""
    directory = tmp_path_factory.mktemp("brought")
    (directory / "make.py").write_text(blocks("python")[0], encoding="utf-8")
    (directory / "rule.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    desk = Desk(directory, environment())
    made = desk.python("make.py")
    assert made.code == 0, made.err
    made = desk.python("-c", XGBOOST_SCRIPT)
    assert made.code == 0, made.err
    return directory


@pytest.fixture(scope="module")
def walked(brought: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, list[Ran]]:
    """The page's commands, run in order in an empty directory."""
    directory = tmp_path_factory.mktemp("walked")
    for path in brought.iterdir():
        shutil.copy(path, directory)
    desk = Desk(directory, environment())
    second = tmp_path_factory.mktemp("second")
    ran = []
    for line in commands():
        if line.startswith("cairn verify"):
            shutil.copy(directory / "refusal.cairn", second)
            ran.append(Desk(second, environment())(line))
            continue
        ran.append(desk(line))
        if line.startswith("cairn init"):
            # The second person gets it before there is anything to prove.
            shutil.copy(directory / "bank" / "trust.json", second)
    return desk, ran


def test_twelve_lines_are_enough() -> None:
    assert 10 <= len(commands()) <= COMMANDS_MAX


def test_the_commands_print_what_the_page_shows(walked: tuple[Desk, list[Ran]]) -> None:
    _, ran = walked
    by_command = dict(zip(commands(), ran, strict=True))
    outputs = [
        " ".join((one.out + one.err).split())
        for line, one in by_command.items()
        if line.split()[1] not in ("report", "prove") and not line.startswith("export")
    ]
    del outputs[4]  # of the two approvals the page shows the second
    assert len(outputs) == len(blocks("text"))
    for number, output in enumerate(outputs):
        paths = output.replace(f"{walked[0].directory}/", "")
        assert [part for part in shown(number) if part not in paths] == []


def test_every_new_case_has_a_decision_with_its_reasons(walked: tuple[Desk, list[Ran]]) -> None:
    desk, _ = walked
    with (desk.directory / "decisions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (desk.directory / "new.csv").open(encoding="utf-8") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [row["id"] for row in rows]
    verdicts = [row["verdict"] for row in rows]
    assert len(rows) == 200
    assert 5 < verdicts.count("refuse") < 100
    assert verdicts.count("allow") + verdicts.count("refuse") == 200
    refused = [row for row in rows if row["verdict"] == "refuse"]
    assert all("rule `refuse-risky-credit` 1 fired" in row["reasons"] for row in refused)
    assert all("added: " in row["reasons"] for row in refused)
    assert len({row["decision"] for row in rows}) == 200


def test_the_report_is_one_page_that_needs_nothing_else(walked: tuple[Desk, list[Ran]]) -> None:
    desk, _ = walked
    page = (desk.directory / "report.html").read_text(encoding="utf-8")
    assert "refuse-risky-credit" in page
    assert "credit-risk" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")


def test_a_forged_refusal_is_refused(walked: tuple[Desk, list[Ran]]) -> None:
    desk = Within(walked[0].directory, walked[0].environment)
    raw = bytearray((desk.directory / "refusal.cairn").read_bytes())
    raw[len(raw) // 2] ^= 1
    (desk.directory / "forged.cairn").write_bytes(raw)
    ran = desk("cairn verify forged.cairn --trust bank/trust.json", code=1)
    assert ran.err.startswith("error: ")


def test_a_command_given_again_repeats_nothing(walked: tuple[Desk, list[Ran]]) -> None:
    ran = walked[1]
    desk = Within(walked[0].directory, walked[0].environment)
    for number, line in enumerate(commands()):
        if line.startswith("cairn model bring"):
            assert "credit-risk@1 " in desk(line).out.replace("\n", " ")
            assert "credit-risk@1 " in ran[number].out.replace("\n", " ")
    assert len(desk("cairn model list").out.splitlines()) == 2
    assert len(desk("cairn training list").out.splitlines()) == 2
    assert "nothing waits" in desk("cairn approve --as vera --yes").err


def test_xgboost_goes_the_same_way(brought: Path, tmp_path: Path) -> None:
    for name in ("credit.csv", "kept-back.csv", "new.csv", "model.json", "rule.yaml"):
        shutil.copy(brought / name, tmp_path)
    desk = Within(tmp_path, environment())
    for line in commands():
        ran = desk(
            line.replace("model.skops", "model.json").replace("trust.json", "bank/trust.json")
        )
    assert "with xgboost" in ran.out
    assert "computed again, with the same result" in ran.out


# What a stranger does wrong

Spoil = Callable[[str], str]


def _spoiled(directory: Path, name: str, change: Spoil) -> str:
    """Write a changed copy of a file, and return its name."""
    text = (directory / name).read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    stem, suffix = name.rsplit(".", 1)
    spoiled = f"{stem}-spoiled.{suffix}"
    (directory / spoiled).write_text(changed, encoding="utf-8")
    return spoiled


def _cell(row: int, column: str, value: str) -> Spoil:
    def change(text: str) -> str:
        lines = text.splitlines()
        place = lines[0].split(",").index(column)
        cells = lines[row].split(",")
        cells[place] = value
        lines[row] = ",".join(cells)
        return "\n".join(lines) + "\n"

    return change


def _header(column: str, name: str) -> Spoil:
    return lambda text: text.replace(f",{column},", f",{name},", 1)


@pytest.fixture
def at_work(walked: tuple[Desk, list[Ran]]) -> Iterator[Desk]:
    """The walked desk; what the wrong commands leave on its ledger is checked to be nothing."""
    desk = Within(walked[0].directory, walked[0].environment)
    before = state_of(desk)
    yield desk
    assert state_of(desk) == before


def state_of(desk: Desk) -> tuple[bytes, list[str]]:
    """Return what the ledger's state comes to, and the files of data and models beside it."""
    workspace = find_workspace(desk.directory / "bank")
    words = desk.environment["CAIRN_PASSPHRASE"]
    with connect(workspace, passphrase=lambda: words) as connection:
        app_hash = connection.head().app_hash
    kept = [path for name in ("data", "models") for path in (workspace.directory / name).rglob("*")]
    return app_hash, sorted(str(path) for path in kept)


BRING = "cairn model bring other model.skops --label default --data "
DECIDE = "cairn decide case credit-risk -o never.csv --as core --file "

WRONG = {
    "a column of the data has another name": (
        "credit.csv", _header("age", "years"), BRING, ("'age'", "columns are: id, limit"),
    ),
    "a value of the data is missing": (
        "credit.csv", _cell(7, "age", ""), BRING, ("row 6", "age is missing", "give a value"),
    ),
    "text in a column of numbers": (
        "credit.csv", _cell(7, "age", "old"), BRING, ("row 6", "'age'", "'old'", "correct"),
    ),
    "a label that is none": (
        "credit.csv", _cell(7, "default", ""), BRING, ("row 6", "'default'", "0 or 1"),
    ),
    "a category that the model does not know": (
        "credit.csv", _cell(7, "education", "kindergarten"), BRING, ("kindergarten", "university"),
    ),
    "a new case lacks a column": (
        "new.csv", _header("age", "years"), DECIDE, ("'age'", "the file has: id, limit"),
    ),
    "a new case lacks a value": (
        "new.csv", _cell(3, "age", ""), DECIDE, ("row 3", "'age'", "missing"),
    ),
    "a new case has NaN": (
        "new.csv", _cell(3, "age", "NaN"), DECIDE, ("row 3", "'age'", "missing"),
    ),
    "a new case has text in a number": (
        "new.csv", _cell(3, "age", "old"), DECIDE, ("row 3", "'age'", "'old'", "number"),
    ),
    "a new case has an unknown category": (
        "new.csv", _cell(3, "education", "kindergarten"), DECIDE,
        ("row 3", "'education'", "kindergarten", "university"),
    ),
    "a rule looks at an input that is not there": (
        "rule.yaml", lambda text: text.replace("late_1", "late_9"),
        "cairn rule bring --data credit.csv --label default ", ("line 7", "late_9", "late_"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named_with_what_to_do(at_work: Desk, what: str) -> None:
    name, change, line, told = WRONG[what]
    ran = at_work(line + _spoiled(at_work.directory, name, change), code=2)
    assert ran.err.count("error: ") == 1
    assert "\nhint: " in ran.err
    assert [part for part in told if part not in ran.err] == []
    assert not (at_work.directory / "never.csv").exists()


def test_a_pickle_is_not_opened(at_work: Desk) -> None:
    script = (
        "import os, pickle\n"
        "class Trap:\n"
        "    def __reduce__(self):\n"
        "        return os.system, ('touch sprung',)\n"
        "pickle.dump(Trap(), open('model.pkl', 'wb'))\n"
    )
    assert at_work.python("-c", script).code == 0
    ran = at_work("cairn model bring other model.pkl --data credit.csv --label default", code=2)
    assert "skops.io.dump(" in ran.err
    assert not (at_work.directory / "sprung").exists()


def test_a_model_without_an_exact_form_is_named(at_work: Desk) -> None:
    script = (
        "import pandas, skops.io\n"
        "from sklearn.naive_bayes import GaussianNB\n"
        "rows = pandas.read_csv('credit.csv')\n"
        "fitted = GaussianNB().fit(rows[['age', 'limit']], rows['default'])\n"
        "skops.io.dump(fitted, 'bayes.skops')\n"
    )
    assert at_work.python("-c", script).code == 0
    ran = at_work("cairn model bring other bayes.skops --data credit.csv --label default", code=2)
    assert "GaussianNB" in ran.err
    assert "\nhint: " in ran.err


def test_a_second_model_on_the_same_test_is_told_as_such(brought: Path, tmp_path: Path) -> None:
    for path in brought.iterdir():
        shutil.copy(path, tmp_path)
    desk = Within(tmp_path, environment())
    for line in commands()[:4]:
        desk(line)
    line = "cairn model bring boosted model.json --data credit.csv --test kept-back.csv"
    refused = desk(f"{line} --label default --threshold 0.3", code=2)
    assert "kept-back.csv is registered since" in refused.err
    assert "leave --test out" in refused.err
    assert "not blind" in desk(f"{line} --label default").out


def test_nothing_goes_live_without_its_approvals(brought: Path, tmp_path: Path) -> None:
    for path in brought.iterdir():
        shutil.copy(path, tmp_path)
    desk = Within(tmp_path, environment())
    for line in commands()[:5]:
        desk(line)
    desk("cairn approve --as vera --yes")
    assert (
        "nothing waits for the approval of bank/dirk" in desk("cairn approve --as dirk --yes").err
    )
    ran = desk("cairn go-live --yes", code=1)
    assert "1 of 2 approvals missing; approved by bank/vera" in ran.err
    assert "\nhint: " in ran.err
    ran = desk("cairn model promote credit-risk credit-risk@1 --as dirk --yes", code=1)
    assert "identity/not_approved" in ran.err
    ran = desk("cairn approve --as carl", code=2)
    assert "credit-risk@1" in ran.out
    assert "--yes" in ran.err
