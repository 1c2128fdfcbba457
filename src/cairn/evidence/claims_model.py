"""Claims about models: which version was live and who approved it, and single predictions."""

from dataclasses import dataclass

from cairn.evidence.bundle import LiveClaim, PredictionClaim
from cairn.evidence.catalog import decode_body
from cairn.evidence.errors import ClaimError
from cairn.evidence.events import event_at
from cairn.evidence.facts import Entry, Stretch, VerifiedFacts
from cairn.evidence.outcome import Outcome
from cairn.evidence.people import (
    check_approvals,
    name_words,
    names_words,
    policy_words,
    signer_words,
)
from cairn.evidence.reasons import value_words
from cairn.evidence.replay import Scorer, check_score
from cairn.evidence.words import count_words, list_words, share_words, time_words
from cairn.exact.errors import ExactError, ModelInputError
from cairn.exact.models import ExactModel, check_row, decode_model
from cairn.modules.data.records import DATASETS
from cairn.modules.inference.events import (
    BatchScored,
    FeaturesScored,
    PaymentScored,
    PredictionRecorded,
)
from cairn.modules.inference.messages import ScoreBatch
from cairn.modules.inference.records import PREDICTIONS, Prediction, input_commitment
from cairn.modules.models.records import (
    CHUNKS,
    DEPLOYMENTS,
    PROMOTIONS,
    SEALED,
    VERSIONS,
    InputFeature,
    Promotion,
    Version,
    model_digest,
    promotion_subject,
)
from cairn.modules.training.records import EVALUATED, EVALUATIONS, PLANS, RUNS, Evaluation, Run
from cairn.primitives.errors import NonCanonicalError

PROMOTED = "promoted"
Scored = PaymentScored | FeaturesScored


@dataclass(frozen=True, slots=True)
class ProvedModel:
    """A version's model, its bytes proved and decoded."""

    version: Version
    model: ExactModel
    features: tuple[InputFeature, ...]


# Which version was live


def promotions_before(
    facts: VerifiedFacts, deployment: str, *, height: int | None = None, time_ms: int | None = None
) -> tuple[Entry[Promotion], ...]:
    """Return every promotion of a deployment before a height or a time, the first one included.

    Raises:
        ClaimError, IncompleteRangeError: The bundle does not show them all.
    """

    def is_past(at_ms: int, record: Promotion) -> bool:
        if height is not None:
            return record.height >= height
        return time_ms is not None and at_ms >= time_ms

    found: Stretch[Promotion] = facts.stretch(PROMOTIONS, deployment, until=is_past)
    return found.entries[:-1] if found.ended else found.entries


def check_promotion(
    facts: VerifiedFacts, deployment: str, promotions: tuple[Entry[Promotion], ...]
) -> tuple[str, ...]:
    """Return who made the last of `promotions` live and who approved it, in words.

    A roll-back rests on the approval of the promotion that it returns to.

    Raises:
        ClaimError: The approvals that it names are not on record.
    """
    last = promotions[-1]
    told = []
    approved = last
    if last.record.action != PROMOTED:
        told.append(
            f"rolled back to by {name_words(facts, last.record.by)} at height "
            f"{last.record.height}, {time_words(last.time_ms)}"
        )
        earlier = [
            entry
            for entry in promotions
            if entry.record.action == PROMOTED and entry.record.version == last.record.version
        ]
        if not earlier:
            raise ClaimError(f"{deployment} was rolled back to a version that never was promoted")
        approved = earlier[-1]
    record = approved.record
    # Every promotion and roll-back is an entry, so the position is the count that was approved.
    subject = promotion_subject(deployment, record.version, approved.position)
    check_approvals(facts, record.policy, subject, record.approvers, height=record.height)
    told.append(
        f"promoted by {name_words(facts, record.by)} at height {record.height}, "
        f"{time_words(approved.time_ms)}"
    )
    told.append(
        f"approved by {names_words(facts, record.approvers)} under policy `{record.policy}` "
        f"(now: {policy_words(facts, record.policy)})"
    )
    return tuple(told)


