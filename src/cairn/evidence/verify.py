"""Verification of a bundle against a trust file: the steps of docs/reference/evidence.md, in order.

It ends with a report, or with the named error of the first step that fails; it never returns a
boolean, and it asks no node, network or clock.
"""

from dataclasses import dataclass, field

from cairn.evidence.assurance import Assurance, judge_assurance
from cairn.evidence.bundle import ForkClaim, decode_bundle
from cairn.evidence.claims import check_claim
from cairn.evidence.errors import WrongChainError
from cairn.evidence.facts import VerifiedFacts, VerifiedHead
from cairn.evidence.keys import check_keys
from cairn.evidence.proofs import HeadProof
from cairn.evidence.steps import (
    verify_checkpoint,
    verify_extension,
    verify_facts,
    verify_fork,
    verify_head,
)
from cairn.evidence.trust import Trust


@dataclass(frozen=True, slots=True)
class Report:
    """What a verified bundle shows."""

    chain_id: str
    head: VerifiedHead
    assurance: Assurance
    claim: str
    """The claim in words."""
    findings: tuple[str, ...]
    """What the facts show, a sentence each."""
    checked: tuple[str, ...]
    """What was checked, step by step, with counts."""
    not_shown: tuple[str, ...]
    """What a reader might think was shown, and was not."""
    facts: VerifiedFacts = field(repr=False)


def verify_bundle(raw: bytes, trust: Trust, *, at_ms: int, replay: bool = False) -> Report:
    """Return what a bundle shows to whoever trusts `trust`, and nothing more.

    Args:
        raw: The bundle file's bytes.
        trust: The trust file, which came from elsewhere.
        at_ms: Time of verification, by which a header counts as expired.
        replay: Whether to compute scores and rules again.

    Raises:
        EvidenceError: The first step that fails, by its class.
    """
    bundle = decode_bundle(raw)  # step 1
    checked = [f"the file is canonical ({len(raw):,} bytes)"]
    if bundle.chain_id != trust.chain_id:  # step 2
        raise WrongChainError(f"the bundle is of {bundle.chain_id}, trusted is {trust.chain_id}")
    head = verify_head(bundle.head, trust)  # steps 3 and 4
    checked.append(f"header {head.height + 1} is signed by the trusted validators")
    assurance = judge_assurance(bundle.head, head, trust, at_ms=at_ms)  # step 5
    checked.append(assurance.sentence)
    verify_extension(bundle.head, head)  # step 6
    verify_checkpoint(bundle.head, head, trust)
    checked.extend(_extension_words(bundle.head, trust))
    if isinstance(bundle.claim, ForkClaim):
        verify_fork(bundle.claim, head, trust)
    facts = verify_facts(bundle, head)  # step 7
    checked.append(facts.sentence())
    check_keys(facts)  # step 8
    if facts.transactions:
        checked.append("each signer's key was valid at its height")
    outcome = check_claim(bundle.claim, facts, replay=replay)  # steps 9 and 10
    facts.check_all_used()  # step 11
    checked.extend(outcome.checked)
    return Report(
        trust.chain_id,
        head,
        assurance,
        outcome.claim,
        outcome.findings,
        tuple(checked),
        (*outcome.not_shown, *NOT_SHOWN),
        facts,
    )


NOT_SHOWN = (
    "whether what people signed is true: only that they signed it, and that it is unaltered",
)


def _extension_words(proof: HeadProof, trust: Trust) -> list[str]:
    """Return what was checked about older histories."""
    told = []
    if trust.checkpoint is not None:
        told.append(f"the history extends the checkpoint at height {trust.checkpoint.height}")
    older = proof.consistency
    if older is not None:
        told.append(
            f"the history extends the one of {older.old_size:,} blocks with root "
            f"{older.old_root.hex()}"
        )
    return told
