"""The house rules as functions from source text to complaints; `test_architecture` applies them.

Each rule is a function that takes a `Source` and yields complaints of the form `line: what`. Rules
look at the syntax tree and at comment tokens, never at raw text, so that a docstring may name what
the code may not do.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 50
# fmt: off
BANNED_IMPORTS = (
    "asyncio", "concurrent", "contextvars", "datetime", "decimal", "fractions", "math",
    "multiprocessing", "os", "pathlib", "random", "secrets", "select", "signal", "socket", "ssl",
    "subprocess", "tempfile", "threading", "time", "uuid",
)
"""What consensus code does not import: clocks, randomness, files, networks, threads, floats."""

ARRAY_LIBRARIES = ("numba", "numpy")
FLOAT_DTYPES = (
    "complex64", "complex128", "double", "float16", "float32", "float64", "float128", "float_",
    "floating", "half", "inexact", "longdouble", "single",
)
BANNED_FILE_NAMES = ("common", "core", "helpers", "manager", "misc", "service", "util", "utils")
# fmt: on
BANNED_BUILTINS = frozenset({"float", "set", "frozenset", "complex", "hash", "id", "round"})
"""Builtins whose results differ between processes or machines, or are floats."""

OPEN_MARKS = ("TODO", "FIXME", "XXX", "HACK")


class Source:
    """One file: its path, its text and what can be parsed out of it."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8") if text is None else text

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return list(ast.walk(self.tree))

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """Line and text of every comment."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [
            (token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT
        ]

    @cached_property
    def imported(self) -> list[tuple[int, str]]:
        """Line and first component of everything that the file imports."""
        found = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name.split(".")[0]) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found.append((node.lineno, (node.module or ".").split(".")[0]))
        return found


def no_floats(source: Source) -> Iterator[str]:
    """Consensus has no float literal, no true division and no call of `float` or `complex`."""
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield f"{node.lineno}: the float {node.value}"
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield f"{node.lineno}: true division; say the rounding"


def no_unstable_builtins(source: Source) -> Iterator[str]:
    """Consensus calls nothing whose result depends on the process, and no set shows its order.

    A set may stand directly inside `len()` or `sorted()`, where its order cannot show, and a
    frozenset may be a constant of a file.
    """
    harmless = [
        id(argument)
        for node in source.nodes
        if _called(node) in ("len", "sorted")
        for argument in ast.iter_child_nodes(node)
    ]
    for node in source.nodes:
        name = _called(node)
        if isinstance(node, ast.Set | ast.SetComp) and id(node) not in harmless:
            yield f"{node.lineno}: a set, whose order differs between processes"
        elif isinstance(node, ast.Call) and name in BANNED_BUILTINS and id(node) not in harmless:
            if name == "frozenset" and not _in_function(source, node):
                continue
            yield f"{node.lineno}: a call of {name}()"


def _called(node: ast.AST) -> str | None:
    """Return the plain name that `node` calls, if it is such a call."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return None


def _in_function(source: Source, wanted: ast.AST) -> bool:
    """Return whether `wanted` runs inside a function, not once at import as a constant."""
    return any(
        wanted in ast.walk(node)
        for node in source.nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    )


def no_banned_imports(source: Source) -> Iterator[str]:
    """Consensus imports no clock, no randomness, no file, no network and no thread."""
    for line, name in source.imported:
        if name in BANNED_IMPORTS:
            yield f"{line}: an import of {name}"


def no_array_libraries(source: Source) -> Iterator[str]:
    """Outside `exact`, consensus imports no array library."""
    for line, name in source.imported:
        if name in ARRAY_LIBRARIES:
            yield f"{line}: an import of {name}; arrays belong in cairn.exact"


def no_float_arrays(source: Source) -> Iterator[str]:
    """Arrays of consensus hold integers: no float dtype by name, by text or through `float`."""
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr in FLOAT_DTYPES:
            yield f"{node.lineno}: the dtype {node.attr}"
        if isinstance(node, ast.keyword) and node.arg == "dtype":
            value = node.value
            if isinstance(value, ast.Name) and value.id in ("float", "complex"):
                yield f"{value.lineno}: the dtype {value.id}"
            if isinstance(value, ast.Constant) and str(value.value).lstrip("<>=|")[:1] in "fdgcFD":
                yield f"{value.lineno}: the dtype {value.value!r}"


def no_execution_order_from_the_environment(source: Source) -> Iterator[str]:
    """Consensus starts no coroutine and keeps no `global`."""
    for node in source.nodes:
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield f"{node.lineno}: a coroutine"
        if isinstance(node, ast.Global):
            yield f"{node.lineno}: a global"


def init_imports_nothing(source: Source) -> Iterator[str]:
    """An `__init__` holds one docstring and nothing else, so that import closures stay small."""
    if source.path.name == "__init__.py":
        if ast.get_docstring(source.tree) is None:
            yield "1: no docstring"
        for node in source.tree.body[1:]:
            yield f"{node.lineno}: more than a docstring"


def module_has_docstring(source: Source) -> Iterator[str]:
    """Every file says in its first line what it is."""
    if ast.get_docstring(source.tree) is None:
        yield "1: no docstring"


def sizes_stay_small(source: Source) -> Iterator[str]:
    """A file stops at 600 lines and a function at 50, docstring not counted."""
    lines = source.text.count("\n")
    if lines > FILE_LINES_MAX:
        yield f"1: a file of {lines} lines, more than {FILE_LINES_MAX}"
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1 - _docstring_lines(node)
            if length > FUNCTION_LINES_MAX:
                yield f"{node.lineno}: {node.name} has {length} lines, more than 50"


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def no_open_marks(source: Source) -> Iterator[str]:
    """Nothing is left for later: no mark of unfinished work in a comment."""
    for line, comment in source.comments:
        for mark in OPEN_MARKS:
            if mark in comment:
                yield f"{line}: {mark}"


def no_hidden_errors(source: Source) -> Iterator[str]:
    """`except Exception` raises in the end or says on its line why not; `except` is never bare."""
    reasons = dict(source.comments)
    for node in source.nodes:
        if not isinstance(node, ast.ExceptHandler):
            continue
        names = [
            name.id for name in ast.walk(node.type or ast.Pass()) if isinstance(name, ast.Name)
        ]
        if node.type is None:
            yield f"{node.lineno}: a bare except"
        elif "Exception" in names or "BaseException" in names:
            reason = re.sub(r"#|noqa: [A-Z0-9, ]+", "", reasons.get(node.lineno, ""))
            if len(reason.strip(" -:,")) < 10 and not isinstance(node.body[-1], ast.Raise):
                yield f"{node.lineno}: except Exception without a reason on the line"
            if all(isinstance(statement, ast.Pass) for statement in node.body):
                yield f"{node.lineno}: except Exception: pass"


def suppressions(source: Source) -> list[tuple[int, str]]:
    """Return line and text of every `noqa` and `type: ignore`."""
    return [
        (line, comment)
        for line, comment in source.comments
        if "noqa" in comment or "type: ignore" in comment
    ]


def suppressions_are_specific(source: Source) -> Iterator[str]:
    """A suppression names its rule, so that it hides one thing; a `noqa` says why."""
    for line, comment in suppressions(source):
        if "noqa" in comment and "noqa: " not in comment:
            yield f"{line}: noqa without a rule"
        if "type: ignore" in comment and "type: ignore[" not in comment:
            yield f"{line}: type: ignore without a rule"
        if re.fullmatch(r"# noqa(: [A-Z0-9, ]+)?", comment.strip()):
            yield f"{line}: noqa without a reason"
