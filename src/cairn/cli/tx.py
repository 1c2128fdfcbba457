"""`cairn tx`: any message by its name, and what became of a transaction."""

import json
from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.session import Session, command, new_app
from cairn.evidence.catalog import decode_body
from cairn.ledger.messages import Message
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.ledger.transactions import decode_envelope, raw_hash
from cairn.modules.identity.messages import subject_of
from cairn.primitives.errors import NonCanonicalError
from cairn.sdk.errors import NotFoundError, ProtocolError, UsageError
from cairn.sdk.message_json import (
    describe_fields,
    find_message,
    from_json,
    message_types,
    to_json,
)
from cairn.sdk.names import Names
from cairn.sdk.outcomes import Final, record_outcome
from cairn.sdk.quantities import format_time, parse_hex
from cairn.sdk.reading import Reader

app = new_app("Any message by its name; what became of a transaction.")

MessageArgument = Annotated[str, Argument(metavar="MODULE/MESSAGE", help="Such as bank/transfer.")]
FieldsArgument = Annotated[
    str, Argument(metavar="JSON", help="Its fields: bytes in hex, accounts by name.")
]
TransactionArgument = Annotated[str, Argument(metavar="ID", help="64 hex digits.")]


@command(app, "messages")
def list_messages(
    session: Session,
    module: Annotated[str, Argument(help="One module, such as bank.")] = "",
) -> None:
    """List the messages that there are, with their fields."""
    rows = [
        {
            "message": tag,
            "does": (kind.__doc__ or "").partition("\n")[0],
            "fields": [f"{name}:{what}" for name, what in describe_fields(kind).items()],
        }
        for tag, kind in message_types().items()
        if tag.startswith(module)
    ]
    if session.as_json:
        session.out.rows(("message", "does"), rows)
        return
    for row in rows:
        session.out.record({"message": row["message"], "does": row["does"], **_listed(row)})


def _listed(row: dict[str, Any]) -> dict[str, str]:
    return {"fields": "\n".join(row["fields"])}


@command(app, "send")
def send(session: Session, message: MessageArgument, fields: FieldsArgument) -> None:
    """Send one message."""
    with session.client() as client:
        command_ = parse_message(message, fields, session.names(client))
        session.confirm(f"send {message} {json.dumps(to_json(command_))}")
        final = session.send(client, command_)
    session.out.record(describe_final(final))


@command(app, "subject")
def subject(session: Session, message: MessageArgument, fields: FieldsArgument) -> None:
    """Show the subject that people approve so that a message may be carried out."""
    with session.reader() as reader:
        command_ = parse_message(message, fields, session.names(reader))
    digest = subject_of(command_).hex()
    session.out.value(digest, subject=digest)


@command(app, "show")
def show(session: Session, transaction: TransactionArgument) -> None:
    """Show a transaction: who signed what, and what became of it."""
    from cairn.sdk.rules import reasons

    identity = parse_hex(transaction, 32, "a transaction's id")
    with session.reader() as reader:
        final = reader.outcome(identity)
        if final is None:
            raise NotFoundError(
                f"no block holds transaction {transaction}",
                "one that was refused on arrival is in no block",
            )
        names = session.names(reader)
        shown = {**describe_final(final), **_describe_body(reader, names, final)}
        told = [line for one in final.operations for line in reasons(reader, one.events)]
        if told:
            shown["reasons"] = told
    session.out.record(shown)


@command(app, "label")
def label(
    session: Session,
    transaction: TransactionArgument,
    outcome: Annotated[str, Argument(help="What the payment turned out to be: fraud or genuine.")],
    operation: Annotated[int, Option(help="Which of its operations the payment is.")] = 0,
) -> None:
    """Record what a payment turned out to be; features of later payments follow it."""
    identity = parse_hex(transaction, 32, "a transaction's id")
    with session.client() as client:
        session.confirm(f"record that {transaction} is {outcome}")
        final = record_outcome(client, identity, operation, outcome)
    session.out.record(describe_final(final))


def parse_message(tag: str, fields: str, names: Names) -> Message:
    """Return the message that a tag and the JSON of its fields describe.

    Raises:
        UsageError: There is no such message, or a field does not fit; the error names it.
    """
    kind = find_message(tag)
    try:
        value = json.loads(fields)
    except (ValueError, RecursionError) as error:
        hint = ", ".join(f"{name}: {what}" for name, what in describe_fields(kind).items())
        raise UsageError(f"the fields are not JSON: {error}", hint) from error
    return from_json(kind, value, names.find)


def describe_final(final: Final) -> dict[str, Any]:
    """Return a transaction's outcome as people read it."""
    return {
        "transaction": final.transaction_id.hex(),
        "code": final.code,
        "height": final.height,
        "position": final.position,
        "time": format_time(final.time_ms),
        "outcomes": [
            f"{one.code}: " + ("; ".join(json.dumps(to_json(e)) for e in one.events) or "-")
            for one in final.operations
        ],
    }


def _describe_body(reader: Reader, names: Names, final: Final) -> dict[str, Any]:
    raw = reader.connection.block(final.height).transactions[final.position]
    try:
        envelope = decode_envelope(raw)
        body = decode_body(envelope.body)
        stated = RECEIPT_DECODER.decode(final.receipt).raw_hash
    except NonCanonicalError as error:
        raise ProtocolError(f"the transaction does not parse: {error}") from error
    if raw_hash(raw) != stated:
        raise ProtocolError("the node shows another transaction than the receipt is of")
    return {
        "sender": names.show(body.sender),
        "key": to_json(envelope.key),
        "lane": body.lane,
        "sequence": body.sequence,
        "mode": "all or nothing" if body.mode == 0 else "each alone",
        "operations": [json.dumps(to_json(one)) for one in body.operations],
    }
