"""The claim about a decision: honest bundles verify, and what an operator edits is found out."""

from collections.abc import Callable
from typing import Any

import pytest

from cairn.evidence.bundle import (
    Bundle,
    DecisionClaim,
    PeriodClaim,
    PredictionClaim,
    RangeClaim,
    encode_bundle,
)
from cairn.evidence.errors import ClaimError, EvidenceError
from cairn.evidence.report import report_text
from cairn.evidence.verify import Report, verify_bundle
from cairn.ledger.records import ENTRY_DECODER, HEAD_DECODER, SeriesEntry, leaf_key
from cairn.modules.decisions.records import (
    DECISIONS,
    OUTCOME_SERIES,
    OutcomeEntry,
    PaymentSubject,
)
from cairn.modules.inference.records import PREDICTIONS
from cairn.modules.rules.records import RULES
from cairn.primitives.encoding import encode, replace
from cairn.primitives.hashes import sha256
from cairn.sdk.prove import prove
from tests.evidence.attack import series_of
from tests.evidence.chain import WITNESS, fork
from tests.evidence.decided import decisions
from tests.evidence.forger import EXPECTED, field_of, forgeries, refusal
from tests.evidence.world import tampered, unchecked, wanted_by

NAMES = tuple(decisions().bundles)
SHARE = 60
"""One generated forgery of so many is tried."""


def verified(raw: bytes, *, replay: bool = True) -> Report:
    made = decisions()
    trust = made.history.chain.trust((WITNESS,), threshold=1)
    return verify_bundle(raw, trust, at_ms=made.source.view.time_ms, replay=replay)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("replay", [False, True])
def test_an_honest_bundle_verifies(name: str, replay: bool) -> None:
    report = verified(decisions().bundles[name], replay=replay)
    assert report.claim == f"decision {decisions().history.decisions[name].hex()}"
    assert "assurance   witnessed" in report_text(report)


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        (
            "enforced",
            (
                "may go from",
                "the executor is paul (alpha)",
                "it was allowed: no rule objected",
                "on derived features",
                "to have executed it",
                "it was enforced",
            ),
        ),
        ("overridden", ("it was refused by rule `scored` version 1", "did otherwise")),
        ("late", ("it was late",)),
        (
            "released",
            (
                "it was held by rule `big` version 1, until",
                "it was released by cora (alpha) (reason: called-back)",
                "it was enforced",
            ),
        ),
        ("rejected", ("it was rejected by carl (alpha)", "time was over", "it was late")),
        ("held", ("then refused", "the hold expired, it was refused", "the executor has until")),
        (
            "case",
            (
                "asked was for a decision on a case of deployment `credit`",
                "on stated features",
                "it was refused by rule `old` version 1",
                "model `credit` version 1",
                "put in force by rick (alpha)",
            ),
        ),
        ("case held", ("then allowed", "it is held at the proving header")),
        ("unanswered", ("the executor's time was over", "it is unanswered")),
        ("frozen", ("it was refused: the payer was frozen",)),
        ("open", ("the executor has until",)),
    ],
)
def test_the_report_tells_what_happened(name: str, sentences: tuple[str, ...]) -> None:
    told = "\n".join(verified(decisions().bundles[name]).findings)
    for sentence in sentences:
        assert sentence in told


def test_the_report_says_what_is_not_shown() -> None:
    told = {name: "\n".join(verified(decisions().bundles[name]).not_shown) for name in NAMES}
    assert "whether the executor did what it says" in told["enforced"]
    assert "whether the executor did what it says" not in told["open"]
    assert "whether the features are true" in told["case"]
    assert "whether the features follow" in told["released"]
    assert "that the payer was frozen" in told["frozen"]


def test_every_step_of_a_period_is_proved_and_counted() -> None:
    made = decisions()
    claim = RangeClaim(OUTCOME_SERIES.key(), 0, made.history.times["told"])
    report = verified(prove(made.source, claim))
    told = "\n".join(report.findings)
    assert "1 overridden" in told
    assert "step: overridden" in told
    assert "nothing missing" in told


@pytest.mark.parametrize("place", [0, 1, 39, 40, 41, 81])
def test_a_row_of_a_batch_is_proved_like_a_score_of_its_own(place: int) -> None:
    made = decisions()
    first = made.history.chain.context().series_size(PREDICTIONS, "credit") - 82
    report = verified(prove(made.source, PredictionClaim("credit", first + place, None)))
    age = {0: 33, 41: 34}.get(place, 20 + (place - (1 if place < 41 else 42)) % 40)
    assert f"2 inputs: age {age}, income" in "\n".join(report.findings)
    assert any("computed again" in step for step in report.checked)


