"""A founded bank for tests: euros of alpha, customers of ann, payments judged as one wants."""

from cairn.ledger.hooks import Allow, Hold, Refuse
from cairn.ledger.messages import Message
from cairn.ledger.module import Module
from cairn.modules.bank.events import EscrowOpened, HoldPlaced
from cairn.modules.bank.messages import OpenEscrow, Transfer
from cairn.modules.bank.module import BANK
from cairn.modules.bank.records import (
    BALANCES,
    Balance,
    BankGenesis,
    FoundingAccount,
    FoundingAsset,
    FoundingBalance,
    customer_account,
)
from cairn.modules.identity.records import member_id, organisation_id
from cairn.primitives.hashes import sha256
from tests.modules.harness import Harness

DAY_MS = 86_400_000
NOBODY = bytes(20)
FUNDED = 1_000
"""What every founding person, customer and alpha itself has."""

_ALPHA = organisation_id("alpha")
_ANN = member_id(_ALPHA, "ann")
PSEUDONYMS = {name: sha256(name.encode())[:20] for name in ("cleo", "carlo")}
CUSTOMERS = {name: customer_account(_ANN, pseudonym) for name, pseudonym in PSEUDONYMS.items()}


def bank(*modules: Module, replicas: int = 1, parameters: dict[str, int] | None = None) -> Harness:
    """Return a ledger on which `pia`, `paul`, `cora`, alpha and two customers have euros."""
    funded = [member_id(_ALPHA, name) for name in ("pia", "paul", "cora")]
    funded += [_ALPHA, *CUSTOMERS.values()]
    section = BankGenesis(
        (FoundingAsset("eur", _ALPHA, "Euro", 2), FoundingAsset("usd", _ALPHA, "Dollar", 2)),
        tuple(FoundingAccount(_ANN, pseudonym) for pseudonym in PSEUDONYMS.values()),
        tuple(FoundingBalance(account, "eur", FUNDED) for account in funded),
    )
    return Harness(
        BANK, *modules, sections={"bank": section}, replicas=replicas, parameters=parameters
    )


def account(ledger: Harness, name: str) -> bytes:
    """Return the account of a person, an organisation or a customer."""
    return CUSTOMERS.get(name) or ledger.id(name)


def pay(
    ledger: Harness, payer: str, payee: str, amount_units: int = 100, *, asset: str = "eur"
) -> Transfer:
    """Return a transfer that is booked now."""
    return Transfer(
        payer=account(ledger, payer),
        payee=account(ledger, payee),
        asset=asset,
        amount_units=amount_units,
        booked_at_ms=ledger.head.time_ms,
        reference=bytes(32),
    )


def balance(ledger: Harness, name: str, asset: str = "eur") -> tuple[int, int, int]:
    """Return what is available, held and escrowed."""
    row = ledger.get(BALANCES, account(ledger, name), asset) or Balance(0, 0, 0)
    return row.available, row.held, row.escrowed


def allow_all(ledger: Harness) -> None:
    """Let every payment settle."""
    ledger.judge = lambda _: Allow("no_rule")


def refuse_all(ledger: Harness) -> None:
    """Let every payment be refused."""
    ledger.judge = lambda _: Refuse("limit", 2)


def hold_all(ledger: Harness, *, for_ms: int = DAY_MS, settle: bool = False) -> None:
    """Let every payment be held for a time."""
    verdict = Hold("screen", 3, ledger.head.time_ms + for_ms, settle, 900_000)
    ledger.judge = lambda _: verdict


def place_hold(
    ledger: Harness,
    payer: str = "pia",
    payee: str = "berta",
    *,
    sender: str | None = None,
    for_ms: int = DAY_MS,
    settle: bool = False,
) -> bytes:
    """Let a payment of 100 be held; return the hold's id."""
    hold_all(ledger, for_ms=for_ms, settle=settle)
    outcome = ledger.done(sender or payer, pay(ledger, payer, payee))
    allow_all(ledger)
    return outcome.event(HoldPlaced).hold


def escrow(
    ledger: Harness,
    payer: str = "pia",
    payee: str = "paul",
    *,
    amount_units: int = 100,
    asset: str = "eur",
    for_ms: int = DAY_MS,
    arbiter: str | None = None,
) -> OpenEscrow:
    """Return a message that opens an escrow."""
    return OpenEscrow(
        payer=account(ledger, payer),
        payee=account(ledger, payee),
        asset=asset,
        amount_units=amount_units,
        booked_at_ms=ledger.head.time_ms,
        deadline_ms=ledger.head.time_ms + for_ms,
        arbiter=None if arbiter is None else account(ledger, arbiter),
    )


def open_escrow(ledger: Harness, sender: str = "pia", **options: str | int | None) -> bytes:
    """Open an escrow; return its id."""
    message: Message = escrow(ledger, **options)  # type: ignore[arg-type]
    return ledger.done(sender, message).event(EscrowOpened).escrow
