"""Facts about plans, training runs and evaluations."""

from cairn.ledger.messages import Event


class PlanCommitted(Event, tag="training/plan_committed"):
    """Split, threshold, metric and alert budget were fixed."""

    plan: bytes
    name: str
    developer: bytes


class RunRecorded(Event, tag="training/run_recorded"):
    """A training run was put on record."""

    run: bytes
    developer: bytes
    model_digest: bytes


class EvaluationRecorded(Event, tag="training/evaluation_recorded"):
    """How a run's model did on later labels was put on record."""

    evaluation: bytes
    run: bytes
    plan: bytes
    number: int
    is_blind: bool
