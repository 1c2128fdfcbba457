"""What a conversion reports: how far the exact model is from its source, on rows, by both codes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.primitives.fixed import PPM

Floats = npt.NDArray[np.float64]

INPUT_NOTE = (
    "A row whose input lies so close to a threshold that rounding the input moves it to the other "
    "side counts in full: its difference is in the numbers above, and not set apart."
)


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """Differences between the source and the exact model on rows.

    Scores are compared as they come out: the source's as a float, clipped to 0..1, the exact one in
    parts per million, so that half a part per million is rounding.
    """

    kind: str
    """Of model, as its library calls it."""
    library: str
    library_version: str
    row_count: int
    largest_difference: float
    mean_difference: float
    rank_correlation: float
    """Spearman's, between the two scores; 1 where neither varies, 0 where only one does."""
    flips_at_threshold: int
    """Rows on different sides of the threshold, both scores in parts per million."""
    threshold: float
    largest_raw_difference: float
    """Before the link: in log-odds for a classifier that has them."""
    size_bytes: int
    steps: tuple[str, ...] = ()
    """What became of the source's steps."""
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Return the report in one sentence."""
        return (
            f"{self.row_count} rows: score differs by at most {self.largest_difference:.2g} "
            f"(mean {self.mean_difference:.2g}), raw output by "
            f"{self.largest_raw_difference:.2g}; rank correlation {self.rank_correlation:.6g}; "
            f"{self.flips_at_threshold} decisions flip at {self.threshold:g}; "
            f"{self.size_bytes} bytes"
        )

    def table(self) -> tuple[tuple[str, str], ...]:
        """Return the report as pairs of a name and a value, for a table on a page."""
        return (
            ("source", f"{self.kind} of {self.library} {self.library_version}"),
            ("rows compared", f"{self.row_count:,}"),
            ("largest difference of the score", f"{self.largest_difference:.3g}"),
            ("mean difference of the score", f"{self.mean_difference:.3g}"),
            ("rank correlation (Spearman)", f"{self.rank_correlation:.8g}"),
            (f"decisions that flip at {self.threshold:g}", f"{self.flips_at_threshold:,}"),
            ("largest difference of the raw output", f"{self.largest_raw_difference:.3g}"),
            ("size of the exact model", f"{self.size_bytes:,} bytes"),
            *((f"step {number}", step) for number, step in enumerate(self.steps, 1)),
            *((f"note {number}", note) for number, note in enumerate(self.notes, 1)),
        )

    def describe(self) -> str:
        """Return the report as a table of text."""
        width = max(len(name) for name, _ in self.table())
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.table())

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            **asdict(self),
            "steps": list(self.steps),
            "notes": list(self.notes),
            "input_rounding": INPUT_NOTE,
        }

    def to_json(self) -> str:
        """Return the report as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def _repr_html_(self) -> str:
        """Return the report as a notebook shows it."""
        from cairn.pages.blocks import heading, paragraph, table
        from cairn.pages.document import fragment

        parts = (
            heading("Conversion to an exact model"),
            table(("what", "value"), self.table()),
            paragraph(INPUT_NOTE),
        )
        return str(fragment(*parts))

    def to_html(self) -> tuple[Mapping[str, Any], ...]:
        """Return the blocks of a page, as plain values that a page's builder renders."""
        return (
            {"block": "heading", "text": "Conversion to an exact model"},
            {"block": "table", "headers": ("what", "value"), "rows": self.table()},
            {"block": "paragraph", "text": INPUT_NOTE},
        )


def rank_correlation(first: Sequence[float] | Floats, second: Sequence[float] | Floats) -> float:
    """Return Spearman's rank correlation, ties at their mean rank.

    >>> rank_correlation([1.0, 2.0, 2.0], [0.1, 0.3, 0.3])
    1.0
    """
    ranks = [_ranks(np.asarray(one, np.float64)) for one in (first, second)]
    spreads = [float(one.std()) for one in ranks]
    if not all(spreads):
        return 1.0 if not any(spreads) else 0.0
    centred = [one - one.mean() for one in ranks]
    covariance = float((centred[0] * centred[1]).mean())
    return min(1.0, round(covariance / (spreads[0] * spreads[1]), 12))


def count_flips(exact_ppm: npt.NDArray[np.int64], source: Floats, threshold: float) -> int:
    """Return how many rows are on different sides of the threshold, both in parts per million."""
    limit = round(threshold * PPM)
    source_ppm = np.floor(source * PPM + 0.5).astype(np.int64)
    return int(((exact_ppm >= limit) != (source_ppm >= limit)).sum())


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = ((ends - counts + 1 + ends) / 2.0)[inverse]
    return ranks
