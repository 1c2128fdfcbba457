"""A quality report: figures for each column and for the table, and what to do about them.

It holds integers and text alone, so that the same file gives the same bytes on every machine.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cairn.learning.errors import LearningError
from cairn.modules.data.records import Quality
from cairn.primitives.hashes import Digest, tagged_hash

METHOD = "cairn-quality-1"
"""Name and version of the definitions; another number means that figures cannot be compared."""
PPM = 1_000_000
NOT_JUDGED = "leaks_not_judged"
"""Code of the finding that says why leaks were not looked for."""

Severity = Literal["bad", "warn", "note"]


class ReportError(LearningError):
    """A file is not a quality report of this version."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should look at."""

    severity: Severity
    """bad: training on it goes wrong; warn: look at it; note: what was not judged, and why."""
    code: str
    column: str
    """Empty if it is about the whole table."""
    text: str
    """What was found, and what to do about it."""


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column in figures; statistics are text, empty where there are none."""

    name: str
    kind: str
    missing: int
    type_errors: int
    distinct: int
    minimum: str
    median: str
    maximum: str
    mad: str
    """Median of the distances from the median."""
    outliers: int
    junk: str
    """`constant`, `empty` or nothing."""
    auc_ppm: int
    """How well the column alone tells the label, 500,000 is by chance; 0 if it was not judged."""
    leak: str
    """Why the column gives the label away, or nothing."""


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What was found in one file."""

    method: str
    row_count: int
    label: str
    """Name of the label column, empty if none was named."""
    duplicates: int
    near_duplicates: int
    columns: tuple[ColumnProfile, ...]
    findings: tuple[Finding, ...]

    @property
    def cell_count(self) -> int:
        """Return the number of cells."""
        return self.row_count * len(self.columns)

    @property
    def leaks(self) -> tuple[str, ...]:
        """Return the names of the columns that give the label away."""
        return tuple(column.name for column in self.columns if column.leak)

    @property
    def are_leaks_judged(self) -> bool:
        """Return whether columns that give the label away were looked for."""
        return bool(self.label) and all(one.code != NOT_JUDGED for one in self.findings)

    @property
    def figures(self) -> dict[str, int | None]:
        """Return the figures that a policy bounds: shares in parts per million, rounded up.

        The leaks are None if they were not looked for.
        """
        numeric = sum(self.row_count for column in self.columns if column.mad)
        columns = self.columns
        return {
            "missing_ppm": share_ppm(sum(one.missing for one in columns), self.cell_count),
            "type_errors_ppm": share_ppm(sum(one.type_errors for one in columns), self.cell_count),
            "junk_columns_ppm": share_ppm(sum(1 for one in columns if one.junk), len(columns)),
            "duplicates_ppm": share_ppm(self.duplicates, self.row_count),
            "near_duplicates_ppm": share_ppm(self.near_duplicates, self.row_count),
            "outliers_ppm": share_ppm(sum(one.outliers for one in columns), numeric),
            "leaks": len(self.leaks) if self.are_leaks_judged else None,
        }

    def canonical(self) -> bytes:
        """Return the report as the bytes that its digest covers."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> Digest:
        """Return the digest of the report; whoever has the file can compute it again."""
        return Digest(hashlib.sha256(self.canonical()).digest())

    def quality(self, salt: bytes) -> Quality:
        """Return what a registration states, with a commitment to the report under `salt`.

        The digest alone would let somebody who knows all rows but one try candidates for it.
        """
        figures: dict[str, Any] = self.figures
        return Quality(
            method=self.method, report_commitment=report_commitment(salt, self.digest), **figures
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as it stands in a file, its figures and digest beside it."""
        return {
            "format": "cairn-quality-report",
            "digest": self.digest.hex(),
            "figures": self.figures,
            "report": asdict(self),
        }

    def describe(self) -> str:
        """Return the report as a table of columns and a list of findings."""
        from cairn.learning.quality.text import describe

        return describe(self)

    def page(self, title: str = "Data quality") -> str:
        """Return the report as a self-contained HTML page."""
        from cairn.learning.quality.page import page

        return page(self, title)

    def _repr_html_(self) -> str:
        """Return the report as notebooks show it."""
        from cairn.learning.quality.page import piece

        return piece(self)


def report_commitment(salt: bytes, digest: bytes) -> Digest:
    """Return the salted commitment to a report."""
    return tagged_hash(b"cairn/quality-report", salt, digest)


def share_ppm(part: int, whole: int) -> int:
    """Return a share in parts per million, rounded up.

    >>> share_ppm(1, 3_000_000), share_ppm(0, 0)
    (1, 0)
    """
    return -(-part * PPM // whole) if whole else 0


def report_from_json(document: Any) -> QualityReport:
    """Return the report that `to_json` wrote.

    Raises:
        ReportError: It is none, of another version, or its digest is not that of its content.
    """
    try:
        content: Mapping[str, Any] = document["report"]
        columns = tuple(ColumnProfile(**column) for column in content["columns"])
        findings = tuple(Finding(**finding) for finding in content["findings"])
        report = QualityReport(**{**content, "columns": columns, "findings": findings})
        stated = document["digest"]
        is_whole = report.digest.hex() == stated and report.method == METHOD
    except (KeyError, TypeError, AttributeError, UnicodeEncodeError) as error:
        raise ReportError(f"this is no quality report: {error}") from error
    if not is_whole:
        raise ReportError(
            "the quality report was changed, or is of another version",
            "`cairn data quality` makes a new one from the file",
        )
    return report
