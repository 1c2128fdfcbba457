"""Payments before the stream: accounts are opened and funded, and everything is replayed."""

import hmac
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.bank.messages import OPENED_MAX, Issue, OpenAccounts, Transfer
from cairn.modules.screening.events import AttemptCounted
from cairn.packs.payments.demo.bank import SERVICE, DemoBank
from cairn.packs.payments.demo.labels import LabelDesk, spans
from cairn.packs.payments.demo.printing import Printer
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.records import Payments
from cairn.sdk.outcomes import Final

OPERATIONS_PER_SIGNATURE = 100
TRANSACTIONS_AT_ONCE = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What went through the ledger before the stream."""

    accounts: int
    issued_units: int
    payments: int
    signatures: int
    seconds: float
    labels: int
    """Frauds that became known meanwhile, a week after they were booked."""


def open_and_fund(bank: DemoBank, data: DemoPayments) -> tuple[int, int]:
    """Open an account for everybody and give the payers what they will pay; return both counts.

    Nobody's money comes from other customers here, so a held payment starves nobody else's.
    """
    payments = data.payments
    names = list(dict.fromkeys((*payments.payer, *payments.payee)))
    aliases = [bank.alias(name) for name in names]
    service = bank.client(SERVICE)
    opened = [[OpenAccounts(service.account, tuple(part))] for part in _parts(aliases, OPENED_MAX)]
    _insist(service.submit_many(opened))
    bank.workspace.add_customers({name: bank.customer(name) for name in names})
    spent: dict[str, int] = {}
    for payer, amount in zip(payments.payer, payments.amount_units.tolist(), strict=True):
        spent[payer] = spent.get(payer, 0) + amount
    issues = [Issue(data.asset, bank.customer(name), units) for name, units in spent.items()]
    _insist(service.submit_many(list(_parts(issues, OPERATIONS_PER_SIGNATURE))))
    return len(names), sum(spent.values())


def replay_history(bank: DemoBank, data: DemoPayments, desk: LabelDesk, out: Printer) -> Replayed:
    """Send the payments before the stream through the ledger, a hundred to a signature.

    In between, the frauds of the training period become known, each a week after its booking.
    """
    accounts, issued = open_and_fund(bank, data)
    count = data.test_row
    transfers = transfers_of(bank, data, 0, count)
    seconds, signatures = 0.0, 0
    with out.progress("payments", count) as progress:
        for start, end in spans(data, 0, count, OPERATIONS_PER_SIGNATURE * TRANSACTIONS_AT_ONCE):
            desk.record_due(int(data.days[end - 1]))
            started = time.monotonic()
            batches = list(_parts(transfers[start:end], OPERATIONS_PER_SIGNATURE))
            finals = bank.client(SERVICE).submit_many(batches, mode=INDEPENDENT)
            seconds += time.monotonic() - started
            _insist(finals)
            signatures += len(batches)
            desk.attempts += [
                event.attempt
                for final in finals
                for event in final.events
                if isinstance(event, AttemptCounted)
            ]
            progress.reach(end)
    return Replayed(accounts, issued, count, signatures, seconds, desk.recorded)


def transfers_of(bank: DemoBank, data: DemoPayments, start: int, end: int) -> list[Transfer]:
    """Return the payments of rows [start, end) as messages."""
    payments: Payments = data.payments
    key = bank.pseudonym_key
    terminals = payments.terminal or [""] * len(payments)
    return [
        Transfer(
            bank.customer(payments.payer[row]),
            bank.customer(payments.payee[row]),
            data.asset,
            int(payments.amount_units[row]),
            int(payments.booked_at[row]),
            hmac.digest(key, b"reference " + payments.tx_id[row].encode(), "sha256"),
            bank.alias(terminals[row]) if terminals[row] else b"",
        )
        for row in range(start, end)
    ]


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _insist(finals: Sequence[Final]) -> None:
    """Check that every operation took effect.

    Raises:
        RejectedError: One did not.
    """
    for final in finals:
        final.check()
