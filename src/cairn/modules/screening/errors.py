"""Refusals about outcomes."""

from cairn.ledger.errors import Rejection


class OutcomeUnchangedError(Rejection):
    """The operation has this label already."""

    code = "screening/outcome_unchanged"
