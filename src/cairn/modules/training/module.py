"""The registration of training."""

from cairn.ledger.module import MessageSpec, Module
from cairn.modules.training import events, handlers, messages, records

TRAINING = Module(
    name="training",
    messages=(MessageSpec(messages.RecordRun, handlers.record_run),),
    events=(events.RunRecorded,),
    tables=(records.RUNS,),
    series=(records.RUN_ENTRIES,),
)
