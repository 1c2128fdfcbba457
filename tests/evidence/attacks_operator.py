"""Attacks of the operator on models, rules, approvals and judgements, with its real key."""

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Any

import msgspec

from cairn.evidence.bundle import (
    Bundle,
    PaymentClaim,
    in_order,
)
from cairn.evidence.proofs import SeriesProof
from cairn.ledger.hooks import Allow
from cairn.ledger.records import Table, leaf_key
from cairn.modules.bank.records import HOLD_ACTION_SERIES, HOLDS
from cairn.modules.identity.records import APPROVAL_SERIES
from cairn.modules.models.records import CHUNKS, SEALED, VERSIONS, Chunk
from cairn.modules.rules.records import RULES
from cairn.modules.training.records import EVALUATIONS, PLANS
from cairn.node.prover import prove_state
from cairn.primitives.encoding import NonCanonicalError, encode, replace
from cairn.primitives.merkle import leaf_hash, range_proof_of
from tests.evidence.attack import (
    Made,
    attack,
    opened,
    series_of,
)
from tests.evidence.chain import WITNESS, fork
from tests.evidence.story import Told
from tests.evidence.world import (
    tampered,
    unchecked,
    wanted_by,
)
from tests.modules.founding import pay

# Models, rules, approvals: the operator changes rows behind the rules


def with_rows(honest: Told, name: str, rows: dict[bytes, bytes | None]) -> Bundle:
    """Return the bundle of a claim from a chain whose rows the operator has changed."""
    claim = opened(honest, name).claim
    wanted = wanted_by(honest.source, claim)
    wanted.series = [run for run in wanted.series if rows.get(run[0], b"") is not None]
    missing = [key for key in rows if rows[key] is None and key not in wanted.states]
    chain = tampered(honest.story.chain, rows)
    source = chain.source(witnesses=(WITNESS,))
    bundle = unchecked(source, claim, wanted)
    empty = [SeriesProof(prove_state(source.view, key), 0, (), ()) for key in missing]
    return in_order(replace(bundle, series=(*bundle.series, *empty)))


def model_rows(honest: Told) -> tuple[bytes, bytes, bytes]:
    """Return the digest of the first model, and the key and bytes of its first chunk."""
    state = honest.story.chain.state
    bundle = opened(honest, "payment_settled")
    key = next(s.key for s in bundle.states if s.key.startswith(CHUNKS.prefix))
    raw = state.get(key)
    assert raw is not None
    return b"", key, CHUNKS.decoder.decode(raw).data


@attack()
def model_of_other_bytes(honest: Told) -> Made:
    """Changes the bytes of a model under the same version."""
    _, key, data = model_rows(honest)
    edited = encode(Chunk(data[:-1] + bytes((data[-1] ^ 1,))))
    return with_rows(honest, "payment_settled", {key: edited}), "claim"


@attack()
def model_swapped_with_its_digest(honest: Told) -> Made:
    """Lets a version name another model, sealed and complete, than its training run made."""
    state = honest.story.chain.state
    bundle = opened(honest, "payment_settled")
    versions = [s.key for s in bundle.states if s.key.startswith(VERSIONS.prefix)]
    rows = [VERSIONS.decoder.decode(state.get(key) or b"") for key in versions]
    swapped = replace(rows[0], model_digest=rows[1].model_digest)
    return with_rows(honest, "payment_settled", {versions[0]: encode(swapped)}), "claim"


@attack()
def model_with_other_inputs(honest: Told) -> Made:
    """Renames the inputs under which a model was sealed."""
    state = honest.story.chain.state
    bundle = opened(honest, "payment_settled")
    key = next(s.key for s in bundle.states if s.key.startswith(SEALED.prefix))
    row = SEALED.decoder.decode(state.get(key) or b"")
    features = (row.features[1], row.features[0], *row.features[2:])
    changed = encode(replace(row, features=features))
    return with_rows(honest, "payment_settled", {key: changed}), "claim"


def evaluation_row(
    honest: Told, table: Table[Any], name: str = "live_at_time"
) -> tuple[bytes, Any]:
    """Return key and record of the row of a table that stands behind an evaluation."""
    state = honest.story.chain.state
    keys = [s.key for s in opened(honest, name).states if s.key.startswith(table.prefix)]
    key = keys[0]
    return key, table.decoder.decode(state.get(key) or b"")


@attack()
def evaluation_of_another_run(honest: Told) -> Made:
    """Shows figures that another run's model earned."""
    key, row = evaluation_row(honest, EVALUATIONS)
    edited = encode(replace(row, run=bytes(20)))
    return with_rows(honest, "live_at_time", {key: edited}), "claim"


@attack()
def evaluation_under_a_later_plan(honest: Told) -> Made:
    """Shows figures under a plan that was made when the labels were known."""
    key, row = evaluation_row(honest, PLANS)
    _, evaluation = evaluation_row(honest, EVALUATIONS)
    edited = encode(replace(row, committed_ms=evaluation.first_label_ms))
    return with_rows(honest, "live_at_time", {key: edited}), "claim"


