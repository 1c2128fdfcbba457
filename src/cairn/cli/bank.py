"""`cairn bank`: assets, accounts, payments, freezes and escrow."""

import secrets
from collections.abc import Sequence
from typing import Annotated

from typer import Argument, Option

from cairn.cli.session import Session, command, new_app
from cairn.ledger.records import Asserted
from cairn.modules.bank.events import AccountsOpened, EscrowOpened, HoldPlaced
from cairn.modules.bank.messages import (
    OPENED_MAX,
    CreateAsset,
    FreezeAccount,
    Issue,
    OpenAccounts,
    OpenEscrow,
    Redeem,
    RefundEscrow,
    ReleaseEscrow,
    Transfer,
    UnfreezeAccount,
)
from cairn.modules.bank.records import ACCOUNTS, ASSETS, BALANCES, ESCROWS, FREEZE_SERIES, Asset
from cairn.primitives.hashes import sha256
from cairn.primitives.ids import is_name
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.names import CUSTOMER, customer_pseudonym, find_id
from cairn.sdk.quantities import (
    format_amount,
    format_time,
    parse_amount,
    parse_hex,
    parse_until,
)
from cairn.sdk.reading import Reader

app = new_app("Assets, accounts and payments.")
asset_app = new_app("Assets: what has a value here.")
escrow_app = new_app("Escrow: value set aside until somebody says so.")
app.add_typer(asset_app, name="asset")
app.add_typer(escrow_app, name="escrow")

AssetArgument = Annotated[str, Argument(metavar="ASSET", help="Name of an asset.")]
AmountArgument = Annotated[str, Argument(metavar="AMOUNT", help="Such as 12.50.")]
AccountArgument = Annotated[
    str, Argument(metavar="ACCOUNT", help="A name, customer:NAME, or 40 hex digits.")
]
PayerArgument = Annotated[str, Argument(metavar="PAYER", help="The account that pays.")]
PayeeArgument = Annotated[str, Argument(metavar="PAYEE", help="The account that is paid.")]
ReasonOption = Annotated[str, Option(help="A word for why, such as card-stolen.")]


@command(asset_app, "create")
def create_asset(
    session: Session,
    name: AssetArgument,
    decimals: Annotated[int, Option(min=0, max=18, help="Decimal places.")] = 2,
    title: Annotated[str, Option(help="What people call it.")] = "",
) -> None:
    """Let an asset exist, issued by the organisation of whoever acts (a treasurer)."""
    with session.client() as client:
        final = session.send(client, CreateAsset(name, title or name.upper(), decimals))
    session.out.record({"asset": name, "decimals": decimals, "height": final.height})


@command(asset_app, "list")
def list_assets(session: Session) -> None:
    """List the assets and how much of each exists."""
    with session.reader() as reader:
        names = session.names(reader)
        rows = [
            {
                "asset": row.key[0].decode(),
                "title": row.record.title,
                "issuer": names.show(row.record.issuer),
                "decimals": row.record.decimals,
                "supply": format_amount(row.record.supply_units, row.record.decimals),
            }
            for row in reader.scan(ASSETS)
        ]
    session.out.rows(("asset", "title", "issuer", "decimals", "supply"), rows)


@command(app, "issue")
def issue(
    session: Session, asset: AssetArgument, account: AccountArgument, amount: AmountArgument
) -> None:
    """Make units of an asset and credit them to an account."""
    with session.client() as client:
        units = parse_amount(amount, asset_of(client, asset).decimals)
        target = session.names(client).find(account)
        session.confirm(f"issue {amount} {asset} to {account}")
        final = session.send(client, Issue(asset, target, units))
    session.out.record({"account": target, "amount": f"{amount} {asset}", "height": final.height})


@command(app, "redeem")
def redeem(
    session: Session, asset: AssetArgument, account: AccountArgument, amount: AmountArgument
) -> None:
    """Take units of an asset out of an account and out of existence."""
    with session.client() as client:
        units = parse_amount(amount, asset_of(client, asset).decimals)
        target = session.names(client).find(account)
        session.confirm(f"take {amount} {asset} out of {account} and out of existence")
        final = session.send(client, Redeem(asset, target, units))
    session.out.record({"account": target, "amount": f"{amount} {asset}", "height": final.height})


@command(app, "open")
def open_accounts(
    session: Session,
    customers: Annotated[list[str], Argument(metavar="CUSTOMER…", help="Names of customers.")],
) -> None:
    """Open accounts for customers, operated by whoever acts.

    The ledger sees a pseudonym made with the workspace's secret; the names stay in the workspace.
    """
    if len(customers) > OPENED_MAX or len(dict.fromkeys(customers)) != len(customers):
        raise UsageError(f"name each customer once, at most {OPENED_MAX} at a time")
    key = session.workspace.pseudonym_key()
    with session.client() as client:
        pseudonyms = [customer_pseudonym(key, client.chain_id, name) for name in customers]
        final = session.send(client, OpenAccounts(client.account, tuple(pseudonyms)))
        opened = dict(zip(customers, final.event(AccountsOpened).accounts, strict=True))
    session.workspace.add_customers(opened)
    rows = [{"customer": CUSTOMER + name, "account": raw.hex()} for name, raw in opened.items()]
    session.out.rows(("customer", "account"), rows)


