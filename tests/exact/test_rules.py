"""Rules: their form, what their nodes mean, and the compiled evaluator against the plain one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact import rules
from cairn.exact.errors import RuleFormError
from cairn.exact.features import FEATURES
from cairn.exact.rules import (
    All,
    Compare,
    Emit,
    Freeze,
    Hold,
    Node,
    Not,
    Refuse,
    Rule,
    check_rule,
    compile_rule,
    decisive,
    decode_rule,
    encode_rule,
    evaluate,
    models,
    operands,
)
from cairn.exact.rules import Any as AnyOf
from cairn.primitives.encoding import replace

RISK = Compare("model:card-risk", ">=", 600_000)
BIG = Compare("field:amount_units", ">", 5_000)
FAST = Compare("feature:payer_count_1h", ">=", 5)
NEW = Compare("feature:payee_first_seen", "==", 1)


def rule_of(*condition: Node, **changes: Any) -> Rule:
    rule = Rule(1, "hold-risky", condition, (Hold(86_400_000, "settle"), Emit("alert")), 200)
    return replace(rule, **changes)


EXAMPLE = rule_of(RISK, BIG, FAST, NEW, AnyOf(2), All(3))

OPERANDS = ("model:a", "field:amount_units", "feature:is_night", "feature:payee_count_1h")


@st.composite
def conditions(draw: st.DrawFn) -> tuple[Node, ...]:
    """Draw postfix conditions by joining what is open until one result is left."""
    compare = st.builds(
        Compare,
        st.sampled_from(OPERANDS),
        st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
        st.integers(-2, 2),
    )
    nodes: list[Node] = []
    opened = 0
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(["compare", "compare", "not", "all", "any"]))
        if kind == "not" and opened:
            nodes.append(Not())
        elif kind in ("all", "any") and opened > 1:
            count = draw(st.integers(2, opened))
            nodes.append(All(count) if kind == "all" else AnyOf(count))
            opened -= count - 1
        else:
            nodes.append(draw(compare))
            opened += 1
    if opened > 1:
        nodes.append(All(opened) if draw(st.booleans()) else AnyOf(opened))
    return tuple(nodes)


@settings(max_examples=400, deadline=None)
@given(conditions(), st.dictionaries(st.sampled_from(OPERANDS), st.integers(-3, 3)))
def test_the_compiled_rule_is_the_plain_one(
    condition: tuple[Node, ...], inputs: dict[str, int]
) -> None:
    rule = rule_of(*condition)
    check_rule(rule)
    assert decode_rule(encode_rule(rule)) == rule
    assert compile_rule(rule)(inputs) == evaluate(rule, inputs)


@settings(max_examples=200, deadline=None)
@given(conditions(), st.tuples(*[st.integers(-3, 3)] * len(OPERANDS)))
def test_a_rule_means_what_its_nodes_say(
    condition: tuple[Node, ...], values: tuple[int, ...]
) -> None:
    inputs = dict(zip(OPERANDS, values, strict=True))
    stack: list[str] = []
    for node in condition:
        if isinstance(node, Compare):
            stack.append(f"({inputs[node.operand]} {node.operator} {node.threshold})")
        elif isinstance(node, Not):
            stack.append(f"(not {stack.pop()})")
        else:
            word = " and " if isinstance(node, All) else " or "
            parts = [stack.pop() for _ in range(node.count)]
            stack.append(f"({word.join(parts)})")
    evaluation = evaluate(rule_of(*condition), inputs)
    assert evaluation.fired == eval(stack[0])


def test_a_rule_that_fires_names_the_comparisons_that_hold() -> None:
    inputs = {
        "model:card-risk": 600_000,
        "field:amount_units": 5_001,
        "feature:payer_count_1h": 0,
        "feature:payee_first_seen": 1,
    }
    assert evaluate(EXAMPLE, inputs) == (True, (0, 1, 3))
    assert evaluate(EXAMPLE, inputs | {"field:amount_units": 5_000}) == (False, ())
    assert operands(EXAMPLE) == tuple(inputs)
    assert models(EXAMPLE) == ("card-risk",)


@pytest.mark.parametrize(
    ("condition", "inputs", "fired"),
    [
        ((RISK,), {}, False),
        ((RISK, Not()), {}, False),
        ((RISK, BIG, AnyOf(2)), {BIG.operand: 9_999}, True),
        ((RISK, BIG, AnyOf(2)), {BIG.operand: 1}, False),
        ((RISK, BIG, All(2)), {BIG.operand: 9_999}, False),
        ((RISK, BIG, All(2), Not()), {BIG.operand: 1}, True),
        ((RISK, BIG, All(2), Not()), {BIG.operand: 9_999}, False),
    ],
)
def test_what_is_missing_is_unknown(
    condition: tuple[Node, ...], inputs: dict[str, int], fired: bool
) -> None:
    rule = rule_of(*condition)
    assert evaluate(rule, inputs).fired is fired
    assert compile_rule(rule)(inputs).fired is fired


LONG = (RISK,) * 63


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (rule_of(RISK, version=2), "format version 2"),
        (rule_of(RISK, name="Hold"), "not a name"),
        (rule_of(), "1 to 64 nodes"),
        (rule_of(*LONG, RISK, All(64)), "1 to 64 nodes"),
        (rule_of(RISK, BIG), "not joined"),
        (rule_of(All(2)), "joins 2 parts, there are 0"),
        (rule_of(Not()), "joins 1 parts"),
        (rule_of(RISK, All(1)), "at least two"),
        (rule_of(RISK, AnyOf(-1)), "at least two"),
        (rule_of(RISK, *[Not()] * 16), "deeper than 16"),
        (rule_of(Compare("payer", "<", 1)), "not an operand"),
        (rule_of(Compare("model:", "<", 1)), "not an operand"),
        (rule_of(Compare("feature:unheard_of", "<", 1)), "not an operand"),
        (rule_of(Compare("field:payer", "<", 1)), "not an operand"),
        (rule_of(RISK, actions=()), "1 to 8 actions"),
        (rule_of(RISK, actions=(Hold(0, "settle"),)), "expiry"),
        (rule_of(RISK, actions=(Freeze("payer", rules.EXPIRY_MS_MAX + 1),)), "expiry"),
        (rule_of(RISK, actions=(Refuse(""),)), "reason"),
        (rule_of(RISK, actions=(Refuse("x" * 201),)), "reason"),
        (rule_of(RISK, actions=(Emit("An alert"),)), "label"),
        (rule_of(RISK, actions=(Emit("a"), Emit("a"))), "twice"),
        (rule_of(RISK, actions=(Emit("a"), Hold(1, "settle"))), "order"),
        (rule_of(RISK, actions=(Hold(1, "settle"), Refuse("no"))), "at most one"),
        (rule_of(RISK, daily_cap=0), "daily_cap"),
        (rule_of(RISK, daily_cap=rules.DAILY_CAP_MAX + 1), "daily_cap"),
        (rule_of(RISK, priority=-1), "priority"),
    ],
)
def test_a_broken_rule_is_refused_by_name(rule: Rule, reason: str) -> None:
    with pytest.raises(RuleFormError, match=reason):
        decode_rule(encode_rule(rule))


def test_the_largest_rule_is_allowed() -> None:
    check_rule(rule_of(*LONG, All(63)))
    check_rule(rule_of(RISK, *[Not()] * 15))
    for name in FEATURES:
        check_rule(rule_of(Compare(f"feature:{name}", "!=", -(2**63))))


# Scopes


@pytest.mark.parametrize(
    ("scope", "operand", "is_there"),
    [
        ("", "model:fraud", True),
        ("", "feature:payer_count_1h", True),
        ("", "field:amount_units", True),
        ("", "asserted:device-risk", True),
        ("", "asserted:", False),
        ("", "input:income", False),
        ("credit", "model:credit", True),
        ("credit", "input:income", True),
        ("credit", "input:", False),
        ("credit", "model:fraud", False),
        ("credit", "feature:payer_count_1h", False),
        ("credit", "field:amount_units", False),
        ("credit", "asserted:device-risk", False),
    ],
)
def test_what_a_rule_looks_at_depends_on_its_scope(
    scope: str, operand: str, is_there: bool
) -> None:
    rule = Rule(1, "a", (Compare(operand, ">=", 1),), (Emit("a"),), 1, 0, scope)
    if is_there:
        check_rule(rule)
        assert decode_rule(encode_rule(rule)) == rule
    else:
        with pytest.raises(RuleFormError, match="not an operand"):
            check_rule(rule)


def test_a_rule_on_decisions_freezes_nobody() -> None:
    actions = (Freeze("payer", 1),)
    rule = Rule(1, "a", (Compare("input:income", ">=", 1),), actions, 1, 0, "credit")
    with pytest.raises(RuleFormError, match="freezes nobody"):
        check_rule(rule)


def test_a_scope_is_a_name() -> None:
    rule = Rule(1, "a", (Compare("input:income", ">=", 1),), (Emit("a"),), 1, 0, "No name")
    with pytest.raises(RuleFormError, match="not a name for a deployment"):
        check_rule(rule)


@pytest.mark.parametrize(
    ("condition", "true", "reasons"),
    [
        ((RISK, BIG, FAST, All(2), AnyOf(2)), (0, 1), (0,)),
        ((RISK, BIG, FAST, All(2), AnyOf(2)), (0, 1, 2), (0, 1, 2)),
        ((RISK, BIG, FAST, All(2), AnyOf(2)), (1, 2), (1, 2)),
        ((RISK, BIG, AnyOf(2)), (0, 1), (0, 1)),
        ((RISK, BIG, Not(), All(2)), (0,), (0,)),
        ((RISK, Not(), Not()), (0,), (0,)),
        ((RISK, BIG, All(2), Not()), (1,), ()),
    ],
)
def test_reasons_are_the_comparisons_that_a_rule_fired_for(
    condition: tuple[Node, ...], true: tuple[int, ...], reasons: tuple[int, ...]
) -> None:
    assert decisive(rule_of(*condition), true) == reasons


@settings(max_examples=200, deadline=None)
@given(conditions(), st.dictionaries(st.sampled_from(OPERANDS), st.integers(-2, 2), min_size=4))
def test_what_a_rule_fired_for_is_enough(
    condition: tuple[Node, ...], inputs: dict[str, int]
) -> None:
    rule = rule_of(*condition)
    said = evaluate(rule, inputs)
    if said.fired:
        assert set(decisive(rule, said.conditions)) <= set(said.conditions)
