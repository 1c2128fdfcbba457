"""Rules in YAML: the published example, the way back, and errors that say where and what to do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact import rules
from cairn.exact.rules import Action, Compare, Emit, Freeze, Hold, Refuse, Rule
from cairn.exact.schema import Feature, is_input
from cairn.sdk import rule_yaml
from cairn.sdk.rule_yaml import RuleTextError, dump_rule, parse_rule
from tests.exact.test_rules import conditions

EXAMPLE = (rule_yaml.__doc__ or "").split("```yaml\n")[1].split("```")[0]

ACTIONS: st.SearchStrategy[tuple[Action, ...]] = st.builds(
    lambda fate, freezes, labels: (*fate, *freezes, *labels),
    st.lists(
        st.one_of(
            st.builds(
                Hold,
                st.integers(1, rules.EXPIRY_MS_MAX),
                st.sampled_from(["settle", "return"]),
            ),
            st.builds(Refuse, st.text(min_size=1, max_size=200).filter(str.isprintable)),
        ),
        max_size=1,
    ),
    st.lists(
        st.builds(Freeze, st.sampled_from(["payer", "payee"]), st.integers(1, 10**9)),
        max_size=2,
        unique=True,
    ),
    st.lists(
        st.builds(Emit, st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)),
        min_size=1,
        max_size=3,
        unique=True,
    ),
)


def test_the_published_example_is_this_rule() -> None:
    assert parse_rule(EXAMPLE) == Rule(
        version=1,
        name="hold-risky-card-payments",
        condition=(
            Compare("model:card-risk", ">=", 600_000),
            Compare("field:amount_units", ">", 5_000),
            Compare("feature:payer_count_1h", ">=", 5),
            Compare("feature:payee_first_seen", "==", 1),
            rules.Any(2),
            Compare("field:hour_of_day", ">=", 7),
            Compare("field:hour_of_day", "<", 22),
            rules.All(2),
            rules.Not(),
            rules.All(4),
        ),
        actions=(Hold(86_400_000, "settle"), Emit("card-risk-alert")),
        daily_cap=200,
        priority=10,
    )


@settings(max_examples=60, deadline=None)
@given(conditions(), ACTIONS, st.integers(1, 10**6), st.integers(0, 1000))
def test_what_is_dumped_is_read_back(
    condition: tuple[rules.Node, ...], actions: tuple[Action, ...], cap: int, priority: int
) -> None:
    rule = Rule(1, "a-rule", condition, actions, cap, priority)
    rules.check_rule(rule)
    assert parse_rule(dump_rule(rule)) == rule


@pytest.mark.parametrize(
    ("before", "after", "place", "message", "hint"),
    [
        ("at_least: 600000", "at_leest: 1", (5, 17), "'at_leest' has no place", "`at_least`"),
        ("at_least: 600000", "at_least: 0.6", (5, 17), "not a whole number", "0.6 is 600000"),
        ("at_least: 600000", "at_least: yes", (5, 17), "not a whole number", "whole number"),
        ("at_least: 600000", "at_least: true", (5, 17), "not a whole number", "whole number"),
        ("600000", "9223372036854775808", (5, 17), "is 9223372036854775808", "write a number"),
        ("payer_count_1h", "payer_count_1hr", (8, 21), "'payer_count_1hr'", "`payer_count_1h`"),
        ("- amount_units", "- amount", (6, 7), "no field 'amount'", "`amount_units`"),
        ("{more_than: 5000}", "{}", (6, 21), "compared with nothing", "`at_least`"),
        ("{more_than: 5000}", "5000", (6, 21), "not a mapping", "`at_least`"),
        ("model: card-risk ", "model: Card ", (4, 14), "'Card' is not a name", "a-z 0-9"),
        ("hold: {hours", "hodl: {hours", (12, 3), "no key 'hodl'", "`hold`"),
        ("hours: 24, ", "", (12, 9), "no time within", "hours: 24"),
        ("hours: 24, ", "days: 91, ", (12, 9), "1 ms to 90 days", "hours: 24"),
        ("settle", "setle", (12, 32), "is 'setle'", "`settle`"),
        ("emit: card-risk-alert", "emit: 7", (13, 9), "not text", "quotes"),
        ("daily_cap: 200", "", (1, 1), "lacks `daily_cap`", "daily_cap"),
        ("daily_cap: 200", "daily_cap: 0", (14, 12), "is 0", "from 1 to 1000000"),
        ("priority: 10", "priority: 1001", (15, 11), "is 1001", "from 0 to 1000"),
        ("priority: 10", "priorty: 10", (15, 1), "no key 'priorty'", "`priority`"),
        ("priority: 10", "rule: again", (15, 1), "duplicate key", "indentation"),
        ("  all:", "  all: x\n  any:", (3, 3), "stands beside", "one `all` or `any`"),
        ("  all:", "\tall:", (3, 1), "not YAML", "indentation"),
        ("hours: 24", "hours: 24]", (12, 19), "not YAML", "brackets"),
    ],
)
def test_an_error_names_line_column_and_remedy(
    before: str, after: str, place: tuple[int, int], message: str, hint: str
) -> None:
    assert before in EXAMPLE
    with pytest.raises(RuleTextError) as caught:
        parse_rule(EXAMPLE.replace(before, after, 1))
    error = caught.value
    assert (error.line, error.column) == place
    assert f"line {place[0]}, column {place[1]}" in str(error)
    assert message in str(error)
    assert hint in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "- a list",
        "? [a, list]\n: as a key",
        "&a [*a]",
        "rule: x\nwhen: &x {all: [*x, *x]}\ndo: {emit: a}\ndaily_cap: 3",
        "rule: x\nwhen: &x {not: *x}\ndo: {emit: a}\ndaily_cap: 3",
        "!!python/object/apply:os.system [echo]",
        "[" * 5000,
        "\x00",
        "rule: x\n...\n---\nrule: y",
        "x" * 16_385,
        "".join(" " * depth + "a:\n" for depth in range(170)),
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(RuleTextError):
        parse_rule(text)


def test_lists_of_actions_and_several_units() -> None:
    rule = parse_rule(
        """
        rule: freeze-both
        when: {feature: is_night, equals: 1}
        do:
          emit: [one, two]
          freeze:
            - {party: payer, hours: 1, minutes: 30}
            - {party: payee, milliseconds: 5}
          refuse: not at night
        daily_cap: 5
        """
    )
    assert rule.actions == (
        Refuse("not at night"),
        Freeze("payer", 5_400_000),
        Freeze("payee", 5),
        Emit("one"),
        Emit("two"),
    )


# Rules on decisions

CASE_EXAMPLE = (rule_yaml.__doc__ or "").split("```yaml\n")[2].split("```")[0]
SCHEMA = (
    Feature("amount", "integer", scale_bits=8),
    Feature("purpose", "category", categories=("home", "car")),
    Feature("income", "integer", nullable=True),
    Feature("ratio", "float32"),
)


def parse_case(text: str) -> Rule:
    return parse_rule(text, lambda _: SCHEMA)


def test_the_published_example_on_decisions_is_this_rule() -> None:
    assert parse_case(CASE_EXAMPLE) == Rule(
        version=1,
        name="look-at-large-loans",
        condition=(
            Compare("model:credit-risk", ">=", 350_000),
            Compare("input:amount", ">", 5_120_128),
            Compare("input:purpose", "==", 1),
            Compare("input:income", "<", 1_200),
            rules.All(2),
            rules.Any(3),
        ),
        actions=(Hold(5 * 86_400_000, "return"),),
        daily_cap=50,
        scope="credit-risk",
    )


def test_inputs_are_dumped_as_people_write_them() -> None:
    rule = parse_case(CASE_EXAMPLE)
    text = dump_rule(rule, SCHEMA)
    assert "is: car" in text
    assert "more_than: 20000.5" in text
    assert "on_expiry: refuse" in text
    assert parse_case(text) == rule


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SCHEMA),
    st.sampled_from(("<", "<=", ">", ">=", "==", "!=")),
    st.integers(-(2**31), 2**31 - 1),
)
def test_thresholds_of_inputs_are_read_back(
    feature: Feature, operator: rules.Operator, value: int
) -> None:
    if feature.kind == "category":
        value, operator = value % 2, "==" if operator in ("<", "<=", "==") else "!="
    if not is_input(feature, value):
        return
    node = Compare("input:" + feature.name, operator, value)
    rule = Rule(1, "a", (node,), (Emit("a"),), 1, 0, "credit")
    assert parse_case(dump_rule(rule, SCHEMA)) == rule


@pytest.mark.parametrize(
    ("word", "threshold", "operator", "expected"),
    [
        ("more_than", "2.5", ">", 2),
        ("at_least", "2.5", ">=", 3),
        ("less_than", "2.5", "<", 3),
        ("at_most", "2.5", "<=", 2),
        ("equals", "3.0", "==", 3),
    ],
)
def test_a_whole_number_is_compared_with_a_fraction(
    word: str, threshold: str, operator: str, expected: int
) -> None:
    text = f"""
        rule: a
        decisions: credit
        when: {{input: income, {word}: {threshold}}}
        do: {{emit: a}}
        daily_cap: 1
    """
    (node,) = parse_case(text).condition
    assert node == Compare("input:income", operator, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "message", "hint"),
    [
        ("{input: amuont, at_least: 1}", "has no input 'amuont'", "`amount`"),
        ("{input: age, at_least: 1}", "has no input 'age'", "choose one of `amount`"),
        ("{input: purpose, is: cra}", "no category 'cra'", "`car`"),
        ("{input: purpose, at_least: 1}", "is a category", "`is`, `is_not`"),
        ("{input: income, is: 5}", "is a number", "`at_least`"),
        ("{input: income, equals: 2.5}", "never equals 2.5", "a number"),
        ("{input: income, at_least: many}", "no number", "a number"),
        ("{input: income, at_least: true}", "is a number", "a number"),
        ("{feature: payer_count_1h, at_least: 1}", "no `feature`: a case is no", "`input`"),
        ("{amount_units: {at_least: 1}}", "no `amount_units`: a case is no", "`input`"),
        ("{model: other, at_least: 1}", "looks at no other model", "`model: credit`"),
        ("{inputs: income, at_least: 1}", "there is nothing 'inputs'", "`input`"),
        ("{at_least: 1}", "names one of `model`, `input`", "{input: amount"),
    ],
)
def test_an_error_in_a_rule_on_decisions_names_the_remedy(
    condition: str, message: str, hint: str
) -> None:
    text = f"rule: a\ndecisions: credit\nwhen: {condition}\ndo: {{emit: a}}\ndaily_cap: 1\n"
    with pytest.raises(RuleTextError) as caught:
        parse_case(text)
    assert caught.value.line == 3
    assert message in str(caught.value)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("before", "after", "message", "hint"),
    [
        ("on_expiry: refuse", "on_expiry: return", "is 'return'", "`allow`"),
        ("  hold:", "  freeze:", "no key 'freeze'", "`hold`"),
        ("credit-risk\nwhen", "Credit\nwhen", "not a name for a deployment", "a-z"),
    ],
)
def test_actions_on_decisions_are_those_of_decisions(
    before: str, after: str, message: str, hint: str
) -> None:
    with pytest.raises(RuleTextError) as caught:
        parse_case(CASE_EXAMPLE.replace(before, after, 1))
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_rule_on_decisions_needs_to_know_the_inputs() -> None:
    with pytest.raises(RuleTextError, match="inputs of 'credit-risk' are not known"):
        parse_rule(CASE_EXAMPLE)


def test_a_rule_on_payments_has_no_inputs_and_may_look_at_what_is_stated() -> None:
    text = "rule: a\nwhen: {input: income, at_least: 1}\ndo: {emit: a}\ndaily_cap: 1\n"
    with pytest.raises(RuleTextError) as caught:
        parse_rule(text)
    assert "decisions: NAME" in caught.value.hint
    rule = parse_rule(text.replace("input: income", "asserted: device-risk"))
    assert rule.condition == (Compare("asserted:device-risk", ">=", 1),)
    assert parse_rule(dump_rule(rule)) == rule
