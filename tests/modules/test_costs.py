"""Work is paid for: what takes long costs much, and a block takes no more than its budget."""

import pytest

from cairn.exact.explain import is_explained
from cairn.exact.features import FEATURES
from cairn.exact.models import ELEMENT_COUNT_MAX, decode_model
from cairn.exact.rules import Compare, Emit
from cairn.ledger.admission import select
from cairn.ledger.parameters import BLOCK_COST_MAX, TRANSACTION_COST_MAX
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.identity.messages import Approve, RegisterAccount, SetParameter, subject_of
from cairn.modules.identity.module import APPROVED_COST, KEY_COST
from cairn.modules.inference import scorers
from cairn.modules.inference.explanations import explanation_price
from cairn.modules.inference.messages import Score
from cairn.modules.inference.prices import MOVEMENT_COST, SCORE_COST, UNPACK_COST
from cairn.modules.models.messages import DropUpload, SealModel
from cairn.modules.models.queries import get_sealed, get_version
from cairn.modules.models.records import CHUNK_COUNT_MAX, SealedModel
from cairn.modules.rules.live import FEATURE_COST, NODE_COST, RULE_COST
from cairn.primitives.errors import NonCanonicalError
from cairn.primitives.hashes import sha256
from tests.modules.founding import (
    activate,
    found,
    go_live,
    hold_rule,
    linear_model,
    pay,
    tree_model,
)
from tests.modules.harness import Harness, Outcome, key_of

ROW = (0,) * len(FEATURES)
TREES, DEPTH = 400, 8


def cost_of(outcome: Outcome) -> int:
    assert outcome.receipt is not None
    return outcome.receipt.cost


def forest() -> tuple[Harness, SealedModel]:
    """Return a ledger with a model that takes long to score, and what is known of it."""
    ledger = found(check_invariants=False)
    version = get_version(ledger.context(), go_live(ledger, "forest", tree_model(TREES, DEPTH)))
    assert version is not None
    sealed = get_sealed(ledger.context(), version.model_digest)
    assert sealed is not None
    assert sealed.step_count == TREES * DEPTH
    return ledger, sealed


def test_the_first_score_of_a_block_pays_for_unpacking_and_each_for_its_steps() -> None:
    ledger, sealed = forest()
    ledger.submit("pia", Score("forest", ROW))
    ledger.submit("pia", Score("forest", ROW), Score("forest", ROW), lane=1)
    ledger.submit("pia", Score("nowhere", ROW), lane=2)
    first, second, refused = map(cost_of, ledger.block())
    step_cost = sealed.step_count // 8
    assert first - step_cost > UNPACK_COST + sealed.size_bytes // 3
    assert 2 * (SCORE_COST + step_cost) < second < 2 * (SCORE_COST + step_cost) + 500
    assert refused < SCORE_COST + 500


def test_one_block_asks_for_no_more_models_than_are_kept() -> None:
    assert BLOCK_COST_MAX.default // UNPACK_COST < scorers.SCORERS_MAX


def test_a_movement_pays_for_the_rules_and_models_that_judge_it() -> None:
    ledger, sealed = forest()
    before = cost_of(ledger.done("pia", pay(ledger, 0, 1, 5)))
    activate(ledger, hold_rule("watch", Compare("model:forest", ">=", 0), actions=[Emit("seen")]))
    # Rules act from the next height on, and so do their prices.
    after = cost_of(ledger.done("pia", pay(ledger, 0, 1, 5)))
    judging = RULE_COST + NODE_COST + MOVEMENT_COST + sealed.step_count // 16
    deriving = FEATURE_COST * len(sealed.features)
    # Scores of trees have no contributions, so nothing is charged for explaining them.
    assert after - before == judging + deriving


def test_a_movement_pays_for_the_explanation_of_a_linear_score() -> None:
    ledger = found()
    names = FEATURES[:24]
    go_live(ledger, "fraud", linear_model({"amount_units": 1}, names=names))
    before = cost_of(ledger.done("pia", pay(ledger, 0, 1, 5)))
    activate(ledger, hold_rule("watch", Compare("model:fraud", ">=", 0), actions=[Emit("seen")]))
    after = cost_of(ledger.done("pia", pay(ledger, 0, 1, 5)))
    judging = RULE_COST + NODE_COST + MOVEMENT_COST + len(names) // 16
    assert after - before == judging + (FEATURE_COST + 2) * len(names)


