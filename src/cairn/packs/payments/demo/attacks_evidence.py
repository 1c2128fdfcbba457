"""Attempts on evidence files, and on the node's front door."""

import secrets
import time
from collections.abc import Callable

from cairn.evidence.bundle import Bundle, decode_bundle, encode_bundle
from cairn.evidence.proofs import RangeProof, SeriesProof, StateProof
from cairn.evidence.trust import Trust
from cairn.evidence.verify import verify_bundle
from cairn.exact.models import Trees, decode_model, encode_model
from cairn.ledger.records import SeriesEntry
from cairn.ledger.transactions import (
    ATOMIC,
    TRANSACTION_DECODER,
    Body,
    sign_transaction,
)
from cairn.modules.bank.messages import Transfer
from cairn.modules.bank.records import HOLD_SERIES, HOLDS
from cairn.modules.decisions.messages import ReportExecution
from cairn.modules.decisions.records import DECISIONS, ENFORCED, OUTCOME_SERIES
from cairn.modules.models.records import CHUNK_SIZE_BYTES_MAX, CHUNKS
from cairn.packs.payments.demo.attempts import NODE, VERIFIER, Attempt, attempt
from cairn.packs.payments.demo.bank import SERVICE, DemoBank
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.model import Trained
from cairn.packs.payments.demo.rail import Asked
from cairn.packs.payments.demo.stream import Held
from cairn.primitives.encoding import Decoder, encode, replace
from cairn.primitives.light import header_hash, vote_sign_bytes
from cairn.primitives.signatures import SigningKey
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import Wanted
from cairn.sdk.refusals import rejected

_entries: Decoder[SeriesEntry] = Decoder(SeriesEntry)

HARMLESS = -(1 << 40)
"""Added to the raw output of a model, it makes every payment look harmless."""


def try_front_door(bank: DemoBank, payment: Transfer) -> list[Attempt]:
    """Send payments to the node that the payments service did not sign."""
    thief = SigningKey.from_seed(secrets.token_bytes(32))
    service = bank.account(SERVICE)
    head = bank.connection.head()
    sequence = bank.connection.next_sequence(service, 0)
    body = Body(bank.chain_id, service, 0, sequence, ATOMIC, 0, head.height + 100, (payment,))
    own = sign_transaction(body, thief)
    stolen = TRANSACTION_DECODER.decode(own)
    forged = encode(replace(stolen, key=bank.keys[SERVICE].public_key))

    def send(raw: bytes) -> Callable[[], None]:
        def act() -> None:
            outcome = bank.connection.submit([raw], wait_ms=20_000)[0]
            if outcome.code != "ok":
                raise rejected(outcome.code)

        return act

    return [
        attempt("a payment signed with a key of one's own", NODE, "ledger/unknown_key", send(own)),
        attempt("a signature forged", NODE, "ledger/bad_signature", send(forged)),
    ]


def try_rail(bank: DemoBank, silent: Asked) -> Attempt:
    """Let the payments service say what the rail did, so that it does not look unanswered."""
    message = ReportExecution(silent.decision, "executed", silent.made_ms)
    what = "the rail's word given by somebody else"
    return attempt(
        what, NODE, "decisions/not_executor", lambda: bank.client(SERVICE).submit(message)
    )


def try_decision(bank: DemoBank) -> list[Attempt]:
    """Edit the evidence for the decision that the rail did not keep to."""
    bundle = decode_bundle(bank.folder.decision.read_bytes())
    forgeries = (
        (
            "a decision's status forged: enforced instead of overridden",
            "evidence/state_proof",
            _edit_status(bundle),
        ),
        (
            "the rail's step forged: enforced instead of overridden",
            "evidence/series_proof",
            _edit_step(bundle),
        ),
    )
    return [
        attempt(what, VERIFIER, expected, verification(encode_bundle(forged), bank.trust))
        for what, expected, forged in forgeries
    ]


def _edit_status(bundle: Bundle) -> Bundle:
    """Return the bundle with a decision that says that the executor kept to it."""

    def edit(proof: StateProof) -> StateProof:
        if not proof.key.startswith(DECISIONS.prefix) or proof.value is None:
            return proof
        row = DECISIONS.decoder.decode(proof.value)
        return replace(proof, value=encode(replace(row, status=ENFORCED)))

    return replace(bundle, states=tuple(edit(proof) for proof in bundle.states))


def _edit_step(bundle: Bundle) -> Bundle:
    """Return the bundle with a last step that says that the executor kept to the decision."""
    name = OUTCOME_SERIES.key()

    def edit(proof: SeriesProof) -> SeriesProof:
        if proof.head.key != name:
            return proof
        *first, last = proof.entries
        entry = _entries.decode(last)
        step = OUTCOME_SERIES.decoder.decode(entry.payload)
        forged = replace(entry, payload=encode(replace(step, step=ENFORCED)))
        return replace(proof, entries=(*first, encode(forged)))

    return replace(bundle, series=tuple(edit(proof) for proof in bundle.series))


