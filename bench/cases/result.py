"""What a case gives: figures, tables, plots and the protocol in words; and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.harness import Figure, commit, machine, table, write
from cairn.pages.blocks import figure, heading, paragraph
from cairn.pages.blocks import table as page_table
from cairn.pages.document import document
from cairn.pages.markup import Html


class CaseError(Exception):
    """The case cannot run, in words for whoever started it."""


@dataclass(frozen=True)
class CaseTable:
    """A table of a case's page."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class CaseResult:
    """What one case gives."""

    title: str
    protocol: Sequence[str]
    """In words: what was done, a paragraph each."""
    figures: list[Figure]
    tables: Sequence[CaseTable] = ()
    charts: Sequence[tuple[Html, str]] = field(default_factory=tuple)
    """Pictures with their captions."""


def middle(name: str, values: Sequence[float], *, unit: str = "share", goal: str = "") -> Figure:
    """Return the median over seeds as a figure, with its extremes in the note."""
    shown = f"median of {len(values)} seeds, {min(values):.4f} to {max(values):.4f}"
    return Figure(name, median(values), unit, goal=goal, note=shown)


def show(result: CaseResult) -> str:
    """Return figures and tables as text."""
    parts = [result.title, *result.protocol, table(result.figures)]
    parts += [f"{f.name}: {f.note}" for f in result.figures if f.note]
    for entry in result.tables:
        parts += ["", entry.title, _text_table(entry)]
    return "\n".join(parts)


def write_case(folder: Path, name: str, result: CaseResult) -> Path:
    """Write `NAME.json` (the format of bench.json) and `NAME.html`; return the page's path."""
    write(folder / f"{name}.json", result.figures)
    page = folder / f"{name}.html"
    on = machine()
    blocks = [
        *(paragraph(words) for words in result.protocol),
        heading("Figures"),
        page_table(
            ("figure", "value", "unit", "published or beside", "goal", "note"),
            [
                (
                    f.name,
                    f"{f.value:.4f}",
                    f.unit,
                    ", ".join(f"{peer} {value:.4g}" for peer, value in f.against.items()),
                    f.goal,
                    f.note,
                )
                for f in result.figures
            ],
        ),
    ]
    for entry in result.tables:
        blocks += [heading(entry.title), page_table(entry.headers, entry.rows)]
    if result.charts:
        blocks.append(heading("Plots"))
        blocks += [figure(picture, caption) for picture, caption in result.charts]
    blocks.append(
        paragraph(f"{on['cpu']}, {on['cores']} cores, Python {on['python']}, commit {commit()}.")
    )
    page.write_text(document(result.title, *blocks), encoding="utf-8")
    return page


def _text_table(entry: CaseTable) -> str:
    rows = [tuple(map(str, row)) for row in (entry.headers, *entry.rows)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(entry.headers))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
