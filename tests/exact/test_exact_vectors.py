"""Golden vectors of `exact`: models with scores, rules with evaluations, windows with features."""

from typing import Any

import pytest

from cairn.exact import rules
from cairn.exact.explain import contributions
from cairn.exact.features import FEATURES, vector
from cairn.exact.models import (
    FLOAT32_FILL_ABOVE,
    FLOAT32_FILL_BELOW,
    FLOAT32_KEY_MAX,
    FLOAT32_KEY_MIN,
    MISSING,
    UNKNOWN_CATEGORY,
    Bins,
    ExactModel,
    Feature,
    IndicatorColumn,
    Linear,
    Scorecard,
    Trees,
    ValueColumn,
    Weight,
    decode_model,
    encode_model,
)
from cairn.exact.reference import ReferenceScorer
from cairn.exact.windows import ABSENT, EMPTY, add, encode_window, relabel
from cairn.primitives.fixed import HALVING_LIMIT, halving_ppm
from tests.exact.model_cases import Tree, model_of, pack_trees
from tests.vector_files import replay

HOUR_MS = 3_600_000


class Numbers:
    """A small generator of its own, so that the vectors depend on no library's."""

    def __init__(self) -> None:
        self._state = 1

    def below(self, bound: int) -> int:
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self._state >> 33) % bound


def grow(numbers: Numbers, depth: int, span: int) -> Tree:
    if not depth or not numbers.below(6):
        return numbers.below(2**33) - 2**32
    return (
        numbers.below(3),
        numbers.below(2 * span) - span,
        grow(numbers, depth - 1, span),
        grow(numbers, depth - 1, span),
    )


def models() -> list[dict[str, Any]]:
    numbers = Numbers()
    chain: Tree = 5
    for place in range(12):
        chain = (place % 3, 40 * place - 200, chain, place)
    bodies: list[tuple[Trees | Linear | Scorecard, str]] = [
        (pack_trees([grow(numbers, 4, 500) for _ in range(7)], base=-(2**30)), "logistic"),
        (pack_trees([grow(numbers, 3, 2**40) for _ in range(3)], base=9), "logistic"),
        (pack_trees([chain, (0, 1, 2**32, 0), 2**31], divisor=3), "identity"),
        (Linear(7, 20, (Weight(-500, 500, 2**44), Weight(0, 9, -3), Weight(-9, 0, 1))), "logistic"),
        (Scorecard(2**31, 3, 2**27, (Bins(0, (-9, 0, 70), (1, -2, 3, 9)),)), "identity"),
    ]
    cases = []
    for body, link in bodies:
        model = model_of(body, 3, link)
        rows = [[numbers.below(1_000) - 500 for _ in range(3)] for _ in range(6)]
        rows += [[2**63 - 1, 1 - 2**63, 0], [0, 0, 0]]
        cases.append(scored(model, rows))
    return cases


def scored(model: ExactModel, rows: list[list[int]]) -> dict[str, Any]:
    raw = encode_model(model)
    assert decode_model(raw) == model
    scorer = ReferenceScorer(model)
    results = [scorer.score(row) for row in rows]
    return {
        "model": raw.hex(),
        "rows": rows,
        "raw": [result[0] for result in results],
        "score_ppm": [result[1] for result in results],
        "contributions": [[list(one) for one in contributions(model, row)] for row in rows],
    }


def staged_models() -> list[dict[str, Any]]:
    """Return models with an input stage: missing values, categories, and an isolation forest."""
    features = (
        Feature("age", "integer", nullable=True),
        Feature("ratio", "float32", nullable=True),
        Feature("colour", "category", 0, ("red", "green", "blue"), True, True),
    )
    columns = (
        ValueColumn(0, 40),
        IndicatorColumn(0, (MISSING, 7)),
        ValueColumn(1, FLOAT32_FILL_BELOW),
        ValueColumn(1, FLOAT32_FILL_ABOVE),
        IndicatorColumn(2, (MISSING, UNKNOWN_CATEGORY)),
        IndicatorColumn(2, (0, 2)),
    )
    weighted = (*columns[:2], *columns[4:])
    nodes: list[Tree] = [
        (2, 10, (4, 0, 3, 2**33), (0, 30, 2**32, 2**31)),
        (3, 10, (5, 0, 2**30, 2**34), (1, 0, 2**32 + 1, 2**33 + 1)),
    ]
    weights = (
        Weight(18, 99, 2**40, 38),
        Weight(0, 1, 2**46),
        Weight(0, 1, -(2**45)),
        Weight(0, 1, 3 * 2**44, 1),
    )
    bins = (Bins(0, (30, 50), (5, -5, 9), 1), Bins(4, (0,), (0, 20)), Bins(5, (0,), (7, 0), 3))
    rows = [
        [30, 0, 0],
        [31, -(2**20), 1],
        [MISSING, MISSING, MISSING],
        [7, FLOAT32_KEY_MAX, UNKNOWN_CATEGORY],
        [2**63 - 1, FLOAT32_KEY_MIN, 2],
    ]
    models = (
        ExactModel(1, features, "isolation", pack_trees(nodes, divisor=2), columns),
        ExactModel(1, features, "logistic", pack_trees(nodes, base=-(2**33)), columns),
        ExactModel(1, features, "logistic", Linear(-5, 14, weights), weighted),
        ExactModel(1, features, "identity", Scorecard(2**30, 9, 2**25, bins), columns),
    )
    return [scored(model, rows) for model in models]