@command(app, "transfer")
def transfer(
    session: Session,
    payer: PayerArgument,
    payee: PayeeArgument,
    amount: AmountArgument,
    asset: AssetArgument,
    reference: Annotated[str, Option(help="What it is for; only its digest is sent.")] = "",
    booked: Annotated[str, Option(help="Booking time; else now.")] = "",
    terminal: Annotated[str, Option(help="Where it was made: 40 hex digits.")] = "",
    stated: Annotated[
        list[str] | None, Option("--state", help="NAME=INTEGER, for rules; may be repeated.")
    ] = None,
) -> None:
    """Pay. A rule may hold or refuse the payment before it settles."""
    with session.client() as client:
        names = session.names(client)
        decimals = asset_of(client, asset).decimals
        now_ms = client.head().time_ms
        message = Transfer(
            payer=names.find(payer),
            payee=names.find(payee),
            asset=asset,
            amount_units=parse_amount(amount, decimals),
            booked_at_ms=parse_until(booked, now_ms) if booked else session.now_ms(),
            reference=sha256(reference.encode() if reference else secrets.token_bytes(32)),
            terminal=parse_hex(terminal, 20, "a terminal's id") if terminal else b"",
            asserted=_stated(stated or ()),
        )
        session.confirm(f"pay {amount} {asset} from {payer} to {payee}")
        final = session.send(client, message)
    hold = final.find(HoldPlaced)
    session.out.record(
        {
            "status": "settled" if hold is None else "held",
            "transaction": final.transaction_id.hex(),
            "height": final.height,
            "time": format_time(final.time_ms),
            **(
                {}
                if hold is None
                else {
                    "hold": hold.hold.hex(),
                    "rule": f"{hold.rule} version {hold.version}",
                    "score_ppm": hold.score_ppm if hold.score_ppm >= 0 else None,
                    "expires": format_time(hold.expires_at_ms),
                }
            ),
        }
    )


def _stated(texts: Sequence[str]) -> tuple[Asserted, ...]:
    """Return what the sender states about a payment, sorted by name.

    Raises:
        UsageError: A text is no name and integer, or a name stands twice.
    """
    found: dict[str, int] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not is_name(name) or name in found:
            raise UsageError(f"{text!r} states nothing new", "write each NAME=INTEGER once")
        try:
            found[name] = int(value)
        except ValueError as error:
            raise UsageError(f"{text!r} states no integer", "write NAME=INTEGER") from error
    return tuple(Asserted(name, value) for name, value in sorted(found.items()))


@command(app, "balance")
def balance(session: Session, account: AccountArgument) -> None:
    """Show what an account has, is held, and is in escrow."""
    with session.reader() as reader:
        names = session.names(reader)
        target = names.find(account)
        rows = []
        for row in reader.scan(BALANCES, target):
            asset = row.key[1].decode()
            decimals = asset_of(reader, asset).decimals
            rows.append(
                {
                    "account": names.show(target),
                    "asset": asset,
                    "available": format_amount(row.record.available, decimals),
                    "held": format_amount(row.record.held, decimals),
                    "escrowed": format_amount(row.record.escrowed, decimals),
                }
            )
        if not rows and target not in names.accounts and reader.get(ACCOUNTS, target) is None:
            raise NotFoundError(f"there is no account {account}", "open it with `cairn bank open`")
    session.out.rows(("account", "asset", "available", "held", "escrowed"), rows)


@command(app, "accounts")
def list_accounts(
    session: Session, limit: Annotated[int, Option(min=1, help="Most accounts to list.")] = 100
) -> None:
    """List accounts that hold or may hold value."""
    with session.reader() as reader:
        names = session.names(reader)
        rows = [
            {
                "account": row.key[0].hex(),
                "name": names.show(row.key[0]),
                "controller": names.show(row.record.controller),
                "frozen_until": format_time(row.record.frozen_until_ms),
            }
            for row in reader.scan(ACCOUNTS, limit=limit)
        ]
    session.out.rows(("account", "name", "controller", "frozen_until"), rows)


