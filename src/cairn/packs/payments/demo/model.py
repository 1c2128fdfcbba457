"""The model: planned, trained, evaluated on labels that come later, approved and promoted."""

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.exact.scoring import Scorer
from cairn.learning.evaluation import EvaluationReport, Protocol, evaluate
from cairn.learning.features import FeatureMatrix, fold_features
from cairn.learning.metrics import threshold_for_budget
from cairn.learning.training import (
    TrainingRecord,
    TrainingRun,
    TrainingSettings,
    parameter_bytes,
    run_training,
)
from cairn.modules.identity.messages import Approve
from cairn.modules.models.events import VersionRegistered
from cairn.modules.models.messages import (
    CreateDeployment,
    Promote,
    RegisterVersion,
    SealModel,
    UploadChunk,
)
from cairn.modules.models.records import CHUNK_SIZE_BYTES_MAX, model_digest, promotion_subject
from cairn.modules.training.events import EvaluationRecorded, PlanCommitted, RunRecorded
from cairn.modules.training.messages import CommitPlan, RecordRun
from cairn.modules.training.records import OUTCOMES, LabelRange, Metric, SplitPlan, SplitUse
from cairn.packs.payments.demo.bank import COMPLIANCE, DEVELOPER, MODELS, RISK, VALIDATOR, DemoBank
from cairn.packs.payments.demo.dataset import Registered
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.labels import LabelDesk
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.evaluate import (
    DAY_MS,
    LABELLED_FEATURES,
    Comparison,
    PaymentRecipe,
    compare,
)
from cairn.packs.payments.records import LABEL_UNKNOWN
from cairn.primitives.hashes import sha256
from cairn.sdk.errors import RejectedError
from cairn.sdk.plans import record_evaluation

MODEL = "payment-risk"
LIVE_PLAN = "payment-risk-live"
METRIC = "average_precision"
ALERT_SHARE_MIN = 0.005
"""The alert budget is the share of fraud in the training period, at least this share."""
CARD_FILE = "model-card.md"
APPROVERS = (VALIDATOR, RISK, COMPLIANCE)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with what the demo needs to know of it."""

    run: TrainingRun
    seconds: float
    threshold_ppm: int
    """Score from which the rule holds: the budget's share of the payments whose labels ripen
    reach it."""
    alert_share: float
    """The alert budget as a share of all payments."""
    alerts_per_day: float
    """The alert budget by day of the training period."""
    evaluated_ppm: NDArray[np.int64]
    """The exact model's scores of the payments that it is evaluated on."""
    features: FeatureMatrix
    """Of every payment of the stream, in order, computed outside of the ledger."""
    scores_ppm: NDArray[np.int64]
    """The exact model's scores of them."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the model was found to be worth, on labels that came after the plan."""

    plan: bytes
    run: bytes
    labels: int
    """Outcomes that were recorded for it."""
    report: EvaluationReport
    recorded: EvaluationRecorded
    comparison: Comparison
    late_code: str
    """How the ledger answered to an evaluation under a plan that came after the labels."""


@dataclass(frozen=True, slots=True)
class Live:
    """The version that was promoted."""

    version: bytes
    chunks: int
    refused_code: str
    """How the ledger answered to a promotion with two approvals."""


def train(data: DemoPayments, registered: Registered, seed: int) -> Trained:
    """Train on the committed file, and choose a threshold without any label that is not known."""
    started = time.monotonic()
    recipe = PaymentRecipe(data.split, features=LABELLED_FEATURES)
    run = run_training([registered.file], recipe, TrainingSettings(seed=seed, threads=1))
    seconds = time.monotonic() - started
    record, payments = run.record, data.payments
    days = max(1, round((data.split.train_end_ms - data.split.train_start_ms) / DAY_MS))
    share = max(ALERT_SHARE_MIN, record.train_positives / record.train_rows)
    first = data.train_end_row
    rows = fold_features(
        payments.booked_at.tolist(),
        payments.payer,
        payments.payee,
        payments.amount_units.tolist(),
        terminal=payments.terminal,
        labels=payments.label.tolist(),
        names=recipe.features,
        start=first,
    )
    _, scores = Scorer(run.trained.model, kernel="numpy").score(rows)
    # A model remembers what it learned from; how often it will raise an alert is seen on payments
    # that it has not seen, and no label is needed for that.
    fresh = scores[data.evaluation_end_row - first : data.test_row - first]
    threshold = threshold_for_budget(fresh, max(1, round(len(fresh) * share)))
    return Trained(
        run=run,
        seconds=seconds,
        threshold_ppm=max(1, math.ceil(threshold)),
        alert_share=share,
        alerts_per_day=share * record.train_rows / days,
        evaluated_ppm=scores[: data.evaluation_end_row - first],
        features=rows[data.test_row - first :],
        scores_ppm=scores[data.test_row - first :],
    )


