"""Models and rules with changed bytes: what the form check lets in must score, judge and stay."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from cairn.exact import rules as exact
from cairn.exact.features import FEATURES
from cairn.exact.models import encode_model
from cairn.ledger.messages import Event, Message
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.ledger.transactions import INDEPENDENT, Body, sign_transaction
from cairn.modules.bank.messages import Transfer
from cairn.modules.data.events import DatasetRegistered
from cairn.modules.identity.messages import Approve
from cairn.modules.inference.events import FeaturesScored
from cairn.modules.inference.messages import Score
from cairn.modules.models.events import ModelSealed, VersionPromoted, VersionRegistered
from cairn.modules.models.messages import (
    CreateDeployment,
    DropUpload,
    Promote,
    RegisterVersion,
    SealModel,
)
from cairn.modules.models.records import model_digest, promotion_subject
from cairn.modules.registry import standard_registry
from cairn.modules.rules.events import RuleActivated, RuleSubmitted
from cairn.modules.rules.messages import ActivateRule, RetireRule, SubmitRule
from cairn.modules.rules.records import ACTIVATION, NAMES, activation_subject, rule_digest
from cairn.modules.training.events import RunRecorded
from cairn.node.node import Node
from tests.e2e.banks import WAIT_MS, found_bank, submit
from tests.e2e.messages import Attacker
from tests.exact.model_cases import Tree, model_of, pack_trees
from tests.modules.founding import (
    amount_model,
    chunks_of,
    dataset_message,
    hold_rule,
    run_message,
    tree_model,
)
from tools.crash_bank import ACCOUNTS, ASSET, CHAIN_ID, CLERK, CLERK_ACCOUNT, START_MS, VALID_UNTIL

EventT = TypeVar("EventT", bound=Event)

REGISTRY = standard_registry()
MANGLED = 150
EXTREMES = (0, 1, -1, 2**63 - 1, -(2**63), 2**31, -(2**31) - 1, START_MS)


@pytest.fixture
def node(memory_path: Path) -> Iterator[Node]:
    with found_bank(memory_path / "n") as running:
        yield running
        assert running.fault is None
        submit(running, 1, lane=9)
        running.check()


def do(node: Node, *operations: Message) -> list[Event]:
    """Run operations that may be refused, each alone; return the events of the others."""
    sequence = node.next_sequence(CLERK_ACCOUNT, 0)
    body = Body(CHAIN_ID, CLERK_ACCOUNT, 0, sequence, INDEPENDENT, 0, VALID_UNTIL, operations)
    (outcome,) = node.submit([sign_transaction(body, CLERK)], wait_ms=WAIT_MS)
    assert node.fault is None, node.fault
    receipt = RECEIPT_DECODER.decode(outcome.receipt)
    decode = REGISTRY.event_decoder.decode
    return [decode(event) for operation in receipt.operations for event in operation.events]


def first(events: Sequence[Event], kind: type[EventT]) -> EventT | None:
    return next((event for event in events if isinstance(event, kind)), None)


def required(events: Sequence[Event], kind: type[EventT]) -> EventT:
    found = first(events, kind)
    assert found is not None, f"no {kind.__name__} in {events}"
    return found


def models() -> list[bytes]:
    """Return models of every layout."""
    chain: Tree = 7
    for depth in range(12):
        chain = (depth % 3, depth * 1_000, depth, chain)
    return [
        encode_model(amount_model()),
        encode_model(tree_model(2, 3)),
        encode_model(model_of(pack_trees([chain, (1, 5, -1, 1)], divisor=2), 3, "logistic")),
    ]


def bring_in(node: Node, raw: bytes, dataset: bytes, change: int) -> bool:
    """Let a model go live and score; return whether its form was accepted."""
    digest, deployment = model_digest(raw), f"deployment-{change}"
    if first(do(node, *chunks_of(raw), SealModel(digest, len(raw))), ModelSealed) is None:
        do(node, DropUpload(CLERK_ACCOUNT, digest))
        return False
    run = required(do(node, run_message(dataset, digest)), RunRecorded).run
    version = required(
        do(node, RegisterVersion("hostile", run, digest, bytes(32))), VersionRegistered
    ).version
    promoted = do(
        node,
        CreateDeployment(deployment, "models", ""),
        Approve("models", promotion_subject(deployment, version, 0)),
        Promote(deployment, version),
    )
    required(promoted, VersionPromoted)
    scores = [
        Score(deployment, (value,) * n) for value in EXTREMES for n in (1, 3, len(FEATURES), 1_024)
    ]
    assert len(do(node, *scores)) <= len(EXTREMES)
    return True


def test_mangled_models_that_are_let_in_never_halt_a_node(node: Node) -> None:
    attacker = Attacker(3, [], [], [])
    dataset = required(do(node, dataset_message("hostile")), DatasetRegistered).dataset
    for change, raw in enumerate(models()):
        assert bring_in(node, raw, dataset, change)
    raws = [attacker.mangled(models()[change % 3]) for change in range(MANGLED)]
    accepted = [bring_in(node, raw, dataset, 10 + at) for at, raw in enumerate(raws)]
    assert 10 < sum(accepted) < MANGLED, sum(accepted)


def test_extreme_features_have_a_score_or_a_refusal(node: Node) -> None:
    dataset = required(do(node, dataset_message("extreme")), DatasetRegistered).dataset
    assert bring_in(node, models()[1], dataset, 0)
    scores = [Score("deployment-0", (value,) * len(FEATURES)) for value in EXTREMES]
    events = do(node, *scores)
    assert all(isinstance(event, FeaturesScored) for event in events)
    assert events


CONDITIONS = (
    (exact.Compare("field:amount_units", ">=", 5),),
    (
        exact.Compare("feature:payer_count_1h", ">=", 2),
        exact.Compare("field:hour_of_day", "<", 7),
        exact.Any(2),
    ),
    (exact.Compare("feature:payer_sum_24h", ">=", 2**62), exact.Not()),
)


def test_mangled_rules_that_are_let_in_never_halt_a_node(node: Node) -> None:
    attacker = Attacker(4, [], [], [])
    activated = submitted = 0
    for change in range(2 * MANGLED):
        conditions = CONDITIONS[change % len(CONDITIONS)]
        good = exact.encode_rule(hold_rule("hostile", *conditions, priority=change % 5))
        raw = attacker.mangled(good)
        rule = first(do(node, SubmitRule(raw)), RuleSubmitted)
        if rule is None:
            continue
        submitted += 1
        row = node.row(NAMES.key(rule.rule))
        assert row is not None
        count = NAMES.decoder.decode(row).activation_count
        subject = activation_subject(rule.rule, rule.version, rule_digest(raw), count)
        events = do(node, Approve(ACTIVATION, subject), ActivateRule(rule.rule, rule.version))
        activated += first(events, RuleActivated) is not None
        payer, payee = ACCOUNTS[:2]
        amounts = (2**40, 1, 2**63 - 1, 10)
        do(node, *(Transfer(payer, payee, ASSET, one, START_MS, bytes(32)) for one in amounts))
        do(node, RetireRule(rule.rule))
    assert 10 < activated <= submitted < 2 * MANGLED
