"""What the demo prints: plain text that reads well without colour and without a terminal."""

import os
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

WIDTH = 100
"""Columns that text is wrapped at."""
FIRST_COLUMN_MAX = 36
LAST_COLUMN_MIN = 24
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
        """Print a table; numbers stand right, and long cells of the first and last column wrap."""
        table = [list(columns), *(list(row) for row in rows)] if columns else list(map(list, rows))
        widths = [max(len(row[at]) for row in table) for at in range(len(table[0]))]
        right = [at > 0 and all(_is_number(row[at]) for row in rows) for at in range(len(widths))]
        rest = sum(widths[1:-1]) + 2 * len(widths)
        if sum(widths) + 2 * len(widths) > WIDTH:
            widths[0] = min(widths[0], FIRST_COLUMN_MAX)
            widths[-1] = max(LAST_COLUMN_MIN, WIDTH - rest - widths[0])
        for row in table:
            cells = [textwrap.wrap(c, w) or [""] for c, w in zip(row, widths, strict=True)]
            for line in range(max(map(len, cells))):
                parts = [cell[line] if line < len(cell) else "" for cell in cells]
                padded = [
                    part.rjust(width) if is_right else part.ljust(width)
                    for part, width, is_right in zip(parts, widths, right, strict=True)
                ]
                self._line(("  " + "  ".join(padded)).rstrip())

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
