"""The report on a verified bundle: text for people, and the same as plain data for programs."""

from typing import Any

from cairn.evidence.errors import EvidenceError
from cairn.evidence.verify import Report
from cairn.evidence.words import time_words


def one_line(text: str) -> str:
    """Return text with every character escaped that could end a line or move the cursor.

    Reports quote texts that people signed; none of them may look like a line of the report.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def report_text(report: Report) -> str:
    """Return what was shown, checked and not shown; it ends with the assurance and its sentence."""
    head = report.head
    lines = [
        f"claim       {report.claim}",
        f"ledger      {report.chain_id}",
        f"as of       header {head.height + 1}, {time_words(head.time_ms)}",
        "",
        "shown",
        *(f"  {finding}" for finding in report.findings),
        "",
        "checked",
        *(f"  {step}" for step in report.checked),
        "",
        "not shown",
        *(f"  {gap}" for gap in report.not_shown),
        "",
        f"assurance   {report.assurance.word}: {report.assurance.sentence}",
    ]
    return "".join(one_line(line) + "\n" for line in lines)


def report_data(report: Report) -> dict[str, Any]:
    """Return a report as data for JSON; fields are added, never renamed."""
    head = report.head
    return {
        "claim": report.claim,
        "chain_id": report.chain_id,
        "header": {
            "height": head.height + 1,
            "time_ms": head.time_ms,
            "block_hash": head.block_hash.hex(),
            "history_size": head.history_size,
            "history_root": head.history_root.hex(),
        },
        "findings": list(report.findings),
        "checked": list(report.checked),
        "not_shown": list(report.not_shown),
        "assurance": {
            "word": report.assurance.word,
            "witnesses": list(report.assurance.witnesses),
            "sentence": report.assurance.sentence,
        },
    }


def error_text(error: EvidenceError) -> str:
    """Return a refusal as people read it: what was found, then what to do."""
    return f"error: {error.code}: {one_line(str(error))}\n\nhint: {error.hint}\n"


def error_data(error: EvidenceError) -> dict[str, Any]:
    """Return a refusal as data for JSON."""
    return {"error": {"code": error.code, "message": str(error), "hint": error.hint}}
