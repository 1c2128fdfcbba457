"""Facts about datasets."""

from cairn.ledger.messages import Event


class DatasetRegistered(Event, tag="data/dataset_registered"):
    """A dataset was committed."""

    dataset: bytes
    owner: bytes
    name: str
    version: int


class DatasetWithdrawn(Event, tag="data/dataset_withdrawn"):
    """A dataset may not be used any more."""

    dataset: bytes


class UseGranted(Event, tag="data/use_granted"):
    """An account may use a dataset."""

    dataset: bytes
    account: bytes
    purpose: str
    until_ms: int


class UseRevoked(Event, tag="data/use_revoked"):
    """A consent was taken back."""

    dataset: bytes
    account: bytes
    purpose: str


class UseRecorded(Event, tag="data/use_recorded"):
    """A dataset was used."""

    dataset: bytes
    account: bytes
    purpose: str
    reference: bytes


class QualityPolicySet(Event, tag="data/quality_policy_set"):
    """An organisation said how good its datasets must be."""

    organisation: bytes
    position: int
    """Of the policy in the organisation's series `data/quality_policies`."""
