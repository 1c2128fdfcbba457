"""The registration of training."""

from cairn.ledger.module import OPERATION_COST, MessageSpec, Module
from cairn.modules.training import events, handlers, messages, records

_SPLIT_COST = 100
"""Cost of each split: its dataset is looked up, and the use of it noted."""


def _run_cost(message: messages.RecordRun) -> int:
    return OPERATION_COST + _SPLIT_COST * len(message.splits)


TRAINING = Module(
    name="training",
    messages=(MessageSpec(messages.RecordRun, handlers.record_run, cost=_run_cost),),
    events=(events.RunRecorded,),
    tables=(records.RUNS,),
    series=(records.RUN_ENTRIES,),
)
