"""The rule: written as text, tried on the past, in shadow for some days, then live."""

from collections.abc import Sequence
from dataclasses import dataclass

from cairn.exact.rules import Rule, encode_rule
from cairn.learning.backtest import BacktestReport, backtest_payments
from cairn.modules.identity.messages import Approve
from cairn.modules.rules.events import RuleSubmitted
from cairn.modules.rules.messages import ActivateRule, ShadowRule, SubmitRule
from cairn.modules.rules.records import (
    SHADOW_FIRINGS,
    activation_subject,
    rule_digest,
    shadow_subject,
)
from cairn.packs.payments.demo.bank import COMPLIANCE, DATA_OWNER, RISK, RULES, VALIDATOR, DemoBank
from cairn.packs.payments.demo.model import MODEL
from cairn.packs.payments.demo.source import DemoPayments
from cairn.sdk.backtests import live_model, record_backtest, source_of
from cairn.sdk.errors import RejectedError
from cairn.sdk.history import read_history
from cairn.sdk.rule_yaml import parse_rule

RULE = "hold-risky-payments"
REAL_HOURS = 24
"""How long a hold of this rule would last outside of the demo."""
APPROVERS = (VALIDATOR, COMPLIANCE, DATA_OWNER)


@dataclass(frozen=True, slots=True)
class DraftRule:
    """A rule that was handed in."""

    text: str
    rule: Rule
    version: int
    digest: bytes
    refused_code: str
    """How the ledger answered to putting it in force before any back-test."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """What the rule would have done while it only watched."""

    payments: int
    alerts: int
    frauds: int
    """Alerts that turned out to be fraud, as is known later."""


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


def submit(bank: DemoBank, text: str) -> DraftRule:
    """Hand the rule in; it does nothing yet."""
    rule = parse_rule(text)
    raw = encode_rule(rule)
    risk = bank.client(RISK)
    submitted = risk.submit(SubmitRule(raw)).event(RuleSubmitted)
    digest = rule_digest(raw)
    refused = ""
    try:
        risk.submit(ActivateRule(RULE, submitted.version))
    except RejectedError as error:
        refused = error.code
    return DraftRule(text, rule, submitted.version, digest, refused)


def try_on_past(bank: DemoBank, data: DemoPayments, draft: DraftRule) -> BacktestReport:
    """Back-test the rule on the ledger's own facts of the evaluation's period, and record it."""
    risk = bank.client(RISK)
    history = read_history(risk, names=("payments", "outcomes"))
    model, digest = live_model(risk, MODEL)
    report = backtest_payments(
        draft.rule,
        history.facts(),
        from_ms=data.split.train_end_ms,
        until_ms=data.evaluation_end_ms,
        scorers={MODEL: model},
        digests={MODEL: digest},
        source=source_of(history),
    )
    record_backtest(risk, report)
    report.write_html(bank.folder.backtest)
    return report


def watch(bank: DemoBank, draft: DraftRule) -> None:
    """Have the rule approved for its shadow: from the next block on it looks, without power."""
    subject = shadow_subject(RULE, draft.version, draft.digest, 0)
    for person in APPROVERS:
        bank.client(person).submit(Approve(RULES, subject))
    bank.client(RISK).submit(ShadowRule(RULE, draft.version))


def activate(bank: DemoBank, draft: DraftRule) -> None:
    """Have the rule approved by three of five, and let it act from the next block."""
    subject = activation_subject(RULE, draft.version, draft.digest, 0)
    for person in APPROVERS:
        bank.client(person).submit(Approve(RULES, subject))
    bank.client(RISK).submit(ActivateRule(RULE, draft.version))


def seen_in_shadow(bank: DemoBank, data: DemoPayments, transaction_ids: Sequence[bytes]) -> Shadow:
    """Return what the rule would have done, by what it wrote down about these payments."""
    rows = {identity: row for row, identity in enumerate(transaction_ids)}
    fired = [entry.record.transaction_id for entry in bank.client(RISK).series(SHADOW_FIRINGS)]
    labels = data.payments.label[data.test_row :]
    frauds = sum(1 for identity in fired if labels[rows[identity]] == 1)
    return Shadow(len(transaction_ids), len(fired), frauds)
