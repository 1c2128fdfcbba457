"""Plans and evaluations: what was fixed before the labels, and how the model did on them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.ledger.context import Context
from cairn.ledger.records import Series
from cairn.modules.data.events import DatasetRegistered
from cairn.modules.data.messages import GrantUse, WithdrawDataset
from cairn.modules.data.queries import list_consents
from cairn.modules.training import labels
from cairn.modules.training.errors import OutcomeNotFoundError
from cairn.modules.training.events import EvaluationRecorded, PlanCommitted, RunRecorded
from cairn.modules.training.messages import CommitPlan, RecordEvaluation
from cairn.modules.training.queries import (
    get_evaluation,
    get_plan,
    get_plan_use,
    list_evaluations,
    list_plans,
)
from cairn.modules.training.records import (
    EVALUATED,
    OUTCOMES,
    Estimate,
    Evaluated,
    LabelRange,
    PlanUse,
    SplitPlan,
    SplitUse,
)
from cairn.primitives.encoding import Record, encode
from cairn.primitives.hashes import sha256, tagged_hash
from tests.modules.founding import dataset_message, found, register_dataset, run_message
from tests.modules.harness import Harness

DIGEST = sha256(b"model")
NOBODY = b"\xee" * 20
SPLIT = SplitPlan("time", ("booked_at",), 300_000, 1_700_000_000_000, 0)


def plan_message(*datasets: bytes, **fields: Any) -> CommitPlan:
    stated: dict[str, Any] = {
        "name": "card-risk",
        "datasets": datasets,
        "split": SPLIT,
        "test_digest": b"",
        "test_row_count": 0,
        "threshold_ppm": 500_000,
        "metric": "average_precision",
        "alert_budget_per_day": 100,
    }
    return CommitPlan(**{**stated, **fields})


def evaluation_message(run: bytes, plan: bytes, test: bytes, **fields: Any) -> RecordEvaluation:
    stated: dict[str, Any] = {
        "run": run,
        "plan": plan,
        "labels": (LabelRange(test, 0, 1_000),),
        "positive_count": 20,
        "threshold_ppm": 500_000,
        "metrics": (
            Estimate("average_precision", 640_000, 610_000, 672_000),
            Estimate("roc_auc", 910_000, 900_000, 921_000),
        ),
        "confidence_ppm": 950_000,
        "resample_count": 1_000,
        "seed": 1,
    }
    return RecordEvaluation(**{**stated, **fields})


def commit_plan(ledger: Harness, *datasets: bytes, **fields: Any) -> bytes:
    return ledger.done("dev", plan_message(*datasets, **fields)).event(PlanCommitted).plan


def record_run(ledger: Harness, dataset: bytes, plan: bytes = b"") -> bytes:
    splits = (SplitUse(dataset, "train", 0, 1_000),)
    message = run_message(dataset, DIGEST, splits=splits, plan=plan)
    return ledger.done("dev", message).event(RunRecorded).run


@pytest.fixture
def ledger() -> Harness:
    return found()


def digest_of(**fields: Any) -> bytes:
    stated = dataset_message("payments.test", **fields)
    parts = ("format_version", "row_root", "row_count", "schema_digest", "file_commitment")
    return tagged_hash(b"cairn/dataset", encode(tuple(getattr(stated, part) for part in parts)))


def test_a_plan_is_kept_with_its_height(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    plan = commit_plan(ledger, dataset)
    row = get_plan(ledger.context(), plan)
    assert row is not None
    assert (row.height, row.committed_ms) == (ledger.head.height, ledger.head.time_ms)
    assert (row.developer, row.organisation) == (ledger.id("dev"), ledger.id("alpha"))
    assert (row.split, row.threshold_ppm, row.alert_budget_per_day) == (SPLIT, 500_000, 100)
    ((_, entry),) = list_plans(ledger.context())
    assert (entry.plan, entry.name, entry.height) == (plan, "card-risk", ledger.head.height)


def test_a_blind_evaluation_in_the_right_order(ledger: Harness) -> None:
    train = register_dataset(ledger)
    plan = commit_plan(ledger, train, test_digest=digest_of(), test_row_count=1_000)
    run = record_run(ledger, train, plan)
    test = register_dataset(ledger, "payments.test")
    outcome = ledger.done("vera", evaluation_message(run, plan, test))
    event = outcome.event(EvaluationRecorded)
    assert (event.number, event.is_blind) == (1, True)
    row = get_evaluation(ledger.context(), event.evaluation)
    assert row is not None
    assert (row.by, row.run, row.plan) == (ledger.id("vera"), run, plan)
    assert (row.row_count, row.positive_count) == (1_000, 20)
    assert row.metrics[0] == Estimate("average_precision", 640_000, 610_000, 672_000)
    assert get_plan_use(ledger.context(), plan) == PlanUse(1, 1)
    ((_, entry),) = list_consents(ledger.context(), test)
    assert (entry.purpose, entry.reference) == ("evaluation", event.evaluation)
    again = ledger.done("dev", evaluation_message(run, plan, test)).event(EvaluationRecorded)
    assert again.number == 2
    assert [e.evaluation for _, e in list_evaluations(ledger.context())] == [
        event.evaluation,
        again.evaluation,
    ]


def test_the_newest_evaluation_of_a_run_is_kept_for_each_organisation(ledger: Harness) -> None:
    train = register_dataset(ledger)
    plan = commit_plan(ledger, train)
    run = record_run(ledger, train, plan)
    test = register_dataset(ledger, "payments.test")
    alpha, beta = ledger.id("alpha"), ledger.id("beta")
    assert ledger.get(EVALUATED, run, alpha) is None
    message = evaluation_message(run, plan, test)
    first, second = (
        ledger.done(name, message).event(EvaluationRecorded).evaluation for name in ("vera", "dev")
    )
    assert first != second
    assert ledger.get(EVALUATED, run, alpha) == Evaluated(second, 2)
    for name in ("dev", "bill"):
        grant = GrantUse(test, ledger.id(name), "evaluation", 2**50)
        ledger.done("dana", grant)
    other = ledger.done("bill", message).event(EvaluationRecorded).evaluation
    assert ledger.get(EVALUATED, run, alpha) == Evaluated(second, 2)
    assert ledger.get(EVALUATED, run, beta) == Evaluated(other, 1)


def test_a_run_after_the_labels_is_not_blind(ledger: Harness) -> None:
    train = register_dataset(ledger)
    plan = commit_plan(ledger, train)
    test = register_dataset(ledger, "payments.test")
    run = record_run(ledger, train)
    event = ledger.done("dev", evaluation_message(run, plan, test)).event(EvaluationRecorded)
    assert not event.is_blind


@settings(max_examples=25, deadline=None)
@given(st.permutations(["plan", "first", "second"]), st.booleans(), st.booleans())
def test_labels_that_came_before_the_plan_are_refused_in_any_order(
    order: list[str], run_early: bool, both_sources: bool
) -> None:
    ledger = found()
    train = register_dataset(ledger)
    made: dict[str, bytes] = {}
    run = record_run(ledger, train) if run_early else b""
    for what in order:
        if what == "plan":
            made[what] = commit_plan(ledger, train)
        else:
            made[what] = register_dataset(ledger, what)
    run = run or record_run(ledger, train)
    sources = ["first", "second"] if both_sources else ["second"]
    ranges = tuple(LabelRange(made[one], 0, 10) for one in sources)
    message = evaluation_message(run, made["plan"], b"", labels=ranges, positive_count=1)
    if all(order.index("plan") < order.index(one) for one in sources):
        ledger.done("dev", message)
    else:
        ledger.refused("dev", message, "training/plan_too_late")


def test_a_plan_in_the_block_of_the_labels_is_too_late(ledger: Harness) -> None:
    train = register_dataset(ledger)
    run = record_run(ledger, train)
    ledger.submit("dev", plan_message(train))
    ledger.submit("dana", dataset_message("payments.test"))
    first, second = ledger.block()
    plan = first.event(PlanCommitted).plan
    test = second.event(DatasetRegistered).dataset
    ledger.refused("dev", evaluation_message(run, plan, test), "training/plan_too_late")


def test_refusals_in_order(ledger: Harness) -> None:
    train = register_dataset(ledger)
    early = register_dataset(ledger, "early")
    plan = commit_plan(ledger, train, test_digest=digest_of(), test_row_count=1_000)
    run = record_run(ledger, train, plan)
    test = register_dataset(ledger, "payments.test")
    outside = (LabelRange(test, 0, 1_001),)
    part = (LabelRange(test, 0, 999),)
    cases: list[tuple[str, RecordEvaluation, str]] = [
        ("dana", evaluation_message(NOBODY, NOBODY, NOBODY), "identity/missing_role"),
        ("dev", evaluation_message(NOBODY, NOBODY, NOBODY), "training/run_not_found"),
        ("dev", evaluation_message(run, NOBODY, NOBODY), "training/plan_not_found"),
        ("dev", evaluation_message(run, plan, NOBODY), "data/dataset_not_found"),
        ("dirk", evaluation_message(run, plan, test), "data/use_not_allowed"),
        ("dev", evaluation_message(run, plan, test, labels=outside), "training/rows_out_of_range"),
        (
            "dev",
            evaluation_message(run, plan, test, labels=(LabelRange(OUTCOMES, 0, 1_000),)),
            "training/outcome_not_found",
        ),
        ("dev", evaluation_message(run, plan, test, labels=part), "training/test_differs"),
        (
            "dev",
            evaluation_message(run, plan, early, threshold_ppm=1),
            "training/off_plan",
        ),
        (
            "dev",
            evaluation_message(run, plan, test, metrics=(Estimate("roc_auc", 1, 0, 2),)),
            "training/off_plan",
        ),
        ("dev", evaluation_message(run, plan, early), "training/plan_too_late"),
    ]
    for who, message, code in cases:
        ledger.refused(who, message, code)
    until_ms = ledger.head.time_ms + 60_000
    ledger.done("dana", GrantUse(test, ledger.id("dirk"), "evaluation", until_ms))
    ledger.done("dirk", evaluation_message(run, plan, test))
    ledger.done("dana", WithdrawDataset(test))
    ledger.refused("dev", evaluation_message(run, plan, test), "data/dataset_withdrawn")


def test_another_dataset_than_the_planned_one_is_refused(ledger: Harness) -> None:
    train = register_dataset(ledger)
    other = digest_of(row_root=sha256(b"other rows"))
    plan = commit_plan(ledger, train, test_digest=other)
    run = record_run(ledger, train, plan)
    test = register_dataset(ledger, "payments.test")
    ledger.refused("dev", evaluation_message(run, plan, test), "training/test_differs")


def test_a_run_keeps_to_its_plan(ledger: Harness) -> None:
    train, other = register_dataset(ledger), register_dataset(ledger, "other")
    plan = commit_plan(ledger, train)
    splits = (SplitUse(other, "train", 0, 10),)
    ledger.refused("dev", run_message(train, DIGEST, plan=NOBODY), "training/plan_not_found")
    ledger.refused(
        "dev", run_message(other, DIGEST, splits=splits, plan=plan), "training/outside_plan"
    )
    until_ms = ledger.head.time_ms + 60_000
    ledger.done("dana", GrantUse(train, ledger.id("dirk"), "training", until_ms))
    ledger.refused("dirk", run_message(train, DIGEST, plan=plan), "training/outside_plan")
    ledger.refused("dana", plan_message(train), "identity/missing_role")
    ledger.refused("dev", plan_message(NOBODY), "data/dataset_not_found")


def test_outcomes_are_labels_of_their_own_block_times(ledger: Harness) -> None:
    class Anything(Record):
        what: str

    outcomes: Series[Anything] = Series("screening", "outcomes", (), Anything)
    ctx: Context = ledger.context()
    ctx.sender = ledger.id("dev")
    times = (ctx.time_ms, ctx.time_ms + 5, ctx.time_ms + 9)
    for time_ms in times:
        ctx.time_ms = time_ms
        ctx.append(outcomes, Anything("a label"))
    assert labels.check_labels(ctx, (LabelRange(OUTCOMES, 1, 3),)) == times[1]
    ranges = (LabelRange(OUTCOMES, 2, 3), LabelRange(OUTCOMES, 0, 1))
    assert labels.check_labels(ctx, ranges) == times[0]
    with pytest.raises(OutcomeNotFoundError):
        labels.check_labels(ctx, (LabelRange(OUTCOMES, 2, 4),))


@pytest.mark.parametrize(
    "fields",
    [
        {"labels": (LabelRange(NOBODY, 5, 5),)},
        {"labels": (LabelRange(b"short", 0, 5),)},
        {"labels": (LabelRange(NOBODY, 0, 50), LabelRange(NOBODY, 49, 60))},
        {"positive_count": 1_001},
        {"metrics": (Estimate("b", 1, 0, 2), Estimate("a", 1, 0, 2))},
        {"metrics": (Estimate("a", 1, 2, 0),)},
        {"report_digest": b"short"},
    ],
)
def test_evaluations_that_no_state_makes_acceptable(
    ledger: Harness, fields: dict[str, object]
) -> None:
    message = evaluation_message(NOBODY, NOBODY, NOBODY, **fields)
    ledger.refused("dev", message, "ledger/invalid_message")


def test_plans_that_no_state_makes_acceptable(ledger: Harness) -> None:
    ledger.refused("dev", plan_message(NOBODY, NOBODY), "ledger/invalid_message")
    ledger.refused("dev", plan_message(NOBODY, test_digest=b"x"), "ledger/invalid_message")
    assert ledger.run("dev", plan_message()).code == "ledger/malformed_transaction"
