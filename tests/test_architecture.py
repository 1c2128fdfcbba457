"""House rules as checks of the source; each rule is itself tested on a small offence."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import house_rules as rules
from tests.house_rules import BANNED_FILE_NAMES, Source

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "cairn"
SUPPRESSIONS_MAX = 60
"""All of `src` has at most this many `noqa` and `type: ignore`; the number should not grow."""

Rule = Callable[[Source], Iterator[str]]
EVERYWHERE: tuple[Rule, ...] = (
    rules.init_imports_nothing,
    rules.module_has_docstring,
    rules.sizes_stay_small,
    rules.no_open_marks,
    rules.no_hidden_errors,
    rules.suppressions_are_specific,
)
IN_CONSENSUS: tuple[Rule, ...] = (
    rules.no_floats,
    rules.no_unstable_builtins,
    rules.no_banned_imports,
    rules.no_execution_order_from_the_environment,
)
CONSENSUS = ("primitives", "ledger", "exact", "modules")
README_SECTIONS = ("State", "Messages", "Events", "Invariants")

SOURCES = [Source(path) for path in sorted(PACKAGE.rglob("*.py"))]


def within(*packages: str) -> list[Source]:
    """Return the sources of the named packages."""
    return [source for source in SOURCES if source.path.relative_to(PACKAGE).parts[0] in packages]


def complaints(sources: list[Source], rule: Rule) -> list[str]:
    """Return what `rule` says about `sources`, with the path before each complaint."""
    return [
        f"{source.path.relative_to(ROOT)}:{complaint}"
        for source in sources
        for complaint in rule(source)
    ]


@pytest.mark.parametrize("rule", EVERYWHERE, ids=lambda rule: rule.__name__)
def test_rules_for_all_code(rule: Rule) -> None:
    assert complaints(SOURCES, rule) == []


@pytest.mark.parametrize("rule", IN_CONSENSUS, ids=lambda rule: rule.__name__)
def test_rules_for_consensus_code(rule: Rule) -> None:
    assert complaints(within(*CONSENSUS), rule) == []


def test_arrays_belong_in_exact_and_hold_integers() -> None:
    assert complaints(within("primitives", "ledger", "modules"), rules.no_array_libraries) == []
    assert complaints(within("exact"), rules.no_float_arrays) == []


def test_the_rules_see_the_code() -> None:
    assert len(within("primitives")) > 8
    assert all(within(package) for package in CONSENSUS)


OFFENCES = [
    (rules.no_floats, "x = 1.5"),
    (rules.no_floats, "x = a / b"),
    (rules.no_floats, "x /= b"),
    (rules.no_unstable_builtins, "x = {1, 2}"),
    (rules.no_unstable_builtins, "x = {y for y in z}"),
    (rules.no_unstable_builtins, "x = set(z)"),
    (rules.no_unstable_builtins, "def f(z):\n    return frozenset(z)"),
    (rules.no_unstable_builtins, "x = list(set(z))"),
    (rules.no_unstable_builtins, "x = len(list({1, 2}))"),
    (rules.no_unstable_builtins, "x = float(z)"),
    (rules.no_unstable_builtins, "x = hash(z)"),
    (rules.no_banned_imports, "import time"),
    (rules.no_banned_imports, "import os.path"),
    (rules.no_banned_imports, "def f():\n    from random import choice"),
    (rules.no_array_libraries, "import numpy as np"),
    (rules.no_float_arrays, "x = np.float64"),
    (rules.no_float_arrays, "x = np.zeros(3, dtype=float)"),
    (rules.no_float_arrays, "x = np.zeros(3, dtype='<f4')"),
    (rules.no_execution_order_from_the_environment, "async def f(): ..."),
    (rules.no_execution_order_from_the_environment, "def f():\n    global x"),
    (rules.module_has_docstring, "x = 1"),
    (rules.sizes_stay_small, "x = 1\n" * 601),
    (rules.sizes_stay_small, "def f():\n" + "    x = 1\n" * 50),
    (rules.no_open_marks, "x = 1  # TODO later"),
    (rules.no_hidden_errors, "try:\n    f()\nexcept:\n    raise"),
    (rules.no_hidden_errors, "try:\n    f()\nexcept Exception:\n    g()"),
    (rules.no_hidden_errors, "try:\n    f()\nexcept (OSError, Exception):  # noqa\n    g()"),
    (rules.suppressions_are_specific, "x = 1  # noqa"),
    (rules.suppressions_are_specific, "x = 1  # noqa: E501"),
    (rules.suppressions_are_specific, "x = 1  # type: ignore"),
]


@pytest.mark.parametrize(("rule", "text"), OFFENCES)
def test_each_rule_sees_its_offence(rule: Rule, text: str) -> None:
    assert list(rule(Source(Path("offence.py"), text)))


def test_the_rules_leave_good_code_alone() -> None:
    text = '''"""Says 1.5 / 2.0, TODO, set() and float() in words only."""

KINDS = frozenset(("a", "b"))


def halve(value: int) -> int:
    """Return half of `value`, rounded down."""
    assert len(set((value,))) == 1
    assert sorted({value}) == [value]
    try:
        return value // 2
    except Exception as error:  # noqa: BLE001 - the edge of the process, logged below
        raise RuntimeError from error
'''
    for rule in (*EVERYWHERE, *IN_CONSENSUS, rules.no_array_libraries, rules.no_float_arrays):
        assert list(rule(Source(Path("good.py"), text))) == []
    offence = Source(Path("__init__.py"), '"""A package."""\nimport os\n')
    assert list(rules.init_imports_nothing(offence)) == ["2: more than a docstring"]


def test_no_file_is_named_after_nothing() -> None:
    names = [
        str(path.relative_to(ROOT))
        for path in (
            *PACKAGE.rglob("*"),
            *(ROOT / "tests").rglob("*"),
            *(ROOT / "bench").rglob("*"),
        )
        if path.stem in BANNED_FILE_NAMES and "__pycache__" not in path.parts
    ]
    assert names == []


def test_suppressions_are_few() -> None:
    found = [
        f"{source.path.relative_to(ROOT)}:{line}: {comment}"
        for source in SOURCES
        for line, comment in rules.suppressions(source)
    ]
    print(f"{len(found)} suppressions in src, at most {SUPPRESSIONS_MAX}")  # noqa: T201 - pytest -s
    assert len(found) <= SUPPRESSIONS_MAX, "\n".join(found)


MODULES = sorted(path.parent for path in (PACKAGE / "modules").glob("*/module.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_module_has_its_specification(module: Path) -> None:
    readme = module / "README.md"
    assert readme.is_file(), "a module is specified by its README.md"
    headings = [
        line.lstrip("#").strip()
        for line in readme.read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    ]
    missing = [
        section
        for section in README_SECTIONS
        if not any(heading.startswith(section) for heading in headings)
    ]
    assert missing == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_module_has_the_same_files(module: Path) -> None:
    expected = ("__init__.py", "errors.py", "events.py", "handlers.py", "messages.py", "records.py")
    assert [name for name in expected if not (module / name).is_file()] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_message_and_event_stands_in_the_specification(module: Path) -> None:
    text = (module / "README.md").read_text(encoding="utf-8")
    classes = [
        node
        for name in ("messages.py", "events.py", "errors.py")
        for node in Source(module / name).tree.body
        if isinstance(node, ast.ClassDef)
    ]
    assert classes
    unsaid = [node.name for node in classes if not any(name in text for name in _names(node))]
    assert unsaid == []


def _names(node: ast.ClassDef) -> list[str]:
    """Return what a specification may call a class: its name, or what follows `module/`."""
    codes = [
        text.value.rpartition("/")[2]
        for text in ast.walk(node)
        if isinstance(text, ast.Constant)
        and isinstance(text.value, str)
        and "/" in text.value
        and " " not in text.value
    ]
    return [node.name, *codes]