def check_live(claim: LiveClaim, facts: VerifiedFacts) -> Outcome:
    """Check which version was live in a deployment, and who approved it.

    Raises:
        ClaimError: The claim names no point in time that the header covers, or facts are missing.
    """
    promotions = promotions_before(
        facts, claim.deployment, height=claim.at_height, time_ms=claim.at_ms
    )
    when = _point_words(claim, facts)
    deployment = facts.row(DEPLOYMENTS, claim.deployment)
    what = f"which version was live in deployment `{claim.deployment}` {when}"
    complete = "every promotion and roll-back up to then is shown"
    if not promotions:
        none = "none was live: " + (
            "there is no deployment of this name"
            if deployment is None
            else "nothing had been promoted"
        )
        return Outcome(what, (none,), (complete,))
    if deployment is None:
        raise ClaimError(f"there is no deployment {claim.deployment}")
    live = promotions[-1].record
    findings = (
        *version_words(facts, live.version),
        *check_promotion(facts, claim.deployment, promotions),
        f"it was change {promotions[-1].position + 1} of the deployment, whose purpose is: "
        f"{deployment.purpose}",
    )
    checked = (complete, "the approvals are on record and were used for this promotion")
    return Outcome(what, findings, checked)


def _point_words(claim: LiveClaim, facts: VerifiedFacts) -> str:
    """Return the claim's point in time in words.

    Raises:
        ClaimError: Not exactly one is given, or it lies after what the header covers.
    """
    head = facts.head
    if claim.at_height is not None and claim.at_ms is None:
        if not 1 <= claim.at_height <= head.height + 1:
            raise ClaimError(f"height {claim.at_height} lies after the proving header")
        return f"at height {claim.at_height}"
    if claim.at_ms is None or claim.at_height is not None:
        raise ClaimError("a height or a time is asked for, not both")
    if claim.at_ms > head.time_ms:
        raise ClaimError(f"{time_words(claim.at_ms)} lies after the proving header")
    return f"at {time_words(claim.at_ms)}"


# Versions and their bytes


def version_words(facts: VerifiedFacts, version_id: bytes) -> tuple[str, ...]:
    """Return what a version is: model, training run, data and evaluation, in words.

    Raises:
        ClaimError: The run made another model, the evaluation is of another run or older than its
            plan, or a row is not shown.
    """
    version = facts.required_row(VERSIONS, version_id)
    run = facts.required_row(RUNS, version.run)
    if run.model_digest != version.model_digest:
        raise ClaimError("the version's training run made another model")
    uses: dict[bytes, list[str]] = {}
    for split in run.splits:
        rows = f"rows {split.first_row} to {split.end_row - 1} as {split.split}"
        uses.setdefault(split.dataset, []).append(rows)
    data = []
    for dataset_id, rows_words in uses.items():
        dataset = facts.required_row(DATASETS, dataset_id)
        synthetic = ", synthetic" if dataset.synthetic else ""
        data.append(
            f"`{dataset.name}` {dataset.version} of {name_words(facts, dataset.owner)}{synthetic}: "
            + ", ".join(rows_words)
        )
    return (
        f"model `{version.name}` version {version.number}, registered by "
        f"{name_words(facts, version.registered_by)} {time_words(version.registered_ms)}",
        f"model digest {version.model_digest.hex()}",
        f"trained by {name_words(facts, run.developer)} with {run.library} {run.library_version} "
        f"on {list_words(data)}",
        _evaluation_words(facts, version.run, run),
    )


