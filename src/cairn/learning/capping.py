"""Which alerts of a back-test a rule's daily cap lets it act on, counted as blocks count them.

A rule uses its cap once for each payment that it holds and each case that it decides. Where it
refuses, or freezes accounts, it uses it once for each payment by which it stops an account that it
had not stopped that day: stopping an account again is free, and goes on when the cap is used up.

What a back-test cannot know: whether payers had the money, and what a freeze would have kept from
coming. Payments on other rails count like those here.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cairn.exact.rules import Freeze, Hold, Refuse, Rule
from cairn.learning.history import Facts, Integers

Stopped = Sequence[tuple[bytes, ...]]
"""For each fact the accounts that a rule would stop by it."""


def stopped_accounts(rule: Rule, facts: Facts, rows: Integers) -> Stopped | None:
    """Return whom a rule would stop by each payment; None if each payment counts by itself.

    Args:
        rule: A rule on payments.
        facts: The payments.
        rows: Positions of those that it looks at.
    """
    fates = [action for action in rule.actions if isinstance(action, Hold | Refuse)]
    freezes = [action for action in rule.actions if isinstance(action, Freeze)]
    if any(isinstance(fate, Hold) for fate in fates) or not (fates or freezes):
        return None
    sides = [*([facts.payer] if fates else []), *(getattr(facts, one.party) for one in freezes)]
    return [tuple(side[row] for side in sides) for row in rows.tolist()]


def within_cap(
    fired: NDArray[np.bool_], days: Integers, cap: int, stopped: Stopped | None = None
) -> Any:
    """Return which alerts a rule acts on, in the order of the facts."""
    acted = np.zeros(len(fired), np.bool_)
    used: Counter[int] = Counter()
    known: set[tuple[int, bytes]] = set()
    for at in np.flatnonzero(fired).tolist():
        day = int(days[at])
        new = set() if stopped is None else {(day, one) for one in stopped[at]} - known
        if new or stopped is None:
            if used[day] >= cap:
                continue
            used[day] += 1
            known |= new
        acted[at] = True
    return acted
