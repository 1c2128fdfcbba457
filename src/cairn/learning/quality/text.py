"""A report as text: a line for the table, one for each column, then what to do."""

from collections.abc import Sequence

from cairn.learning.quality.report import PPM, Finding, QualityReport, Severity

_HEADS = ("column", "kind", "missing", "wrong", "distinct", "min", "median", "max", "outliers", "")


def describe(report: QualityReport) -> str:
    """Return the report as people read it in a terminal."""
    rows = [_HEADS]
    for one in report.columns:
        rows.append(
            (
                one.name[:32],
                one.kind,
                _count(one.missing),
                _count(one.type_errors),
                f"{one.distinct:,}",
                _number(one.minimum),
                _number(one.median),
                _number(one.maximum),
                _count(one.outliers),
                "LEAK" if one.leak else one.junk,
            )
        )
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADS))]
    left = (0, 1, len(_HEADS) - 1)
    lines = [summary(report), ""]
    for row in rows:
        cells = (
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    if report.findings:
        lines.append("")
    for severity, columns, text in grouped(report.findings):
        about = f"{columns}: " if columns else ""
        lines.append(f"{severity:<4}  {about}{text}")
    return "\n".join(lines)


def summary(report: QualityReport) -> str:
    """Return the report in a line or two."""
    figures = report.figures
    leaks = ", ".join(report.leaks) or ("none" if report.are_leaks_judged else "not judged")
    return (
        f"{report.row_count:,} rows, {len(report.columns)} columns: "
        f"missing {percent(figures['missing_ppm'])}, "
        f"wrong type {percent(figures['type_errors_ppm'])}, "
        f"junk columns {percent(figures['junk_columns_ppm'])}, "
        f"duplicates {percent(figures['duplicates_ppm'])}, "
        f"near duplicates {percent(figures['near_duplicates_ppm'])}, "
        f"outliers {percent(figures['outliers_ppm'])}\n"
        f"columns that give the label away: {leaks}"
    )


def grouped(findings: Sequence[Finding]) -> list[tuple[Severity, str, str]]:
    """Return (severity, columns, text); columns of which the same is said stand together."""
    found: dict[tuple[Severity, str, str], list[str]] = {}
    for one in findings:
        found.setdefault((one.severity, one.code, one.text), []).append(one.column.strip())
    return [(severity, ", ".join(names), text) for (severity, _, text), names in found.items()]


def percent(ppm: int | None) -> str:
    """Return a share as people read it, never 0 if there is something.

    >>> percent(0), percent(1), percent(123_456)
    ('0 %', '< 0.01 %', '12.35 %')
    """
    if ppm is None:
        return "not judged"
    if 0 < ppm < 100:
        return "< 0.01 %"
    return f"{ppm * 100 / PPM:.2f}".rstrip("0").rstrip(".") + " %"


def _count(count: int) -> str:
    return f"{count:,}" if count else "-"


def _number(text: str) -> str:
    return text if len(text) <= 24 else text[:23] + "…"
