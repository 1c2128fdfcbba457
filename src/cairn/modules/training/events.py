"""Facts about training runs."""

from cairn.ledger.messages import Event


class RunRecorded(Event, tag="training/run_recorded"):
    """A training run was put on record."""

    run: bytes
    developer: bytes
    model_digest: bytes
