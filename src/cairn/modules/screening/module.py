"""The registration of screening."""

from cairn.ledger.module import MessageSpec, Module
from cairn.modules.screening import events, handlers, messages, parameters, records, windows

SCREENING = Module(
    name="screening",
    messages=(MessageSpec(messages.RecordOutcome, handlers.record_outcome),),
    events=(events.OutcomeRecorded,),
    tables=(windows.PAYER_WINDOWS, windows.PAYEE_WINDOWS, records.OUTCOMES),
    series=(records.OUTCOME_ENTRIES,),
    parameters=(parameters.WINDOWS_WITHOUT_RULES,),
)
