"""`cairn model lineage`: what a version is made from, tested on and used in."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from cairn.cli.files import write_output
from cairn.cli.output import write
from cairn.cli.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the command to the group of models."""

    @command(app, "lineage")
    def lineage(
        session: Session,
        version: Annotated[
            str, Argument(metavar="VERSION", help="NAME@NUMBER, an id, or NAME for its newest.")
        ],
        html: Annotated[Path | None, Option(help="Write a page instead.")] = None,
        dot: Annotated[bool, Option("--dot", help="Print the graph for Graphviz.")] = False,
    ) -> None:
        """Show the datasets, runs, approvals and rules around a version of a model."""
        from cairn.cli.model import find_version
        from cairn.modules.models.records import NAMES
        from cairn.sdk.lineage import lineage_of

        with session.reader() as reader:
            name = None
            if "@" not in version and len(version) <= 64 and version.isascii():
                name = reader.get(NAMES, version)
            spelled = version if name is None else f"{version}@{name.version_count}"
            identity = find_version(reader, spelled)
            found = lineage_of(reader, identity, show=session.names(reader).show)
        if html is not None:
            write_output(html, found.to_html().encode())
            session.out.record({"page": str(html)})
        elif session.as_json:
            session.out.record(
                {
                    "version": found.root,
                    "items": [
                        {"key": one.key, "kind": one.kind, "title": one.title, **dict(one.facts)}
                        for one in found.items
                    ],
                    "links": [
                        {"from": one.source, "to": one.target, "how": one.label}
                        for one in found.links
                    ],
                }
            )
        else:
            write(found.dot().rstrip() if dot else found.text())
