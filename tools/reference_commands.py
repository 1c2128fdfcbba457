"""The page of commands, from the typer application."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer.main

from cairn.cli.main import app
from tools.docs_source import one_line

SHARED = ("--dir", "--as", "--node", "--passphrase-file", "--json", "--yes")
"""Options that nearly every command has; the page explains them once."""

KINDS = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH", bool: ""}


def commands(group: Any = None, path: str = "cairn") -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name, groups before what is in them."""
    command = typer.main.get_command(app) if group is None else group
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, f"{path} {name}")


def cli_page(note: str) -> str:
    """Return the page."""
    everything = list(commands())
    lines = [
        "# Commands",
        "",
        note,
        "",
        "`cairn NOUN VERB`. Data goes to stdout, as a table or with `--json` as JSON; talk goes to "
        "stderr. An error is `error: …`, an empty line, `hint: …`. Exit codes and codes of errors "
        "are on the page of [errors](errors.md), environment variables on that of "
        "[settings](settings.md).",
        "",
        "## Options of all commands",
        "",
        *_parameters(_shared(everything)),
    ]
    for path, command in everything[1:]:
        if hasattr(command, "commands"):
            lines += ["", f"## {path}", "", one_line(command.help or "")]
            continue
        level = "###" if path.count(" ") > 1 else "##"
        lines += ["", f"{level} {path}", "", one_line(command.help or ""), ""]
        lines += [f"    {' '.join([path, *_usage(command)])}"]
        own = [one for one in _shown(command) if one.opts[0] not in SHARED]
        lines += ["", *_parameters(own)] if own else []
    return "\n".join(lines) + "\n"


def _shared(everything: list[tuple[str, Any]]) -> list[Any]:
    found = {one.opts[0]: one for _, command in everything for one in _shown(command)}
    return [found[name] for name in SHARED if name in found]


def _shown(command: Any) -> list[Any]:
    return [one for one in command.params if not getattr(one, "hidden", False)]


def _usage(command: Any) -> Iterator[str]:
    for one in _shown(command):
        if one.param_type_name == "argument":
            name = _name(one) + ("…" if one.multiple and not _name(one).endswith("…") else "")
            yield name if one.required else f"[{name}]"
        elif one.required:
            yield f"{one.opts[0]} {_metavar(one)}"


def _parameters(found: list[Any]) -> Iterator[str]:
    yield from ("| what | default | meaning |", "|---|---|---|")
    for one in found:
        if one.param_type_name == "argument":
            title = f"`{_name(one)}`"
        else:
            title = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
            title += "" if one.is_flag else f" {_metavar(one)}".replace("|", "\\|")
        yield f"| {title} | {_default(one)} | {one_line(one.help or '')} |"


def _name(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _metavar(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    kind = parameter.type_descriptor.annotation
    (kind,) = get_args(kind) or (kind,)
    return f"{KINDS[kind]}{', repeatable' if parameter.multiple else ''}"


def _default(parameter: Any) -> str:
    default = parameter.default
    if parameter.required:
        return "required"
    if default in (None, "", (), [], False):
        return ""
    return "yes" if default is True else f"`{default}`"
