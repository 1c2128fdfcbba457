"""Refusals about outcomes."""

from cairn.ledger.errors import Rejection


class AttemptNotFoundError(Rejection):
    """There is no attempt at this position."""

    code = "screening/attempt_not_found"


class WrongOrganisationError(Rejection):
    """Neither the payer nor the payee is at home in the sender's organisation."""

    code = "screening/wrong_organisation"


class OutcomeUnchangedError(Rejection):
    """The payment has this label already."""

    code = "screening/outcome_unchanged"
