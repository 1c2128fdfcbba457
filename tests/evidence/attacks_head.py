"""Attacks on the head: another ledger, another signature, witnesses and checkpoints."""

from functools import cache
from typing import Any

from cairn.engine.base import block_id_of
from cairn.evidence.bundle import Bundle, ForkClaim, StateClaim, decode_bundle
from cairn.evidence.proofs import StateProof
from cairn.evidence.trust import Trust, TrustedCheckpoint
from cairn.modules.bank.records import HOLDS
from cairn.modules.identity.messages import Approve
from cairn.primitives.checkpoints import SignedNote, cosign, note_bytes, parse_note
from cairn.primitives.encoding import replace
from cairn.primitives.hashes import sha256
from cairn.primitives.light import (
    ABSENT_SIG,
    FLAG_COMMIT,
    BlockID,
    Commit,
    CommitSig,
    Validator,
    header_hash,
    validator_set_of,
    vote_sign_bytes,
)
from cairn.primitives.trie import TrieProof, key_hash, value_hash
from tests.evidence.attack import (
    OPERATOR,
    STRANGER,
    Made,
    attack,
    opened,
    other_chain,
    trusting,
)
from tests.evidence.chain import WITNESS, Chain, fork
from tests.evidence.forger import resigned, trie_root
from tests.evidence.story import Told, bundle_of
from tests.evidence.world import (
    World,
    signed_commit,
    signed_head,
)
from tests.modules.founding import found, pay
from tests.modules.harness import key_of

# Another ledger, another signature


@attack()
def bundle_of_another_chain(_: Told) -> Made:
    """Hands over a valid bundle of another ledger."""
    source = fork(other_chain()).source()
    return bundle_of(source, StateClaim(HOLDS.key(bytes(20)))), "wrong_chain"


@attack()
def bundle_of_another_chain_renamed(honest: Told) -> Made:
    """Writes the trusted chain id over a valid bundle of another ledger."""
    source = fork(other_chain()).source()
    bundle = decode_bundle(bundle_of(source, StateClaim(HOLDS.key(bytes(20)))))
    return replace(bundle, chain_id=honest.story.chain.chain_id), "header_not_committed"


@attack()
def every_unsigned_hash_recomputed(honest: Told) -> Made:
    """Edits a row and computes every hash above it again, up to the commit's block id."""
    bundle = opened(honest, "state_absent")
    state = bundle.states[0]
    bucket = state.proof.bucket + key_hash(state.key) + value_hash(b"\x01")
    pairs = sorted(bucket[at : at + 64] for at in range(0, len(bucket), 64))
    proof = TrieProof(state.proof.siblings, b"".join(pairs))
    root = trie_root(state.key, proof.siblings, proof.bucket)
    changed = replace(bundle, states=(StateProof(state.key, b"\x01", proof),))
    return resigned(changed, state_root=root), "header_not_committed"


@attack()
def application_hash_of_another_state(honest: Told) -> Made:
    """Swaps in the state root of another ledger, and leaves the header alone."""
    bundle = opened(honest, "state_absent")
    head = replace(bundle.head, state_root=other_chain().head.state_root)
    return replace(bundle, head=head), "app_hash"


@attack()
def history_of_another_size(honest: Told) -> Made:
    """States another number of blocks beside the same history root."""
    bundle = opened(honest, "transaction")
    head = replace(bundle.head, history_size=bundle.head.history_size - 1)
    return replace(bundle, head=head), "app_hash"


@attack()
def validators_of_ones_own(honest: Told) -> Made:
    """Signs a header of its own, and brings its own validator set."""
    chain = honest.story.chain
    mine = validator_set_of([Validator(STRANGER.public_key, 1)])
    world = World(chain.chain_id, STRANGER, mine)
    key = HOLDS.key(bytes(20))
    return world.bundle(StateClaim(key), states=[world.state(key)]), "header_not_committed"


@attack()
def commit_by_a_key_not_in_the_trust_file(honest: Told) -> Made:
    """Signs the commit in the validator's name with another key."""
    bundle = opened(honest, "state_absent")
    head = bundle.head
    commit = signed_commit(bundle.chain_id, head.header, STRANGER, head.validators)
    return replace(bundle, head=replace(head, commit=commit)), "header_not_committed"


@attack()
def commit_of_another_height(honest: Told) -> Made:
    """Uses a valid commit of the block before."""
    bundle = opened(honest, "state_absent")
    commit = honest.story.chain.log[-2].commit
    return replace(bundle, head=replace(bundle.head, commit=commit)), "header_not_committed"


@attack()
def commit_signed_for_another_height(honest: Told) -> Made:
    """Has the real key sign this very block at another height."""
    bundle = opened(honest, "state_absent")
    head = bundle.head
    height = head.header.height + 1
    commit = signed_commit(bundle.chain_id, head.header, OPERATOR, head.validators, height=height)
    return replace(bundle, head=replace(head, commit=commit)), "header_not_committed"


