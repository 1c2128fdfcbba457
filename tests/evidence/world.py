"""What a dishonest operator can do: any rows, receipts and blocks, signed with the real key.

`tampered` changes rows of a chain behind its rules. `World` is a ledger made of whole cloth: rows,
and blocks of transactions with receipts of one's choice.
"""

from collections.abc import Mapping, Sequence

from cairn.engine.base import block_id_of
from cairn.evidence.bundle import BUNDLE_FORMAT, Bundle, Claim, in_order
from cairn.evidence.proofs import (
    HeadProof,
    HistoryProof,
    ReceiptProof,
    StateProof,
    TransactionProof,
)
from cairn.evidence.rows import RowDisclosure
from cairn.ledger.changes import ChangeSet
from cairn.ledger.receipts import OK, OperationReceipt, Receipt, receipts_root
from cairn.ledger.records import HistoryLeaf, application_hash
from cairn.ledger.transactions import decode_envelope, raw_hash, transaction_id
from cairn.primitives import trie
from cairn.primitives.encoding import encode, replace
from cairn.primitives.hashes import sha256
from cairn.primitives.light import (
    EMPTY_EVIDENCE_HASH,
    FLAG_COMMIT,
    NIL_BLOCK_ID,
    Commit,
    CommitSig,
    ConsensusParams,
    Header,
    ValidatorSet,
    consensus_hash,
    data_hash,
    header_hash,
    timestamp_of_ms,
    transaction_leaf_hash,
    validators_hash,
    vote_sign_bytes,
)
from cairn.primitives.merkle import EMPTY_ROOT, inclusion_proof_of, leaf_hash, root_of
from cairn.primitives.signatures import SigningKey
from cairn.sdk.prove import Proofs, ReadFacts, Wanted, cosigned_by
from tests.evidence.chain import Chain, Source, fork


def tampered(chain: Chain, rows: Mapping[bytes, bytes | None]) -> Chain:
    """Return a chain whose rows were changed behind its rules, and whose next header says so."""
    other = fork(chain)
    root, nodes = trie.update(other.state.trie_node, dict(rows))
    other.state.apply(ChangeSet(state=dict(rows), trie=nodes))
    history = other.head.history
    app_hash = application_hash(root, history.size, history.root())
    other.head = replace(other.head, state_root=root, app_hash=app_hash)
    return other


def wanted_by(source: Source, claim: Claim, disclosure: RowDisclosure | None = None) -> Wanted:
    """Return the proofs that an honest bundle of a claim needs."""
    from cairn.evidence.claims import check_claim
    from cairn.evidence.keys import check_keys

    read = ReadFacts(source)
    if disclosure is not None:
        read.disclosures.append(disclosure)
    check_claim(claim, read, replay=False)
    check_keys(read)
    return read.wanted


def unchecked(source: Source, claim: Claim, wanted: Wanted) -> Bundle:
    """Return the bundle of a claim and of proofs that one chose, whether they show it or not."""
    proofs: Proofs = source.prove(wanted)
    note = cosigned_by(proofs.head.cosigned_checkpoint, None)
    return in_order(
        Bundle(
            BUNDLE_FORMAT,
            source.chain_id,
            claim,
            replace(proofs.head, cosigned_checkpoint=note),
            tuple(proofs.states[: len(wanted.states)]),
            tuple(proofs.series),
            tuple(proofs.ranges),
            tuple(proofs.receipts),
            tuple(proofs.transactions),
            (),
        )
    )


