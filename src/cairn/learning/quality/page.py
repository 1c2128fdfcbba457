"""A report as a self-contained page, and as a piece of a notebook."""

from cairn.learning.quality.report import PPM, QualityReport
from cairn.learning.quality.text import grouped, percent
from cairn.pages.blocks import Card, Tone, badge, cards, heading, paragraph, table
from cairn.pages.charts import bar_chart
from cairn.pages.document import document, fragment
from cairn.pages.markup import Html

_TONES: dict[str, Tone] = {"bad": "bad", "warn": "warn", "note": ""}
_BARS_MAX = 40
_HEADS = (
    *("Column", "Kind", "Missing", "Wrong type", "Distinct", "Smallest", "Median", "Largest"),
    *("MAD", "Outliers", "AUC alone", "Remark"),
)


def page(report: QualityReport, title: str) -> str:
    """Return the report as a whole page."""
    blocks = _blocks(report)
    if report.label:
        judged = [(one.name, one.auc_ppm / PPM) for one in report.columns if one.auc_ppm]
        blocks += [
            heading("How well each column alone tells the label"),
            paragraph(
                f"Area under the ROC curve for {report.label!r}: 0.5 is chance, 0.98 and more "
                "counts as giving the label away."
            ),
            bar_chart(
                sorted(judged, key=lambda one: -one[1])[:_BARS_MAX], title="AUC of one column"
            ),
        ]
    gaps = [(one.name, one.missing * 100 / report.row_count) for one in report.columns]
    if any(share for _, share in gaps):
        full = sorted((one for one in gaps if one[1]), key=lambda one: -one[1])
        blocks += [
            heading("Missing cells"),
            bar_chart(full[:_BARS_MAX], title="Missing cells of a column", unit="%"),
        ]
    blocks += [paragraph(f"Method {report.method}, report digest {report.digest.hex()}.")]
    return document(title, *blocks)


def piece(report: QualityReport) -> str:
    """Return the report as a notebook shows it."""
    return fragment(*_blocks(report))


def _blocks(report: QualityReport) -> list[Html]:
    figures = report.figures
    labels = (
        ("missing_ppm", "cells missing"),
        ("type_errors_ppm", "cells of the wrong type"),
        ("junk_columns_ppm", "junk columns"),
        ("duplicates_ppm", "duplicates"),
        ("near_duplicates_ppm", "near duplicates"),
        ("outliers_ppm", "outliers"),
    )
    top = [Card("rows", report.row_count), Card("columns", len(report.columns))]
    top += [Card(text, percent(figures[name])) for name, text in labels]
    leaks = len(report.leaks) if report.are_leaks_judged else "not judged"
    top.append(Card("columns that give the label away", leaks))
    return [
        cards(top),
        heading("What to look at"),
        table(
            ("", "Columns", "What was found, and what to do"),
            [
                (badge(severity, _TONES[severity]), columns, text)
                for severity, columns, text in grouped(report.findings)
            ],
            empty="nothing",
        ),
        heading("Columns"),
        table(_HEADS, _rows(report)),
    ]


def _rows(report: QualityReport) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for one in report.columns:
        remark: object = badge("leak", "bad") if one.leak else one.junk
        auc = f"{one.auc_ppm / PPM:.3f}" if one.auc_ppm else ""
        statistics = (one.minimum, one.median, one.maximum, one.mad)
        counts = (one.missing, one.type_errors, one.distinct)
        rows.append((one.name, one.kind, *counts, *statistics, one.outliers, auc, remark))
    return rows
