"""`cairn model bring`, `cairn rule bring`: from files to what people can approve, in one step."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from cairn.cli.acting import clients_for
from cairn.cli.files import read_text
from cairn.cli.session import Session, command
from cairn.modules.data.records import DATA_OWNER
from cairn.modules.rules.records import RISK
from cairn.modules.training.records import DEVELOPER

if TYPE_CHECKING:
    from cairn.learning.evaluation import EvaluationReport
    from cairn.sdk.bringing import BroughtModel

TOLD = ("roc_auc", "average_precision", "calibration_error", "precision_at_threshold")

ModelArgument = Annotated[
    Path,
    Argument(
        metavar="FILE", help="XGBoost's .json or .ubj, LightGBM's .txt, scikit-learn's as .skops."
    ),
]
DataOption = Annotated[Path, Option("--data", help="The rows that the model learned from.")]
LabelOption = Annotated[str, Option("--label", help="Their column of 0 and 1.")]
TestOption = Annotated[
    Path | None, Option("--test", help="Rows kept back when it was fitted, with their labels.")
]
WithoutOption = Annotated[
    list[str] | None,
    Option("--without", help="A column that is no input, if the model has no names."),
]
ThresholdOption = Annotated[
    float, Option(min=0.0, max=1.0, help="Score from which a decision is positive.")
]
DifferenceOption = Annotated[
    float, Option(min=0.0, help="Refuse if the scores of a row are further apart.")
]


def register(models: typer.Typer, rules: typer.Typer) -> None:
    """Add the commands to the groups of models and rules."""
    command(models, "bring")(bring_model)
    command(rules, "bring")(bring_rule)


def bring_model(
    session: Session,
    name: Annotated[str, Argument(metavar="NAME", help="Of the model and its deployment.")],
    model: ModelArgument,
    data: DataOption,
    label: LabelOption,
    test: TestOption = None,
    without: WithoutOption = None,
    threshold: ThresholdOption = 0.5,
    metric: Annotated[str, Option(help="The figure that it is judged by.")] = "roc_auc",
    largest_difference: DifferenceOption = 1e-4,
    licence: Annotated[str, Option(help="Of the data, if it is not registered yet.")] = "",
    policy: Annotated[str, Option(help="Under which promotions are approved.")] = "models",
    purpose: Annotated[str, Option(help="What it is for, in words.")] = "",
) -> None:
    """Convert a fitted model, evaluate it, and register it, so that people can approve it."""
    from cairn.learning.evaluation import Protocol
    from cairn.primitives.ids import is_name
    from cairn.sdk.bringing import ModelFiles, bring_model
    from cairn.sdk.errors import UsageError
    from cairn.sdk.plans import People

    if not is_name(name):
        raise UsageError(f"{name!r} is not a name", "use up to 64 of a-z 0-9 . _ -: credit-risk")
    files = ModelFiles(
        name=name,
        model=model,
        data=data,
        label=label,
        test=test,
        without=tuple(without or ()),
        protocol=Protocol(round(threshold * 1_000_000), metric),
        largest_difference_max=largest_difference,
        licence=licence,
        policy=policy,
        purpose=purpose,
    )
    with clients_for(session, DATA_OWNER, DEVELOPER) as (owner, developer):
        people = People(owner, developer)
        brought = bring_model(people, session.workspace, files, tell=session.out.talk)
    session.out.record(_model_fields(session, brought))
    if brought.evaluation is None:
        session.out.talk(
            "no evaluation: keep rows back when fitting, and give them as --test, to have one"
        )
    session.out.talk("next: cairn rule bring RULE.yaml --data FILE, then cairn approve --as NAME")


def bring_rule(
    session: Session,
    file: Annotated[Path, Argument(metavar="FILE.yaml", help="A rule on decisions.")],
    data: Annotated[Path, Option("--data", help="Past cases: the columns of the model.")],
    label: Annotated[str, Option("--label", help="What each turned out to be: 0 or 1.")] = "",
    time: Annotated[str, Option("--time", help="When each was; else none has a time.")] = "",
) -> None:
    """Check a rule, back-test it on past cases, hand it in and put the test on record."""
    from cairn.cli.backtest import summary_of
    from cairn.sdk.approvals import activation_of, approval_status
    from cairn.sdk.bringing import bring_rule

    text = read_text(file)
    with clients_for(session, RISK) as (client,):
        brought = bring_rule(client, text, data, label, time=time)
        approvable = activation_of(client, brought.name, brought.number)[1]
        standing = approval_status(
            client, approvable.policy, approvable.subject, author=approvable.author
        )
    report = brought.report
    fields = report.to_json() if session.out.as_json else summary_of(report)
    session.out.record(
        {
            **fields,
            "version": brought.number,
            "backtest": f"on record, number {brought.position}",
            "stage": f"back-tested; {standing.missing} approvals missing",
        }
    )
    session.out.talk("next: cairn approve --as NAME")


def _model_fields(session: Session, brought: "BroughtModel") -> dict[str, Any]:
    report = brought.conversion
    if session.out.as_json:
        return {
            "name": brought.name,
            "number": brought.number,
            "version": brought.version.hex(),
            "model_digest": brought.digest.hex(),
            "inputs": list(brought.inputs),
            "conversion": report.to_dict(),
            "evaluation": None
            if brought.evaluation is None
            else {n: f for n, *f in brought.evaluation.figures_ppm()},
            "blind": brought.is_blind,
            "folder": str(brought.folder),
        }
    return {
        "model": f"{brought.name}@{brought.number}",
        **dict(report.table()),
        **_evaluation_fields(brought.evaluation, is_blind=brought.is_blind),
        "inputs": " ".join(brought.inputs),
        "model digest": brought.digest.hex(),
        "kept in": str(brought.folder),
    }


def _evaluation_fields(report: "EvaluationReport | None", *, is_blind: bool) -> dict[str, Any]:
    if report is None:
        return {"evaluation": "none"}
    how = "blind" if is_blind else "not blind: the labels were on the ledger before the model"
    rows = f"{report.row_count:,} rows that were kept back, {how}"
    names = dict.fromkeys((report.protocol.metric, *TOLD))
    told = {name: str(report.figures[name]) for name in names if name in report.figures}
    return {"evaluated on": rows, **told}
