"""What the commands of a plan share: its terms, who acts, and the recipe of a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.cli.session import PERSON_VARIABLE, Session, account_of
from cairn.modules.data.records import DATA_OWNER
from cairn.modules.identity.records import ACCOUNTS, KEYS
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


def terms_of(
    file: Path,
    *,
    name: str,
    label: str,
    inputs: tuple[str, ...],
    test_ppm: int,
    by: tuple[str, str, str],
    split_seed: int,
    protocol: tuple[float, str, int],
    subject: str,
    licence: str,
    synthetic: bool,
) -> "Terms":
    """Return the terms of a plan as a command line states them.

    Raises:
        UsageError: Two ways to divide, or no name.
        TrainingError: Unknown figure, or too few columns to divide by.
    """
    from cairn.learning.evaluation import Protocol
    from cairn.sdk.partition import Partition
    from cairn.sdk.plans import Terms
    from cairn.sdk.tabular import input_name

    chosen = [
        (method, tuple(text.split(",")) if method == "component" else (text,))
        for method, text in zip(("time", "group", "component"), by, strict=True)
        if text
    ]
    if len(chosen) > 1:
        raise UsageError("a file is divided in one way", "choose one of the --by options")
    method, columns = chosen[0] if chosen else ("rows", ())
    threshold, metric, alerts_per_day = protocol
    stem = input_name(file.stem)
    if not (name or stem):
        raise UsageError("what shall the data set be called?", "give it a name: --name cards")
    return Terms(
        label=label,
        name=name or stem[:50],
        partition=Partition(method, columns, test_ppm, split_seed),
        protocol=Protocol(round(threshold * 1_000_000), metric, alerts_per_day),
        inputs=inputs,
        subject=subject or None,
        licence=licence,
        synthetic=synthetic,
    )


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
        developer = acting or _holder_of(session, reader, DEVELOPER, "--as")
        if not owner:
            is_owner = _has_role(session, reader, developer, DATA_OWNER)
            owner = developer if is_owner else _holder_of(session, reader, DATA_OWNER, "--owner")
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


def _has_role(session: Session, reader: Reader, name: str, role: str) -> bool:
    key = session.workspace.people().get(name)
    row = None if key is None else reader.get(KEYS, key)
    return row is not None and role in reader.require(ACCOUNTS, row.account).roles


def _holder_of(session: Session, reader: Reader, role: str, option: str) -> str:
    people = session.workspace.people()
    found = [name for name in people if _has_role(session, reader, name, role)]
    if len(found) != 1:
        known = f"who may: {', '.join(found)}" if found else f"nobody here has the role {role}"
        raise UsageError(f"who acts as {role}?", f"choose with {option}; {known}")
    return found[0]
