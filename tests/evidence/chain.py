"""A ledger in memory with real headers and commits, and proofs from any of its heads.

chain = found(Chain)                 # everything that the harness can do
source = chain.source()              # seals the last block and proves from there
raw = prove(source, claim)
verify_bundle(raw, chain.trust(), at_ms=…)
"""

import copy
from collections.abc import Sequence
from typing import Any

from cairn.engine.base import LOG_ENTRY_VERSION, LogEntry, block_id_of, transaction_results_hash
from cairn.evidence.proofs import ReceiptsProof
from cairn.evidence.trust import Trust, TrustedCheckpoint, TrustedWitness, trust_of_charter
from cairn.ledger.charter import charter_digest
from cairn.ledger.execution import STATE_VERSION, Block, LedgerHead, transaction_index_key
from cairn.ledger.memory import MemoryState
from cairn.ledger.records import HEAD_DECODER, leaf_key
from cairn.node.prover import (
    ProvingView,
    place_of,
    prove_block,
    prove_head,
    prove_range,
    prove_series,
    prove_state,
    prove_transaction,
)
from cairn.primitives.checkpoints import (
    Checkpoint,
    SignedNote,
    checkpoint_text,
    cosign,
    header_line,
    note_bytes,
    sign_note,
)
from cairn.primitives.encoding import encode
from cairn.primitives.light import (
    EMPTY_EVIDENCE_HASH,
    FLAG_COMMIT,
    NIL_BLOCK_ID,
    Commit,
    CommitSig,
    ConsensusParams,
    Header,
    Validator,
    ValidatorSet,
    commit_hash,
    consensus_hash,
    data_hash,
    header_hash,
    timestamp_of_ms,
    validator_set_of,
    validators_hash,
    vote_sign_bytes,
)
from cairn.primitives.merkle import EMPTY_ROOT, leaf_hash, range_proof_of
from cairn.primitives.signatures import SigningKey, verify_many
from cairn.sdk.prove import Placed, Proofs, Wanted
from tests.modules.harness import Harness, Outcome, key_of

WITNESS = "witness.example/supervisor"


class Chain(Harness):
    """A harness whose blocks have headers that its validators have signed."""

    def __init__(self, *modules: Any, **options: Any) -> None:
        """Found the ledger; one validator, `founder`, signs."""
        self.signers: list[SigningKey] = [key_of("founder")]
        self.log: list[LogEntry] = []
        self.heads: list[LedgerHead] = []
        super().__init__(*modules, **options)
        self.heads.append(self.head)

    @property
    def validators(self) -> ValidatorSet:
        """The validators, in CometBFT's order, one vote each."""
        return validator_set_of(Validator(key.public_key, 1) for key in self.signers)

    def block(self, *, advance_ms: int = 1_000, time_ms: int | None = None) -> list[Outcome]:
        """Execute a block of what waits under a signed header; return the outcomes."""
        raws, self._queue = self._queue, []
        at_ms = self.head.time_ms + advance_ms if time_ms is None else time_ms
        header = self._header(raws, at_ms)
        results = []
        for state in self.states:
            block = Block(
                height=header.height,
                time_ms=at_ms,
                block_hash=header_hash(header),
                data_hash=header.data_hash,
                transactions=[self.ledger.decode(raw) for raw in raws],
                signatures_valid=verify_many([_triple(raw) for raw in raws]),
            )
            results.append(self.ledger.execute(self.head, state, block))
        self._take(results)
        self.heads.append(self.head)
        self.log.append(
            LogEntry(
                LOG_ENTRY_VERSION,
                header,
                self.commit(header),
                tuple(raws),
                (),
                tuple(results[0].receipts),
                tuple(results[0].results),
            )
        )
        receipts = results[0].receipts
        self.end_events = ()
        if len(receipts) > len(raws):
            self.end_events = self._outcome(receipts[-1]).events
        return [self._outcome(receipt) for receipt in receipts[: len(raws)]]

    def source(self, *, witnesses: Sequence[str] = (), advance_ms: int = 1_000) -> "Source":
        """Return the proofs of everything up to now, under a header made for them."""
        proved, state = self.head, self.state.copy()
        self.block(advance_ms=advance_ms)
        entry = self.log[-1]
        view = ProvingView(
            state,
            proved,
            entry.header,
            entry.commit,
            self.validators,
            self._entry,
            lambda: None,
            self.cosigned(proved, entry.header, witnesses) if witnesses else b"",
        )
        return Source(self.chain_id, view)

    def cosigned(self, proved: LedgerHead, header: Header, witnesses: Sequence[str]) -> bytes:
        """Return the signed note of a head with the log's line and the witnesses'."""
        line = header_line(header.height, header_hash(header))
        checkpoint = Checkpoint(self.chain_id, proved.history.size, proved.history.root(), (line,))
        text = checkpoint_text(checkpoint)
        seconds = header.time.seconds
        lines = [sign_note(text, self.chain_id, self.signers[0])]
        lines += [cosign(text, name, key_of(name), seconds) for name in witnesses]
        return note_bytes(SignedNote(text, tuple(lines)))

    def trust(
        self,
        witnesses: Sequence[str] = (),
        *,
        threshold: int = 0,
        checkpoint: TrustedCheckpoint | None = None,
    ) -> Trust:
        """Return the trust in this chain's validators, and in the named witnesses."""
        trust = trust_of_charter(
            self.charter,
            self.chain_id,
            charter_digest(encode(self.charter)),
            tuple(TrustedWitness(name, key_of(name).public_key) for name in witnesses),
            witness_threshold=threshold,
        )
        return Trust(
            trust.chain_id,
            trust.genesis_digest,
            self.validators,
            trust.trusting_period_ms,
            trust.witnesses,
            trust.witness_threshold,
            checkpoint,
        )

    def commit(self, header: Header, signers: Sequence[SigningKey] | None = None) -> Commit:
        """Return the validators' commit of a header."""
        keys: dict[bytes, SigningKey] = {}
        keys.update((k.public_key, k) for k in (self.signers if signers is None else signers))
        block_id = block_id_of(header_hash(header))
        entries = []
        for validator in self.validators.validators:
            key = keys[validator.public_key]
            message = vote_sign_bytes(self.chain_id, header.height, 0, block_id, header.time)
            entries.append(
                CommitSig(FLAG_COMMIT, validator.address, header.time, key.sign(message))
            )
        return Commit(header.height, 0, block_id, tuple(entries))

    def _entry(self, height: int) -> LogEntry:
        return self.log[height - 1]

    def _header(self, raws: Sequence[bytes], time_ms: int) -> Header:
        last = self.log[-1] if self.log else None
        members = self.validators
        return Header(
            version_block=11,
            version_app=STATE_VERSION,
            chain_id=self.chain_id,
            height=self.head.height + 1,
            time=timestamp_of_ms(time_ms),
            last_block_id=NIL_BLOCK_ID if last is None else last.commit.block_id,
            last_commit_hash=EMPTY_ROOT if last is None else commit_hash(last.commit),
            data_hash=data_hash(raws),
            validators_hash=validators_hash(members),
            next_validators_hash=validators_hash(members),
            consensus_hash=consensus_hash(ConsensusParams()),
            app_hash=self.head.app_hash,
            last_results_hash=transaction_results_hash(
                () if last is None else last.results[: len(last.transactions)]
            ),
            evidence_hash=EMPTY_EVIDENCE_HASH,
            proposer_address=members.validators[0].address,
        )


