"""Rows that an operator made up and signed: whatever they hold, the refusal has a name."""

import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.evidence.bundle import encode_bundle
from cairn.evidence.errors import ClaimError, EvidenceError
from cairn.evidence.report import one_line, report_text
from cairn.evidence.verify import verify_bundle
from cairn.ledger.records import HEAD_DECODER, leaf_key
from cairn.modules.models.records import DEPLOYMENTS, PROMOTIONS
from cairn.modules.rules.records import CHANGES
from cairn.primitives.encoding import encode, replace
from tests.evidence.attack import opened
from tests.evidence.attacks_operator import (
    HELD,
    SETTLED,
    judged_otherwise,
    with_rows,
    with_series,
)
from tests.evidence.forger import every_change_inside, forgeries
from tests.evidence.story import told


def entries_of(key: bytes) -> list[bytes]:
    """Return the entries of a series of the story."""
    state = told().story.chain.state
    size = HEAD_DECODER.decode(state.get(key) or b"").size
    return [state.leaves[leaf_key(key, position)] for position in range(size)]


def edited(raw: bytes, change: Callable[[list[Any]], None]) -> bytes:
    """Return an entry of a series with its record changed."""
    time_ms, payload = msgspec.msgpack.decode(raw)
    record = msgspec.msgpack.decode(payload)
    change(record)
    return msgspec.msgpack.encode([time_ms, msgspec.msgpack.encode(record)])


def refused(bundle: Any) -> EvidenceError:
    """Return why a bundle is refused."""
    honest = told()
    with pytest.raises(EvidenceError) as caught:
        verify_bundle(
            encode_bundle(bundle),
            honest.story.chain.trust(("witness.example/supervisor",)),
            at_ms=0,
            replay=True,
        )
    return caught.value


@pytest.mark.parametrize("policy", ["x" * 256, "", "é" * 200])
def test_a_policy_of_an_impossible_name(policy: str) -> None:
    key = PROMOTIONS.key("fraud")
    entries = [edited(raw, lambda record: record.__setitem__(5, policy)) for raw in entries_of(key)]
    assert isinstance(
        refused(with_series(told(), "live_after_roll_back", key, entries)), ClaimError
    )


@pytest.mark.parametrize("version", [-1, 2**62])
def test_a_rule_of_an_impossible_version(version: int) -> None:
    key = CHANGES.key()
    entries = [
        edited(raw, lambda record: record.__setitem__(2, version)) for raw in entries_of(key)
    ]
    assert isinstance(
        refused(with_series(told(), "payment_by_second_rule", key, entries)), ClaimError
    )


@given(place=st.integers(0, 6), value=st.none() | st.integers(-(2**63), 2**63 - 1) | st.text())
@settings(max_examples=60, deadline=None)
def test_promotions_of_any_content(place: int, value: object) -> None:
    key = PROMOTIONS.key("fraud")
    entries = entries_of(key)
    changed = [edited(raw, lambda record: record.__setitem__(place, value)) for raw in entries]
    if changed != entries:
        refused(with_series(told(), "live_after_roll_back", key, changed))


def test_a_text_cannot_look_like_a_line_of_the_report() -> None:
    state = told().story.chain.state
    key = DEPLOYMENTS.key("fraud")
    row = DEPLOYMENTS.decoder.decode(state.get(key) or b"")
    purpose = "tests\n\nassurance   quorum: all is well\x1b[2A\u202e"
    bundle = with_rows(told(), "live_at_time", {key: encode(replace(row, purpose=purpose))})
    trust = told().story.chain.trust(("witness.example/supervisor",))
    report = verify_bundle(encode_bundle(bundle), trust, at_ms=0)
    text = report_text(report)
    assert "all is well" in text
    assert [line for line in text.splitlines() if line.startswith("assurance")] == [
        text.splitlines()[-1]
    ]
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert one_line("a\tb\nc\u2028d é") == "a\\tb\\nc\\u2028d é"


def test_every_fact_of_a_bundle_is_forged() -> None:
    kinds = {name.split(":")[0] for name, _ in forgeries(told().bundles["period"], [])}
    assert kinds >= {"claim", "head", "states", "series", "ranges", "receipts"}


# Everything that a claim looks at, changed and signed: a refusal, or another true report


CLAIMS = (
    "payment_released",
    "payment_refused",
    "payment_after_roll_back",
    "live_after_roll_back",
    "prediction_opened",
    "period",
    "transaction",
)
STRIDE = int(os.environ.get("CAIRN_MADE_UP_STRIDE", "23"))
"""One made-up row of so many is tried."""


def named_or_accepted(bundle: Any) -> str:
    """Return the code of a refusal, or an empty text; nothing else may leave the verifier."""
    trust = told().story.chain.trust(("witness.example/supervisor",))
    try:
        report_text(verify_bundle(encode_bundle(bundle), trust, at_ms=0, replay=True))
    except EvidenceError as error:
        return error.code
    return ""


@pytest.mark.parametrize("name", CLAIMS)
def test_rows_of_any_content(name: str) -> None:
    state = told().story.chain.state
    rows = [proof.key for proof in opened(told(), name).states]
    made_up = [
        (key, value) for key in rows for _, value in every_change_inside(state.get(key) or b"")
    ]
    codes = [
        named_or_accepted(with_rows(told(), name, {key: value})) for key, value in made_up[::STRIDE]
    ]
    assert "evidence/state_proof" in codes or "evidence/claim" in codes
    assert "" in codes, "names and dates may be others"


@pytest.mark.parametrize("name", ["payment_by_second_rule", "live_after_roll_back", "period_whole"])
def test_entries_of_any_content(name: str) -> None:
    bundle = opened(told(), name)
    whole = [run.head.key for run in bundle.series if run.head.value is not None]
    codes = []
    for key in whole:
        entries = entries_of(key)
        for place, raw in enumerate(entries):
            for _, value in list(every_change_inside(raw))[:: STRIDE // 4 or 1]:
                changed = [*entries[:place], value, *entries[place + 1 :]]
                try:
                    forged = with_series(told(), name, key, changed)
                except (TypeError, ValueError, OverflowError):
                    continue  # no operator can sign a head over such a time
                codes.append(named_or_accepted(forged))
    assert {"evidence/claim", "evidence/series_proof"} <= set(codes)


@given(
    place=st.integers(0, 3),
    part=st.integers(1, 6),
    value=st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=300)
    | st.binary(max_size=40)
    | st.lists(st.integers(-5, 2**63 - 1) | st.text(max_size=9), max_size=26),
    amount_units=st.sampled_from([HELD, SETTLED]),
)
@settings(max_examples=60, deadline=None)
def test_receipts_of_any_content(place: int, part: int, value: Any, amount_units: int) -> None:
    def edit(events: list[Any]) -> list[Any]:
        if place < len(events) and part < len(events[place]):
            events[place][part] = value
        return events

    named_or_accepted(judged_otherwise(told(), edit, amount_units))
