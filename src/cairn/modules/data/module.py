"""The registration of data."""

from cairn.ledger.module import Invariant, MessageSpec, Module
from cairn.modules.data import events, handlers, invariants, messages, records

_SERIES_COST = 200
"""Cost of what is noted in a dataset's own series, which is one more row."""

DATA = Module(
    name="data",
    messages=(
        MessageSpec(messages.RegisterDataset, handlers.register_dataset),
        MessageSpec(messages.SetQualityPolicy, handlers.set_quality_policy, cost=_SERIES_COST),
        MessageSpec(messages.WithdrawDataset, handlers.withdraw_dataset),
        MessageSpec(messages.GrantUse, handlers.grant_use, cost=_SERIES_COST),
        MessageSpec(messages.RevokeUse, handlers.revoke_use, cost=_SERIES_COST),
        MessageSpec(messages.RecordUse, handlers.record_use, cost=_SERIES_COST),
    ),
    events=(
        events.DatasetRegistered,
        events.DatasetWithdrawn,
        events.UseGranted,
        events.UseRevoked,
        events.UseRecorded,
        events.QualityPolicySet,
    ),
    tables=(records.DATASETS, records.NAMES, records.CONSENTS, records.QUALITY_POLICIES),
    series=(records.CHANGES, records.CONSENT_ENTRIES, records.QUALITY_POLICY_ENTRIES),
    invariants=(Invariant("data/names", invariants.check_names),),
)