@attack()
def validators_hash_of_another_set(honest: Told) -> Made:
    """Has the real key sign a header that names another validator set."""
    chain = honest.story.chain
    other = validator_set_of([Validator(OPERATOR.public_key, 2)])
    bundle = opened(honest, "state_absent")
    head = signed_head(chain.chain_id, OPERATOR, other, state_root=bundle.head.state_root)
    return (
        replace(bundle, head=replace(head, validators=chain.validators)),
        "header_not_committed",
    )


@attack()
def commit_of_too_little_power(honest: Told) -> Made:
    """Takes two of four validators for a quorum."""
    chain = honest.story.chain
    keys = [OPERATOR, *(key_of(f"validator {i}") for i in range(3))]
    members = validator_set_of(Validator(key.public_key, 1) for key in keys)
    trust = trusting(honest)
    trust = Trust(
        trust.chain_id, trust.genesis_digest, members, trust.trusting_period_ms, (), 0, None
    )
    world = World(chain.chain_id, OPERATOR, members)
    entries = []
    by_key = {key.public_key: key for key in keys[:2]}
    header = world.head.header
    block_id = block_id_of(header_hash(header))
    message = vote_sign_bytes(chain.chain_id, header.height, 0, block_id, header.time)
    for member in members.validators:
        key = by_key.get(member.public_key)  # type: ignore[call-overload]
        entries.append(
            ABSENT_SIG
            if key is None
            else CommitSig(FLAG_COMMIT, member.address, header.time, key.sign(message))
        )
    commit = Commit(header.height, 0, block_id, tuple(entries))
    world.head = replace(world.head, commit=commit)
    row = HOLDS.key(bytes(20))
    bundle = world.bundle(StateClaim(row), states=[world.state(row)])
    return bundle, "header_not_committed", trust


@attack()
def part_set_of_another_block(honest: Told) -> Made:
    """Changes the part of the block id that the header does not name."""
    bundle = opened(honest, "state_absent")
    head = bundle.head
    parts = replace(head.commit.block_id.part_set_header, total=2)
    commit = replace(head.commit, block_id=BlockID(head.commit.block_id.hash, parts))
    return replace(bundle, head=replace(head, commit=commit)), "header_not_committed"


# Witnesses and checkpoints


@attack()
def no_cosignature(honest: Told) -> Made:
    """Leaves out the cosignature that the trust file asks for: the history was rewritten."""
    bundle = opened(honest, "state_absent")
    trust = honest.story.chain.trust((WITNESS,), threshold=1)
    head = replace(bundle.head, cosigned_checkpoint=b"")
    return replace(bundle, head=head), "not_witnessed", trust


@attack()
def cosignature_of_an_untrusted_witness(honest: Told) -> Made:
    """Runs a witness of its own."""
    source = fork(honest.story.chain).source(witnesses=("witness.example/crony",))
    raw = bundle_of(source, StateClaim(HOLDS.key(bytes(20))))
    return raw, "not_witnessed", honest.story.chain.trust((WITNESS,), threshold=1)


@attack()
def cosignature_for_another_head(honest: Told) -> Made:
    """Moves a witness's cosignature from an earlier head to this one."""
    chain = fork(honest.story.chain)
    earlier = opened(honest, "state_absent").head.cosigned_checkpoint
    chain.done("cora", Approve("model", sha256(b"something new")))
    bundle = decode_bundle(bundle_of(chain.source(), StateClaim(HOLDS.key(bytes(20)))))
    head = replace(bundle.head, cosigned_checkpoint=earlier)
    return (
        replace(bundle, head=head),
        "not_witnessed",
        chain.trust((WITNESS,), threshold=1),
    )


@attack()
def cosignature_with_the_operators_key(honest: Told) -> Made:
    """Signs in the witness's name with the operator's key."""
    bundle = opened(honest, "state_absent")
    note = parse_note(bundle.head.cosigned_checkpoint)
    line = cosign(note.text, WITNESS, OPERATOR, 1_800_000_000)
    head = replace(bundle.head, cosigned_checkpoint=note_bytes(SignedNote(note.text, (line,))))
    return (
        replace(bundle, head=head),
        "not_witnessed",
        honest.story.chain.trust((WITNESS,), threshold=1),
    )


@attack()
def cosignature_twice(honest: Told) -> Made:
    """Counts one witness twice."""
    bundle = opened(honest, "state_absent")
    note = parse_note(bundle.head.cosigned_checkpoint)
    doubled = SignedNote(note.text, note.signatures * 2)
    head = replace(bundle.head, cosigned_checkpoint=note_bytes(doubled))
    trust = honest.story.chain.trust((WITNESS, "witness.example/second"), threshold=2)
    return replace(bundle, head=head), "not_witnessed", trust


