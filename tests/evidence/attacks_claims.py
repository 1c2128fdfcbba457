"""Attacks on claims and on the file itself: periods, data sets, predictions, spelling."""

import msgspec

from cairn.evidence.bundle import (
    PeriodClaim,
    PredictionClaim,
    RowClaim,
    TransactionClaim,
    decode_bundle,
    in_order,
)
from cairn.evidence.proofs import RangeProof, SeriesProof
from cairn.exact.features import FEATURES
from cairn.ledger.records import HEAD_DECODER, leaf_key
from cairn.modules.bank.records import HOLD_SERIES
from cairn.modules.data.records import DATASETS
from cairn.modules.inference.records import PREDICTIONS
from cairn.modules.models.records import PROMOTIONS
from cairn.node.prover import prove_state
from cairn.primitives.encoding import encode, replace
from cairn.primitives.merkle import leaf_hash, range_proof_of
from tests.evidence.attack import (
    Made,
    attack,
    opened,
    series_of,
)
from tests.evidence.chain import WITNESS, fork
from tests.evidence.story import Told, bundle_of
from tests.evidence.world import (
    tampered,
    unchecked,
    wanted_by,
)

# Periods


@attack()
def hold_left_out_of_the_period(honest: Told) -> Made:
    """Leaves one hold out of the period."""
    bundle = opened(honest, "period")
    place = [one.series.head.key for one in bundle.ranges].index(HOLD_SERIES.key())
    complete = bundle.ranges[place]
    entries = complete.series.entries[:2] + complete.series.entries[3:]
    changed = replace(complete, series=replace(complete.series, entries=entries))
    ranges = (*bundle.ranges[:place], changed, *bundle.ranges[place + 1 :])
    return replace(bundle, ranges=ranges), "series_proof"


@attack()
def hold_left_out_by_the_operator(honest: Told) -> Made:
    """Signs a series of holds in which one is missing; its receipt and its firing give it away."""
    key = HOLD_SERIES.key()
    state = honest.story.chain.state
    head = HEAD_DECODER.decode(state.get(key) or b"")
    kept = [state.leaves[leaf_key(key, p)] for p in range(head.size) if p != 1]
    claim = opened(honest, "period").claim
    wanted = wanted_by(honest.source, claim)
    wanted.ranges = [bounds for bounds in wanted.ranges if bounds[0] != key]
    chain = tampered(honest.story.chain, {key: series_of(kept)})
    source = chain.source(witnesses=(WITNESS,))
    bundle = unchecked(source, claim, wanted)
    assert isinstance(claim, PeriodClaim)
    times = [msgspec.msgpack.decode(raw)[0] for raw in kept]
    end = sum(1 for at in times if at < claim.until_ms) + 1
    shown = kept[:end]
    path = range_proof_of([leaf_hash(raw) for raw in kept], 0, len(shown))
    run = SeriesProof(prove_state(source.view, key), 0, tuple(shown), path)
    added = RangeProof(claim.from_ms, claim.until_ms, run)
    return in_order(replace(bundle, ranges=(*bundle.ranges, added))), "claim"


@attack()
def deployment_left_out_of_the_period(honest: Told) -> Made:
    """Does not name a deployment that the rules of the period look at."""
    bundle = opened(honest, "period")
    assert isinstance(bundle.claim, PeriodClaim)
    claim = replace(bundle.claim, deployments=("fraud",))
    gone = (PREDICTIONS.key("size"), PROMOTIONS.key("size"))
    ranges = tuple(one for one in bundle.ranges if one.series.head.key not in gone)
    series = tuple(one for one in bundle.series if one.head.key not in gone)
    return replace(bundle, claim=claim, ranges=ranges, series=series), "claim"


@attack()
def receipts_in_two_runs(honest: Told) -> Made:
    """Cuts a run of receipts in two: another spelling of the same facts."""
    bundle = opened(honest, "period")
    place = next(i for i, run in enumerate(bundle.receipts) if len(run.receipts) > 1)
    run = bundle.receipts[place]
    height = msgspec.msgpack.decode(run.history.leaf)[0]
    source = honest.source
    first = source.receipt_run(height, run.start, run.start + 1)
    rest = source.receipt_run(height, run.start + 1, run.start + len(run.receipts))
    receipts = (*bundle.receipts[:place], first, rest, *bundle.receipts[place + 1 :])
    return replace(bundle, receipts=receipts), "malformed_bundle"


# Data sets and predictions


@attack()
def row_edited(honest: Told) -> Made:
    """Edits a disclosed value of a data set's row."""
    bundle = opened(honest, "row")
    row = bundle.rows[0]
    fields = list(row.fields)
    place = next(i for i, field in enumerate(fields) if not isinstance(field, bytes))
    fields[place] = replace(fields[place], value=encode(7))
    return replace(bundle, rows=(replace(row, fields=tuple(fields)),)), "row_proof"


