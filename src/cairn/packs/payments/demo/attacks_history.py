"""The strongest attempt: the operator rewrites history and signs it with the node's real key.

A copy of the ledger is cut back to before a held payment. With the rules switched off for one
block, the payment goes through; then everything that came later is played again, as it was signed.
Nothing in the result is forged: only somebody who saw the first history can tell.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from cairn.evidence.bundle import PaymentClaim, decode_bundle
from cairn.evidence.proofs import HeadProof
from cairn.evidence.trust import Trust
from cairn.evidence.verify import Report, verify_bundle
from cairn.modules.rules.messages import SwitchAllRules
from cairn.packs.payments.demo.attacks_disk import copied, opened, truncate_log
from cairn.packs.payments.demo.attacks_evidence import verification
from cairn.packs.payments.demo.attempts import (
    ACCEPTED,
    NODE,
    VERIFIER,
    WITNESS,
    Attempt,
    attempt,
)
from cairn.packs.payments.demo.bank import RISK, DemoBank
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.stream import Held
from cairn.primitives.checkpoints import (
    Checkpoint,
    SignedNote,
    checkpoint_text,
    header_line,
    note_bytes,
    parse_checkpoint,
    parse_note,
    sign_note,
)
from cairn.primitives.light import header_hash, header_time_ms
from cairn.sdk.client import Client
from cairn.sdk.errors import RejectedError
from cairn.sdk.local import LocalConnection, remove_checkpoint
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import Wanted, prove

FREE_LANE = 15
"""A lane that nobody used: on it the insider's sequence numbers are free."""
BLOCKS_MORE_MAX = 500
_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What the rewritten history led to."""

    attempts: tuple[Attempt, ...]
    fate: str
    """What the forged evidence says of the payment."""
    sentence: str
    """What the report says where the trust file names no witness."""
    blocks: int
    """Blocks that were made anew."""


def later_transactions(bank: DemoBank, height: int) -> list[tuple[bytes, ...]]:
    """Return the signed transactions of every block from a height on that holds any."""
    head = bank.connection.head().height
    blocks = (bank.connection.block(at).transactions for at in range(height, head + 1))
    return [transactions for transactions in blocks if transactions]


def try_history(bank: DemoBank, story: Held, blocks: Sequence[tuple[bytes, ...]]) -> Rewriting:
    """Cut a copy back to before the held payment, and make another history of it.

    Args:
        bank: The bank, its node closed.
        story: The payment to let through.
        blocks: See `later_transactions`, from the payment's block on.
    """
    with copied(bank, "rewritten") as path:
        truncate_log(path, story.placed_height)
        remove_checkpoint(path)
        what = "the log truncated, its checkpoint deleted too"
        refused = attempt(what, NODE, "RolledBackError", lambda: _open_and_close(bank, path))
        with opened(bank, path, is_witnessed=False) as connection:
            seen_size, seen_height = _seen_by_witness(bank)
            begun = connection.head().height
            _rewrite(bank, connection, blocks, until=(seen_size, seen_height))
            shown = attempt(
                "history rewritten, shown to the witness",
                WITNESS,
                "witness/inconsistent",
                lambda: _show_witness(bank, connection, seen_size),
            )
            forged = prove(ConnectionSource(connection), PaymentClaim(story.transaction_id, 0))
            made = connection.head().height - begun
    what = "history rewritten and signed with the node's real key"
    caught = attempt(what, VERIFIER, "evidence/not_witnessed", verification(forged, bank.trust))
    blind, report = _verify_blindly(bank.trust, forged)
    fate = next(line for line in report.findings if line.startswith("it "))
    attempts = (refused, shown, caught, blind)
    return Rewriting(attempts, fate, report.assurance.sentence, made)


def _open_and_close(bank: DemoBank, path: Path) -> None:
    """Open a copy with the node's own software, which asks the witness first."""
    opened(bank, path, is_witnessed=True).close()


def _rewrite(
    bank: DemoBank,
    connection: LocalConnection,
    blocks: Sequence[tuple[bytes, ...]],
    *,
    until: tuple[int, int],
) -> None:
    """Let the payment's block pass without rules, and play the rest again.

    The witness holds a head of size and height `until`; the new history is made longer than that.
    """
    insider = Client(connection, bank.account(RISK), bank.keys[RISK], lanes=(FREE_LANE,))
    insider.submit(SwitchAllRules(False))
    is_on = False
    for transactions in blocks:
        connection.submit(transactions, wait_ms=20_000)
        if not is_on:
            insider.submit(SwitchAllRules(True))
            is_on = True
    for _ in range(BLOCKS_MORE_MAX):
        head = _head(connection)
        if head.history_size > until[0] and head.header.height > until[1]:
            return
        is_on = not is_on
        insider.submit(SwitchAllRules(is_on))
    raise DemoError("the rewritten history did not become as long as the first one")


def _head(connection: LocalConnection, extends_size: int | None = None) -> HeadProof:
    """Return the newest head with what its application hash opens to."""
    return (
        ConnectionSource(connection, witnessed=False).prove(Wanted(extends_size=extends_size)).head
    )


def _seen_by_witness(bank: DemoBank) -> tuple[int, int]:
    """Return the history size and the height that the witness cosigned last."""
    answer = _ask(bank, "GET", "/checkpoint", params={"origin": bank.chain_id})
    checkpoint = parse_checkpoint(parse_note(answer.content).text)
    return checkpoint.size, int(checkpoint.extensions[0].split()[1])


def _show_witness(bank: DemoBank, connection: LocalConnection, seen_size: int) -> None:
    """Ask the witness to cosign the rewritten head, with the best proof there is.

    Raises:
        RejectedError: It does not.
    """
    head = _head(connection, extends_size=seen_size)
    assert head.consistency is not None
    line = header_line(head.header.height, header_hash(head.header))
    text = checkpoint_text(Checkpoint(bank.chain_id, head.history_size, head.history_root, (line,)))
    note = SignedNote(text, (sign_note(text, bank.chain_id, bank.node_key),))
    proof = [b64encode(digest).decode() for digest in head.consistency.path]
    body = "\n".join([f"old {seen_size}", *proof, "", ""]).encode() + note_bytes(note)
    answer = _ask(bank, "POST", "/add-checkpoint", content=body)
    if answer.status_code != httpx.codes.OK:
        code, _, words = answer.text.strip().partition(": ")
        raise RejectedError(code, f"{words}; it keeps the note as evidence against the bank")


def _ask(
    bank: DemoBank,
    method: str,
    route: str,
    *,
    params: dict[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Response:
    with httpx.Client(timeout=_SECONDS_MAX, trust_env=False) as client:
        return client.request(method, bank.witness.url + route, params=params, content=content)


def _verify_blindly(trust: Trust, forged: bytes) -> tuple[Attempt, Report]:
    """Verify the forged evidence with a trust file that names no witness: it is accepted."""
    lenient = replace(trust, witnesses=(), witness_threshold=0)
    at_ms = header_time_ms(decode_bundle(forged).head.header)
    report = verify_bundle(forged, lenient, at_ms=at_ms)
    what = "the same, verified with a trust file that names no witness"
    words = f"{report.assurance.word}: {report.assurance.sentence}"
    return Attempt(what, "nobody", ACCEPTED, ACCEPTED, words), report
