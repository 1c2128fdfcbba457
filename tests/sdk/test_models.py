"""From a file to a promoted model: data sets, training, upload, registration."""

import random
from pathlib import Path

import pytest

from cairn.evidence.bundle import RowClaim
from cairn.evidence.errors import RowProofError
from cairn.evidence.verify import verify_bundle
from cairn.learning.errors import (
    ChangedDataError,
    DatasetError,
    ForgottenSubjectError,
    TrainingError,
)
from cairn.learning.schemas import Column, Kind, Schema
from cairn.learning.tables import read_table
from cairn.learning.training import TrainingSettings
from cairn.modules.identity.messages import Approve
from cairn.modules.models.messages import CreateDeployment, Promote
from cairn.modules.models.records import DEPLOYMENTS, SEALED, VERSIONS
from cairn.modules.training.records import RUNS
from cairn.sdk.approvals import approval_status, promotion_of
from cairn.sdk.datasets import (
    DatasetLabel,
    check_dataset,
    commit_dataset,
    committed_file,
    find_registered,
    forget_subject,
    open_manifest,
    open_row,
    parse_label,
    register_dataset,
)
from cairn.sdk.errors import NotFoundError, RejectedError, UsageError
from cairn.sdk.models import RunFolder, record_run, register_version, train, upload_model
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import prove
from cairn.sdk.tabular import TabularRecipe
from cairn.sdk.workspace import Workspace
from tests.sdk.conftest import ClientOf

SCHEMA = Schema(
    (
        Column("customer", Kind.TEXT),
        Column("amount", Kind.DECIMAL, scale=2),
        Column("night", Kind.BOOLEAN),
        Column("note", Kind.TEXT),
        Column("fraud", Kind.BOOLEAN),
    ),
    subject="customer",
)
LABEL = DatasetLabel("cards", 1)
RECIPE = TabularRecipe("fraud", test_ppm=300_000)
LOGISTIC = TrainingSettings("logistic", seed=3)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    numbers = random.Random(7)
    lines = ["customer,amount,night,note,fraud"]
    for row in range(400):
        amount, night = numbers.randrange(100, 90_000), numbers.random() < 0.3
        fraud = amount > 60_000 or (night and amount > 30_000)
        lines.append(f"c{row % 40},{amount / 100:.2f},{int(night)},,{int(fraud)}")
    path = tmp_path / "cards.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_model_goes_live(file: Path, workspace: Workspace, client_of: ClientOf) -> None:
    dana, dirk = client_of("dana"), client_of("dirk")
    manifest = commit_dataset(workspace, LABEL, file, SCHEMA, licence="CC0", synthetic=True)
    dataset = register_dataset(dana, LABEL, manifest)
    assert find_registered(dirk, manifest)[0] == dataset
    files = [committed_file(workspace, LABEL, file)]
    folder, run = train(files, RECIPE, LOGISTIC, workspace.directory / "runs" / "1")
    assert folder.record() == run.record
    assert run.record.features == ("amount", "night")
    recorded = record_run(dirk, folder.record(), files)
    assert [s.end_row for s in dirk.require(RUNS, recorded).splits] == [280, 400]
    digest = upload_model(dirk, folder.model())
    assert upload_model(dirk, folder.model()) == digest
    assert [f.name for f in dirk.require(SEALED, digest).features] == ["amount", "night"]
    version = register_version(
        dirk, "card-risk", run=recorded, digest=digest, card_digest=folder.card_digest()
    )
    assert dirk.require(VERSIONS, version.version).number == 1
    dirk.submit(CreateDeployment("cards", "models", ""))
    approvable = promotion_of(dirk, "cards", version.version)
    with pytest.raises(RejectedError, match="identity/not_approved"):
        dirk.submit(Promote("cards", version.version))
    for name in ("dirk", "vera", "rita", "dana"):
        client_of(name).submit(Approve(approvable.policy, approvable.subject))
    standing = approval_status(
        dirk, approvable.policy, approvable.subject, author=approvable.author
    )
    assert (standing.missing, len(standing.approvers), len(standing.acts)) == (0, 3, 4)
    dirk.submit(Promote("cards", version.version))
    assert dirk.require(DEPLOYMENTS, "cards").current == version.version
    after = approval_status(dirk, approvable.policy, approvable.subject)
    assert after.spent