def _evaluation_words(facts: VerifiedFacts, run_id: bytes, run: Run) -> str:
    """Return how the run did, as the organisation that trained it put on record last.

    Raises:
        ClaimError: The evaluation is of another run, or not older than its plan.
    """
    newest = facts.row(EVALUATED, run_id, run.organisation)
    if newest is None:
        return "no evaluation by those who trained it is on record"
    row = facts.required_row(EVALUATIONS, newest.evaluation)
    plan = facts.required_row(PLANS, row.plan)
    if row.run != run_id or row.organisation != run.organisation:
        raise ClaimError("the evaluation on record is of another run")
    if plan.committed_ms >= row.first_label_ms:
        raise ClaimError("the plan of the evaluation is not older than its first label")
    before = "before" if row.is_blind else "only after"
    others = f", the newest of {newest.count} of this run" if newest.count > 1 else ""
    return (
        f"evaluated by {name_words(facts, row.by)} under plan `{plan.name}`, which was committed "
        f"{time_words(plan.committed_ms)}, before the first test label "
        f"({time_words(row.first_label_ms)}): {_figure_words(row, plan.metric)} on "
        f"{count_words(row.row_count, 'row')}, {row.positive_count:,} of them positive; the run "
        f"was on record {before} those labels; evaluation {row.number} under the plan{others}"
    )


def _figure_words(row: Evaluation, metric: str) -> str:
    """Return the figure that a plan names, with its confidence bounds.

    Raises:
        ClaimError: The evaluation lacks it.
    """
    figure = next((one for one in row.metrics if one.name == metric), None)
    if figure is None:
        raise ClaimError("the evaluation lacks the figure that its plan names")
    low, high = share_words(figure.lower_ppm), share_words(figure.upper_ppm)
    share = f"{row.confidence_ppm / 10_000:g} %"
    return f"{metric} {share_words(figure.value_ppm)} ({low} to {high} with {share} confidence)"


def proved_model(facts: VerifiedFacts, version_id: bytes) -> ProvedModel:
    """Return a version's model from the chunks in the state.

    Raises:
        ClaimError: A chunk is not shown, the bytes are not those that the version names, or they
            are no model of the stated inputs.
    """
    version = facts.required_row(VERSIONS, version_id)
    sealed = facts.required_row(SEALED, version.model_digest)
    chunks = [
        facts.required_row(CHUNKS, sealed.uploader, version.model_digest, index).data
        for index in range(sealed.chunk_count)
    ]
    raw = b"".join(chunks)
    if model_digest(raw) != version.model_digest or len(raw) != sealed.size_bytes:
        raise ClaimError("the model's bytes are not those that the version names")
    try:
        model = decode_model(raw)
    except (NonCanonicalError, ExactError) as error:
        raise ClaimError(f"the model's bytes are no model: {error}") from error
    features = tuple(
        InputFeature(f.name, f.kind, f.scale_bits, f.categories, f.nullable, f.unknown_allowed)
        for f in model.features
    )
    if features != sealed.features:
        raise ClaimError("the model takes other inputs than were sealed with it")
    return ProvedModel(version, model, features)


# One prediction


def check_prediction(claim: PredictionClaim, facts: VerifiedFacts, *, replay: bool) -> Outcome:
    """Check one entry of a deployment's series of predictions.

    Raises:
        ClaimError: The receipt tells of another score, or the version was not live.
        ReplayError: The model gives another score.
    """
    entry = facts.entry(PREDICTIONS, claim.position, claim.deployment)
    record = entry.record
    transaction = facts.transaction(record.transaction_id)
    body = decode_body(transaction.envelope.body)
    height = transaction.block.height
    if transaction.block.time_ms != entry.time_ms:
        raise ClaimError("the prediction and its transaction are of different blocks")
    features = _features(claim, facts, record)
    promotions = promotions_before(facts, claim.deployment, height=height)
    served = [one for one in promotions if one.record.version == record.version]
    if not served or (record.basis != "committed" and served[-1] is not promotions[-1]):
        raise ClaimError(f"the version was not live in {claim.deployment} at height {height}")
    rested_on = promotions[: promotions.index(served[-1]) + 1]
    model = None if features is None else proved_model(facts, record.version)
    findings = (
        f"score {share_words(record.score_ppm)}, {BASES[record.basis]}",
        f"in block {height}, {time_words(entry.time_ms)}, signed by "
        f"{signer_words(facts, transaction, body)}",
        *version_words(facts, record.version),
        *check_promotion(facts, claim.deployment, rested_on),
        *_input_words(model, features),
    )
    checked = ["the receipt tells of the same score, version and input"]
    checked.append("the version was in service at that height, and its approvals are on record")
    not_shown = []
    if record.basis == "asserted":
        not_shown.append("whether the features are true: the sender handed them in")
    if record.basis == "committed" and features is None:
        not_shown.append("whether the model gives this score: the input stays closed")
    if model is not None and features is not None:
        if replay:
            check_score(Scorer(model.model), features, record.score_ppm)
            checked.append("the score was computed again from the model's bytes: it is the same")
        else:
            not_shown.append("whether the model gives this score: --replay computes it again")
    what = f"prediction {claim.position} of deployment `{claim.deployment}`"
    return Outcome(what, findings, tuple(checked), tuple(not_shown))