@command(app, "freeze")
def freeze(
    session: Session,
    account: AccountArgument,
    until: Annotated[str, Option(help="A time, or a span such as 7d.")] = "7d",
    reason: ReasonOption = "unspecified",
) -> None:
    """Let an account not pay until a time; for compliance."""
    with session.client() as client:
        target = session.names(client).find(account)
        until_ms = parse_until(until, session.now_ms())
        session.confirm(f"freeze {account} until {format_time(until_ms)}")
        session.send(client, FreezeAccount(target, until_ms, reason))
    session.out.record({"account": target.hex(), "frozen_until": format_time(until_ms)})


@command(app, "unfreeze")
def unfreeze(
    session: Session, account: AccountArgument, reason: ReasonOption = "unspecified"
) -> None:
    """Let a frozen account pay again; for compliance."""
    with session.client() as client:
        target = session.names(client).find(account)
        session.send(client, UnfreezeAccount(target, reason))
    session.out.record({"account": target.hex(), "frozen_until": ""})


@command(app, "freezes")
def list_freezes(session: Session) -> None:
    """List who was frozen and unfrozen, when, by whom and why."""
    with session.reader() as reader:
        names = session.names(reader)
        rows = [
            {
                "time": format_time(entry.time_ms),
                "account": names.show(entry.record.account),
                "action": entry.record.action,
                "until": format_time(entry.record.until_ms),
                "by": names.show(entry.record.by) if entry.record.by else entry.record.rule,
                "reason": entry.record.reason,
            }
            for entry in reader.series(FREEZE_SERIES)
        ]
    session.out.rows(("time", "account", "action", "until", "by", "reason"), rows)


@command(escrow_app, "open")
def open_escrow(
    session: Session,
    payer: PayerArgument,
    payee: PayeeArgument,
    amount: AmountArgument,
    asset: AssetArgument,
    deadline: Annotated[str, Option(help="When it goes back: a time, or a span.")] = "30d",
    arbiter: Annotated[str, Option(help="An account that may decide either way.")] = "",
) -> None:
    """Set value aside for a payee until it is released, or goes back at the deadline."""
    with session.client() as client:
        names = session.names(client)
        now_ms = session.now_ms()
        message = OpenEscrow(
            payer=names.find(payer),
            payee=names.find(payee),
            asset=asset,
            amount_units=parse_amount(amount, asset_of(client, asset).decimals),
            booked_at_ms=now_ms,
            deadline_ms=parse_until(deadline, now_ms),
            arbiter=names.find(arbiter) if arbiter else None,
        )
        session.confirm(f"set {amount} {asset} of {payer} aside for {payee}")
        final = session.send(client, message)
    opened = final.event(EscrowOpened)
    session.out.record({"escrow": opened.escrow.hex(), "deadline": format_time(opened.deadline_ms)})


EscrowArgument = Annotated[str, Argument(metavar="ESCROW", help="Its id, or its first digits.")]


@command(escrow_app, "release")
def release_escrow(session: Session, escrow: EscrowArgument) -> None:
    """Let the payee have an escrow's value."""
    with session.client() as client:
        identity = find_id(client, ESCROWS, escrow, "an escrow")
        session.confirm(f"release escrow {identity.hex()} to its payee")
        session.send(client, ReleaseEscrow(identity))
    session.out.record({"escrow": identity.hex(), "status": "released"})


@command(escrow_app, "refund")
def refund_escrow(session: Session, escrow: EscrowArgument) -> None:
    """Let the payer have an escrow's value back."""
    with session.client() as client:
        identity = find_id(client, ESCROWS, escrow, "an escrow")
        session.confirm(f"refund escrow {identity.hex()} to its payer")
        session.send(client, RefundEscrow(identity))
    session.out.record({"escrow": identity.hex(), "status": "refunded"})


@command(escrow_app, "list")
def list_escrows(
    session: Session, limit: Annotated[int, Option(min=1, help="Most to list.")] = 100
) -> None:
    """List escrows."""
    with session.reader() as reader:
        names = session.names(reader)
        rows = [
            {
                "escrow": row.key[0].hex(),
                "payer": names.show(row.record.payer),
                "payee": names.show(row.record.payee),
                "amount": amount_of(reader, row.record.amount_units, row.record.asset),
                "deadline": format_time(row.record.deadline_ms),
                "status": row.record.status,
            }
            for row in reader.scan(ESCROWS, limit=limit)
        ]
    session.out.rows(("escrow", "payer", "payee", "amount", "deadline", "status"), rows)


def asset_of(reader: Reader, name: str) -> Asset:
    """Return an asset.

    Raises:
        NotFoundError: There is none of this name.
    """
    asset = reader.get(ASSETS, name)
    if asset is None:
        raise NotFoundError(f"there is no asset {name!r}", "`cairn bank asset list` shows them")
    return asset


def amount_of(reader: Reader, units: int, asset: str) -> str:
    """Return an amount with the asset's point and name."""
    return f"{format_amount(units, asset_of(reader, asset).decimals)} {asset}"
