"""Protocol parameters of rules."""

from cairn.ledger.parameters import Parameter

LIVE_MAX = Parameter("rules.live_max", 32, 1, 64, "Most rules that are live at a time.")
