"""What other modules may ask of screening: which attempts count, and their features."""

from collections.abc import Sequence

from cairn.exact.features import Vector
from cairn.ledger.context import Context
from cairn.ledger.hooks import AdmittedOperation, Movement
from cairn.modules.screening.events import AttemptCounted
from cairn.modules.screening.parameters import WINDOWS_WITHOUT_RULES
from cairn.modules.screening.records import ATTEMPTS, AttemptEntry
from cairn.modules.screening.windows import attempts as attempts
from cairn.modules.screening.windows import counted_at, pass_through
from cairn.primitives.encoding import encode


def features(ctx: Context, movements: Sequence[Movement], names: tuple[str, ...]) -> list[Vector]:
    """Return the features of each movement, those of `names` in their order.

    To be called once a block, with every attempt that counts, in the order of the block: each
    movement's features include those before it, and the windows are written.

    Args:
        ctx: The block's context.
        movements: Those of the attempts.
        names: Entries of `exact.features.FEATURES`; what is not named costs nothing.
    """
    return pass_through(ctx, movements, names)


def record_attempts(ctx: Context, operations: Sequence[AdmittedOperation]) -> list[bytes]:
    """Put attempts on record in the order of the block; return the event that tells of each."""
    told: list[bytes] = []
    for operation in operations:
        movement = operation.movement
        assert movement is not None
        entry = AttemptEntry(
            operation.transaction_id,
            operation.operation_index,
            movement.payer,
            movement.payee,
            movement.terminal,
            movement.asset,
            movement.amount_units,
            counted_at(ctx, movement.booked_at_ms),
        )
        told.append(encode(AttemptCounted(ctx.append(ATTEMPTS, entry))))
    return told


def follows_without_rules(ctx: Context) -> bool:
    """Return whether windows follow payments while no rule acts."""
    return bool(ctx.param(WINDOWS_WITHOUT_RULES))
