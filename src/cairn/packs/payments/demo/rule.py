"""The rule: written as text, submitted, approved, and live."""

from dataclasses import dataclass

from cairn.exact.rules import encode_rule
from cairn.modules.identity.messages import Approve
from cairn.modules.rules.events import RuleSubmitted
from cairn.modules.rules.messages import ActivateRule, SubmitRule
from cairn.modules.rules.records import activation_subject, rule_digest
from cairn.packs.payments.demo.bank import COMPLIANCE, DATA_OWNER, RISK, RULES, VALIDATOR, DemoBank
from cairn.packs.payments.demo.model import MODEL
from cairn.sdk.rule_yaml import parse_rule

RULE = "hold-risky-payments"
REAL_HOURS = 24
"""How long a hold of this rule would last outside of the demo."""
APPROVERS = (VALIDATOR, COMPLIANCE, DATA_OWNER)


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """The rule as it acts."""

    text: str
    version: int
    daily_cap: int


def rule_text(threshold_ppm: int, hold_seconds: int, daily_cap: int) -> str:
    """Return the rule as its author writes it."""
    return (
        f"rule: {RULE}\n"
        "when:\n"
        f"  model: {MODEL}\n"
        f"  at_least: {threshold_ppm}      # parts per million: {threshold_ppm / 1e4:.2f} %\n"
        "do:\n"
        f"  hold: {{seconds: {hold_seconds}, on_expiry: settle}}   # in earnest {{hours: "
        f"{REAL_HOURS}, on_expiry: settle}}\n"
        "  emit: risky-payment\n"
        f"daily_cap: {daily_cap}\n"
    )


def activate(bank: DemoBank, text: str) -> ActiveRule:
    """Submit the rule, have it approved by three of five, and let it act from the next block."""
    rule = parse_rule(text)
    raw = encode_rule(rule)
    submitted = bank.client(RISK).submit(SubmitRule(raw)).event(RuleSubmitted)
    subject = activation_subject(RULE, submitted.version, rule_digest(raw), 0)
    for person in APPROVERS:
        bank.client(person).submit(Approve(RULES, subject))
    bank.client(RISK).submit(ActivateRule(RULE, submitted.version))
    return ActiveRule(text, submitted.version, rule.daily_cap)
