"""The reference pages follow from the code, and what the guides and claims name exists."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cairn.ledger.errors import Rejection
from cairn.ledger.parameters import LEDGER_PARAMETERS
from cairn.modules.registry import standard_registry
from cairn.node.routes import ROUTES
from cairn.node.settings import SETTINGS
from cairn.node.witness_server import witness_application
from cairn.sdk.refusals import HINTS
from tools import error_advice, make_docs
from tools.docs_source import codes_in_source, error_classes, summary, variables_in_source
from tools.reference_commands import SHARED, commands
from tools.reference_errors import RECEIPT_CODES

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
CLAIMS = DOCS / "claims.md"
COMMAND_PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "SECURITY.md"])
FENCED = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
QUOTED = re.compile(r"`(cairn [a-z][^`]*)`")
CODE = re.compile(r"`([^`]+)`")
NODE_ID = re.compile(r"^(tests/[\w/]+\.py)(?:::(\w+))?(?:\[.*\])?$")
PATH = re.compile(r"^(?:src|tests|tools|vectors|docs|bench|packaging|requirements)/[\w./-]*$")


@pytest.mark.parametrize("name", make_docs.PAGES)
def test_pages_are_what_the_code_says(name: str) -> None:
    page = REFERENCE / name
    assert page.read_text(encoding="utf-8") == make_docs.PAGES[name](), "run `make docs`"


# Everything that pages are made of says what it is


def test_every_setting_and_parameter_has_its_sentence() -> None:
    parameters = [p for module in standard_registry().modules for p in module.parameters]
    texts = {one.name: one.help for one in (*SETTINGS, *LEDGER_PARAMETERS, *parameters)}
    assert len(texts) > 30
    assert [name for name, text in texts.items() if not text.endswith(".")] == []


def test_every_message_and_event_has_its_sentence() -> None:
    modules = standard_registry().modules
    records: list[type] = [spec.message for module in modules for spec in module.messages]
    records += [event for module in modules for event in module.events]
    assert len(records) > 100
    assert [one.__name__ for one in records if not summary(one).endswith(".")] == []


def test_every_route_says_what_it_gives() -> None:
    assert [one.path for one in ROUTES if not one.gives] == []
    takers = [one for one in ROUTES if "{" in one.path or one.method == "POST"]
    assert takers
    assert [one.path for one in takers if not one.takes] == []


def test_the_witness_routes_are_the_ones_on_the_page() -> None:
    application = witness_application(None)  # type: ignore[arg-type]
    served = {
        (method, str(route.path))  # type: ignore[attr-defined]
        for route in application.routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    assert {(method, path) for method, path, _, _ in make_docs.WITNESS_ROUTES} == served


def test_every_command_and_option_has_its_sentence() -> None:
    silent = [path for path, command in commands() if not (command.help or "").strip()]
    silent += [
        f"{path} {one.opts[0]}"
        for path, command in commands()
        for one in command.params
        if not getattr(one, "hidden", False)
        and one.opts[0] != "--help"
        and not (one.help or one.metavar)
    ]
    assert silent == []


# Errors


def test_every_refusal_has_a_hint() -> None:
    codes = {one.code for one in error_classes() if issubclass(one, Rejection) and one != Rejection}
    assert len(codes) > 100
    assert sorted(codes - set(HINTS)) == []


def test_every_error_has_its_sentence_and_its_advice() -> None:
    known = {*error_advice.ADVICE, *error_advice.WITNESS_ADVICE, *error_advice.NOT_SHOWN}
    lacking = [
        one.__name__
        for one in error_classes()
        if not summary(one) or not (one.__name__ in known or getattr(one, "hint", ""))
    ]
    coded = {one.__name__ for one in error_classes() if issubclass(one, Rejection)}
    assert [name for name in lacking if name not in coded] == []


def test_no_advice_is_for_an_error_that_is_gone() -> None:
    names = {one.__name__ for one in error_classes()}
    known = {*error_advice.ADVICE, *error_advice.WITNESS_ADVICE, *error_advice.NOT_SHOWN}
    assert sorted(known - names) == []


@pytest.mark.parametrize("namespace", ["ledger", "node", "engine", "evidence", "witness"])
def test_every_code_in_the_source_is_on_the_page(namespace: str) -> None:
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    found = set(re.findall(r"^### ([a-z]+/[a-z_]+)(?: \(\d+\))?$", page, re.MULTILINE))
    # names of rows, and codes of roots that are never raised themselves
    not_codes = {"ledger/history", "evidence/refused", "engine/request"}
    assert sorted(codes_in_source(namespace) - found - not_codes) == []
    assert set(RECEIPT_CODES) - {"ok"} <= found


def test_every_environment_variable_is_on_the_page() -> None:
    settings = {one.environment_name for one in SETTINGS}
    assert set(variables_in_source()) - settings == set(make_docs.VARIABLES)


# Commands that pages name


@cache
def command_tree() -> dict[str, Any]:
    return dict(commands())


def named_commands(page: Path) -> Iterator[str]:
    """Yield the `cairn …` command lines of a page, in fences and in quotes."""
    text = page.read_text(encoding="utf-8")
    for block in FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            start = line.strip().removeprefix("$ ")
            if start.startswith("cairn "):
                yield start.partition(" #")[0].partition(" &")[0].strip()
    yield from QUOTED.findall(FENCED.sub("", text))


def complaint(line: str) -> str:
    """Return what is wrong with a command line, or an empty text."""
    words = shlex.split(line)
    path = words.pop(0)
    tree = command_tree()
    while words and f"{path} {words[0]}" in tree:
        path += " " + words.pop(0)
    command = tree[path]
    if hasattr(command, "commands"):
        return f"{path} has no {words[0]}" if words and not words[0].isupper() else ""
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    options = [word.partition("=")[0] for word in words if re.match(r"^--?[a-z]", word)]
    unknown = [name for name in options if name not in known]
    return f"{path} has no {', '.join(unknown)}" if unknown else ""


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_on_a_page_exist(page: Path) -> None:
    if page.name == "cli.md":
        pytest.skip("made from the commands themselves")
    wrong = {line: complaint(line) for line in named_commands(page)}
    assert {line: why for line, why in wrong.items() if why} == {}


def test_the_check_of_commands_finds_a_wrong_one() -> None:
    assert complaint("cairn node start --port 0") == ""
    assert complaint("cairn node begin") == "cairn node has no begin"
    assert complaint("cairn node start --harbour 0") == "cairn node start has no --harbour"
    assert "--dir" in SHARED


@pytest.mark.parametrize("code", sorted(HINTS))
def test_commands_in_hints_exist(code: str) -> None:
    assert [why for line in QUOTED.findall(HINTS[code]) if (why := complaint(line))] == []


# The index and the claims


def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.name != "README.md"]
    assert [page for page in sorted(pages) if f"({page})" not in index] == []


@cache
def functions(path: Path) -> frozenset[str]:
    """Return the names of a test file's functions and classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    found = {node.name for node in ast.walk(tree) if isinstance(node, named)}
    # `TestMachine = Machine.TestCase`, as Hypothesis has it
    found |= {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return frozenset(found)


def missing(text: str) -> list[str]:
    """Return the files and tests that a text quotes and that are not there."""
    found = []
    for quoted in CODE.findall(text):
        for word in quoted.split():
            match = NODE_ID.match(word)
            if match is not None:
                path = ROOT / match[1]
                if not path.is_file() or (match[2] and match[2] not in functions(path)):
                    found.append(word)
            elif PATH.match(word) and not (ROOT / word).exists():
                found.append(word)
    return found


def test_what_claims_name_exists() -> None:
    text = CLAIMS.read_text(encoding="utf-8")
    assert len(re.findall(r"tests/[\w/]+\.py", text)) > 50
    assert missing(text) == []


def test_every_claim_has_its_command_and_what_one_sees() -> None:
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for line in CLAIMS.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| promise")
    ]
    assert len(rows) > 40
    assert [row[0] for row in rows if len(row) != 3 or not all(row) or "`" not in row[1]] == []


def test_the_check_of_claims_finds_what_is_missing() -> None:
    assert missing("see `tests/test_docs.py::test_the_check_of_claims_finds_what_is_missing`") == []
    assert missing("`tests/test_docs.py::test_nothing` and `tests/none.py` and `vectors/none`") == [
        "tests/test_docs.py::test_nothing",
        "tests/none.py",
        "vectors/none",
    ]
