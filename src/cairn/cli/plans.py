"""What the commands of a plan share: its terms, who acts, and the recipe of a run."""

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from typer import Option

from cairn.cli.acting import has_role, holder_of
from cairn.cli.session import PERSON_VARIABLE, Session, account_of
from cairn.modules.data.records import DATA_OWNER
from cairn.modules.training.records import DEVELOPER
from cairn.sdk.client import Client
from cairn.sdk.errors import UsageError
from cairn.sdk.reading import Reader

if TYPE_CHECKING:
    from cairn.learning.schemas import Schema
    from cairn.learning.training import Recipe, TrainingRecord
    from cairn.sdk.plans import People, Terms


def restored_recipe(record: "TrainingRecord") -> "Recipe":
    """Return the recipe of a run as it was set.

    Raises:
        UsageError: It is not one of the recipes that commands know.
    """
    settings = dict(record.recipe_settings)
    if record.recipe.startswith("tabular/"):
        from cairn.sdk.tabular import TabularRecipe

        test_ppm, share = int(settings["test_ppm"]), int(settings["validation_ppm"])
        return TabularRecipe(str(settings["label"]), record.features, test_ppm, share)
    if record.recipe.startswith("payments/"):
        from cairn.packs.payments.evaluate import PaymentRecipe, TimeSplit

        names = ("train_start_ms", "train_end_ms", "test_start_ms", "test_end_ms")
        split = TimeSplit(*(int(settings[name]) for name in names))
        return PaymentRecipe(split, bool(settings["block_known_victims"]))
    raise UsageError(f"no command knows the recipe {record.recipe!r}", "replay it through the SDK")


@dataclass(frozen=True)
class PlanOptions:
    """What a command line says of a plan."""

    output: Annotated[
        Path | None, Option("-o", "--output", help="A new folder; else one named after the file.")
    ] = None
    label: Annotated[str, Option(help="The column to predict.")] = "label"
    column: Annotated[
        list[str] | None, Option("--column", help="An input; else all columns that can be one.")
    ] = None
    test: Annotated[str, Option(metavar="SHARE", help="Tested on, such as 30%.")] = "30%"
    by_time: Annotated[str, Option("--by-time", metavar="COL", help="Test the latest rows.")] = ""
    by_group: Annotated[str, Option("--by-group", metavar="COL", help="Keep groups together.")] = ""
    by_component: Annotated[
        str, Option("--by-component", metavar="A,B", help="Keep all that is joined together.")
    ] = ""
    split_seed: Annotated[int, Option(min=0, help="Of a split by chance.")] = 1
    threshold: Annotated[float, Option(min=0, max=1, help="Score of a positive decision.")] = 0.5
    metric: Annotated[str, Option(help="The figure that the model is judged by.")] = (
        "average_precision"
    )
    alerts_per_day: Annotated[int, Option(min=0, help="Alerts a day that can be looked at.")] = 0
    name: Annotated[str, Option("--name", help="Of plan and data set; else the file's.")] = ""
    schema: Annotated[Path | None, Option(help="The columns (JSON or YAML); else as found.")] = None
    subject: Annotated[str, Option(help="Column that says whom a row is about.")] = ""
    licence: Annotated[str, Option(help="Under which terms the data may be used.")] = ""
    synthetic: Annotated[bool, Option("--synthetic", help="The data was generated.")] = False
    owner: Annotated[str, Option(help="Who registers the data; else whoever may.")] = ""

    def test_ppm(self) -> int:
        """Return the share that is tested on."""
        from cairn.sdk.plans import share_ppm

        return share_ppm(self.test)

    def terms(self, file: Path) -> "Terms":
        """Return the terms of a plan on a file.

        Raises:
            UsageError: Two ways to divide, or no name.
            TrainingError: Unknown figure, or too few columns to divide by.
        """
        from cairn.learning.evaluation import Protocol
        from cairn.sdk.partition import Partition
        from cairn.sdk.plans import Terms
        from cairn.sdk.tabular import input_name

        ways = (("time", self.by_time), ("group", self.by_group), ("component", self.by_component))
        chosen = [
            (method, tuple(text.split(",")) if method == "component" else (text,))
            for method, text in ways
            if text
        ]
        if len(chosen) > 1:
            raise UsageError("a file is divided in one way", "choose one of the --by options")
        method, columns = chosen[0] if chosen else ("rows", ())
        name = self.name or input_name(file.stem)[:50]
        if not name:
            raise UsageError("what shall the data set be called?", "give it a name: --name cards")
        return Terms(
            label=self.label,
            name=name,
            partition=Partition(method, columns, self.test_ppm(), self.split_seed),
            protocol=Protocol(round(self.threshold * 1e6), self.metric, self.alerts_per_day),
            inputs=tuple(self.column or ()),
            subject=self.subject or None,
            licence=self.licence,
            synthetic=self.synthetic,
        )


def plan_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a plan, which it gets as one `PlanOptions`."""
    kinds = get_type_hints(PlanOptions, include_extras=True)
    added = [
        inspect.Parameter(
            one.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=one.default,
            annotation=kinds[one.name],
        )
        for one in fields(PlanOptions)
    ]

    @functools.wraps(function)
    def run(session: Session, **values: Any) -> None:
        options = PlanOptions(**{one.name: values.pop(one.name) for one in added})
        function(session, options=options, **values)

    signature = inspect.signature(function, eval_str=True)
    own = [one for name, one in signature.parameters.items() if name != "options"]
    first, *rest = (one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own)
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[first, *rest, *added]
    )
    return run


def schema_of(path: Path | None) -> "Schema | None":
    """Return the schema of a file, None where it is to be found in the data."""
    from cairn.cli.data import read_schema

    return None if path is None else read_schema(path)


@contextmanager
def people_of(session: Session, owner: str) -> "Iterator[People]":
    """Yield the acting developer and a data owner, through one connection.

    The owner is whoever is named; else the acting person, if he has the role; else the one person
    whose key the workspace has and who does.
    """
    from cairn.sdk.plans import People

    acting = session.person or os.environ.get(PERSON_VARIABLE, "")
    with session.connection() as connection:
        reader = Reader(connection, trust=session.workspace.trust())
        developer = acting or holder_of(session, reader, DEVELOPER, "--as")
        if not owner:
            is_owner = has_role(session, reader, developer, DATA_OWNER)
            owner = developer if is_owner else holder_of(session, reader, DATA_OWNER, "--owner")
        clients = [
            Client(
                connection,
                account_of(reader, key.public_key, name),
                key,
                trust=session.workspace.trust(),
            )
            for name in (owner, developer)
            for key in (session.workspace.open_key(name, session.passphrase()),)
        ]
        yield People(*clients)