@attack()
def evaluation_by_another_figure(honest: Told) -> Made:
    """Shows another figure than the one that the plan named."""
    key, row = evaluation_row(honest, PLANS)
    edited = encode(replace(row, metric="recall"))
    return with_rows(honest, "live_at_time", {key: edited}), "claim"


def approval_key(honest: Told, name: str, policy: str) -> bytes:
    """Return the key of the first series of approvals under a policy that a bundle shows."""
    bundle = opened(honest, name)
    prefix = APPROVAL_SERIES.key(policy)
    return next(one.head.key for one in bundle.series if one.head.key.startswith(prefix))


@attack()
def approval_under_another_policy(honest: Told) -> Made:
    """Shows approvals of the same subject under a policy that asks for less."""
    state = honest.story.chain.state
    key = approval_key(honest, "live_at_time", "model")
    head, subject = state.get(key), key[-32:]
    other = APPROVAL_SERIES.key("joint", subject)
    claim = opened(honest, "live_at_time").claim
    chain = tampered(honest.story.chain, {key: None, other: head})
    for position in range(3):
        leaf = chain.state.leaves[leaf_key(key, position)]
        chain.state.leaves[leaf_key(other, position)] = leaf
    for place, node in list(chain.state.nodes.items()):
        if place.startswith(key):
            chain.state.nodes[other + place[len(key) :]] = node
    wanted = wanted_by(honest.source, claim)
    wanted.series = [(other if k == key else k, a, b) for k, a, b in wanted.series]
    return unchecked(chain.source(witnesses=(WITNESS,)), claim, wanted), "claim"


def with_series(honest: Told, name: str, key: bytes, entries: list[bytes]) -> Bundle:
    """Return a bundle of a claim from a chain on which a whole series has other entries."""
    claim = opened(honest, name).claim
    wanted = wanted_by(honest.source, claim)
    wanted.series = [run for run in wanted.series if run[0] != key]
    chain = tampered(honest.story.chain, {key: series_of(entries)})
    source = chain.source(witnesses=(WITNESS,))
    bundle = unchecked(source, claim, wanted)
    path = range_proof_of([leaf_hash(raw) for raw in entries], 0, len(entries))
    run = SeriesProof(prove_state(source.view, key), 0, tuple(entries), path)
    return in_order(replace(bundle, series=(*bundle.series, run)))


@attack()
def approval_withdrawn(honest: Told) -> Made:
    """Counts an approval that was taken back."""
    key = approval_key(honest, "live_at_time", "model")
    state = honest.story.chain.state
    entries = [state.leaves[leaf_key(key, position)] for position in range(3)]
    tree = msgspec.msgpack.decode(entries[-1])
    record = msgspec.msgpack.decode(tree[1])
    record[2] = False
    entries.append(msgspec.msgpack.encode([tree[0], msgspec.msgpack.encode(record)]))
    return with_series(honest, "live_at_time", key, entries), "claim"


@attack()
def approver_invented(honest: Told) -> Made:
    """Names an approver who never approved."""
    key = approval_key(honest, "live_at_time", "model")
    state = honest.story.chain.state
    entries = [state.leaves[leaf_key(key, position)] for position in range(2)]
    return with_series(honest, "live_at_time", key, entries), "claim"


@attack()
def rule_of_other_bytes(honest: Told) -> Made:
    """Changes the threshold of a rule under the same version."""
    state = honest.story.chain.state
    key = RULES.key("big", 1)
    row = RULES.decoder.decode(state.get(key) or b"")
    raw = row.raw.replace((500_000).to_bytes(4, "big"), (700_000).to_bytes(4, "big"))
    assert raw != row.raw
    return with_rows(honest, "payment_released", {key: encode(replace(row, raw=raw))}), "claim"


HELD, SETTLED = 62_000, 500
"""Amounts of a payment that the rules hold, and of one that they let pass."""


def judged_otherwise(
    honest: Told,
    change: Callable[[list[Any]], list[Any]],
    amount_units: int = HELD,
    *,
    verdict: Allow | None = None,
) -> Bundle:
    """Return the bundle of a payment on which the operator let the judgement say something else."""
    chain = fork(honest.story.chain)
    ledger = copy(chain.ledger)
    prepare = ledger._prepare
    assert prepare is not None

    def judge(ctx: Any, operations: Any) -> Any:
        found_judgements = prepare(ctx, operations)
        for judgement in found_judgements:
            if judgement is not None:
                events = [msgspec.msgpack.decode(raw) for raw in judgement.events]
                edited = tuple(msgspec.msgpack.encode(event) for event in change(events))
                object.__setattr__(judgement, "events", edited)
                if verdict is not None:
                    object.__setattr__(judgement, "verdict", verdict)
        return found_judgements

    ledger._prepare = judge
    chain.ledger = ledger
    with suppress(NonCanonicalError):  # the harness reads events, which may be none
        chain.done("pia", pay(chain, 1, 2, amount_units))
    twin = fork(honest.story.chain)
    same = twin.done("pia", pay(twin, 1, 2, amount_units))
    assert same.receipt is not None
    claim = PaymentClaim(same.receipt.transaction_id, 0)
    wanted = wanted_by(twin.source(), claim)  # what an honest prover would show
    if verdict is not None:  # then there is no hold to show
        wanted.states = [key for key in wanted.states if not key.startswith(HOLDS.prefix)]
        wanted.series = [run for run in wanted.series if run[0] != HOLD_ACTION_SERIES.key()]
    return unchecked(chain.source(witnesses=(WITNESS,)), claim, wanted)