def evaluate_blindly(
    bank: DemoBank, data: DemoPayments, registered: Registered, trained: Trained, desk: LabelDesk
) -> Evaluated:
    """Commit the plan, record the run, let the labels come, and record what the model is worth.

    Raises:
        DemoError: The ledger takes an evaluation under a plan that came after the labels.
    """
    developer = bank.client(DEVELOPER)
    message = _plan_message(data, registered, trained)
    plan = developer.submit(message).event(PlanCommitted).plan
    recording = _run_message(trained.run.record, registered.dataset, plan)
    run = developer.submit(recording).event(RunRecorded).run
    start = desk.size
    desk.record(range(data.train_end_row, data.evaluation_end_row))
    labels = (LabelRange(OUTCOMES, start, desk.size),)
    report = _report(data, trained, message, facts={"run": run.hex(), "plan": plan.hex()})
    recorded = record_evaluation(developer, run, plan, labels, report)
    late = developer.submit(message).event(PlanCommitted).plan
    try:
        record_evaluation(developer, run, late, labels, report)
    except RejectedError as error:
        late_code = error.code
    else:
        raise DemoError("the ledger took an evaluation under a plan that came after the labels")
    bank.folder.evaluation.write_text(report.to_html(), encoding="utf-8")
    return Evaluated(
        plan, run, desk.size - start, report, recorded, _compare(data, trained), late_code
    )


def plan_ahead(
    bank: DemoBank, data: DemoPayments, registered: Registered, trained: Trained
) -> bytes:
    """Commit how the live model will be judged on the stream, whose labels nobody can know yet."""
    message = CommitPlan(
        name=LIVE_PLAN,
        datasets=(registered.dataset,),
        split=SplitPlan("time", ("booked_at",), 0, data.split.test_start_ms, 0),
        test_digest=b"",
        test_row_count=0,
        threshold_ppm=trained.threshold_ppm,
        metric=METRIC,
        alert_budget_per_day=max(1, round(trained.alerts_per_day)),
    )
    return bank.client(DEVELOPER).submit(message).event(PlanCommitted).plan


def evaluate_live(
    bank: DemoBank, data: DemoPayments, trained: Trained, run: bytes, plan: bytes, desk: LabelDesk
) -> EvaluationReport:
    """Record what the live model was worth on the stream, now that its labels have come."""
    first = data.test_row
    rows = np.flatnonzero(data.payments.label[first:] != LABEL_UNKNOWN)
    report = evaluate(
        data.payments.label[rows + first],
        trained.scores_ppm[rows],
        Protocol(trained.threshold_ppm, METRIC, max(1, round(trained.alerts_per_day))),
        days=data.days[rows + first],
        title=f"The live {MODEL} on the stream",
        facts={"run": run.hex(), "plan": plan.hex()},
    )
    record_evaluation(bank.client(DEVELOPER), run, plan, desk.ranges_of_stream(), report)
    return report


