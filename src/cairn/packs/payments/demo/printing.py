"""What the demo prints: plain text that reads well without colour and without a terminal."""

import os
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

WIDTH = 100
"""Columns that text is wrapped at."""
TALK_SECONDS = 2.0
"""How often progress is told where it cannot be drawn over the last line."""


class Printer:
    """Prints steps, sentences and tables, and keeps them for the report.

    Args:
        stream: Where to print.
        is_quiet: Whether only the report is kept.
    """

    def __init__(self, stream: TextIO, *, is_quiet: bool = False) -> None:
        """Print to `stream`; bold headings and moving progress on a terminal alone."""
        self._stream = stream
        self._is_quiet = is_quiet
        is_terminal = stream.isatty() and os.environ.get("TERM", "") != "dumb"
        self._is_terminal = is_terminal and not is_quiet
        self._is_bold = self._is_terminal and not os.environ.get("NO_COLOR")
        self._lines: list[str] = []

    @property
    def report(self) -> str:
        """Everything that was printed, progress left out."""
        return "\n".join(self._lines) + "\n"

    def step(self, title: str) -> None:
        """Begin a step."""
        self._line("")
        self._line(title, bold=True)

    def say(self, text: str) -> None:
        """Print a sentence or two."""
        for line in textwrap.wrap(text, WIDTH - 2, break_on_hyphens=False):
            self._line("  " + line)

    def quote(self, text: str) -> None:
        """Print lines as they are, set in."""
        for line in text.splitlines():
            self._line(("    " + line).rstrip())

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table whose last column is wrapped; columns of numbers stand right."""
        table = [list(columns), *(list(row) for row in rows)]
        widths = [max(len(row[at]) for row in table) for at in range(len(columns))]
        right = [at > 0 and all(_is_number(row[at]) for row in rows) for at in range(len(columns))]
        before = sum(widths[:-1]) + 2 * len(columns)
        for row in table:
            cells = [
                cell.rjust(width) if is_right else cell.ljust(width)
                for cell, width, is_right in zip(row, widths, right, strict=True)
            ]
            first, *more = textwrap.wrap(cells[-1], max(24, WIDTH - before)) or [""]
            if right[-1]:
                first, more = cells[-1], []
            self._line("  " + "  ".join([*cells[:-1], first]).rstrip())
            for line in more:
                self._line(" " * before + line)

    def blank(self) -> None:
        """Print an empty line."""
        self._line("")

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator["Progress"]:
        """Yield something to tell how far a long piece of work has come."""
        progress = Progress(self, what, total)
        try:
            yield progress
        finally:
            self.draw("")

    def draw(self, text: str) -> None:
        """Draw over the last line of a terminal; nothing elsewhere."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K" + text)
            self._stream.flush()

    def talk(self, text: str) -> None:
        """Print a line that the report does not keep."""
        if not self._is_quiet:
            self._stream.write(text + "\n")
            self._stream.flush()

    @property
    def is_terminal(self) -> bool:
        """Whether progress can be drawn over the last line."""
        return self._is_terminal

    def _line(self, text: str, *, bold: bool = False) -> None:
        self._lines.append(text)
        if self._is_quiet:
            return
        self._stream.write((f"\x1b[1m{text}\x1b[0m" if bold and self._is_bold else text) + "\n")
        self._stream.flush()


class Progress:
    """How far a piece of work has come."""

    def __init__(self, printer: Printer, what: str, total: int) -> None:
        """Tell nothing yet."""
        self._printer = printer
        self._what = what
        self._total = total
        self._told = time.monotonic()

    def reach(self, count: int) -> None:
        """Tell that `count` are done."""
        text = f"    {self._what}: {count:,} of {self._total:,}"
        if self._printer.is_terminal:
            self._printer.draw(text)
        elif time.monotonic() - self._told >= TALK_SECONDS:
            self._told = time.monotonic()
            self._printer.talk(text)


def _is_number(cell: str) -> bool:
    """Return whether a cell begins with a number, or is empty."""
    return not cell or cell.lstrip("-")[:1].isdigit()
