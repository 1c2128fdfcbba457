"""The base of every message: a command that an operation of a transaction carries.

A message is a tagged array, `["bank/transfer", field, …]`. What no state could make acceptable is
refused by the field's bounds (the transaction is malformed) or by `validate` (the operation is).
"""

from collections.abc import Sequence
from typing import Any, Union

from cairn.primitives.encoding import Record


class Message(Record):
    """A command; subclasses give their tag: `class Transfer(Message, tag="bank/transfer")`."""

    def validate(self) -> None:
        """Check what no state could make acceptable.

        Raises:
            InvalidMessageError: A field or a combination of fields is never acceptable.
        """


class Event(Record):
    """A fact in the past tense that a receipt records; subclasses give their tag as messages do."""


def union_of(types: Sequence[type[Record]]) -> Any:
    """Return the union of tagged records that a decoder tells apart by their tags."""
    return Union[tuple(types)]  # noqa: UP007 - the members are known at run time only