def put_live(bank: DemoBank, trained: Trained, evaluated: Evaluated) -> Live:
    """Upload and seal the model, have it approved by three of five, promote it."""
    developer = bank.client(DEVELOPER)
    raw = trained.run.trained.model_bytes
    digest = model_digest(raw)
    size = CHUNK_SIZE_BYTES_MAX
    chunks = [raw[start : start + size] for start in range(0, len(raw), size)]
    for index, chunk in enumerate(chunks):
        developer.submit(UploadChunk(digest, index, len(chunks), chunk))
    developer.submit(SealModel(digest, len(raw)))
    card = _model_card(trained, evaluated).encode()
    (bank.folder.data / CARD_FILE).write_bytes(card)
    registration = developer.submit(RegisterVersion(MODEL, evaluated.run, digest, sha256(card)))
    version = registration.event(VersionRegistered).version
    developer.submit(CreateDeployment(MODEL, MODELS, "Which payments to hold before they settle."))
    subject = promotion_subject(MODEL, version, 0)
    *first, last = APPROVERS
    for person in first:
        bank.client(person).submit(Approve(MODELS, subject))
    refused = ""
    try:
        developer.submit(Promote(MODEL, version))
    except RejectedError as error:
        refused = error.code
    bank.client(last).submit(Approve(MODELS, subject))
    developer.submit(Promote(MODEL, version))
    return Live(version, len(chunks), refused)


def _known(data: DemoPayments) -> NDArray[np.int64]:
    """Return the rows of the evaluation's period whose label will be known."""
    labels = data.payments.label[data.train_end_row : data.evaluation_end_row]
    return np.flatnonzero(labels != LABEL_UNKNOWN) + data.train_end_row


def _plan_message(data: DemoPayments, registered: Registered, trained: Trained) -> CommitPlan:
    """Return the plan: what is learned from, what is tested on, and how it is read."""
    return CommitPlan(
        name=MODEL,
        datasets=(registered.dataset,),
        split=SplitPlan("time", ("booked_at",), 0, data.split.train_end_ms, 0),
        test_digest=b"",
        test_row_count=len(_known(data)),
        threshold_ppm=trained.threshold_ppm,
        metric=METRIC,
        alert_budget_per_day=max(1, round(trained.alerts_per_day)),
    )


def _report(
    data: DemoPayments, trained: Trained, plan: CommitPlan, *, facts: dict[str, str]
) -> EvaluationReport:
    rows = _known(data)
    return evaluate(
        data.payments.label[rows],
        trained.evaluated_ppm[rows - data.train_end_row],
        Protocol(plan.threshold_ppm, plan.metric, plan.alert_budget_per_day),
        days=data.days[rows],
        title=f"Evaluation of {MODEL}",
        facts=facts,
    )


def _compare(data: DemoPayments, trained: Trained) -> Comparison:
    """Return how the model does beside the two-line rule, with as many alerts."""
    payments, rows = data.payments, _known(data)
    learned = payments.between(data.split.train_start_ms, data.split.train_end_ms)
    return compare(
        learned.select(learned.label != LABEL_UNKNOWN),
        payments.select(rows),
        trained.evaluated_ppm[rows - data.train_end_row],
        alerts_per_day=max(1, round(trained.alerts_per_day)),
    )


def _run_message(record: TrainingRecord, dataset: bytes, plan: bytes) -> RecordRun:
    """Return the ledger's message about a run on one data set."""
    return RecordRun(
        tuple(SplitUse(dataset, one.split, one.first_row, one.end_row) for one in record.splits),
        record.code_digest,
        parameter_bytes(record),
        record.seed,
        record.environment_digest,
        record.threads,
        tuple(Metric(name, value) for name, value in record.metrics),
        record.model_digest,
        record.library,
        record.library_version,
        plan,
    )


def _model_card(trained: Trained, evaluated: Evaluated) -> str:
    """Return the model card, whose digest the version carries."""
    record, report = trained.run.record, evaluated.report
    return (
        f"# {MODEL} 1\n\n"
        "Scores payments for fraud, from what payer, payee and terminal did lately, and from the "
        "frauds that became known there.\n\n"
        f"- Trained by {record.library} {record.library_version}, seed {record.seed}, "
        f"{record.threads} thread, on {record.train_rows} payments ({record.train_positives} "
        "frauds).\n"
        f"- Evaluated on {report.row_count} later payments ({report.positive_count} frauds): "
        f"average precision {report.figures[METRIC]}; threshold "
        f"{report.protocol.threshold_ppm} parts per million.\n"
        "- Not for decisions about people: it sees no person, only what accounts do.\n"
    )
