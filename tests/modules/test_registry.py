"""The registry of a standard ledger, and that each module's README tells all of it."""

import importlib
from inspect import getmembers, isclass
from pathlib import Path

import pytest

from cairn.ledger.errors import Rejection, UnknownParameterError
from cairn.ledger.module import Module
from cairn.modules.identity.records import Policy
from cairn.modules.registry import OTHERS, standard_registry
from tests.modules.harness import Harness

MODULES = Path(__file__).parents[2] / "src" / "cairn" / "modules"


def test_the_registry_holds_nine_modules_in_order() -> None:
    names = [module.name for module in standard_registry().modules]
    assert names == [
        "identity",
        "bank",
        "data",
        "training",
        "models",
        "inference",
        "screening",
        "rules",
        "decisions",
    ]


def declared(module: Module) -> list[str]:
    """Return everything of a module that has a name people look for."""
    names = [spec.message.__struct_config__.tag for spec in module.messages]  # type: ignore[attr-defined]
    names += [event.__struct_config__.tag for event in module.events]  # type: ignore[attr-defined]
    names += [f"{module.name}/{table.name}" for table in module.tables]
    names += [f"{module.name}/{series.name}" for series in module.series]
    names += [parameter.name for parameter in module.parameters]
    names += [invariant.name for invariant in module.invariants]
    errors = importlib.import_module(f"cairn.modules.{module.name}.errors")
    refusals = [e for _, e in getmembers(errors, isclass) if issubclass(e, Rejection)]
    return names + [e.code for e in refusals if e.__module__ == errors.__name__]


@pytest.mark.parametrize("module", OTHERS, ids=lambda module: module.name)
def test_the_readme_names_everything_that_the_module_declares(module: Module) -> None:
    text = (MODULES / module.name / "README.md").read_text(encoding="utf-8")
    missing = [
        name for name in declared(module) if f"`{name}`" not in text and f"`{name}(" not in text
    ]
    assert missing == []


@pytest.mark.parametrize("module", OTHERS, ids=lambda module: module.name)
def test_codes_and_tags_begin_with_the_modules_name(module: Module) -> None:
    for name in declared(module):
        assert name.startswith((f"{module.name}/", f"{module.name}."))


def test_a_charter_says_nothing_to_a_module_that_does_not_listen() -> None:
    with pytest.raises(UnknownParameterError, match="data"):
        Harness(*OTHERS, sections={"data": Policy(1, (), True, False)})