def test_a_batch_with_another_row_is_refused() -> None:
    made = decisions()
    size = made.history.chain.context().series_size(PREDICTIONS, "credit")
    key, position = PREDICTIONS.key("credit"), size - 5
    claim = PredictionClaim("credit", position, None)
    wanted = wanted_by(made.source, claim)
    state = fork(made.history.chain).state
    raws = [state.leaves[leaf_key(key, place)] for place in range(size)]
    entry = ENTRY_DECODER.decode(raws[position])
    record = PREDICTIONS.decoder.decode(entry.payload)
    lie = replace(record, score_ppm=record.score_ppm + 1)
    raws[position] = encode(SeriesEntry(entry.time_ms, encode(lie)))
    chain = tampered(made.history.chain, {key: series_of(raws)})
    chain.state.leaves.update({leaf_key(key, place): raw for place, raw in enumerate(raws)})
    write_nodes(chain.state, key, raws)
    bundle = unchecked(chain.source(witnesses=(WITNESS,)), claim, wanted)
    with pytest.raises(ClaimError, match="tells of another score"):
        verified(encode_bundle(bundle), replay=False)


def test_a_period_holds_together_with_cases_decisions_and_batches_in_it() -> None:
    made = decisions()
    claim = PeriodClaim(0, made.source.view.time_ms, ("credit", "fraud"))
    report = verified(prove(made.source, claim))
    told = "\n".join(report.findings)
    assert "84 predictions of deployment `credit`: 84 asserted" in told
    assert "rule `old` 1 fired 1 time" in told


def test_what_is_no_decision_is_not_claimed_as_one() -> None:
    with pytest.raises(EvidenceError, match="there is no"):
        prove(decisions().source, DecisionClaim(bytes(20)))


# What an operator with the real key edits


def with_row(name: str, **changes: Any) -> Bundle:
    """Return the bundle of a decision whose row the operator has changed."""
    made = decisions()
    decision = made.history.decisions[name]
    row = replace(made.history.row(name), **changes)
    return with_rows(name, {DECISIONS.key(decision): encode(row)})


def with_rows(name: str, rows: dict[bytes, bytes | None]) -> Bundle:
    made = decisions()
    claim = made.opened(name).claim
    wanted = wanted_by(made.source, claim)
    chain = tampered(made.history.chain, rows)
    return unchecked(chain.source(witnesses=(WITNESS,)), claim, wanted)


def with_step(name: str, turn: int, row: dict[str, Any] | None = None, **changes: Any) -> Bundle:
    """Return the bundle of a decision one of whose steps the operator has rewritten."""
    made = decisions()
    key, chain = OUTCOME_SERIES.key(), fork(made.history.chain)
    decision = made.history.decisions[name]
    head = HEAD_DECODER.decode(chain.state.get(key) or b"")
    raws = [chain.state.leaves[leaf_key(key, place)] for place in range(head.size)]
    entries = [ENTRY_DECODER.decode(raw) for raw in raws]
    records = [OUTCOME_SERIES.decoder.decode(entry.payload) for entry in entries]
    places = [i for i, record in enumerate(records) if record.decision == decision]
    place = places[turn]
    edited: OutcomeEntry = replace(records[place], **changes)
    raws[place] = encode(SeriesEntry(entries[place].time_ms, encode(edited)))
    new = replace(made.history.row(name), **(row or {}))
    return rewritten(name, raws, {DECISIONS.key(decision): encode(new)})


def rewritten(name: str, raws: list[bytes], rows: dict[bytes, bytes | None]) -> Bundle:
    """Return the bundle of a decision over a series of outcomes that the operator wrote anew."""
    made = decisions()
    key = OUTCOME_SERIES.key()
    claim = made.opened(name).claim
    wanted = wanted_by(made.source, claim)
    wanted.series = [
        (k, start, min(end, len(raws))) if k == key else (k, start, end)
        for k, start, end in wanted.series
    ]
    chain = tampered(made.history.chain, {key: series_of(raws), **rows})
    for node in [place for place in chain.state.nodes if place.startswith(key)]:
        del chain.state.nodes[node]
    for place, raw in enumerate(raws):
        chain.state.leaves[leaf_key(key, place)] = raw
    write_nodes(chain.state, key, raws)
    return unchecked(chain.source(witnesses=(WITNESS,)), claim, wanted)


def write_nodes(state: Any, key: bytes, raws: list[bytes]) -> None:
    from cairn.ledger.records import node_key
    from cairn.primitives.merkle import Frontier, leaf_hash

    _, nodes = Frontier().extend([leaf_hash(raw) for raw in raws])
    for level, position, digest in nodes:
        state.nodes[node_key(key, level, position)] = digest


def another_subject() -> PaymentSubject:
    subject = decisions().history.row("overridden").subject
    assert isinstance(subject, PaymentSubject)
    return replace(subject, amount_units=subject.amount_units - 900)


def another_decisions_row() -> Bundle:
    made = decisions()
    row = made.history.row("enforced")
    return with_rows("late", {DECISIONS.key(made.history.decisions["late"]): encode(row)})