def _edit(tag: str, place: int, change: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    def edit(events: list[Any]) -> list[Any]:
        for event in events:
            if event[0] == tag:
                event[place] = change(event[place])
        return events

    return edit


@attack()
def score_edited_in_an_event(honest: Told) -> Made:
    """Writes another score into a payment's receipt than its rules looked at."""
    edit = _edit("inference/payment_scored", 4, lambda score: score - 1)
    return judged_otherwise(honest, edit), "claim"


@attack()
def score_edited_in_all_events(honest: Told) -> Made:
    """Writes another score where it was computed and looked at; the hold names the right one."""

    def edit(events: list[Any]) -> list[Any]:
        for event in events:
            if event[0] == "inference/payment_scored":
                event[4] += 1
            if event[0] == "rules/rule_fired":
                event[4] = [event[4][0] + 1, *event[4][1:]]
        return events

    return judged_otherwise(honest, edit), "claim"


@attack(replay=True)
def score_edited_of_a_settled_payment(honest: Told) -> Made:
    """Writes another score wherever it stands; only computing it again shows it."""
    edit = _edit("inference/payment_scored", 4, lambda score: score + 1)
    return judged_otherwise(honest, edit, SETTLED), "replay"


@attack()
def amount_edited_in_the_features(honest: Told) -> Made:
    """Says that another amount was judged than the one that was paid."""
    edit = _edit("inference/payment_scored", 3, lambda features: [9, *features[1:]])
    return judged_otherwise(honest, edit, SETTLED), "claim"


@attack(replay=True)
def contributions_edited(honest: Told) -> Made:
    """Names another reason for a held payment's score than its model has."""
    edit = _edit("inference/explained", 2, lambda _: [[1, -5]])
    return judged_otherwise(honest, edit), "replay"


@attack(replay=True)
def contributions_left_out(honest: Told) -> Made:
    """Does not say what made a held payment's score what it is."""
    return judged_otherwise(
        honest, lambda events: [e for e in events if e[0] != "inference/explained"]
    ), "replay"


@attack()
def contributions_of_another_model(honest: Told) -> Made:
    """Explains a score on which the rule that decided did not rest."""
    edit = _edit("inference/explained", 1, lambda _: "size")
    return judged_otherwise(honest, edit), "claim"


@attack(replay=True)
def conditions_edited(honest: Told) -> Made:
    """Says that another condition of the rule was true."""
    edit = _edit("rules/rule_fired", 3, lambda _: [])
    return judged_otherwise(honest, edit), "replay"


@attack(replay=True)
def actions_edited(honest: Told) -> Made:
    """Says that a rule did more than its bytes say."""
    edit = _edit("rules/rule_fired", 5, lambda actions: [*actions, "freeze_payer"])
    return judged_otherwise(honest, edit), "replay"


@attack(replay=True)
def rule_kept_from_firing(honest: Told) -> Made:
    """Lets a payment settle that a rule should have held, and shows no firing."""

    def edit(events: list[Any]) -> list[Any]:
        told = ("rules/rule_fired", "inference/explained")
        return [event for event in events if event[0] not in told]

    return judged_otherwise(honest, edit, HELD, verdict=Allow("screened")), "replay"


@attack()
def rule_of_another_version(honest: Told) -> Made:
    """Says that a version of a rule fired that did not act then."""
    return judged_otherwise(honest, _edit("rules/rule_fired", 2, lambda _: 1)), "claim"


@attack()
def score_of_another_version(honest: Told) -> Made:
    """Says that a version scored the payment that was not live then."""
    bundle = opened(honest, "payment_by_second_version")
    versions = [s.key[-20:] for s in bundle.states if s.key.startswith(VERSIONS.prefix)]
    old = [s.key[-20:] for s in opened(honest, "live_at_time").states if VERSIONS.prefix in s.key]
    other = next(version for version in versions if version not in old)
    edit = _edit("inference/payment_scored", 2, lambda _: other)
    return judged_otherwise(honest, edit), "claim"


@attack()
def firing_left_out_of_a_receipt(honest: Told) -> Made:
    """Holds a payment and leaves out the rule that asked for it."""

    def edit(events: list[Any]) -> list[Any]:
        return [event for event in events if event[0] != "rules/rule_fired"]

    return judged_otherwise(honest, edit), "claim"
