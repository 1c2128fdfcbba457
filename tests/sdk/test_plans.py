"""A stranger's file: divided, planned, trained, recorded, evaluated; and its lineage."""

import json
import random
from pathlib import Path

import pytest

from cairn.evidence.bundle import StateClaim
from cairn.evidence.verify import verify_bundle
from cairn.learning.errors import ChangedDataError, TrainingError
from cairn.learning.evaluation import Protocol
from cairn.learning.resampling import Resampling
from cairn.learning.training import TrainingSettings
from cairn.modules.identity.messages import Approve
from cairn.modules.models.messages import CreateDeployment, Promote
from cairn.modules.training.messages import RecordEvaluation
from cairn.modules.training.records import EVALUATIONS, PLANS, RUNS, Estimate, LabelRange
from cairn.sdk.approvals import promotion_of
from cairn.sdk.datasets import find_registered, open_manifest
from cairn.sdk.errors import RejectedError, UsageError
from cairn.sdk.models import RunFolder, register_version, upload_model
from cairn.sdk.partition import Partition
from cairn.sdk.plans import (
    OwnModel,
    People,
    PlanFolder,
    Terms,
    adopt_model,
    evaluate_planned,
    plan_file,
    record_planned,
    share_ppm,
    train_planned,
)
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import prove
from cairn.sdk.quality import changed_policy, open_report, report_file
from cairn.sdk.workspace import Workspace
from tests.sdk.conftest import ClientOf

FEW = Resampling(count=50)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    numbers = random.Random(7)
    lines = ["CUSTOMER,day,LIMIT_BAL,rate,night,default"]
    for row in range(500):
        limit, night = numbers.randrange(100, 90_000), numbers.random() < 0.3
        rate = numbers.random()
        bad = limit > 70_000 or (night and rate > 0.7)
        lines.append(f"c{row % 50},{row // 5},{limit},{rate:.3f},{int(night)},{int(bad)}")
    path = tmp_path / "credit.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def people(client_of: ClientOf) -> People:
    return People(client_of("dana"), client_of("dirk"))


def planned(people: People, workspace: Workspace, file: Path, **fields: object) -> PlanFolder:
    terms = Terms(label="default", name="credit", subject="CUSTOMER", **fields)  # type: ignore[arg-type]
    return plan_file(people, workspace, file, terms, workspace.directory / "credit")


def test_from_a_file_to_a_blind_evaluation_and_its_lineage(
    people: People, workspace: Workspace, file: Path, client_of: ClientOf
) -> None:
    protocol = Protocol(threshold_ppm=400_000, metric="roc_auc", alert_budget_per_day=3)
    by_day = Partition("time", ("day",))
    folder = planned(people, workspace, file, partition=by_day, protocol=protocol)
    dirk = people.developer
    plan = dirk.require(PLANS, folder.identity("plan"))
    assert (plan.threshold_ppm, plan.metric, plan.test_row_count) == (400_000, "roc_auc", 150)
    assert (plan.split.method, plan.split.columns, plan.split.cut) == ("time", ("day",), 70)
    run = train_planned(folder, workspace, TrainingSettings("logistic", calibration="platt"))
    assert run.record.features == ("day", "limit_bal", "rate", "night")
    identity = record_planned(people, folder, workspace)
    assert dirk.require(RUNS, identity).plan == folder.identity("plan")
    report = evaluate_planned(people, folder, workspace, resampling=FEW)
    evaluation = folder.identity("evaluation")
    row = dirk.require(EVALUATIONS, evaluation)
    assert (row.is_blind, row.number, row.row_count) == (True, 1, 150)
    assert row.report_digest == report.digest
    figures = {one.name: one.value_ppm for one in row.metrics}
    assert figures["roc_auc"] == round(report.figures["roc_auc"].value * 1e6) > 800_000
    assert "<svg" in (folder.directory / "report.html").read_text()
    assert json.loads((folder.directory / "report.json").read_text())["metric"] == "roc_auc"
    raw = prove(ConnectionSource(dirk.connection), StateClaim(EVALUATIONS.key(evaluation)))
    assert verify_bundle(raw, workspace.trust(), at_ms=0).findings
    check_lineage(people, folder, client_of)


def check_lineage(people: People, folder: PlanFolder, client_of: ClientOf) -> None:
    dirk = people.developer
    digest = upload_model(dirk, folder.model_bytes())
    version = register_version(
        dirk,
        "credit",
        run=folder.identity("run"),
        digest=digest,
        card_digest=RunFolder(folder.directory).card_digest(),
    ).version
    bare = dirk.lineage(version)
    assert "used nowhere" in bare.text()
    dirk.submit(CreateDeployment("credit", "models", "who gets a limit"))
    approvable = promotion_of(dirk, "credit", version)
    for name in ("vera", "rita", "dana"):
        client_of(name).submit(Approve(approvable.policy, approvable.subject))
    dirk.submit(Promote("credit", version))
    found = dirk.lineage(version)
    kinds = [item.kind for item in found.items]
    assert sorted(kinds) == [
        "dataset",
        "dataset",
        "deployment",
        "evaluation",
        "plan",
        "run",
        "version",
    ]
    text = found.text()
    for words in ("credit@1", "credit.test@1", "roc_auc", "blind yes", "planned", "tested"):
        assert words in text
    assert text.splitlines()[0].startswith("version credit@1")
    assert found.dot().count("->") == len(found.links) == 7
    page = found.to_html()
    assert page.startswith("<!doctype html>")
    assert "deployment credit" in page
    assert "<ul" in found._repr_html_()


