"""A bank's home ledger to measure on: founded, customers opened and funded, transfers signed."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cairn.engine.base import Outcome
from cairn.ledger.charter import Charter, CharterValidator, sign_charter
from cairn.ledger.messages import Message
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.ledger.transactions import ATOMIC, INDEPENDENT, Body, sign_transaction
from cairn.modules.bank.messages import OPENED_MAX, Issue, OpenAccounts, Transfer
from cairn.modules.bank.records import BankGenesis, FoundingAsset, customer_account
from cairn.modules.identity.records import (
    FoundingMember,
    FoundingOrganisation,
    FoundingPolicy,
    IdentityGenesis,
    Policy,
    member_id,
    organisation_id,
)
from cairn.node.node import Node, NodeOptions
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from cairn.primitives.signatures import SigningKey

ASSET = "eur"
ROLES = ("admin", "agent", "compliance", "data-owner", "developer", "risk", "treasurer")
START_MS = 1_760_000_000_000
BATCH = 200


def key_of(name: str) -> SigningKey:
    """Return the key that the benchmarks call `name`."""
    return SigningKey.from_seed(sha256(b"benchmark " + name.encode()))


VALIDATOR = key_of("validator")
CLERK = key_of("clerk")
ORGANISATION = organisation_id("bank")
CLERK_ACCOUNT = member_id(ORGANISATION, "clerk")


@dataclass
class BenchBank:
    """A running node and what is needed to pay on it."""

    node: Node
    directory: Path
    accounts: list[bytes]
    sequence: int = 0
    operations: int = 0
    """Signed so far."""

    def sign(self, *operations: Message, mode: int = INDEPENDENT) -> bytes:
        """Return the clerk's next transaction."""
        self.sequence += 1
        self.operations += len(operations)
        height = self.node.head().height + 50_000
        body = Body(
            self.node.chain_id,
            CLERK_ACCOUNT,
            0,
            self.sequence,
            mode,
            0,
            height,
            operations,
        )
        return sign_transaction(body, CLERK)

    def run(self, raws: Sequence[bytes]) -> list[Outcome]:
        """Submit and wait until all is final; `check` tells whether all went well."""
        return self.node.submit(raws, wait_ms=300_000)

    def check(self, outcomes: Sequence[Outcome]) -> None:
        """Insist that every operation took effect.

        Raises:
            RuntimeError: One was refused, so what was measured is not what it is called.
        """
        for outcome in outcomes:
            codes = [outcome.code]
            if outcome.receipt:
                receipt = RECEIPT_DECODER.decode(outcome.receipt)
                codes += [operation.code for operation in receipt.operations]
            if any(code != "ok" for code in codes):
                raise RuntimeError(f"a transaction failed: {codes[:3]}")

    def do(self, *operations: Message) -> Outcome:
        """Run one transaction of these operations."""
        outcomes = self.run([self.sign(*operations, mode=ATOMIC)])
        self.check(outcomes)
        return outcomes[0]

    def transfers(self, count: int, per_transaction: int, seed: int = 0) -> list[bytes]:
        """Return signed transactions of `count` random transfers in all."""
        draw = random.Random(seed)
        return [
            self.sign(*(self._transfer(draw) for _ in range(per_transaction)))
            for _ in range(count // per_transaction)
        ]

    def _transfer(self, draw: random.Random) -> Transfer:
        payer, payee = draw.sample(self.accounts, 2)
        booked = START_MS + self.sequence * 50
        return Transfer(payer, payee, ASSET, draw.randrange(100, 9_000), booked, bytes(32))


def charter_file(*, windows: bool = True) -> bytes:
    """Return a bank's charter with one clerk who may do everything."""
    identity = IdentityGenesis(
        (
            FoundingOrganisation(
                "bank", (), (FoundingMember("person", "clerk", ROLES, (CLERK.public_key,)),)
            ),
        ),
        tuple(
            FoundingPolicy(
                name, Policy(1, ("admin",), author_counts=True, distinct_organisations=False)
            )
            for name in ("governance", "models", "recovery", "rules")
        ),
    )
    bank = BankGenesis((FoundingAsset(ASSET, ORGANISATION, "Euro", 2),), (), ())
    charter = Charter(
        1,
        "bench",
        START_MS,
        "To be measured.",
        (CharterValidator("bank", VALIDATOR.public_key, 1),),
        30 * 86_400_000,
        (VALIDATOR.public_key,),
        (
            ("bank.booked_at_skew_ms_max", 0),
            ("screening.windows_without_rules", int(windows)),
        ),
        (("bank", encode(bank)), ("identity", encode(identity))),
    )
    return encode(sign_charter(charter, [VALIDATOR]))


@contextmanager
def running_bank(
    customers: int, *, windows: bool = True, options: NodeOptions | None = None
) -> Iterator[BenchBank]:
    """Yield a bank on a new directory, with `customers` funded accounts.

    Without `windows`, screening follows payments only once a rule acts.
    """
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as directory:
        path = Path(directory) / "node"
        with Node.create(path, charter_file(windows=windows), VALIDATOR, options) as node:
            bank = BenchBank(node, path, [])
            open_customers(bank, customers)
            yield bank


def open_customers(bank: BenchBank, customers: int) -> None:
    """Open and fund customers' accounts."""
    first = len(bank.accounts)
    names = [sha256(b"customer %d" % n)[:20] for n in range(first, first + customers)]
    for at in range(0, customers, OPENED_MAX * 40):
        raws = []
        for start in range(at, min(at + OPENED_MAX * 40, customers), OPENED_MAX):
            chunk = tuple(names[start : start + OPENED_MAX])
            raws.append(bank.sign(OpenAccounts(CLERK_ACCOUNT, chunk)))
            accounts = [customer_account(CLERK_ACCOUNT, name) for name in chunk]
            bank.accounts.extend(accounts)
            issues = [Issue(ASSET, account, 10**12) for account in accounts]
            raws.extend(
                bank.sign(*issues[part : part + BATCH]) for part in range(0, len(issues), BATCH)
            )
        bank.check(bank.run(raws))