def test_a_feature_is_paid_for_once_whoever_names_it() -> None:
    ledger = found()
    before = cost_of(ledger.done("pia", pay(ledger, 0, 1, 5)))
    for name, operand in (
        ("busy", "feature:payer_count_1h"),
        ("busier", "feature:payer_count_1h"),
        ("big", "field:amount_units"),
        ("told", "asserted:device_age"),
    ):
        activate(ledger, hold_rule(name, Compare(operand, ">", 9), actions=[Emit(name)]))
    after = cost_of(ledger.done("pia", pay(ledger, 0, 1, 5)))
    assert after - before == 4 * (RULE_COST + NODE_COST) + 2 * FEATURE_COST


def test_explaining_is_paid_for_by_the_columns_that_are_looked_at() -> None:
    wide = linear_model(dict.fromkeys(FEATURES, 1))
    assert is_explained(wide)
    assert not is_explained(tree_model(1, 1))
    ledger = found()
    go_live(ledger, "wide", wide)
    go_live(ledger, "forest", tree_model(2, 2))
    ctx = ledger.context()
    assert explanation_price(ctx, "wide") == 2 * len(FEATURES)
    assert explanation_price(ctx, "forest") == explanation_price(ctx, "nowhere") == 0


def test_what_a_proposer_chooses_fits_the_budget_of_execution() -> None:
    ledger, _ = forest()
    ledger.submit("pia", *[Score("forest", ROW)] * 100, mode=INDEPENDENT, lane=15)
    for lane in range(15):
        ledger.submit("dev", *[Score("forest", ROW)] * 100, mode=INDEPENDENT, lane=lane)
    waiting = [ledger.ledger.decode(raw) for raw in ledger._queue]
    room = 900_000
    chosen = select(
        ledger.ledger.admission(ledger.head, ledger.state), waiting, cost_max=room
    ).chosen
    assert 1 < len(chosen) < len(waiting)
    ledger._queue = [transaction.raw for transaction in chosen]
    outcomes = ledger.block()
    assert {outcome.code for outcome in outcomes} == {"ok"}
    assert sum(map(cost_of, outcomes)) <= room
    # What fits no block at all is answered, and does not wait for ever.
    alone = select(ledger.ledger.admission(ledger.head, ledger.state), waiting[:1], cost_max=9_000)
    assert [type(refusal).__name__ for _, refusal in alone.refused] == ["BudgetExceededError"]


def test_a_new_key_costs_as_much_as_the_check_that_it_is_sound() -> None:
    ledger = found()
    keys = tuple(sorted(key_of(f"many-{number}").public_key for number in range(16)))
    one = cost_of(ledger.done("ann", RegisterAccount("person", "one", (), keys[:1])))
    rest = cost_of(ledger.done("ann", RegisterAccount("person", "many", (), keys[1:])))
    assert rest - one >= 14 * KEY_COST


def test_what_needs_approvals_pays_for_looking_at_them() -> None:
    ledger = found()
    message = SetParameter("bank.hold_renewals_max", 5, "more")
    for name in ("ann", "adam"):
        ledger.done(name, Approve("governance", subject_of(message)))
    assert cost_of(ledger.done("ann", message)) > APPROVED_COST


def test_dropping_and_sealing_pay_for_the_largest_upload() -> None:
    ledger = found()
    drop = ledger.run("dev", DropUpload(ledger.id("dev"), sha256(b"none")))
    assert cost_of(drop) > 50 * CHUNK_COUNT_MAX
    seal = ledger.run("dev", SealModel(sha256(b"none"), 4_000_000))
    assert 1_500_000 < cost_of(seal) < TRANSACTION_COST_MAX.default


def test_a_model_of_too_many_elements_is_refused_before_they_are_looked_at() -> None:
    count = 3_900_000
    for element in (b"\x90", b"\xc0"):
        raw = b"\xdd" + count.to_bytes(4, "big") + element * count
        with pytest.raises(NonCanonicalError, match=str(ELEMENT_COUNT_MAX)):
            decode_model(raw)
