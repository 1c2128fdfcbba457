"""Refusals about decisions."""

from cairn.ledger.errors import Rejection


class NotAuthorisedError(Rejection):
    """The deployment is of another organisation, which did not delegate asking to the sender."""

    code = "decisions/not_authorised"


class UnknownExecutorError(Rejection):
    """No active account of identity has the executor's id."""

    code = "decisions/unknown_executor"


class ExecutorNotBoundError(Rejection):
    """The executor is of another organisation, and did not delegate asking to the sender."""

    code = "decisions/executor_not_bound"


class NotJudgedError(Rejection):
    """The sender's leave to act for the payer came in this block: it counts from the next one."""

    code = "decisions/not_judged"


class UnknownDecisionError(Rejection):
    """There is no such decision."""

    code = "decisions/unknown_decision"


class WrongOrganisationError(Rejection):
    """The decision belongs to another organisation than the sender."""

    code = "decisions/wrong_organisation"


class NotHeldError(Rejection):
    """The decision does not wait for a person's word."""

    code = "decisions/not_held"


class OwnCaseError(Rejection):
    """Nobody decides on a case that they asked about, are a party to, or would execute."""

    code = "decisions/own_case"


class NotExecutorError(Rejection):
    """The sender may not act for the decision's executor."""

    code = "decisions/not_executor"


class AlreadyReportedError(Rejection):
    """What was done is on record; it is stated once."""

    code = "decisions/already_reported"


class ActedAheadError(Rejection):
    """The executor states that it acted later than the block's time allows."""

    code = "decisions/acted_ahead"
