"""Writes the reference pages that follow from the code, under docs/reference.

    python -m tools.make_docs            write the pages
    python -m tools.make_docs --check    write nothing; exit 1 if a page differs

A page says what the code says: settings, parameters, messages, routes, commands, codes. Whoever
adds one of these and documents it where it is declared has nothing else to do than to run this.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

import msgspec

from cairn.engine.base import Outcome
from cairn.ledger.module import Module
from cairn.ledger.parameters import LEDGER_PARAMETERS, Parameter
from cairn.ledger.records import RecordT
from cairn.modules.registry import standard_registry
from cairn.node import api
from cairn.node.routes import ROUTES, NextSequence
from cairn.node.settings import SETTINGS, Setting
from tools.docs_source import ROOT, summary
from tools.reference_commands import cli_page
from tools.reference_errors import errors_page
from tools.reference_types import Words, fields_table

PAGES_FOLDER = ROOT / "docs" / "reference"

GENERATED = "<!-- Generated from the code by `make docs`. Edit the code, not this page. -->"

VARIABLES = {
    "CAIRN_DIR": "The workspace that a command is about, if `--dir` does not say.",
    "CAIRN_AS": "Whose key signs, if `--as` does not say.",
    "CAIRN_PASSPHRASE": "The passphrase that opens the workspace's keys.",
    "CAIRN_PASSPHRASE_FILE": "A file whose first line is the passphrase; goes before "
    "`CAIRN_PASSPHRASE`.",
    "CAIRN_TRACEBACK": "Set to anything: an unexpected error shows where it came from.",
}
"""Environment variables of the command line; those of settings follow from their table."""

ANSWERS: tuple[type[msgspec.Struct], ...] = (
    api.HeadInfo,
    api.Health,
    Outcome,
    api.RowPage,
    api.SeriesPage,
    api.ProofRequest,
    api.StateQuery,
    api.SeriesQuery,
    api.RangeQuery,
    api.ReceiptsQuery,
    api.TransactionQuery,
    api.Proofs,
    api.EventPage,
    api.EventItem,
    api.BlockInfo,
    NextSequence,
)
"""Records of the node's interface, in the order of the routes that carry them."""

WITNESS_ROUTES = (
    ("POST", "/add-checkpoint", "an old size, a consistency proof and a signed checkpoint (C2SP "
     "tlog-witness)", "cosignature lines; 409 with the known size if the old size is another"),
    ("GET", "/checkpoint", "`origin`: a ledger's chain id", "the last checkpoint that it cosigned"),
    ("GET", "/origins", "", "the chain ids that it watches, a line each"),
    ("GET", "/key", "", "its verifier key"),
)  # fmt: skip
"""Routes of the witness: method, path, what it takes, what it gives."""


def settings_page() -> str:
    """Return the page of node settings and environment variables."""
    lines = [
        "# Settings",
        "",
        GENERATED,
        "",
        "A setting says how this node works, never what the ledger means; what the ledger means "
        "are [parameters](parameters.md). A flag goes before the environment, that before "
        "`cairn.toml`, that before the default. An unknown name and a value out of bounds are "
        "refused at start. `cairn config show` prints each value and where it comes from.",
        "",
        "In `cairn.toml` the part before the point is the section: `engine.interval_ms` is "
        "`interval_ms` under `[engine]`. A list in the environment is separated by commas. Bounds "
        "of texts and lists are of their length.",
        "",
        "| name | environment | default | bounds | meaning |",
        "|---|---|---|---|---|",
        *(_setting_row(setting) for setting in SETTINGS),
        "",
        "## Environment variables of the command line",
        "",
        "| name | meaning |",
        "|---|---|",
        *(f"| `{name}` | {text} |" for name, text in VARIABLES.items()),
    ]
    return _page(lines)


def _setting_row(setting: Setting) -> str:
    default = setting.default
    shown = "none" if default == () else f"`{default}`"
    bounds = f"{setting.minimum:,} to {setting.maximum:,}"
    if not isinstance(default, int):
        bounds += " entries" if isinstance(default, tuple) else " characters"
    name, variable = f"`{setting.name}`", f"`{setting.environment_name}`"
    return f"| {name} | {variable} | {shown} | {bounds} | {setting.help} |"