class World:
    """A ledger of whole cloth, its header signed with the real key."""

    def __init__(
        self,
        chain_id: str,
        key: SigningKey,
        validators: ValidatorSet,
        *,
        rows: Mapping[bytes, bytes] | None = None,
        blocks: Sequence[tuple[int, Sequence[bytes], Sequence[bytes]]] = (),
        state_root: bytes | None = None,
    ) -> None:
        """Make it of rows, and of blocks: height, transactions and receipts."""
        self.chain_id = chain_id
        self.blocks = list(blocks)
        self.nodes: dict[bytes, bytes] = {}
        root, nodes = trie.update(self.nodes.get, dict(rows or {}))
        self.nodes.update((path, node) for path, node in nodes.items() if node is not None)
        self.rows = dict(rows or {})
        self.leaves = [encode(_leaf(*block)) for block in self.blocks]
        self.head = signed_head(
            chain_id,
            key,
            validators,
            state_root=root if state_root is None else state_root,
            leaves=self.leaves,
        )

    def state(self, key: bytes) -> StateProof:
        """Return the proof of a row, or of its absence."""
        return StateProof(key, self.rows.get(key), trie.prove(self.nodes.get, key))

    def transaction(self, block: int, position: int) -> TransactionProof:
        """Return the proof of a transaction."""
        _, raws, receipts = self.blocks[block]
        hashes = [leaf_hash(leaf) for leaf in self.leaves]
        history = HistoryProof(self.leaves[block], block, inclusion_proof_of(hashes, block))
        path = inclusion_proof_of([leaf_hash(raw) for raw in receipts], position)
        receipt = ReceiptProof(history, position, receipts[position], path)
        data_path = inclusion_proof_of([transaction_leaf_hash(raw) for raw in raws], position)
        return TransactionProof(receipt, raws[position], data_path)

    def bundle(
        self,
        claim: Claim,
        *,
        states: Sequence[StateProof] = (),
        transactions: Sequence[TransactionProof] = (),
    ) -> Bundle:
        """Return a bundle of chosen facts."""
        return in_order(
            Bundle(
                BUNDLE_FORMAT,
                self.chain_id,
                claim,
                self.head,
                tuple(states),
                (),
                (),
                (),
                tuple(transactions),
                (),
            )
        )


def signed_head(
    chain_id: str,
    key: SigningKey,
    validators: ValidatorSet,
    *,
    state_root: bytes,
    leaves: Sequence[bytes] = (),
    height: int = 100,
) -> HeadProof:
    """Return a head over any state root and history, signed with `key`."""
    history_root = root_of([leaf_hash(leaf) for leaf in leaves])
    header = Header(
        version_block=11,
        version_app=1,
        chain_id=chain_id,
        height=height,
        time=timestamp_of_ms(1_800_000_000_000),
        last_block_id=NIL_BLOCK_ID,
        last_commit_hash=EMPTY_ROOT,
        data_hash=EMPTY_ROOT,
        validators_hash=validators_hash(validators),
        next_validators_hash=validators_hash(validators),
        consensus_hash=consensus_hash(ConsensusParams()),
        app_hash=application_hash(state_root, len(leaves), history_root),
        last_results_hash=EMPTY_ROOT,
        evidence_hash=EMPTY_EVIDENCE_HASH,
        proposer_address=validators.validators[0].address,
    )
    commit = signed_commit(chain_id, header, key, validators)
    return HeadProof(header, commit, validators, state_root, len(leaves), history_root, b"", None)


def signed_commit(
    chain_id: str, header: Header, key: SigningKey, validators: ValidatorSet, *, height: int = 0
) -> Commit:
    """Return a commit of a header in the first validator's name, signed with `key`."""
    block_id = block_id_of(header_hash(header))
    at = height or header.height
    message = vote_sign_bytes(chain_id, at, 0, block_id, header.time)
    address = validators.validators[0].address
    entry = CommitSig(FLAG_COMMIT, address, header.time, key.sign(message))
    return Commit(at, 0, block_id, (entry,))


def plain_receipt(raw: bytes, *, code: str = OK) -> bytes:
    """Return the receipt of a transaction of one operation that did nothing to speak of."""
    identity = transaction_id(decode_envelope(raw).body)
    return encode(
        Receipt(identity, raw_hash(raw), code, (OperationReceipt(code, ()),), cost=300, fee=0)
    )


def _leaf(height: int, raws: Sequence[bytes], receipts: Sequence[bytes]) -> HistoryLeaf:
    return HistoryLeaf(
        height,
        1_700_000_000_000 + 1_000 * height,
        sha256(b"block %d" % height),
        data_hash(raws),
        receipts_root(receipts),
        len(raws),
        len(receipts),
    )