@attack()
def row_of_another_data_set(honest: Told) -> Made:
    """Shows a row of one data set as a row of another."""
    chain = honest.story.chain
    bundle = opened(honest, "row")
    key = next(
        k
        for k in chain.state.rows
        if k.startswith(DATASETS.prefix) and k[-20:] != honest.story.dataset
    )
    wanted = wanted_by(honest.source, bundle.claim, bundle.rows[0])
    wanted.states = [key if k.startswith(DATASETS.prefix) else k for k in wanted.states]
    source = fork(chain).source(witnesses=(WITNESS,))
    forged = unchecked(source, RowClaim(key[-20:]), wanted)
    return replace(forged, rows=bundle.rows), "row_proof"


@attack()
def column_renamed(honest: Told) -> Made:
    """Gives a disclosed value the name of another column."""
    bundle = opened(honest, "row")
    row = bundle.rows[0]
    columns = list(row.schema.columns)
    columns[0] = replace(columns[0], name="limit")
    schema = replace(row.schema, columns=tuple(columns))
    return replace(bundle, rows=(replace(row, schema=schema),)), "row_proof"


@attack()
def input_of_another_prediction(honest: Told) -> Made:
    """Discloses another input than the one that was committed to."""
    bundle = opened(honest, "prediction_opened")
    assert isinstance(bundle.claim, PredictionClaim)
    assert bundle.claim.opened is not None
    opened_input = replace(bundle.claim.opened, features=tuple(range(len(FEATURES))))
    return replace(bundle, claim=replace(bundle.claim, opened=opened_input)), "claim"


@attack(replay=True)
def recorded_score_that_the_model_does_not_give(honest: Told) -> Made:
    """Puts a score on record that the model does not give for the disclosed input."""
    claim = opened(honest, "prediction_opened").claim
    assert isinstance(claim, PredictionClaim)
    source = fork(honest.story.chain).source()
    return bundle_of(source, replace(claim, position=claim.position - 1)), "replay"


# The file


@attack()
def spelled_otherwise(honest: Told) -> Made:
    """Writes one small integer of a valid bundle in two bytes."""
    raw = honest.bundles["transaction_of_several"]
    bundle = decode_bundle(raw)
    plain = encode(bundle.transactions[0].receipt.history.index)
    assert len(plain) == 1
    marked = encode(bundle.transactions[0].receipt)
    place = raw.index(marked) + 1 + 1 + len(encode(bundle.transactions[0].receipt.history.leaf))
    assert raw[place : place + 1] == plain
    return raw[:place] + b"\xcc" + raw[place:], "malformed_bundle"


@attack()
def trailing_bytes(honest: Told) -> Made:
    """Adds a byte after a valid bundle."""
    return honest.bundles["state_absent"] + b"\0", "malformed_bundle"


@attack()
def cut_off(honest: Told) -> Made:
    """Cuts the last byte of a valid bundle off."""
    return honest.bundles["state_absent"][:-1], "malformed_bundle"


@attack()
def nested_deeply(_: Told) -> Made:
    """Sends ten thousand arrays in each other."""
    return b"\x91" * 10_000 + b"\xc0", "malformed_bundle"


@attack()
def huge_count(_: Told) -> Made:
    """Announces four thousand million elements."""
    return b"\xdd\xff\xff\xff\xff\xc0", "malformed_bundle"


@attack()
def a_map(_: Told) -> Made:
    """Sends a map where records are arrays."""
    return b"\x81\xa6format\xaecairn-bundle/1", "malformed_bundle"


@attack()
def format_from_the_future(honest: Told) -> Made:
    """Names a format that this verifier does not know."""
    bundle = opened(honest, "state_absent")
    return replace(bundle, format="cairn-bundle/2"), "malformed_bundle"


@attack()
def nothing_at_all(_: Told) -> Made:
    """Sends an empty file."""
    return b"", "malformed_bundle"


@attack()
def surplus_row(honest: Told) -> Made:
    """Adds a true row that the claim has no use for."""
    bundle, other = opened(honest, "state_absent"), opened(honest, "state_present")
    states = (*bundle.states, *other.states)
    return in_order(replace(bundle, states=states)), "surplus"


@attack()
def facts_out_of_order(honest: Told) -> Made:
    """Changes the order of two rows."""
    bundle = opened(honest, "transaction")
    states = (bundle.states[1], bundle.states[0], *bundle.states[2:])
    return replace(bundle, states=states), "malformed_bundle"


@attack()
def fact_twice(honest: Told) -> Made:
    """Gives one row twice."""
    bundle = opened(honest, "transaction")
    return replace(bundle, states=(bundle.states[0], *bundle.states)), "malformed_bundle"


@attack()
def claim_about_something_else(honest: Told) -> Made:
    """Claims another transaction than the one that it proves."""
    bundle = opened(honest, "transaction")
    claim = TransactionClaim(honest.story.transactions["several"])
    return replace(bundle, claim=claim), "claim"
