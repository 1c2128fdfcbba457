"""Named attacks by hand: each a forged bundle, the trust file of its victim and the refusal due.

Where it makes a difference the attacker is the operator with its real key, so that signatures and
roots are right and only the check that the attack is named after stands in the way.
"""

from functools import cache

from cairn.evidence.bundle import encode_bundle
from tests.evidence import attacks_claims, attacks_facts, attacks_head, attacks_operator
from tests.evidence.attack import MAKERS, Attack, trusting
from tests.evidence.story import told

FILES = (attacks_head, attacks_facts, attacks_operator, attacks_claims)
"""Importing them registers what they hold."""


@cache
def attacks() -> tuple[Attack, ...]:
    """Return all attacks, made once."""
    honest = told()
    found_attacks = []
    for name, about, maker, replay in sorted(MAKERS, key=lambda made: made[0]):
        made = maker(honest)
        bundle, code = made[0], made[1]
        trust = made[2] if len(made) == 3 else trusting(honest)
        raw = bundle if isinstance(bundle, bytes) else encode_bundle(bundle)
        found_attacks.append(Attack(name, about, raw, trust, code, replay))
    return tuple(found_attacks)
