"""`cairn model`: exact models, their versions, and where they are live."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli import lineage
from cairn.cli.files import read_file, write_output
from cairn.cli.org import approve as approve_as
from cairn.cli.org import describe_approvals
from cairn.cli.session import Session, command, new_app
from cairn.modules.models.events import DeploymentRolledBack, VersionPromoted
from cairn.modules.models.messages import (
    CreateDeployment,
    Promote,
    RetireVersion,
    RollBack,
)
from cairn.modules.models.records import (
    DEPLOYMENTS,
    PROMOTIONS,
    SEALED,
    VERSION_ENTRIES,
    VERSIONS,
    model_digest,
)
from cairn.modules.training.records import RUNS
from cairn.primitives.hashes import sha256
from cairn.sdk.approvals import promotion_of
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.names import Names, find_id
from cairn.sdk.quantities import format_time, parse_until
from cairn.sdk.reading import Reader

app = new_app("Exact models, their versions, and where they are live.")

DeploymentArgument = Annotated[str, Argument(metavar="DEPLOYMENT", help="Its name.")]
VersionArgument = Annotated[
    str, Argument(metavar="VERSION", help="Its id, its first digits, or NAME@NUMBER.")
]
FolderArgument = Annotated[
    Path, Argument(metavar="RUN", help="The folder of a run, or a model file.")
]


@command(app, "convert")
def convert(
    session: Session,
    model: Annotated[
        Path,
        Argument(
            metavar="FILE",
            help="XGBoost's .json or .ubj, LightGBM's .txt, scikit-learn's as .skops.",
        ),
    ],
    data: Annotated[
        Path, Option("--data", help="Rows like those to score: CSV, Parquet or NDJSON.")
    ],
    output: Annotated[
        Path | None, Option("-o", "--output", help="The exact model to write.")
    ] = None,
    threshold: Annotated[
        float, Option(min=0.0, max=1.0, help="Score from which a decision is positive.")
    ] = 0.5,
    largest_difference: Annotated[
        float, Option(min=0.0, help="Refuse if the scores of a row are further apart.")
    ] = 1e-4,
    report_file: Annotated[
        Path | None, Option("--report", help="Write the report to this file, as JSON.")
    ] = None,
) -> None:
    """Convert a trained model to an exact one, and compare the two on rows; opens no pickles."""
    from cairn.exact.models import encode_model
    from cairn.sdk.conversions import convert_file

    exact, report = convert_file(
        model, data, threshold=threshold, largest_difference_max=largest_difference
    )
    raw = encode_model(exact)
    if output is not None:
        write_output(output, raw)
    if report_file is not None:
        write_output(report_file, report.to_json().encode())
    inputs = [feature.name for feature in exact.features]
    fields: dict[str, Any] = {"inputs": inputs, "model_digest": model_digest(raw).hex()}
    if output is not None:
        fields["model"] = str(output)
    shown = {"report": report.to_dict()} if session.out.as_json else dict(report.table())
    session.out.record({**shown, **fields})


@command(app, "upload")
def upload(session: Session, run: FolderArgument) -> None:
    """Upload an exact model's bytes, in chunks, and seal them; for a developer."""
    from cairn.sdk.models import RunFolder, upload_model

    raw = RunFolder(run).model() if run.is_dir() else read_file(run)
    with session.client() as client:
        session.out.talk(f"uploading {len(raw):,} bytes")
        digest = upload_model(client, raw)
    session.out.record({"model_digest": digest.hex(), "size_bytes": len(raw)})


@command(app, "register")
def register(
    session: Session,
    name: Annotated[str, Argument(help="Name of the model.")],
    run: Annotated[str, Option("--run", help="Id of the training run on record.")],
    card: Annotated[Path, Option(help="The model card: a file, or the folder of a run.")],
) -> None:
    """Register the model of a recorded run as the next version of a name; for a developer."""
    from cairn.sdk.models import RunFolder, register_version

    card_digest = RunFolder(card).card_digest() if card.is_dir() else sha256(read_file(card))
    with session.client() as client:
        identity = find_id(client, RUNS, run, "a run")
        digest = client.require(RUNS, identity).model_digest
        version = register_version(
            client, name, run=identity, digest=digest, card_digest=card_digest
        )
    session.out.record(
        {
            "version": version.version.hex(),
            "name": version.name,
            "number": version.number,
            "model_digest": digest.hex(),
        }
    )


@command(app, "deploy")
def deploy(
    session: Session,
    deployment: DeploymentArgument,
    policy: Annotated[str, Option(help="Policy under which promotions are approved.")] = "models",
    purpose: Annotated[str, Option(help="What it is for, in words.")] = "",
) -> None:
    """Make a place where versions go live; for a developer."""
    with session.client() as client:
        session.send(client, CreateDeployment(deployment, policy, purpose))
    session.out.record({"deployment": deployment, "policy": policy})


@command(app, "approve")
def approve(session: Session, deployment: DeploymentArgument, version: VersionArgument) -> None:
    """Approve that a version goes live in a deployment as its next change."""
    with session.client() as client:
        approvable = promotion_of(client, deployment, find_version(client, version))
        approve_as(session, client, approvable)


