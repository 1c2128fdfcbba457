"""The report on the stream as one page, and what the model came from as another."""

import time

from cairn.modules.identity.records import organisation_id
from cairn.packs.payments.demo.bank import ORGANISATION, DemoBank
from cairn.packs.payments.demo.model import Live
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.demo.stream import Stream
from cairn.sdk.lineage import lineage_of
from cairn.sdk.names import Names
from cairn.sdk.reading import Reader
from cairn.sdk.report import PeriodReport, period_report
from cairn.sdk.report_page import report_page


def write_pages(bank: DemoBank, data: DemoPayments, stream: Stream, live: Live) -> PeriodReport:
    """Write the report on everything since the stream began, each number proved, and lineage."""
    reader = Reader(bank.connection, trust=bank.trust)
    names = Names(reader, bank.workspace.customers(), organisation_id(ORGANISATION))
    found = period_report(
        reader,
        names,
        from_ms=stream.started_ms,
        until_ms=reader.head().time_ms + 1,
        now_ms=time.time_ns() // 1_000_000,
    )
    page = report_page(found, decimals={data.asset: data.decimals})
    bank.folder.page.write_text(page, encoding="utf-8")
    lineage = lineage_of(reader, live.version, show=names.show)
    bank.folder.lineage.write_text(lineage.to_html(), encoding="utf-8")
    return found