def test_an_interrupted_upload_goes_on(workspace: Workspace, client_of: ClientOf) -> None:
    dirk = client_of("dirk")
    with pytest.raises(UsageError, match="cannot be uploaded"):
        upload_model(dirk, b"")
    with pytest.raises(RejectedError, match="models/malformed_model"):
        upload_model(dirk, b"no model" * 9_000)
    with pytest.raises(RejectedError, match="models/malformed_model"):
        upload_model(dirk, b"no model" * 9_000)


def test_a_changed_file_is_not_trained_on(file: Path, workspace: Workspace) -> None:
    commit_dataset(workspace, LABEL, file, SCHEMA)
    lines = file.read_text().splitlines()
    lines[8] = "c7,0.01,0,,0"
    file.write_text("\n".join(lines) + "\n")
    assert check_dataset(workspace, LABEL, file).changed == (7,)
    with pytest.raises(ChangedDataError, match=r"1 changed \(7\)"):
        train([committed_file(workspace, LABEL, file)], RECIPE, LOGISTIC, workspace.directory / "r")
    assert not (workspace.directory / "r").exists()


def test_a_row_is_disclosed_and_proved(
    file: Path, workspace: Workspace, client_of: ClientOf
) -> None:
    dana = client_of("dana")
    dataset = register_dataset(dana, LABEL, commit_dataset(workspace, LABEL, file, SCHEMA))
    disclosure = open_row(workspace, LABEL, file, 9, ["amount"])
    raw = prove(ConnectionSource(dana.connection), RowClaim(dataset), disclosure=disclosure)
    report = verify_bundle(raw, workspace.trust(), at_ms=0)
    assert any("amount" in finding for finding in report.findings)
    other = register_dataset(
        dana,
        DatasetLabel("cards", 2),
        commit_dataset(workspace, DatasetLabel("cards", 2), file, SCHEMA),
    )
    with pytest.raises(RowProofError):
        prove(ConnectionSource(dana.connection), RowClaim(other), disclosure=disclosure)


def test_a_forgotten_subject_stays_closed(file: Path, workspace: Workspace) -> None:
    manifest = commit_dataset(workspace, LABEL, file, SCHEMA)
    assert open_row(workspace, LABEL, file, 5, None).index == 5
    assert forget_subject(workspace, manifest, "c5")
    assert not forget_subject(workspace, manifest, "c5")
    for row in (5, 45):
        with pytest.raises(ForgottenSubjectError):
            open_row(workspace, LABEL, file, row, None)
    assert open_row(workspace, LABEL, file, 6, None).index == 6


def test_labels_manifests_and_rows_that_are_not_there(
    file: Path, workspace: Workspace, client_of: ClientOf
) -> None:
    with pytest.raises(NotFoundError, match="no data set"):
        open_manifest(workspace, LABEL)
    manifest = commit_dataset(workspace, LABEL, file, SCHEMA)
    with pytest.raises(UsageError, match="committed already"):
        commit_dataset(workspace, LABEL, file, SCHEMA)
    with pytest.raises(NotFoundError, match="not registered"):
        find_registered(client_of("dana"), manifest)
    with pytest.raises(DatasetError, match="no row 400"):
        open_row(workspace, LABEL, file, 400, None)
    for text in ("", "@1", "Cards", "cards@0", "cards@x", "a@1@2", "../x"):
        with pytest.raises(UsageError, match="not a data set"):
            parse_label(text)


def test_a_run_folder_is_never_overwritten_and_its_damage_named(
    file: Path, workspace: Workspace
) -> None:
    commit_dataset(workspace, LABEL, file, SCHEMA)
    files = [committed_file(workspace, LABEL, file)]
    folder, _ = train(files, RECIPE, LOGISTIC, workspace.directory / "r")
    with pytest.raises(UsageError, match="exists"):
        train(files, RECIPE, LOGISTIC, workspace.directory / "r")
    (folder.directory / "record.cairn").write_bytes(b"\x00")
    with pytest.raises(UsageError, match="damaged"):
        folder.record()
    with pytest.raises(UsageError, match="cannot be read"):
        RunFolder(workspace.directory / "none").model()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (TabularRecipe("nothing"), "no column 'nothing'"),
        (TabularRecipe("amount"), "other values than 0 and 1"),
        (TabularRecipe("note"), "other values than 0 and 1"),
        (TabularRecipe("fraud", test_ppm=1), "no row"),
    ],
)
def test_a_recipe_that_does_not_fit(recipe: TabularRecipe, message: str, file: Path) -> None:
    with pytest.raises(TrainingError, match=message):
        recipe.build([read_table(file, SCHEMA)])
