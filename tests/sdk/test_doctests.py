"""The examples in the docstrings of SDK and command line give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import cairn.cli
import cairn.sdk

MODULES = sorted(
    f"{package.__name__}.{found.name}"
    for package in (cairn.sdk, cairn.cli)
    for found in pkgutil.iter_modules(package.__path__)
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples() -> None:
    counts = [doctest.testmod(importlib.import_module(name)).attempted for name in MODULES]
    assert sum(counts) >= 20
