"""A small bank to be killed, and transactions that follow from a number.

Nothing is remembered between processes: whoever knows lane and sequence can sign the same bytes.
"""

import random

from cairn.engine.embedded import SystemClock
from cairn.ledger.charter import Charter, CharterValidator, chain_id_of, sign_charter
from cairn.ledger.messages import Message
from cairn.ledger.transactions import (
    INDEPENDENT,
    Body,
    decode_envelope,
    sign_transaction,
    transaction_id,
)
from cairn.modules.bank.messages import OpenEscrow, Transfer
from cairn.modules.bank.records import (
    BankGenesis,
    FoundingAccount,
    FoundingAsset,
    FoundingBalance,
    customer_account,
)
from cairn.modules.identity.records import (
    FoundingMember,
    FoundingOrganisation,
    FoundingPolicy,
    IdentityGenesis,
    Policy,
    member_id,
    organisation_id,
)
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from cairn.primitives.signatures import SigningKey

ASSET = "eur"
CUSTOMERS = 40
FUNDS_UNITS = 10**12
LANES = 4
"""Lanes that the clerk submits on at once."""
VALIDATOR = SigningKey.from_seed(sha256(b"crash validator"))
CLERK = SigningKey.from_seed(sha256(b"crash clerk"))
ORGANISATION = organisation_id("bank")
CLERK_ACCOUNT = member_id(ORGANISATION, "clerk")
PSEUDONYMS = [sha256(b"crash customer %d" % n)[:20] for n in range(CUSTOMERS)]
ACCOUNTS = [customer_account(CLERK_ACCOUNT, pseudonym) for pseudonym in PSEUDONYMS]
ROLES = (
    "admin",
    "agent",
    "compliance",
    "data-owner",
    "developer",
    "risk",
    "treasurer",
    "validator",
)
VALID_UNTIL = 90_000
START_MS = 1_760_000_000_000
ESCROWS_UNTIL_MS = 10_000
"""So long after the founding the last escrow falls due."""


def charter() -> Charter:
    """Return the charter: one bank, one clerk, customers with money."""
    identity = IdentityGenesis(
        (
            FoundingOrganisation(
                "bank", (), (FoundingMember("person", "clerk", ROLES, (CLERK.public_key,)),)
            ),
        ),
        tuple(
            FoundingPolicy(name, Policy(1, ("admin",), True, False))
            for name in ("governance", "models", "recovery", "rules")
        ),
    )
    bank = BankGenesis(
        (FoundingAsset(ASSET, ORGANISATION, "Euro", 2),),
        tuple(FoundingAccount(CLERK_ACCOUNT, pseudonym) for pseudonym in PSEUDONYMS),
        tuple(FoundingBalance(account, ASSET, FUNDS_UNITS) for account in ACCOUNTS),
    )
    return Charter(
        version=1,
        name="crash",
        time_ms=START_MS,
        purpose="To be killed, thousands of times.",
        validators=(CharterValidator("bank", VALIDATOR.public_key, 1),),
        trusting_period_ms=30 * 86_400_000,
        founders=(VALIDATOR.public_key,),
        parameters=(("bank.booked_at_skew_ms_max", 0),),
        sections=(("bank", encode(bank)), ("identity", encode(identity))),
    )


CHARTER_FILE = encode(sign_charter(charter(), [VALIDATOR]))
CHAIN_ID = chain_id_of(encode(charter()))


class BankClock:
    """A clock that stood at the founding when the bank was founded."""

    def __init__(self, founded_ms: int, shift_ms: int = 0) -> None:
        """Take the machine's time of the founding, and how wrong the clock goes."""
        self._machine = SystemClock()
        self._offset_ms = START_MS - founded_ms + shift_ms

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""
        return self._machine.now_ms() + self._offset_ms


def transaction(lane: int, sequence: int) -> bytes:
    """Return the clerk's transaction at a place of a lane; always the same bytes.

    Most are payments, some of them beyond the payer's means; some are escrows that fall due in the
    bank's first seconds, so that blocks end with something to do.
    """
    draw = random.Random(f"{lane} {sequence}")
    operations = tuple(_operation(draw) for _ in range(draw.choice((1, 1, 1, 2, 5))))
    body = Body(CHAIN_ID, CLERK_ACCOUNT, lane, sequence, INDEPENDENT, 0, VALID_UNTIL, operations)
    return sign_transaction(body, CLERK)


def id_of(raw: bytes) -> bytes:
    """Return the id of a signed transaction."""
    return transaction_id(decode_envelope(raw).body)


def _operation(draw: random.Random) -> Message:
    payer, payee = draw.sample(ACCOUNTS, 2)
    amount_units = draw.choice((draw.randrange(1, 10_000), 2 * FUNDS_UNITS, 7))
    booked_at_ms = START_MS + draw.randrange(10**9)
    if draw.random() < 0.1:
        deadline_ms = START_MS + draw.randrange(ESCROWS_UNTIL_MS)
        return OpenEscrow(payer, payee, ASSET, 5, booked_at_ms, deadline_ms, None)
    return Transfer(payer, payee, ASSET, amount_units, booked_at_ms, bytes(32))
