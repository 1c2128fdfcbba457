"""Lazy access to the packages of the optional extra `learning`."""

import importlib
from typing import Any, TypeAlias

from cairn.learning.errors import MissingExtraError

Untyped: TypeAlias = Any
"""A module or object of a package that ships no type hints."""


def require(module: str) -> Untyped:
    """Return the imported `module`, for example `"pyarrow.parquet"`.

    Raises:
        MissingExtraError: Its package is not installed; the hint says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtraError(package) from error
