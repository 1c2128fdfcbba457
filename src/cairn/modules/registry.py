"""The modules of a Cairn ledger, in the order in which they build on each other."""

from cairn.ledger.module import Registry
from cairn.modules.bank.module import BANK
from cairn.modules.data.module import DATA
from cairn.modules.decisions.module import DECISIONS
from cairn.modules.identity.module import identity_module
from cairn.modules.inference.module import INFERENCE
from cairn.modules.models.module import MODELS
from cairn.modules.rules.module import RULES
from cairn.modules.screening.module import SCREENING
from cairn.modules.training.module import TRAINING

OTHERS = (BANK, DATA, TRAINING, MODELS, INFERENCE, SCREENING, RULES, DECISIONS)
"""All modules but identity, which is made knowing the others' parameters."""


def standard_registry() -> Registry:
    """Return the registry of identity and all modules that build on it."""
    return Registry((identity_module(OTHERS), *OTHERS))
