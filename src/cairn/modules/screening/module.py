"""The registration of screening."""

from cairn.ledger.module import MessageSpec, Module
from cairn.modules.screening import events, handlers, messages, parameters, records, windows

OUTCOME_COST = 250
"""Cost of an outcome: it reads the attempt and changes three windows."""

SCREENING = Module(
    name="screening",
    messages=(MessageSpec(messages.RecordOutcome, handlers.record_outcome, cost=OUTCOME_COST),),
    events=(events.AttemptCounted, events.OutcomeRecorded),
    tables=(
        windows.PAYER_WINDOWS,
        windows.PAYEE_WINDOWS,
        windows.TERMINAL_WINDOWS,
        records.OUTCOMES,
    ),
    series=(records.ATTEMPTS, records.OUTCOME_ENTRIES),
    parameters=(parameters.WINDOWS_WITHOUT_RULES,),
)
