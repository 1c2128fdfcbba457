"""`cairn witness`: cosigns a ledger's heads only if each extends the last one it saw."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.files import read_text
from cairn.cli.session import Session, command, new_app
from cairn.primitives.checkpoints import (
    COSIGNATURE_V1,
    ED25519,
    NoteError,
    verifier_key,
)
from cairn.primitives.did import parse_did_key
from cairn.sdk.errors import UnavailableError, UsageError
from cairn.sdk.keys import INTERACTIVE, create_key_file, open_key_file, public_key_text
from cairn.sdk.workspace import Workspace, write_file

app = new_app("Cosigns a ledger's heads only if each extends the last one it saw.")

KEY_FILE = "witness.key"
SETTINGS_FILE = "witness.json"
PORT = 7470
KEY_COST = INTERACTIVE

DirectoryArgument = Annotated[Path, Argument(metavar="DIR", help="The witness's directory.")]


@command(app, "init")
def init(
    session: Session,
    directory: DirectoryArgument,
    name: Annotated[str, Option(help="Name on its cosignatures, such as witness.example.org.")],
) -> None:
    """Make a witness: a directory and a key of its own."""
    if (directory / SETTINGS_FILE).exists():
        raise UsageError(f"{directory} is a witness already", "choose a new directory")
    passphrase = session.passphrase(confirm=True)
    key = create_key_file(directory / KEY_FILE, passphrase, cost=KEY_COST)
    try:
        text = verifier_key(name, COSIGNATURE_V1, key.public_key)
    except NoteError as error:
        (directory / KEY_FILE).unlink()
        raise UsageError(str(error), "use no blank and no plus sign in the name") from error
    document = json.dumps({"name": name}) + "\n"
    write_file(directory / SETTINGS_FILE, document.encode(), mode=0o644)
    session.out.record({"name": name, "verifier_key": text, "directory": str(directory)})
    session.out.talk("ledgers' operators and verifiers need the verifier key")


@command(app, "add-log")
def add_log(
    session: Session,
    directory: DirectoryArgument,
    workspace: Annotated[
        Path | None, Option("--workspace", help="A workspace whose ledger to watch.")
    ] = None,
    log: Annotated[str, Option("--log", help="Or the log's verifier key.")] = "",
) -> None:
    """Watch a ledger, by its workspace or by its log's verifier key."""
    if (workspace is None) == (not log):
        raise UsageError("give --workspace or --log")
    text = log_key(Workspace(workspace)) if workspace is not None else log
    with _opened(session, directory) as witness:
        origin = witness.watch(text)
    session.out.record({"origin": origin, "log": text})


@command(app, "start")
def start(
    session: Session,
    directory: DirectoryArgument,
    port: Annotated[int, Option(min=0, max=65_535, help="0 takes a free one.")] = PORT,
    host: Annotated[str, Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Answer requests for cosignatures until it is told to stop."""
    from cairn.node.server import listen_on_port, serve
    from cairn.node.witness_server import witness_application
    from cairn.sdk.local import node_errors

    with node_errors(), _opened(session, directory) as witness:
        listener = listen_on_port(host, port)
        address = f"http://{host}:{listener.getsockname()[1]}"
        session.out.talk(f"{witness.name} on {address}, watching {len(witness.origins())} ledgers")
        session.out.talk(
            f'in cairn.toml of a node: [witnesses] peers = ["{address} {witness.verifier_key}"]'
        )
        try:
            serve(witness_application(witness), [listener])
        finally:
            listener.close()


@command(app, "status")
def status(session: Session, directory: DirectoryArgument) -> None:
    """Show a witness's key, and what it last cosigned of each ledger."""
    from cairn.primitives.checkpoints import bound_header, parse_checkpoint, parse_note

    with _opened(session, directory) as witness:
        rows: list[dict[str, Any]] = []
        for origin in witness.origins():
            note = witness.latest(origin)
            checkpoint = None if note is None else parse_checkpoint(parse_note(note).text)
            rows.append(
                {
                    "origin": origin,
                    "height": None if checkpoint is None else bound_header(checkpoint)[0],
                    "history_size": None if checkpoint is None else checkpoint.size,
                    "evidence_files": [str(path) for path in witness.evidence(origin)],
                }
            )
        key = witness.verifier_key
    session.out.talk(f"verifier key: {key}")
    session.out.rows(("origin", "height", "history_size", "evidence_files"), rows)


@command(app, "key")
def show_key(session: Session, directory: DirectoryArgument) -> None:
    """Show a witness's verifier key, without opening its key file."""
    public = parse_did_key(public_key_text(directory / KEY_FILE))
    text = verifier_key(_name(directory), COSIGNATURE_V1, public)
    session.out.value(text, verifier_key=text)


def log_key(workspace: Workspace) -> str:
    """Return the verifier key under which a workspace's ledger signs its checkpoints."""
    charter, chain_id = workspace.charter()
    return verifier_key(chain_id, ED25519, charter.validators[0].key)


@contextmanager
def _opened(session: Session, directory: Path) -> Iterator[Any]:
    """Yield the witness of a directory."""
    from cairn.engine.embedded import SystemClock
    from cairn.node.witness import Witness, WitnessDirectoryError

    name = _name(directory)
    key = open_key_file(directory / KEY_FILE, session.passphrase())
    try:
        witness = Witness(directory, name, key, clock=SystemClock())
    except WitnessDirectoryError as error:
        raise UnavailableError(str(error), "stop the other process, or restore it") from error
    try:
        yield witness
    except (NoteError, WitnessDirectoryError) as error:
        raise UsageError(str(error), "`cairn witness key` prints a verifier key") from error
    finally:
        witness.close()


def _name(directory: Path) -> str:
    path = directory / SETTINGS_FILE
    if not path.exists():
        raise UsageError(f"{directory} is no witness", "`cairn witness init` makes one")
    try:
        return str(json.loads(read_text(path))["name"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged", "restore it from a backup") from error