def fork(chain: Chain) -> Chain:
    """Return a chain with the same past that can go its own way."""
    other = copy.copy(chain)
    other.states = [state.copy() for state in chain.states]
    other.log, other.heads = list(chain.log), list(chain.heads)
    other._queue, other._sequences = [], dict(chain._sequences)
    return other


class Source:
    """Answers and proves from one head of a `Chain`."""

    def __init__(self, chain_id: str, view: ProvingView) -> None:
        """Prove from `view`."""
        self.chain_id = chain_id
        self.view = view
        self.state = view.reader
        assert isinstance(self.state, MemoryState)

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key`."""
        return self.state.get(key)

    def entries(self, key: bytes, start: int, limit: int) -> tuple[int, Sequence[bytes]]:
        """Return a series' size and some of its entries."""
        row = self.state.get(key)
        size = 0 if row is None else HEAD_DECODER.decode(row).size
        raws = [self.state.leaf(leaf_key(key, p)) for p in range(start, min(size, start + limit))]
        return size, [raw for raw in raws if raw is not None]

    def transaction(self, transaction_id: bytes) -> Placed | None:
        """Return a transaction of a block."""
        place = self.state.index(transaction_index_key(transaction_id))
        if place is None:
            return None
        height, position = place_of(place)
        entry = self.view.entry(height)
        time_ms = entry.header.time.seconds * 1000 + entry.header.time.nanos // 1_000_000
        raw, receipt = entry.transactions[position], entry.receipts[position]
        return Placed(height, time_ms, position, raw, receipt)

    def receipts(self, transaction_ids: Sequence[bytes]) -> Sequence[Placed]:
        """Return where transactions stand, with their receipts."""
        found = [self.transaction(identity) for identity in transaction_ids]
        return [placed for placed in found if placed is not None]

    def prove(self, wanted: Wanted) -> Proofs:
        """Return the wanted proofs."""
        view = self.view
        assert view.time_ms >= wanted.min_time_ms, "prove from a later head"
        return Proofs(
            prove_head(view, extends_size=wanted.extends_size),
            [prove_state(view, key) for key in (*wanted.states, *wanted.empty_series)],
            [prove_series(view, *run) for run in wanted.series],
            [prove_range(view, *bounds) for bounds in wanted.ranges],
            [self.receipt_run(*run) for run in wanted.receipts],
            [prove_transaction(view, identity) for identity in wanted.transactions],
        )

    def receipt_run(self, height: int, start: int, end: int) -> ReceiptsProof:
        """Return a run of a block's receipts with its proof."""
        receipts = self.view.entry(height).receipts
        path = range_proof_of([leaf_hash(raw) for raw in receipts], start, end)
        return ReceiptsProof(prove_block(self.view, height), start, receipts[start:end], path)


def _triple(raw: bytes) -> tuple[bytes, bytes, bytes]:
    from cairn.ledger.transactions import signature_triple

    triple = signature_triple(raw)
    assert triple is not None
    return triple
