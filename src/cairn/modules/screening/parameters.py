"""Protocol parameters of screening."""

from cairn.ledger.parameters import Parameter

WINDOWS_WITHOUT_RULES = Parameter(
    "screening.windows_without_rules",
    1,
    0,
    1,
    "Whether windows follow payments while no rule acts; 0 spares ledgers that do not screen.",
)