def try_evidence(
    bank: DemoBank, story: Held, trained: Trained, shorter: SeriesProof
) -> list[Attempt]:
    """Edit evidence files and have them verified.

    Args:
        bank: Whose files.
        story: The held payment of the payment's file.
        trained: The model in it.
        shorter: See `run_without_first_hold`.
    """
    payment = decode_bundle(bank.folder.payment.read_bytes())
    period = decode_bundle(bank.folder.period.read_bytes())
    forgeries = (
        ("a row edited: the hold's amount", "evidence/state_proof", _edit_hold(payment, story)),
        ("a model swapped for a harmless one", "evidence/state_proof", _swap(payment, trained)),
        (
            "a header forged: another state, signed with a key of one's own",
            "evidence/header_not_committed",
            _forge_header(payment),
        ),
        (
            "one hold left out of the period",
            "evidence/series_proof",
            _leave_out(period),
        ),
        (
            "the first hold left out, the others proved by the node itself",
            "evidence/incomplete_range",
            _leave_out(period, shorter),
        ),
    )
    return [
        attempt(what, VERIFIER, expected, verification(encode_bundle(forged), bank.trust))
        for what, expected, forged in forgeries
    ]


def verification(raw: bytes, trust: Trust) -> Callable[[], None]:
    """Return the act of verifying a bundle now."""

    def act() -> None:
        verify_bundle(raw, trust, at_ms=time.time_ns() // 1_000_000)

    return act


def _edit_hold(bundle: Bundle, story: Held) -> Bundle:
    """Return the bundle with another amount in the hold's row."""
    key = HOLDS.key(story.hold)

    def edit(proof: StateProof) -> StateProof:
        if proof.key != key or proof.value is None:
            return proof
        row = HOLDS.decoder.decode(proof.value)
        return replace(proof, value=encode(replace(row, amount_units=row.amount_units + 1)))

    return replace(bundle, states=tuple(edit(proof) for proof in bundle.states))


def _swap(bundle: Bundle, trained: Trained) -> Bundle:
    """Return the bundle with the chunks of another model in place of the model's."""
    raw = harmless_model(trained)
    chunks = [
        raw[start : start + CHUNK_SIZE_BYTES_MAX]
        for start in range(0, len(raw), CHUNK_SIZE_BYTES_MAX)
    ]
    stored = [proof for proof in bundle.states if proof.key.startswith(CHUNKS.prefix)]
    if len(stored) != len(chunks):
        raise DemoError("the evidence does not hold the model's chunks")
    other = {
        proof.key: replace(proof, value=encode(replace(CHUNKS.decoder.decode(value), data=chunk)))
        for proof, chunk in zip(stored, chunks, strict=True)
        if (value := proof.value) is not None
    }
    return replace(bundle, states=tuple(other.get(proof.key, proof) for proof in bundle.states))


def harmless_model(trained: Trained) -> bytes:
    """Return the bytes of a model like the trained one that finds nothing risky."""
    model = decode_model(trained.run.trained.model_bytes)
    assert isinstance(model.body, Trees)
    return encode_model(replace(model, body=replace(model.body, base=model.body.base + HARMLESS)))


def _forge_header(bundle: Bundle) -> Bundle:
    """Return the bundle with a header that commits to another state, signed by a stranger."""
    thief = SigningKey.from_seed(secrets.token_bytes(32))
    header = replace(bundle.head.header, app_hash=secrets.token_bytes(32))
    block_hash = header_hash(header)
    old = bundle.head.commit
    block_id = replace(
        old.block_id,
        hash=block_hash,
        part_set_header=replace(old.block_id.part_set_header, hash=block_hash),
    )
    vote = old.signatures[0]
    signed = vote_sign_bytes(header.chain_id, old.height, old.round, block_id, vote.time)
    votes = (replace(vote, signature=thief.sign(signed)),)
    commit = replace(old, block_id=block_id, signatures=votes)
    return replace(bundle, head=replace(bundle.head, header=header, commit=commit))


def _leave_out(bundle: Bundle, shorter: SeriesProof | None = None) -> Bundle:
    """Return the period without its first hold; with `shorter`, a run that proves the others."""
    name = HOLD_SERIES.key()

    def cut(proof: RangeProof) -> RangeProof:
        if proof.series.head.key != name:
            return proof
        run = shorter or replace(proof.series, entries=proof.series.entries[1:])
        return replace(proof, series=run)

    return replace(bundle, ranges=tuple(cut(proof) for proof in bundle.ranges))


def run_without_first_hold(bank: DemoBank) -> SeriesProof:
    """Return what the node itself proves of all holds but the first, from the evidence's head."""
    source = ConnectionSource(bank.connection)
    name = HOLD_SERIES.key()
    size, _ = source.entries(name, 0, 0)
    return source.prove(Wanted(series=[(name, 1, size)])).series[0]
