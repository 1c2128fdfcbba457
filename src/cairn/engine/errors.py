"""Errors of the engine: some refuse a request and leave the node running, the others stop it."""

from cairn.ledger.errors import Fault


class EngineRequestError(Exception):
    """Root of what a caller can mend or try again; nothing was changed.

    `code` is stable; `hint` says what to do.
    """

    code = "engine/request"
    hint = ""


class MempoolFullError(EngineRequestError):
    """More transactions wait than the node keeps; nothing of the submission was taken."""

    code = "engine/mempool_full"
    hint = "wait for earlier transactions to be answered, then submit again"


class EngineStoppedError(EngineRequestError):
    """The engine is not running: it was stopped in good order."""

    code = "engine/stopped"
    hint = "start the node, then submit again"


class FutureTimeError(EngineRequestError):
    """A header of a time that lies ahead of the clock was asked for."""

    code = "engine/future_time"
    hint = "ask for a time that has passed"


class TimedOutError(EngineRequestError):
    """What was waited for did not come in time; it may still come."""

    code = "engine/timed_out"
    hint = "ask again: the work goes on"


class EngineFault(Fault):
    """An unexpected error stopped the engine before it committed a block."""


class WorkerDiedError(Fault):
    """A process that checks signatures ended by itself."""


class DoubleSignError(Fault):
    """The engine was about to sign a height that its log already holds."""


class OptimizedPythonError(Fault):
    """Python runs with assertions off (`-O`), which a node does not accept."""


class WrongValidatorError(EngineRequestError):
    """The key is not the one validator of the charter, so the embedded engine cannot sign."""

    code = "engine/wrong_validator"
    hint = "start the node with the key that the charter names as its validator"
