"""A progress bar for notebooks, for whatever takes a function that is told how far the work is.

with progress() as tell:
    report = measure_quality(path, progress=tell)
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cairn.pages.markup import element

Tell = Callable[[str, float], None]


class Progress:
    """What is being done, and the share of all work that is behind."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.what = ""
        self.share = 0.0

    def __str__(self) -> str:
        return f"{self.share:4.0%} {self.what}"

    def _repr_html_(self) -> str:
        """Return the bar as a notebook shows it."""
        bar = element("progress", value=f"{self.share:.3f}", max="1")
        return str(element("div", bar, f" {self.share:.0%} {self.what}"))


@contextmanager
def progress() -> Iterator[Tell]:
    """Yield a function that is told what is being done and how far it is; without one it is quiet.

    In a notebook a bar is shown and moved; elsewhere nothing is.
    """
    bar = Progress()
    handle: Any = None
    # Only where IPython is running; it need not be installed.
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None:
        handle = importlib.import_module("IPython.display").display(bar, display_id=True)

    def tell(what: str, share: float) -> None:
        moved = what != bar.what or share - bar.share >= 0.01
        bar.what, bar.share = what, share
        if handle is not None and moved:
            handle.update(bar)

    yield tell
    tell("done", 1.0)
