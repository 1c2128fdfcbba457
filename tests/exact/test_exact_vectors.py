"""Golden vectors of `exact`: models with scores, rules with evaluations, windows with features."""

from typing import Any

import pytest

from cairn.exact import rules
from cairn.exact.features import FEATURES, vector
from cairn.exact.models import Bins, Linear, Scorecard, Trees, Weight, decode_model, encode_model
from cairn.exact.reference import ReferenceScorer
from cairn.exact.windows import ABSENT, EMPTY, add, encode_window, relabel
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
        raw = encode_model(model)
        assert decode_model(raw) == model
        scorer = ReferenceScorer(model)
        rows = [[numbers.below(1_000) - 500 for _ in range(3)] for _ in range(6)]
        rows += [[2**63 - 1, -(2**63), 0], [0, 0, 0]]
        results = [scorer.score(row) for row in rows]
        cases.append(
            {
                "model": raw.hex(),
                "rows": rows,
                "raw": [result[0] for result in results],
                "score_ppm": [result[1] for result in results],
            }
        )
    return cases


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
            "about": "exact models over three integer features with raw outputs at 2^-32 and scores"
            " in parts per million; a rule with its evaluations; payments in order with the"
            " features of each and the windows after it; with `then_fraud`, an earlier payment is"
            " labelled as fraud after this one; records are canonical bytes in hex",
            "models": models(),
            "rules": evaluations(),
            "feature_names": list(FEATURES),
            "payments": payments(),
        },
    )