BASES = {
    "derived": "on features that the ledger derived from its own payments",
    "asserted": "on features that the sender handed in, computed by the ledger",
    "committed": "computed elsewhere, on an input of which the ledger holds a commitment",
}


def _features(
    claim: PredictionClaim, facts: VerifiedFacts, record: Prediction
) -> tuple[int, ...] | None:
    """Return a prediction's features as its receipt or the bundle discloses them, None if closed.

    Raises:
        ClaimError: The receipt does not tell of this prediction, or the input is another one.
    """
    receipt = facts.transaction(record.transaction_id).receipt
    place = (claim.deployment, record.version, record.score_ppm)
    if record.basis != "committed":
        if claim.opened is not None:
            raise ClaimError("the receipt holds the input: there is none to disclose")
        row = None if record.basis == "derived" else _row_of_batch(claim, facts, record)
        if row is not None:
            return row
        kind: type[Scored] = PaymentScored if record.basis == "derived" else FeaturesScored
        scored = event_at(
            receipt,
            record.operation_index,
            kind,
            lambda e: (e.deployment, e.version, e.score_ppm) == place,
        )
        if isinstance(scored, FeaturesScored) and scored.position != claim.position:
            raise ClaimError("the receipt tells of another position")
        return scored.features
    event_at(
        receipt,
        record.operation_index,
        PredictionRecorded,
        lambda e: (
            (e.deployment, e.version, e.score_ppm) == place
            and e.position == claim.position
            and e.input_commitment == record.input_commitment
            and e.policy_digest == record.policy_digest
        ),
    )
    if claim.opened is None:
        return None
    opened = input_commitment(claim.opened.salt, record.version, claim.opened.features)
    if opened != record.input_commitment:
        raise ClaimError("the disclosed input is not the one that was committed to")
    return claim.opened.features


def _row_of_batch(
    claim: PredictionClaim, facts: VerifiedFacts, record: Prediction
) -> tuple[int, ...] | None:
    """Return the features of a prediction that was one row of a batch, None if it was none.

    Raises:
        ClaimError: The receipt of the batch tells of another score at this position.
    """
    transaction = facts.transaction(record.transaction_id)
    operations = decode_body(transaction.envelope.body).operations
    if record.operation_index >= len(operations):
        raise ClaimError(f"the transaction has no operation {record.operation_index}")
    message = operations[record.operation_index]
    if not isinstance(message, ScoreBatch):
        return None
    event = event_at(
        transaction.receipt,
        record.operation_index,
        BatchScored,
        lambda e: (e.deployment, e.version) == (message.deployment, record.version),
    )
    place = claim.position - event.first_position
    if message.deployment != claim.deployment or len(message.rows) != len(event.scores_ppm):
        raise ClaimError("the batch is another one than the prediction's")
    if not 0 <= place < len(message.rows) or event.scores_ppm[place] != record.score_ppm:
        raise ClaimError("the receipt of the batch tells of another score")
    return message.rows[place]


def _input_words(model: ProvedModel | None, features: tuple[int, ...] | None) -> tuple[str, ...]:
    if model is None or features is None:
        return ()
    try:
        check_row(model.model, features)
    except ModelInputError as error:
        raise ClaimError(f"the input does not fit the model: {error}") from error
    pairs = zip(model.model.features, features, strict=True)
    told = ", ".join(f"{feature.name} {value_words(feature, value)}" for feature, value in pairs)
    return (f"{count_words(len(features), 'input')}: {told}",)
