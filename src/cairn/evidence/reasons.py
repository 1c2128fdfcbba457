"""Reasons in words: what a rule looked at and found, and which inputs made a score what it is."""

from collections.abc import Sequence
from fractions import Fraction

from cairn.evidence.words import amount_words, share_words
from cairn.exact import rules as exact
from cairn.exact.inputs import format_value
from cairn.exact.schema import MISSING, UNKNOWN_CATEGORY, Feature, is_input
from cairn.primitives.fixed import RAW_BITS

_STATED = " (stated by the sender)"
_BASIS = {"feature": " (derived by the ledger)", "asserted": _STATED, "input": _STATED}
"""Where a value comes from; a score's model says so itself, and the payment's fields are signed."""
_SHOWN = {">=": "≥", "<=": "≤", "!=": "≠", "==": "="}
_DIGITS = 2


def value_words(feature: Feature, value: int) -> str:
    """Return an input's value as people write it."""
    if not is_input(feature, value):
        return str(value)
    text = format_value(feature, value)
    is_text = feature.kind == "category" and value not in (MISSING, UNKNOWN_CATEGORY)
    return repr(text) if is_text else text


def condition_words(
    rule: exact.Rule,
    conditions: Sequence[int],
    inputs: Sequence[int | None],
    features: Sequence[Feature] = (),
    *,
    decimals: int = 0,
) -> list[str]:
    """Return each comparison that the rule fired for, with the value that it looked at.

    Args:
        rule: The rule that fired.
        conditions: Indexes of its comparisons that were true.
        inputs: What it looked at, in the order of its operands.
        features: For a rule on decisions the inputs of its deployment's model.
        decimals: Digits behind the point of the payment's asset.
    """
    values = dict(zip(exact.operands(rule), inputs, strict=True))
    schema = {feature.name: feature for feature in features}
    told = []
    for place in exact.decisive(rule, conditions):
        node = rule.condition[place]
        if isinstance(node, exact.Compare):
            value = values.get(node.operand)
            told.append(_comparison_words(node, value, schema, decimals))
    return told


def contribution_words(
    contributions: Sequence[tuple[int, int]], features: Sequence[Feature]
) -> str:
    """Return what each input added to a score's raw output, the largest first."""
    names = [feature.name for feature in features]
    return ", ".join(
        f"{names[place] if 0 <= place < len(names) else f'input {place}'} {_raw_words(raw)}"
        for place, raw in contributions
    )


def _comparison_words(
    node: exact.Compare, value: int | None, schema: dict[str, Feature], decimals: int
) -> str:
    kind, _, name = node.operand.partition(":")
    operator = _SHOWN.get(node.operator, node.operator)

    def shown(number: int) -> str:
        if kind == "model":
            return share_words(number).rstrip("0").rstrip(".") or "0"
        if kind == "input" and name in schema:
            return value_words(schema[name], number)
        if node.operand == "field:amount_units" and decimals:
            return amount_words(number, "", decimals).strip()
        return f"{number:,}"

    subject = f"score of {name}" if kind == "model" else name
    found = "not stated" if value is None else shown(value)
    return f"{subject} {found} {operator} {shown(node.threshold)}{_BASIS.get(kind, '')}"


def _raw_words(raw: int) -> str:
    """Return a part of a raw output with its sign and two digits behind the point."""
    units = round(Fraction(abs(raw) * 10**_DIGITS, 1 << RAW_BITS))
    whole, rest = divmod(units, 10**_DIGITS)
    return f"{'+' if raw >= 0 else '-'}{whole:,}.{rest:0{_DIGITS}d}"
