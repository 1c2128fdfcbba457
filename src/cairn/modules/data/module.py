"""The registration of data."""

from cairn.ledger.module import Invariant, MessageSpec, Module
from cairn.modules.data import events, handlers, invariants, messages, records

DATA = Module(
    name="data",
    messages=(
        MessageSpec(messages.RegisterDataset, handlers.register_dataset),
        MessageSpec(messages.WithdrawDataset, handlers.withdraw_dataset),
        MessageSpec(messages.GrantUse, handlers.grant_use),
        MessageSpec(messages.RevokeUse, handlers.revoke_use),
        MessageSpec(messages.RecordUse, handlers.record_use),
    ),
    events=(
        events.DatasetRegistered,
        events.DatasetWithdrawn,
        events.UseGranted,
        events.UseRevoked,
        events.UseRecorded,
    ),
    tables=(records.DATASETS, records.NAMES, records.CONSENTS),
    series=(records.CHANGES, records.CONSENT_ENTRIES),
    invariants=(Invariant("data/names", invariants.check_names),),
)
