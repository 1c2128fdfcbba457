"""The page of errors: every code and every named error that somebody can meet."""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from cairn.cli.errors import exit_code_of
from cairn.engine.errors import EngineRequestError
from cairn.evidence.errors import EvidenceError
from cairn.ledger.errors import Fault, Rejection
from cairn.ledger.receipts import OK, OPERATION_REFUSED, UNDONE
from cairn.modules.registry import standard_registry
from cairn.node.errors import NodeRequestError
from cairn.node.wire import error_answer
from cairn.node.witness import WitnessError
from cairn.primitives.errors import SelfTestError, TrieNodeError
from cairn.sdk.refusals import HINTS
from tools.docs_source import error_classes, summary
from tools.error_advice import ADVICE, LITERAL_CODES, NOT_SHOWN, WITNESS_ADVICE

RECEIPT_CODES = {
    OK: ("The transaction took effect; in mode 1, see each operation's own code.", ""),
    OPERATION_REFUSED: (
        "In mode 0 one operation was refused, so none took effect.",
        HINTS[OPERATION_REFUSED],
    ),
    UNDONE: ("The operation was undone because another one was refused.", HINTS[UNDONE]),
}
STOPS = (Fault, SelfTestError, TrieNodeError)
"""Roots of what stops a node."""


def shown_errors() -> tuple[type[BaseException], ...]:
    """Return the error classes that the page has an entry for."""
    return tuple(one for one in error_classes() if one.__name__ not in NOT_SHOWN)


def errors_page(note: str) -> str:
    """Return the page."""
    lines = [
        "# Errors",
        "",
        note,
        "",
        "Each entry says what happened and what to do. A *refusal* is the ledger's own answer, the "
        "same on every node, and stands in a receipt by its code. A *fault* stops the node before "
        "it commits anything. Codes are never renamed and never used again for something else.",
        "",
        "Exit codes of `cairn`: 0 done, 1 refused by the ledger or the verifier, 2 wrong use, 3 no "
        "node can be reached, 70 fault, 130 interrupted. `cairn-verify` has 0, 1 and 2.",
        *_refusals(),
        *_section(
            "Refusals of the verifier",
            "`cairn verify` names the first step that fails, exit code 1 (2 for the trust file). "
            "The steps are those of [evidence](evidence.md).",
            (_coded(one, one.hint) for one in _of(EvidenceError)),
        ),
        *_section(
            "Requests that a node refuses",
            "Nothing was changed. The number is the HTTP status; a refusal that comes before the "
            "server is up (a setting, a directory) has none.",
            _requests(),
        ),
        *_section(
            "What a witness answers instead of a cosignature",
            "The number is the HTTP status.",
            (_coded(one, WITNESS_ADVICE[one.__name__], one.status) for one in _of(WitnessError)),
        ),
        *_section(
            "Faults: what stops a node",
            "Exit code 70. Nothing of the block at hand was committed, and what was acknowledged "
            "before is on the disk.",
            (_named(one) for one in shown_errors() if issubclass(one, STOPS)),
        ),
        *_section(
            "Errors of the client, of files and of models",
            "What programs catch and the command line prints as `error:` and `hint:`. The number "
            "is the exit code.",
            (_named(one, exit_code_of(one.__new__(one))) for one in _others()),
        ),
    ]
    return "\n".join(lines) + "\n"


def _refusals() -> Iterator[str]:
    yield from ("", "## Codes of receipts")
    for code, (meaning, hint) in RECEIPT_CODES.items():
        yield from _entry(code, meaning, hint)
    names = ["ledger", *(module.name for module in standard_registry().modules)]
    for name in names:
        mine = [one for one in _of(Rejection) if one.code.startswith(f"{name}/")]
        if mine:
            yield from ("", f"## Refusals of {name}")
        for one in mine:
            yield from _entry(one.code, summary(one), HINTS[one.code])


def _requests() -> Iterator[Iterator[str]]:
    for one in (*_of(EngineRequestError), *_of(NodeRequestError)):
        yield _coded(one, one.hint, error_answer(one("")).status_code)
    for code, (meaning, hint, status) in LITERAL_CODES.items():
        yield _entry(f"{code} ({status})", meaning, hint)


def _others() -> list[type[Exception]]:
    """Return what is neither coded nor a fault: errors of the client and of files."""
    coded = (Rejection, EvidenceError, EngineRequestError, NodeRequestError, WitnessError)
    return [
        one
        for one in shown_errors()
        if not issubclass(one, (*coded, *STOPS)) and issubclass(one, Exception)
    ]


def _of(root: type[BaseException]) -> list[Any]:
    """Return the shown errors of a root whose members have a `code`."""
    return [one for one in shown_errors() if issubclass(one, root)]


def _coded(error: Any, hint: str, status: int | None = None) -> Iterator[str]:
    title = error.code if status is None else f"{error.code} ({status})"
    return _entry(title, summary(error), hint)


def _named(error: type[BaseException], exit_code: int | None = None) -> Iterator[str]:
    name = error.__name__
    hint = ADVICE.get(name) or str(inspect.getattr_static(error, "hint", "") or "")
    return _entry(name if exit_code is None else f"{name} ({exit_code})", summary(error), hint)


def _entry(title: str, meaning: str, hint: str) -> Iterator[str]:
    yield from ("", f"### {title}", "", meaning)
    if hint:
        yield from ("", f"*What to do:* {hint}.")


def _section(title: str, text: str, entries: Iterable[Iterator[str]]) -> Iterator[str]:
    yield from ("", f"## {title}", "", text)
    for entry in entries:
        yield from entry
