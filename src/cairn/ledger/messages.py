"""The base of every message: a command that an operation of a transaction carries.

A message is a tagged array, `["bank/transfer", field, …]`. What no state could make acceptable is
refused by the field's bounds (the transaction is malformed) or by `validate` (the operation is).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Union

from cairn.ledger.errors import InvalidMessageError
from cairn.ledger.records import Asserted
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


def check_stated(terminal: bytes, asserted: Sequence[Asserted]) -> None:
    """Check what a submitter states beside a payment itself.

    Raises:
        InvalidMessageError: The terminal is no id; the numbers are not sorted by name, each once.
    """
    if len(terminal) not in (0, 20):
        raise InvalidMessageError("a terminal has 20 bytes, or there is none")
    names = [one.name for one in asserted]
    if any(name >= following for name, following in pairwise(names)):
        raise InvalidMessageError("stated numbers are sorted by name, each once")


def union_of(types: Sequence[type[Record]]) -> Any:
    """Return the union of tagged records that a decoder tells apart by their tags."""
    return Union[tuple(types)]  # noqa: UP007 - the members are known at run time only