def parameters_page() -> str:
    """Return the page of protocol parameters."""
    lines = [
        "# Protocol parameters",
        "",
        GENERATED,
        "",
        "A parameter is an integer in the ledger's state: the same for every node, provable at any "
        "height, and changed only by a message (`identity/set_parameter`) that people approved "
        "under the policy `governance`. Nobody can set one outside its bounds. "
        "`cairn org parameters show` prints the values of a ledger.",
    ]
    groups: list[tuple[str, Sequence[Parameter]]] = [("ledger", LEDGER_PARAMETERS)]
    groups += [(module.name, module.parameters) for module in standard_registry().modules]
    for name, parameters in groups:
        if not parameters:
            continue
        lines += ["", f"## {name}", ""]
        lines += ["| name | default | bounds | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{one.name}` | {one.default:,} | {one.minimum:,} to {one.maximum:,} | {one.help} |"
            for one in parameters
        ]
    return _page(lines)


def messages_page() -> str:
    """Return the page of messages, events and the records within them."""
    registry = standard_registry()
    words = Words()
    body: list[str] = []
    for module in registry.modules:
        body += _module_section(module, words)
    lines = [
        "# Messages and events",
        "",
        GENERATED,
        "",
        "An operation of a transaction is one canonical msgpack array: the message's name, then "
        "its fields in this order. A field outside its bounds makes the whole transaction "
        "malformed. Who may send a message, and its refusals in order of precedence, stand in the "
        "module's README. Events are what receipts record, in the same form. A *slug* is a text of "
        "`a-z`, `0-9`, `.`, `_` and `-` that begins with a letter or digit.",
        "",
        "*Cost* is what a message takes from the budgets of its transaction, sender and block. A "
        "message *moves value* if it needs a verdict before anything moves.",
        *body,
        "",
        "## Records within messages",
    ]
    for record in words.seen:
        lines += ["", f"### {record.__name__}", "", summary(record), ""]
        lines += fields_table(record, words)
    return _page(lines)


def _module_section(module: Module, words: Words) -> Iterator[str]:
    readme = f"../../src/cairn/modules/{module.name}/README.md"
    yield from ("", f"## {module.name}", "", f"Specification: [{module.name}]({readme}).")
    for spec in module.messages:
        cost = f"{spec.cost:,}" if isinstance(spec.cost, int) else "by its size"
        moves = ", moves value" if spec.movement or spec.allow else ""
        yield from ("", f"### {_tag(spec.message)}", "")
        yield from (f"{summary(spec.message)} *Cost {cost}{moves}.*", "")
        yield from fields_table(spec.message, words)
    for event in module.events:
        yield from ("", f"### {_tag(event)} (event)", "", summary(event), "")
        yield from fields_table(event, words)


def _tag(record: type[RecordT]) -> str:
    return str(record.__struct_config__.tag)  # type: ignore[attr-defined]


def http_page() -> str:
    """Return the page of the node's and the witness's routes."""
    lines = [
        "# HTTP",
        "",
        GENERATED,
        "",
        "A node serves these routes on its Unix socket and on loopback HTTP (see "
        "[settings](settings.md)). With `Accept: application/msgpack` an answer is the canonical "
        "bytes of its record, else JSON with fields by name and bytes in hex. Keys and ids stand "
        "in paths and queries in hex. Nothing here needs to be believed: clients verify what they "
        "are told (`/v1/proofs`).",
        "",
        'Every error has one shape, `{"error": {"code", "message", "hint"}}`; the codes are on the '
        "page of [errors](errors.md). The node answers only to its own name, so that a web page "
        "cannot reach it through somebody else's.",
        "",
        "| method | path | takes | gives |",
        "|---|---|---|---|",
        *(f"| {one.method} | `{one.path}` | {one.takes} | {one.gives} |" for one in ROUTES),
        "",
        "## The witness",
        "",
        "Plain text, as C2SP has it.",
        "",
        "| method | path | takes | gives |",
        "|---|---|---|---|",
        *("| {} | `{}` | {} | {} |".format(*route) for route in WITNESS_ROUTES),
        "",
        "## Records",
        "",
        "Proofs are those of [evidence](evidence.md).",
    ]
    words = Words(known=frozenset(ANSWERS))
    for record in ANSWERS:
        lines += ["", f"### {record.__name__}", "", summary(record), ""]
        lines += fields_table(record, words)
    return _page(lines)


def _page(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": lambda: cli_page(GENERATED),
    "errors.md": lambda: errors_page(GENERATED),
    "http.md": http_page,
    "messages.md": messages_page,
    "parameters.md": parameters_page,
    "settings.md": settings_page,
}


def main(arguments: Sequence[str]) -> int:
    """Write or compare the pages and return the exit code."""
    differing = []
    for name, make in PAGES.items():
        path, text = PAGES_FOLDER / name, make()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        differing.append(str(path.relative_to(ROOT)))
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
    for page in differing:
        print(("differs: " if "--check" in arguments else "written: ") + page)
    return 1 if differing and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
