"""`cairn trust`: what a verifier of this ledger has to trust."""

import dataclasses
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from cairn.cli.files import write_output
from cairn.cli.session import Session, command, new_app
from cairn.evidence.trust import (
    Trust,
    TrustedCheckpoint,
    TrustedWitness,
    dump_trust,
    load_trust,
    trust_of_charter,
)
from cairn.ledger.charter import SIGNED_CHARTER_DECODER, charter_digest
from cairn.primitives.checkpoints import COSIGNATURE_V1, NoteError, parse_verifier_key
from cairn.primitives.did import did_key
from cairn.sdk.errors import UsageError
from cairn.sdk.workspace import CHARTER_FILE, Workspace

app = new_app("What a verifier of this ledger has to trust.")


@command(app, "show")
def show(
    session: Session,
    file: Annotated[Path | None, Argument(help="A trust file; else the workspace's.")] = None,
) -> None:
    """Show a trust file."""
    trust = load_trust(file) if file is not None else session.workspace.trust()
    checkpoint = trust.checkpoint
    session.out.record(
        {
            "chain_id": trust.chain_id,
            "genesis_digest": trust.genesis_digest.hex(),
            "validators": [
                f"{did_key(one.public_key)} power {one.voting_power}"
                for one in trust.validators.validators
            ],
            "trusting_period_days": trust.trusting_period_ms // 86_400_000,
            "witnesses": [f"{one.name} {did_key(one.key)}" for one in trust.witnesses],
            "witness_threshold": trust.witness_threshold,
            "checkpoint": ""
            if checkpoint is None
            else f"height {checkpoint.height}, block {checkpoint.block_hash.hex()}",
        }
    )


@command(app, "export")
def export(
    session: Session,
    output: Annotated[Path | None, Option("-o", "--output", help="A file; else stdout.")] = None,
    checkpoint: Annotated[
        bool, Option("--checkpoint", help="With the newest head, which later proofs must extend.")
    ] = False,
    witness_threshold: Annotated[
        int, Option(min=-1, help="Cosignatures without which evidence is refused.")
    ] = -1,
) -> None:
    """Write the trust file that a verifier of this ledger needs."""
    trust = _own_trust(session.workspace)
    if witness_threshold > len(trust.witnesses):
        raise UsageError(
            f"{witness_threshold} cosignatures asked for, {len(trust.witnesses)} witnesses known",
            "name them first: `cairn trust add-witness`",
        )
    if witness_threshold >= 0:
        trust = dataclasses.replace(trust, witness_threshold=witness_threshold)
    if checkpoint:
        trust = dataclasses.replace(trust, checkpoint=_newest(session))
    text = dump_trust(trust)
    if output is None:
        session.out.value(text.rstrip(), trust=text)
        return
    write_output(output, text.encode())
    session.out.talk(
        f"wrote {output}; hand it over by a way that this ledger's operator does not control"
    )


@command(app, "add-witness")
def add_witness(
    session: Session,
    verifier_key: Annotated[str, Argument(help="As `cairn witness init` printed it.")],
) -> None:
    """Name a witness in the workspace's trust file."""
    workspace = session.workspace
    witness = parse_witness(verifier_key)
    trust = workspace.trust()
    others = tuple(one for one in trust.witnesses if one.name != witness.name)
    workspace.save_trust(dataclasses.replace(trust, witnesses=(*others, witness)))
    session.out.record({"witness": witness.name, "key": did_key(witness.key)})


def parse_witness(verifier_key: str) -> TrustedWitness:
    """Return the witness that a verifier key names.

    Raises:
        UsageError: It is none of a witness.
    """
    try:
        return TrustedWitness(*parse_verifier_key(verifier_key, COSIGNATURE_V1))
    except NoteError as error:
        raise UsageError(
            f"not a witness's verifier key: {error}", "`cairn witness status` prints it"
        ) from error


def _own_trust(workspace: Workspace) -> Trust:
    """Return the workspace's trust file, made from the charter if it is missing."""
    if (workspace.directory / "trust.json").exists():
        return workspace.trust()
    charter, chain_id = workspace.charter()
    signed = SIGNED_CHARTER_DECODER.decode((workspace.directory / CHARTER_FILE).read_bytes())
    trust = trust_of_charter(charter, chain_id, charter_digest(signed.charter))
    workspace.save_trust(trust)
    return trust


def _newest(session: Session) -> TrustedCheckpoint:
    """Return the newest head, verified."""
    with session.reader() as reader:
        proofs, head = reader.newest_head()
    return TrustedCheckpoint(
        head.height + 1, head.block_hash, proofs.head.history_size, proofs.head.history_root
    )
