"""What the reference pages read from source text: errors, field docstrings, literals, variables.

Everything else on the pages comes from the objects themselves; these four are not kept at run time.
"""

import ast
import importlib
import inspect
import re
import textwrap
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "cairn"

_ERROR_NAME = re.compile(r"(Error|Fault|Rejection)$")
_VARIABLE = re.compile(r"^CAIRN_[A-Z_]+[A-Z]$")


@cache
def sources() -> tuple[Path, ...]:
    """Return the files of the package, sorted."""
    return tuple(sorted(PACKAGE.rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    return ".".join(path.relative_to(SOURCE).with_suffix("").parts)


@cache
def error_classes() -> tuple[type[BaseException], ...]:
    """Return the classes of the package that are named like errors, by module and line."""
    found: list[type[BaseException]] = []
    for path in sources():
        names = [
            node.name
            for node in tree(path).body
            if isinstance(node, ast.ClassDef) and _ERROR_NAME.search(node.name)
        ]
        if names:
            module = importlib.import_module(module_name(path))
            found += [getattr(module, name) for name in names]
    return tuple(found)


@cache
def field_docs(record: type) -> dict[str, str]:
    """Return the docstrings that stand under the fields of a class, by field."""
    definition = ast.parse(textwrap.dedent(inspect.getsource(record))).body[0]
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, after in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[field.target.id] = one_line(after.value.value)
    return found


def codes_in_source(namespace: str) -> set[str]:
    """Return the codes `namespace/…` that stand as literals in the package's source."""
    pattern = re.compile(rf"^{namespace}/[a-z_]+$")
    return {
        node.value
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and pattern.match(node.value)
    }


def variables_in_source() -> dict[str, str]:
    """Return the `CAIRN_…` environment variables that the source names, with the file of each."""
    return {
        node.value: str(path.relative_to(ROOT))
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _VARIABLE.match(node.value)
    }


def one_line(text: str) -> str:
    """Return a docstring's first paragraph on one line."""
    return " ".join(inspect.cleandoc(text).split("\n\n")[0].split())


def summary(thing: object) -> str:
    """Return the first paragraph of a docstring on one line, `""` if there is none of its own."""
    return one_line(getattr(thing, "__doc__", None) or "")
