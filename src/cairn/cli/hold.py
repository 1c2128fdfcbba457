"""`cairn hold`: payments that a rule stopped, and what people decide about them."""

from collections.abc import Callable
from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.bank import amount_of
from cairn.cli.session import Session, command, new_app
from cairn.ledger.messages import Message
from cairn.modules.bank.messages import (
    AppealHold,
    ReleaseHold,
    RenewHold,
    ReturnHold,
    UpholdHold,
)
from cairn.modules.bank.records import (
    HOLD_ACTION_SERIES,
    HOLD_SERIES,
    HOLDS,
    OPEN_STATUSES,
    Hold,
)
from cairn.primitives.hashes import sha256
from cairn.sdk.names import Names, find_id
from cairn.sdk.quantities import format_time, parse_until
from cairn.sdk.reading import Reader

app = new_app("Payments that a rule stopped before they settled.")

Decision = Callable[[bytes], Message]
"""Makes the message about the hold of an id."""
HoldArgument = Annotated[str, Argument(metavar="HOLD", help="Its id, or its first digits.")]
ReasonOption = Annotated[str, Option(help="A word for why, such as customer-confirmed.")]


@command(app, "list")
def list_holds(
    session: Session,
    everything: Annotated[bool, Option("--all", help="Closed ones too.")] = False,
    limit: Annotated[int, Option(min=1, help="Most to list, the newest.")] = 100,
) -> None:
    """List holds, the newest last."""
    with session.reader() as reader:
        names = session.names(reader)
        rows: list[dict[str, Any]] = []
        position = reader.series_size(HOLD_SERIES)
        while position > 0 and len(rows) < limit:
            start = max(0, position - 500)
            page = list(reader.series(HOLD_SERIES, start=start, limit=position - start))
            for entry in reversed(page):
                hold = reader.require(HOLDS, entry.record.hold)
                if (everything or hold.status in OPEN_STATUSES) and len(rows) < limit:
                    rows.append(_fields(reader, names, entry.record.hold, hold))
            position = start
    session.out.rows(
        ("hold", "amount", "payer", "payee", "rule", "score_ppm", "placed", "expires", "status"),
        rows[::-1],
    )


@command(app, "show")
def show(session: Session, hold: HoldArgument) -> None:
    """Show a hold and everything that was done about it."""
    with session.reader() as reader:
        names = session.names(reader)
        identity = find_id(reader, HOLDS, hold, "a hold")
        record = reader.require(HOLDS, identity)
        actions = [
            f"{format_time(entry.time_ms)} {entry.record.action} by "
            f"{', '.join(names.show(one) for one in entry.record.by) or 'nobody'}: "
            f"{entry.record.reason or '-'}"
            for entry in reader.series(HOLD_ACTION_SERIES)
            if entry.record.hold == identity
        ]
        fields = _fields(reader, names, identity, record)
        why = _reasons(reader, record)
    renewal = record.renewal
    session.out.record(
        {
            **fields,
            "transaction": record.transaction_id.hex(),
            "operation": record.operation_index,
            "ordered_by": names.show(record.ordered_by),
            "reasons": why,
            "on_expiry": "settle" if record.settle_on_expiry else "return",
            "renewals": record.renewals,
            "renewal_proposed": ""
            if renewal is None
            else f"by {names.show(renewal.by)} until {format_time(renewal.until_ms)}",
            "actions": actions,
        }
    )


@command(app, "release")
def release(session: Session, hold: HoldArgument, reason: ReasonOption = "reviewed") -> None:
    """Let a held payment go on to its payee; for compliance."""
    _decide(session, hold, "let the payment go on to its payee", lambda i: ReleaseHold(i, reason))


@command(app, "return")
def return_(session: Session, hold: HoldArgument, reason: ReasonOption = "reviewed") -> None:
    """Let a held payment go back to its payer; for compliance."""
    _decide(session, hold, "let the payment go back to its payer", lambda i: ReturnHold(i, reason))


@command(app, "renew")
def renew(
    session: Session,
    hold: HoldArgument,
    until: Annotated[str, Option(help="A time, or a span such as 24h.")],
    reason: ReasonOption = "under-review",
) -> None:
    """Put off a hold's expiry; it happens when a second person asks for the same time."""
    until_ms = parse_until(until, session.now_ms())
    _decide(
        session,
        hold,
        f"keep the payment until {format_time(until_ms)} if a second person agrees",
        lambda identity: RenewHold(identity, until_ms, reason),
    )


@command(app, "appeal")
def appeal(
    session: Session,
    hold: HoldArgument,
    statement: Annotated[str, Option(help="What the appellant says; only its digest is sent.")],
) -> None:
    """Ask for a hold to be looked at again; for whoever operates payer or payee."""
    digest = sha256(statement.encode())
    _decide(session, hold, "appeal", lambda identity: AppealHold(identity, digest))


@command(app, "uphold")
def uphold(session: Session, hold: HoldArgument, reason: ReasonOption = "reviewed") -> None:
    """Answer an appeal: the hold stays; for compliance."""
    _decide(session, hold, "let the hold stay", lambda identity: UpholdHold(identity, reason))


def _decide(session: Session, hold: str, what: str, message: Decision) -> None:
    """Carry out a decision about one hold, and show the hold as it then is."""
    with session.client() as client:
        identity = find_id(client, HOLDS, hold, "a hold")
        names = session.names(client)
        before = client.require(HOLDS, identity)
        amount = amount_of(client, before.amount_units, before.asset)
        session.confirm(f"{what}: {amount} from {names.show(before.payer)}")
        session.send(client, message(identity))
        fields = _fields(client, names, identity, client.require(HOLDS, identity))
    session.out.record(fields)


def _reasons(reader: Reader, hold: Hold) -> list[str]:
    """Return why a payment was held, from its receipt."""
    from cairn.sdk.rules import reasons

    final = reader.outcome(hold.transaction_id)
    if final is None:
        return []
    return reasons(reader, final.operations[hold.operation_index].events, hold.asset)


def _fields(reader: Reader, names: Names, identity: bytes, hold: Hold) -> dict[str, Any]:
    return {
        "hold": identity.hex(),
        "amount": amount_of(reader, hold.amount_units, hold.asset),
        "payer": names.show(hold.payer),
        "payee": names.show(hold.payee),
        "rule": f"{hold.rule}/{hold.version}",
        "score_ppm": hold.score_ppm if hold.score_ppm >= 0 else None,
        "placed": format_time(hold.placed_ms),
        "expires": format_time(hold.expires_at_ms),
        "status": hold.status,
    }
