"""The two roots of failure in the ledger, and the refusals that the ledger itself declares.

A `Rejection` is understood and refused: deterministic, written into a receipt by its code. A
`Fault` is a bug, corruption or a broken invariant: the node stops before it commits anything.
Every other exception counts as a fault, because "refused" on one node alone would fork the chain.
"""

from typing import ClassVar


class Rejection(Exception):
    """A declared refusal; the receipt carries `code`, and the operation's writes are undone."""

    code: ClassVar[str]
    """`module/snake_case`; never renamed, never reused."""


class Fault(Exception):
    """Something that must not happen: the node stops, nothing of the block is committed."""


class InvariantError(Fault):
    """A stated invariant of a module does not hold."""


class MalformedBlockError(Fault):
    """A block breaks a rule that every proposer must keep, so no honest node accepts it."""


class MissingVerdictError(Fault):
    """A handler moved value for which no verdict was given."""


class DivergenceError(Fault):
    """Execution gave another root or result than the one on record."""


class InvalidMessageError(Rejection):
    """A field is outside what any state could make acceptable."""

    code = "ledger/invalid_message"


class MalformedTransactionError(Rejection):
    """The bytes are not a canonical transaction of known operations within the size limit."""

    code = "ledger/malformed_transaction"


class BadSignatureError(Rejection):
    """The signature does not verify under the stated key over the body."""

    code = "ledger/bad_signature"


class WrongChainError(Rejection):
    """The transaction was signed for another ledger."""

    code = "ledger/wrong_chain"


class UnknownKeyError(Rejection):
    """The key does not speak for the sender at this height."""

    code = "ledger/unknown_key"


class BadSequenceError(Rejection):
    """The sequence number is not the last one of this sender's lane plus one."""

    code = "ledger/bad_sequence"


class ExpiredTransactionError(Rejection):
    """`valid_until` lies before this height, or further ahead than the parameter allows."""

    code = "ledger/expired_transaction"


class BudgetExceededError(Rejection):
    """The transaction, its sender or its block would cost more than the budget."""

    code = "ledger/budget_exceeded"


class UnknownParameterError(Rejection):
    """No module declares a parameter of this name."""

    code = "ledger/unknown_parameter"


class ParameterOutOfBoundsError(Rejection):
    """The value lies outside the parameter's declared bounds."""

    code = "ledger/parameter_out_of_bounds"