def halvings() -> list[list[int]]:
    """Return raw outputs and scores of the link `isolation`, which is 2 to the negative power."""
    raws = [0, 1, 2**22 - 1, 2**22, 2**31, 2**32 - 1, 2**32, 7 * 2**30, HALVING_LIMIT, 2**63 - 1]
    raws += [place * 389_000_003 for place in range(1, 40)]
    return [[raw, halving_ppm(raw)] for raw in raws]


def evaluations() -> list[dict[str, Any]]:
    condition = (
        rules.Compare("model:card-risk", ">=", 600_000),
        rules.Compare("field:amount_units", ">", 5_000),
        rules.Compare("feature:payer_count_1h", "<", 5),
        rules.Compare("feature:payee_first_seen", "!=", 1),
        rules.Any(2),
        rules.Not(),
        rules.All(3),
    )
    actions = (rules.Hold(86_400_000, "settle"), rules.Freeze("payee", 1), rules.Emit("alert"))
    rule = rules.Rule(1, "hold-risky", condition, actions, 200, 7)
    rules.check_rule(rule)
    names = rules.operands(rule)
    cases = []
    for values in (
        (600_000, 5_001, 5, 1),
        (599_999, 5_001, 5, 1),
        (600_000, 5_000, 5, 1),
        (600_000, 5_001, 4, 1),
        (600_000, 5_001, 5, 0),
        (600_000, 5_001, 5, None),
        (None, 5_001, 5, 1),
        (600_000, 5_001, None, 0),
    ):
        inputs = {name: v for name, v in zip(names, values, strict=True) if v is not None}
        fired, conditions = rules.evaluate(rule, inputs)
        cases.append({"inputs": inputs, "fired": fired, "conditions": list(conditions)})
    return [{"rule": rules.encode_rule(rule).hex(), "cases": cases}]


def payments() -> list[dict[str, Any]]:
    """Return payments of three accounts at two terminals, or none, some labelled later."""
    numbers = Numbers()
    gaps = (0, 1, 999, HOUR_MS - 1, HOUR_MS, 5 * HOUR_MS, 24 * HOUR_MS, -3 * HOUR_MS, 750 * HOUR_MS)
    now_ms = 1_700_000_000_000
    sides = {"payer": [EMPTY] * 3, "payee": [EMPTY] * 3, "terminal": [EMPTY] * 2}
    cases: list[dict[str, Any]] = []
    frauds: list[int] = []
    for _ in range(80):
        now_ms += gaps[numbers.below(len(gaps))] + numbers.below(60_000)
        payer, payee, amount = numbers.below(3), numbers.below(3), 1 + numbers.below(10**6)
        places = {"payer": payer, "payee": payee}
        terminal = numbers.below(3)
        if terminal < 2:
            places["terminal"] = terminal
        found = vector(
            sides["payer"][payer],
            sides["payee"][payee],
            amount,
            now_ms,
            terminal=sides["terminal"][terminal] if terminal < 2 else ABSENT,
            tag=bytes([payee]) * 8,
        )
        for side, place in places.items():
            tag = bytes([payee if side == "payer" else payer]) * 8
            sides[side][place] = add(sides[side][place], now_ms, amount, tag)
        case: dict[str, Any] = {**places, "amount_units": amount, "booked_at_ms": now_ms}
        labelled = numbers.below(3 * len(cases) + 1)
        if labelled < len(cases) and labelled not in frauds:
            frauds.append(labelled)
            earlier = cases[labelled]
            for side, windows in sides.items():
                if side in earlier:
                    place = earlier[side]
                    windows[place] = relabel(windows[place], earlier["booked_at_ms"], 1)
            case["then_fraud"] = labelled
        case["features"] = list(found)
        for side, place in places.items():
            case[side + "_window"] = encode_window(sides[side][place]).hex()
        cases.append(case)
    return cases


@pytest.mark.vectors
def test_exact_arithmetic_has_not_moved() -> None:
    replay(
        "exact",
        {
            "about": "exact models over three features, some with an input stage, with raw outputs"
            " at 2^-32, scores in parts per million, and contributions (feature and raw); 2^-x in"
            " parts per million for x at 2^-32; a rule with its evaluations; payments in order with"
            " the features of each and the windows after it; with `then_fraud`, an earlier payment"
            " is labelled as fraud after this one; records are canonical bytes in hex",
            "models": [*models(), *staged_models()],
            "halvings": halvings(),
            "rules": evaluations(),
            "feature_names": list(FEATURES),
            "payments": payments(),
        },
    )
