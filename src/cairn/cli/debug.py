"""`cairn debug`: looks for damage, and does the past again."""

from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.session import Session, command, new_app
from cairn.evidence.catalog import decode_event
from cairn.primitives.encoding import Decoder, NonCanonicalError
from cairn.primitives.hashes import sha256
from cairn.primitives.light import Header, header_hash, header_time_ms
from cairn.sdk.errors import NodeFaultError, ProtocolError, UsageError
from cairn.sdk.message_json import tag_of, to_json
from cairn.sdk.quantities import format_time

app = new_app("Looks for damage, and does the past again.")

_headers: Decoder[Header] = Decoder(Header)


@command(app, "check")
def check(session: Session) -> None:
    """Check every invariant over all rows, and the state root; the node may not run."""
    from cairn.sdk.local import LocalConnection

    with session.connection() as connection:
        if not isinstance(connection, LocalConnection):
            raise UsageError("the node runs", "stop it first: `cairn node stop`")
        names = connection.check()
        head = connection.head()
    session.out.record({"height": head.height, "checked": names, "result": "all hold"})


@command(app, "fsck")
def fsck(session: Session) -> None:
    """Read all that lies on the disk and say what is damaged; changes nothing."""
    from cairn.sdk.local import check_disk

    report = check_disk(session.workspace.directory)
    session.out.record(
        {
            "blocks": report.blocks,
            "checkpoint_height": report.checkpoint_height,
            "rows": report.rows,
            "leaves": report.leaves,
            "notes": report.notes,
            "damage": report.damage,
        }
    )
    if report.damage:
        raise NodeFaultError(
            f"{len(report.damage)} damaged: {report.damage[0]}",
            "a damaged checkpoint is made anew by `cairn debug rebuild`; a damaged log is restored "
            "from a backup",
        )


@command(app, "replay")
def replay(session: Session) -> None:
    """Execute the whole log from the charter on and compare every root, receipt and signature."""
    from cairn.sdk.local import replay_log

    report = replay_log(session.workspace.directory)
    session.out.record(
        {
            "height": report.height,
            "transactions": report.transactions,
            "operations": report.operations,
            "state_root": report.state_root.hex(),
            "app_hash": report.app_hash.hex(),
            "result": "every root is the recorded one",
        }
    )


@command(app, "rebuild")
def rebuild(session: Session) -> None:
    """Throw the checkpoint away and make it anew from the block log."""
    from cairn.sdk.local import remove_checkpoint

    session.confirm("remove the checkpoint and make it anew from the block log")
    remove_checkpoint(session.workspace.directory)
    with session.connection() as connection:
        height = connection.head().height
    session.out.record({"height": height, "result": "the checkpoint is made anew"})


@command(app, "block")
def block(session: Session, height: Annotated[int, Argument(min=1, help="Its height.")]) -> None:
    """Show a block: its header and its transactions."""
    with session.connection() as connection:
        info = connection.block(height)
    try:
        header = _headers.decode(info.header)
    except NonCanonicalError as error:
        raise ProtocolError(f"the header does not parse: {error}") from error
    session.out.record(
        {
            "height": header.height,
            "time": format_time(header_time_ms(header)),
            "hash": header_hash(header).hex(),
            "app_hash_before": header.app_hash.hex(),
            "data_hash": header.data_hash.hex(),
            "transactions": [f"{sha256(raw).hex()} {len(raw)} bytes" for raw in info.transactions],
            "receipts": len(info.receipts),
        }
    )


@command(app, "events")
def events(
    session: Session,
    from_height: Annotated[int, Option(min=1, help="First block.")] = 1,
    limit: Annotated[int, Option(min=1, max=1000, help="Most events, whole blocks.")] = 100,
) -> None:
    """List events of blocks from a height on."""
    with session.connection() as connection:
        page = connection.events(from_height, limit=limit, wait_ms=0)
    rows: list[dict[str, Any]] = []
    for item in page.events:
        try:
            event = decode_event(item.event)
        except NonCanonicalError as error:
            raise ProtocolError(f"an event does not parse: {error}") from error
        fields = to_json(event)
        fields.pop("type")
        rows.append(
            {
                "height": item.height,
                "time": format_time(item.time_ms),
                "position": item.position,
                "event": tag_of(type(event)),
                "transaction": item.transaction_id.hex(),
                "fields": fields,
            }
        )
    session.out.rows(("height", "time", "event", "fields"), rows)
    session.out.talk(f"next height {page.next_height}")