def checkpoint_of(chain: Chain) -> TrustedCheckpoint:
    """Return the checkpoint of a chain as its victim saw it: its next header."""
    seen = fork(chain)
    proved = seen.head
    seen.block()
    header = seen.log[-1].header
    return TrustedCheckpoint(
        header.height, header_hash(header), proved.history.size, proved.history.root()
    )


@cache
def short_chain() -> Chain:
    """Return a chain that has just begun."""
    chain: Any = found(Chain, check_invariants=False)
    chain.done("pia", pay(chain, 0, 1, 5))
    assert isinstance(chain, Chain)
    return chain


@attack()
def history_rewritten_with_the_real_key(honest: Told) -> Made:
    """Rewrites the past from some block on and signs it again with the node's real key."""
    chain = fork(short_chain())
    chain.done("pia", pay(chain, 0, 1, 6))
    seen = checkpoint_of(chain)
    rewritten = fork(short_chain())
    for amount in (7, 8, 9):
        rewritten.done("pia", pay(rewritten, 0, 1, amount))
    source = rewritten.source()
    raw = bundle_of(source, StateClaim(HOLDS.key(bytes(20))), extends_size=seen.history_size)
    return raw, "checkpoint_conflict", chain.trust(checkpoint=seen)


@attack()
def another_block_at_the_checkpoints_height(honest: Told) -> Made:
    """Signs a second block at the height of the checkpoint."""
    chain = fork(short_chain())
    seen = checkpoint_of(chain)
    source = fork(short_chain())
    source.head = replace(source.head, time_ms=source.head.time_ms + 1)
    bundle = bundle_of(source.source(), StateClaim(HOLDS.key(bytes(20))))
    return bundle, "checkpoint_conflict", chain.trust(checkpoint=seen)


@attack()
def history_cut_short(honest: Told) -> Made:
    """Drops the last blocks and goes on signing empty ones, past the checkpoint's height."""
    chain = fork(short_chain())
    for amount in (6, 7):
        chain.done("pia", pay(chain, 0, 1, amount))
    seen = checkpoint_of(chain)
    cut = fork(short_chain())
    for _ in range(5):
        cut.block()
    raw = bundle_of(cut.source(), StateClaim(HOLDS.key(bytes(20))))
    return raw, "checkpoint_conflict", chain.trust(checkpoint=seen)


@attack()
def bundle_from_before_the_checkpoint(honest: Told) -> Made:
    """Proves from a header that is older than the one that the victim knows."""
    chain = fork(short_chain())
    raw = bundle_of(fork(chain).source(), StateClaim(HOLDS.key(bytes(20))))
    chain.done("pia", pay(chain, 0, 1, 6))
    return raw, "checkpoint_unproven", chain.trust(checkpoint=checkpoint_of(chain))


@attack()
def extension_not_shown(honest: Told) -> Made:
    """Leaves out the proof that the history extends the victim's checkpoint."""
    seen = checkpoint_of(fork(short_chain()))
    bundle = opened(honest, "state_absent")
    trust = honest.story.chain.trust((WITNESS,), checkpoint=seen)
    return bundle, "checkpoint_unproven", trust


@attack()
def extension_of_another_history(honest: Told) -> Made:
    """States another root of the older history that it is said to extend."""
    source = fork(honest.story.chain).source()
    raw = bundle_of(source, StateClaim(HOLDS.key(bytes(20))), extends_size=5)
    bundle = decode_bundle(raw)
    assert bundle.head.consistency is not None
    older = replace(bundle.head.consistency, old_root=sha256(b"another"))
    head = replace(bundle.head, consistency=older)
    return replace(bundle, head=head), "checkpoint_conflict"


# Forks


def forked(honest: Told) -> tuple[Bundle, ForkClaim]:
    """Return the honest bundle of a fork, and its claim."""
    bundle = opened(honest, "fork")
    assert isinstance(bundle.claim, ForkClaim)
    return bundle, bundle.claim


@attack()
def fork_of_one_block(honest: Told) -> Made:
    """Accuses the validators with one block, shown twice."""
    bundle, _ = forked(honest)
    claim = ForkClaim(bundle.head.header, bundle.head.commit)
    return replace(bundle, claim=claim), "claim"


@attack()
def fork_of_two_heights(honest: Told) -> Made:
    """Accuses the validators with blocks of different heights."""
    bundle, _ = forked(honest)
    earlier = honest.story.chain.log[3]
    return replace(bundle, claim=ForkClaim(earlier.header, earlier.commit)), "claim"


@attack()
def fork_that_nobody_signed(honest: Told) -> Made:
    """Accuses the validators with a block of its own making."""
    bundle, claim = forked(honest)
    header = replace(claim.header, data_hash=sha256(b"never"))
    commit = signed_commit(bundle.chain_id, header, STRANGER, bundle.head.validators)
    return replace(bundle, claim=ForkClaim(header, commit)), "header_not_committed"