def rule_of_other_bytes() -> Bundle:
    key = RULES.key("scored", 1)
    row = RULES.decoder.decode(decisions().history.chain.state.get(key) or b"")
    other = RULES.decoder.decode(decisions().history.chain.state.get(RULES.key("big", 1)) or b"")
    return with_rows("overridden", {key: encode(replace(row, raw=other.raw))})


def override_left_out() -> Bundle:
    """Leave the override out of the series, and say that the decision is open."""
    made = decisions()
    key, state = OUTCOME_SERIES.key(), made.history.chain.state
    head = HEAD_DECODER.decode(state.get(key) or b"")
    raws = [state.leaves[leaf_key(key, place)] for place in range(head.size)]
    decision = made.history.decisions["overridden"]
    kept = [raw for raw in raws if decision not in raw]
    return rewritten("overridden", kept, {})


def another_claim() -> Bundle:
    """Claim one decision with the facts of another."""
    bundle = decisions().opened("enforced")
    return replace(bundle, claim=DecisionClaim(decisions().history.decisions["late"]))


def without_the_report() -> Bundle:
    """Leave out the transaction in which the executor reported."""
    bundle = decisions().opened("overridden")
    return replace(bundle, transactions=bundle.transactions[:1])


ATTACKS: dict[str, tuple[Callable[[], Bundle], str]] = {
    "verdict turned": (lambda: with_row("overridden", verdict="allow", answer="allow"), "claim"),
    "override called enforced": (lambda: with_row("overridden", status="enforced"), "claim"),
    "late called enforced": (lambda: with_row("late", status="enforced"), "claim"),
    "silence called an answer": (lambda: with_row("unanswered", status="enforced"), "claim"),
    "another executor": (
        lambda: with_row("overridden", executor=sha256(b"somebody")[:20]),
        "claim",
    ),
    "a smaller payment": (lambda: with_row("overridden", subject=another_subject()), "claim"),
    "another rule": (lambda: with_row("overridden", rule="big"), "claim"),
    "another score": (lambda: with_row("case", score_ppm=1), "claim"),
    "decided later": (
        lambda: with_row("late", decided_ms=decisions().history.times["late"] - 5),
        "claim",
    ),
    "more time to report": (
        lambda: with_row("open", due_ms=decisions().history.row("open").due_ms + 1),
        "claim",
    ),
    "more time after a review": (
        lambda: with_row("released", due_ms=decisions().history.row("released").due_ms + 1),
        "claim",
    ),
    "rejected turned": (lambda: with_row("rejected", answer="allow"), "claim"),
    "a longer hold": (
        lambda: with_row(
            "case held", expires_at_ms=decisions().history.row("case held").expires_at_ms + 1
        ),
        "claim",
    ),
    "allowed at its expiry": (lambda: with_row("case held", allow_on_expiry=False), "claim"),
    "another decision's row": (another_decisions_row, "claim"),
    "another rule's bytes": (rule_of_other_bytes, "claim"),
    "a report turned": (
        lambda: with_step("overridden", 0, {"status": "enforced"}, step="enforced", done="stopped"),
        "claim",
    ),
    "a report dated later": (
        lambda: with_step(
            "late",
            0,
            {"status": "enforced"},
            step="enforced",
            acted_ms=decisions().history.times["late"],
        ),
        "claim",
    ),
    "another reviewer": (
        lambda: with_step("released", 0, by=decisions().history.chain.id("carl")),
        "claim",
    ),
    "another reason": (lambda: with_step("released", 0, reason="friend"), "claim"),
    "a review turned": (
        lambda: with_step("released", 0, {"answer": "refuse"}, step="rejected"),
        "claim",
    ),
    "a report without a status": (lambda: with_step("overridden", 0, step="enforced"), "claim"),
    "the override left out": (override_left_out, "incomplete_range"),
    "another claim": (another_claim, "claim"),
    "without the report": (without_the_report, "claim"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_by_name(name: str) -> None:
    make, code = ATTACKS[name]
    with pytest.raises(EvidenceError) as caught:
        verified(encode_bundle(make()), replay=False)
    assert caught.value.code == f"evidence/{code}"


@pytest.mark.parametrize("name", ["overridden", "released", "case", "unanswered"])
def test_generated_forgeries_are_refused(name: str) -> None:
    made = decisions()
    raw = made.bundles[name]
    others = [made.bundles["enforced"], made.bundles["case held"]]
    tried = 0
    for number, (forgery, forged) in enumerate(forgeries(raw, others)):
        if number % SHARE or forged == raw:
            continue
        tried += 1
        with pytest.raises(EvidenceError) as caught:
            verified(forged)
        assert refusal(caught.value) in EXPECTED[field_of(forgery)], forgery
    assert tried >= 10
