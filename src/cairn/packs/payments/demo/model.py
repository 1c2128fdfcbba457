"""The model: trained on the committed payments, compared, recorded, approved and promoted."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.exact.scoring import Scorer
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
from cairn.modules.training.events import RunRecorded
from cairn.modules.training.messages import RecordRun
from cairn.modules.training.records import Metric, SplitUse
from cairn.packs.payments.demo.bank import COMPLIANCE, DEVELOPER, MODELS, RISK, VALIDATOR, DemoBank
from cairn.packs.payments.demo.dataset import Registered
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.evaluate import DAY_MS, Comparison, PaymentRecipe, compare
from cairn.primitives.hashes import sha256
from cairn.sdk.errors import RejectedError

MODEL = "payment-risk"
ALERT_SHARE_MIN = 0.005
"""The alert budget is the share of fraud in the training period, at least this share."""
CARD_FILE = "model-card.md"
APPROVERS = (VALIDATOR, RISK, COMPLIANCE)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model with what the demo needs to know of it."""

    run: TrainingRun
    comparison: Comparison
    threshold_ppm: int
    """Score from which the rule holds: the budget's share of the payments between training and
    test reach it."""
    alert_share: float
    """The alert budget as a share of all payments."""
    alerts_per_day: float
    """The alert budget by day of the training period."""
    features: FeatureMatrix
    """Of every payment of the test period, in order, computed outside of the ledger."""
    scores_ppm: NDArray[np.int64]
    """The exact model's scores of them."""


@dataclass(frozen=True, slots=True)
class Live:
    """The version that was promoted."""

    version: bytes
    chunks: int
    refused_code: str
    """How the ledger answered to a promotion with two approvals."""


def train(data: DemoPayments, registered: Registered, seed: int) -> Trained:
    """Train on the committed file, compare on the later period, and choose a threshold."""
    recipe = PaymentRecipe(data.split)
    run = run_training([registered.file], recipe, TrainingSettings(seed=seed, threads=1))
    payments = data.payments
    train_payments = recipe.train_payments(payments)
    first, last = int(train_payments.booked_at[0]), int(train_payments.booked_at[-1])
    days = max(1, round((last - first) / DAY_MS))
    share = max(ALERT_SHARE_MIN, float((train_payments.label == 1).mean()))
    budget_per_day = share * len(train_payments) / days
    comparison = compare(
        train_payments,
        recipe.test_payments(payments),
        run.trained.test_scores_ppm,
        alerts_per_day=max(1, round(budget_per_day)),
    )
    start = int(np.searchsorted(payments.booked_at, data.split.train_start_ms))
    end = int(np.searchsorted(payments.booked_at, data.split.train_end_ms))
    rows = fold_features(
        payments.booked_at.tolist(),
        payments.payer,
        payments.payee,
        payments.amount_units.tolist(),
        names=recipe.features,
        start=start,
    )
    _, scores = Scorer(run.trained.model, kernel="numpy").score(rows)
    # A model remembers what it learned from; how often it will raise an alert is seen on payments
    # that it has not seen. Between training and test there are some, and no label is needed.
    fresh = scores[end - start : data.test_row - start]
    threshold = threshold_for_budget(fresh, max(1, round(len(fresh) * share)))
    return Trained(
        run,
        comparison,
        max(1, math.ceil(threshold)),
        share,
        budget_per_day,
        rows[data.test_row - start :],
        scores[data.test_row - start :],
    )


def put_live(bank: DemoBank, registered: Registered, trained: Trained) -> Live:
    """Record the run, upload and seal the model, have it approved by three of five, promote it."""
    developer = bank.client(DEVELOPER)
    record = trained.run.record
    run = developer.submit(_run_message(record, registered.dataset)).event(RunRecorded).run
    raw = trained.run.trained.model_bytes
    digest = model_digest(raw)
    size = CHUNK_SIZE_BYTES_MAX
    chunks = [raw[start : start + size] for start in range(0, len(raw), size)]
    for index, chunk in enumerate(chunks):
        developer.submit(UploadChunk(digest, index, len(chunks), chunk))
    developer.submit(SealModel(digest, len(raw)))
    card = _model_card(trained).encode()
    (bank.folder.data / CARD_FILE).write_bytes(card)
    registration = developer.submit(RegisterVersion(MODEL, run, digest, sha256(card)))
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


def _run_message(record: TrainingRecord, dataset: bytes) -> RecordRun:
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
    )


def _model_card(trained: Trained) -> str:
    """Return the model card, whose digest the version carries."""
    record, quality = trained.run.record, trained.comparison.model.quality
    return (
        f"# {MODEL} 1\n\n"
        "Scores payments for fraud, from counts and sums of what payer and payee did lately.\n\n"
        f"- Trained by {record.library} {record.library_version}, seed {record.seed}, "
        f"{record.threads} thread, on {record.train_rows} payments ({record.train_positives} "
        "frauds).\n"
        f"- Tested on {record.test_rows} later payments ({record.test_positives} frauds): "
        f"precision {quality.precision:.3f}, recall {quality.recall:.3f} at {quality.alerts} "
        "alerts.\n"
        "- Not for decisions about people: it sees no person, only what accounts do.\n"
    )
