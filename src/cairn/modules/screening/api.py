"""What other modules may ask of screening: which attempts count, and their features."""

from collections.abc import Sequence

from cairn.exact.features import Vector
from cairn.ledger.context import Context
from cairn.ledger.hooks import Movement
from cairn.modules.screening.parameters import WINDOWS_WITHOUT_RULES
from cairn.modules.screening.windows import attempts as attempts
from cairn.modules.screening.windows import pass_through


def features(ctx: Context, movements: Sequence[Movement]) -> list[Vector]:
    """Return the features of each movement, in the order of `exact.features.FEATURES`.

    To be called once a block, with every attempt that counts, in the order of the block: each
    movement's features include those before it, and the windows are written.
    """
    return pass_through(ctx, movements)


def follows_without_rules(ctx: Context) -> bool:
    """Return whether windows follow payments while no rule acts."""
    return bool(ctx.param(WINDOWS_WITHOUT_RULES))
