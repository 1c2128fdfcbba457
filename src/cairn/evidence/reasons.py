"""Reasons in words: what a rule looked at and found, and which inputs made a score what it is."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

from cairn.evidence.words import amount_words, share_words
from cairn.exact import rules as exact
from cairn.exact.schema import MISSING, UNKNOWN_CATEGORY
from cairn.primitives.fixed import RAW_BITS

_BASIS = {"feature": " (derived)", "asserted": " (stated)", "input": " (stated)"}
_SHOWN = {">=": "≥", "<=": "≤", "!=": "≠", "==": "="}
_DIGITS = 6


class InputSchema(Protocol):
    """What is known of a model's input: `exact.schema.Feature`, or the ledger's record of it."""

    @property
    def name(self) -> str:
        """The input's name."""
        ...

    @property
    def kind(self) -> str:
        """`integer`, `float32` or `category`."""
        ...

    @property
    def scale_bits(self) -> int:
        """Bits behind the point of an integer."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """Texts that the input's integers stand for."""
        ...


def value_words(feature: InputSchema, value: int) -> str:
    """Return an input's value as people write it."""
    if value == MISSING:
        return "missing"
    if feature.kind == "category":
        if value == UNKNOWN_CATEGORY:
            return "another category"
        is_known = 0 <= value < len(feature.categories)
        return repr(feature.categories[value]) if is_known else str(value)
    if feature.kind == "float32":
        return _decimal_words(_fraction_of_key(value))
    return _decimal_words(Fraction(value, 1 << feature.scale_bits))


def condition_words(
    rule: exact.Rule,
    conditions: Sequence[int],
    inputs: Sequence[int | None],
    features: Sequence[InputSchema] = (),
    *,
    decimals: int = 0,
) -> list[str]:
    """Return each comparison that was true, with the value that it looked at.

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
    for place in conditions:
        node = rule.condition[place]
        if isinstance(node, exact.Compare):
            value = values.get(node.operand)
            told.append(_comparison_words(node, value, schema, decimals))
    return told


def contribution_words(
    contributions: Sequence[tuple[int, int]], features: Sequence[InputSchema]
) -> str:
    """Return what each input added to a score's raw output, the largest first."""
    names = [feature.name for feature in features]
    return ", ".join(
        f"{names[place] if 0 <= place < len(names) else f'input {place}'} "
        f"{'+' if raw >= 0 else '-'}{_decimal_words(Fraction(abs(raw), 1 << RAW_BITS), digits=2)}"
        for place, raw in contributions
    )


def _comparison_words(
    node: exact.Compare, value: int | None, schema: dict[str, InputSchema], decimals: int
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


def _decimal_words(number: Fraction, *, digits: int = _DIGITS) -> str:
    """Return a number with at most `digits` digits behind the point, rounded half to even."""
    units = round(number * 10**digits)
    whole, rest = divmod(abs(units), 10**digits)
    sign = "-" if units < 0 else ""
    return f"{sign}{whole:,}.{rest:0{digits}d}".rstrip("0").rstrip(".")


def _fraction_of_key(key: int) -> Fraction:
    """Return the number whose float32 bits a key stands for, infinities aside."""
    bits = (key ^ ((key >> 31) & 0x7FFFFFFF)) & 0xFFFFFFFF
    exponent, mantissa = (bits >> 23) & 0xFF, bits & 0x7FFFFF
    if exponent:
        mantissa |= 1 << 23
    size = Fraction(mantissa) * Fraction(2) ** (max(exponent, 1) - 150)
    return -size if bits >> 31 else size