def test_both_parts_are_registered_with_their_quality_as_a_policy_may_ask(
    people: People, workspace: Workspace, file: Path, client_of: ClientOf
) -> None:
    client_of("carl").submit(changed_policy(None, {"required": True}))
    told: list[str] = []
    terms = Terms(label="default", name="credit", subject="CUSTOMER")
    folder = plan_file(
        people, workspace, file, terms, workspace.directory / "credit", tell=told.append
    )
    train_planned(folder, workspace, TrainingSettings("logistic"))
    record_planned(people, folder, workspace)
    evaluate_planned(people, folder, workspace, resampling=FEW, tell=told.append)
    text = "\n".join(told)
    assert "quality of the train part: 350 rows, 6 columns: missing 0 %" in text
    assert "quality of the test part: 150 rows" in text
    for label in (folder.train_label, folder.test_label):
        dataset, row = find_registered(people.owner, open_manifest(workspace, label))
        assert dataset
        assert row.quality is not None
        assert row.quality.leaks == 0
        assert open_report(report_file(workspace, label)).label == "default"


def test_a_file_below_the_policy_leaves_nothing_behind(
    people: People, workspace: Workspace, file: Path, client_of: ClientOf
) -> None:
    client_of("carl").submit(changed_policy(None, {"duplicates_ppm_max": 0}))
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines, *lines[1:101]]))
    with pytest.raises(RejectedError, match=r"duplicates .* at most 0 %"):
        planned(people, workspace, file)
    file.write_text("".join(lines))
    assert planned(people, workspace, file).identity("plan")


def test_a_plan_after_the_labels_is_refused(
    people: People, workspace: Workspace, file: Path
) -> None:
    first = planned(people, workspace, file)
    train_planned(first, workspace, TrainingSettings("logistic"))
    record_planned(people, first, workspace)
    evaluate_planned(people, first, workspace, resampling=FEW)
    test = people.developer.require(EVALUATIONS, first.identity("evaluation")).labels[0].source
    terms = Terms(label="default", name="credit", version=2, subject="CUSTOMER")
    late = plan_file(people, workspace, file, terms, workspace.directory / "late")
    message = RecordEvaluation(
        run=first.identity("run"),
        plan=late.identity("plan"),
        labels=(LabelRange(test, 0, 150),),
        positive_count=1,
        threshold_ppm=500_000,
        metrics=(Estimate("average_precision", 1, 0, 2),),
        confidence_ppm=950_000,
        resample_count=0,
        seed=0,
    )
    with pytest.raises(RejectedError, match="training/test_differs"):
        people.developer.submit(message)


def test_an_own_model_is_adopted_and_evaluated(
    people: People, workspace: Workspace, file: Path, tmp_path: Path
) -> None:
    folder = planned(people, workspace, file)
    with pytest.raises(UsageError, match="no run yet"):
        evaluate_planned(people, folder, workspace)
    other = tmp_path / "elsewhere"
    run = _elsewhere(folder, workspace, other)
    own = OwnModel(run, "my library", "1.0", code=b"fit()", parameters={"depth": "3"})
    adopt_model(people, folder, workspace, own)
    with pytest.raises(UsageError, match="has a model"):
        adopt_model(people, folder, workspace, own)
    report = evaluate_planned(people, folder, workspace, resampling=FEW)
    assert report.row_count == 150
    row = people.developer.require(RUNS, folder.identity("run"))
    assert (row.library, row.library_version) == ("my-library", "1.0")


def _elsewhere(folder: PlanFolder, workspace: Workspace, output: Path) -> bytes:
    from cairn.sdk.datasets import committed_file
    from cairn.sdk.models import train
    from cairn.sdk.tabular import TabularRecipe

    file = committed_file(workspace, folder.train_label, folder.part("train"))
    recipe = TabularRecipe("default")
    return train([file], recipe, TrainingSettings("logistic"), output)[1].trained.model_bytes


def test_a_changed_test_part_is_refused(people: People, workspace: Workspace, file: Path) -> None:
    folder = planned(people, workspace, file)
    train_planned(folder, workspace, TrainingSettings("logistic"))
    record_planned(people, folder, workspace)
    lines = folder.part("test").read_text().splitlines()
    lines[1] = lines[1][:-1] + str(1 - int(lines[1][-1]))
    folder.part("test").write_text("\n".join(lines) + "\n")
    with pytest.raises(ChangedDataError, match="1 changed"):
        evaluate_planned(people, folder, workspace)


@pytest.mark.parametrize(
    ("partition", "shared"),
    [
        (Partition("group", ("CUSTOMER",)), "CUSTOMER"),
        (Partition("time", ("day",)), "day"),
    ],
)
def test_parts_share_no_group(
    people: People, workspace: Workspace, file: Path, partition: Partition, shared: str
) -> None:
    folder = planned(people, workspace, file, partition=partition)
    values = []
    for which in ("train", "test"):
        head, *lines = folder.part(which).read_text().splitlines()
        place = head.split(",").index(shared)
        values.append({line.split(",")[place] for line in lines})
    assert not values[0] & values[1]


def test_terms_that_do_not_fit_the_file(people: People, workspace: Workspace, file: Path) -> None:
    with pytest.raises(TrainingError, match="no column 'month'"):
        planned(people, workspace, file, partition=Partition("time", ("month",)))
    terms = Terms(label="day", name="credit")
    with pytest.raises(TrainingError, match="other values than 0 and 1"):
        plan_file(people, workspace, file, terms, workspace.directory / "x")
    with pytest.raises(TrainingError, match="unknown split"):
        Partition("fortune")
    with pytest.raises(TrainingError, match="goes by 1 to 1 columns"):
        Partition("time")
    assert not (workspace.directory / "credit").exists()


def test_shares() -> None:
    assert share_ppm("12.5%") == 125_000
    for text in ("0", "1", "100%", "x", ""):
        with pytest.raises(UsageError):
            share_ppm(text)