@command(app, "approvals")
def approvals(session: Session, deployment: DeploymentArgument, version: VersionArgument) -> None:
    """Show who has approved that a version goes live, and how many are missing."""
    with session.reader() as reader:
        approvable = promotion_of(reader, deployment, find_version(reader, version))
        session.out.record(describe_approvals(session, reader, approvable))


@command(app, "promote")
def promote(session: Session, deployment: DeploymentArgument, version: VersionArgument) -> None:
    """Let an approved version go live from the next block on; for a developer."""
    with session.client() as client:
        identity = find_version(client, version)
        session.confirm(f"let version {identity.hex()} go live in {deployment}")
        final = session.send(client, Promote(deployment, identity))
        names = session.names(client)
        promoted = final.event(VersionPromoted)
    session.out.record(
        {
            "deployment": deployment,
            "version": identity.hex(),
            "replaced": promoted.replaced.hex(),
            "live_from": final.height + 1,
            "approved_by": [names.show(one) for one in promoted.approvers],
        }
    )


@command(app, "rollback")
def roll_back(session: Session, deployment: DeploymentArgument) -> None:
    """Let the version that was live before go live again; for risk or a developer."""
    with session.client() as client:
        session.confirm(f"roll {deployment} back to the version before")
        final = session.send(client, RollBack(deployment))
        event = final.event(DeploymentRolledBack)
    session.out.record(
        {"deployment": deployment, "version": event.version.hex(), "live_from": final.height + 1}
    )


@command(app, "retire")
def retire(session: Session, version: VersionArgument) -> None:
    """Let a version never go live again; for a developer."""
    with session.client() as client:
        identity = find_version(client, version)
        session.confirm(f"retire version {identity.hex()} for good")
        session.send(client, RetireVersion(identity))
    session.out.record({"version": identity.hex(), "status": "retired"})


@command(app, "live")
def live(
    session: Session,
    deployment: DeploymentArgument,
    at: Annotated[str, Option(help="A time; else now.")] = "",
    height: Annotated[int, Option(min=0, help="A height instead of a time.")] = 0,
) -> None:
    """Show which version was live, and who had approved it; `cairn prove live` proves it."""
    with session.reader() as reader:
        names = session.names(reader)
        if reader.get(DEPLOYMENTS, deployment) is None:
            raise NotFoundError(f"there is no deployment {deployment!r}", "see `cairn model list`")
        until_ms = parse_until(at, reader.head().time_ms) if at else 2**53
        past = [
            entry
            for entry in reader.series(PROMOTIONS, deployment)
            if (entry.record.height < height if height else entry.time_ms < until_ms)
        ]
        fields: dict[str, Any] = {"deployment": deployment, "version": ""}
        if past:
            last = past[-1]
            fields |= _version_fields(reader, names, last.record.version)
            fields |= {
                "action": last.record.action,
                "since_height": last.record.height + 1,
                "since": format_time(last.time_ms),
                "by": names.show(last.record.by),
                "policy": last.record.policy,
                "approved_by": [names.show(one) for one in last.record.approvers],
            }
    session.out.record(fields)


@command(app, "show")
def show(session: Session, version: VersionArgument) -> None:
    """Show a version: model, run, inputs."""
    with session.reader() as reader:
        names = session.names(reader)
        identity = find_version(reader, version)
        row = reader.require(VERSIONS, identity)
        sealed = reader.require(SEALED, row.model_digest)
        fields = {
            **_version_fields(reader, names, identity),
            "run": row.run.hex(),
            "card_digest": row.card_digest.hex(),
            "size_bytes": sealed.size_bytes,
            "inputs": [one.name for one in sealed.features],
        }
    session.out.record(fields)


@command(app, "list")
def list_versions(session: Session) -> None:
    """List the versions of all models, and where each is live."""
    with session.reader() as reader:
        names = session.names(reader)
        live_in: dict[bytes, list[str]] = {}
        for row in reader.scan(DEPLOYMENTS):
            live_in.setdefault(row.record.current, []).append(row.key[0].decode())
        entries = [
            entry.record
            for entry in reader.series(VERSION_ENTRIES)
            if entry.record.action == "registered"
        ]
        rows = [
            {
                **_version_fields(reader, names, entry.version),
                "live_in": live_in.get(entry.version, []),
            }
            for entry in entries
        ]
    session.out.rows(
        ("version", "name", "number", "registered", "registered_by", "retired", "live_in"), rows
    )


def find_version(reader: Reader, text: str) -> bytes:
    """Return the id of a version given as id, as its first digits, or as NAME@NUMBER."""
    name, mark, number = text.partition("@")
    if not mark:
        return find_id(reader, VERSIONS, text, "a version")
    if not number.isdigit():
        raise UsageError(f"{text!r} is not a version", "write NAME@NUMBER, or its id")
    for entry in reader.series(VERSION_ENTRIES):
        if (entry.record.name, entry.record.number) == (name, int(number)):
            return entry.record.version
    raise NotFoundError(f"there is no version {text}", "`cairn model list` shows the versions")


def _version_fields(reader: Reader, names: Names, identity: bytes) -> dict[str, Any]:
    row = reader.require(VERSIONS, identity)
    return {
        "version": identity.hex(),
        "name": row.name,
        "number": row.number,
        "registered": format_time(row.registered_ms),
        "registered_by": names.show(row.registered_by),
        "model_digest": row.model_digest.hex(),
        "retired": format_time(row.retired_ms),
    }


lineage.register(app)
