"""Sequences of messages of identity and the bank, made from bytes: hypothesis' or a seed's."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from cairn.ledger.hooks import AdmittedOperation, Allow, Hold, Refuse, Verdict
from cairn.ledger.messages import Message
from cairn.ledger.transactions import ATOMIC, INDEPENDENT
from cairn.modules.bank import messages as bank
from cairn.modules.bank.events import EscrowOpened, HoldPlaced
from cairn.modules.bank.records import ESCROWS, HOLDS
from cairn.modules.identity import messages as identity
from cairn.modules.identity.records import OPEN_KEYS, Policy
from cairn.primitives.hashes import Digest, sha256
from cairn.primitives.signatures import SigningKey
from tests.modules.bank.world import CUSTOMERS, PSEUDONYMS
from tests.modules.bank.world import bank as found_bank
from tests.modules.harness import PEOPLE, Harness, Outcome, key_of

T = TypeVar("T")
STEP_SIZE_BYTES = 24
"""How many bytes one transaction is made from."""

HOUR_MS = 3_600_000
PARTIES = ("pia", "paul", "cora", "berta", "alpha", *CUSTOMERS)
SENDERS = ("pia", "paul", "ann", "cora", "carl", "tom", "rick", "bob", "berta")
ADMINS = ("ann", "adam", "bob")
COMPLIANCE = ("cora", "carl", "ben")
NAMES = ("one", "two", "three")


class Choices:
    """Choices made by bytes, one after the other; when they run out the first one is taken."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._position = 0

    def number(self, bound: int) -> int:
        """Return a number from 0 to `bound` - 1, at most 256 of them."""
        if self._position >= len(self._raw):
            return 0
        self._position += 1
        return self._raw[self._position - 1] % bound

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.number(len(options))]


class World:
    """A bank with two replicas, and the things that messages can refer to."""

    def __init__(self, *, replicas: int = 2, ledger: Harness | None = None) -> None:
        self.ledger = ledger or found_bank(
            replicas=replicas,
            parameters={
                "bank.expiries_per_block_max": 3,
                "bank.hold_ms_max": 24 * HOUR_MS,
                "bank.hold_renewals_max": 1,
                "bank.booked_at_skew_ms_max": HOUR_MS,
            },
        )
        self.ledger.judge = self.judge
        self.holds = [bytes(20)]
        self.escrows = [bytes(20)]
        self.proposals: list[tuple[str, Message]] = [
            ("governance", identity.SetParameter("bank.hold_renewals_max", 1, "first"))
        ]
        self.keys: dict[bytes, SigningKey] = {
            key_of(name).public_key: key_of(name) for name in PEOPLE
        }
        self.waiting: list[tuple[Message, ...]] = []

    def judge(self, operation: AdmittedOperation) -> Verdict:
        """Return a verdict that the amount decides."""
        assert operation.movement is not None
        remainder = operation.movement.amount_units % 5
        if remainder == 0:
            return Refuse("limit", 1)
        if remainder in (1, 2):
            expires_at_ms = self.ledger.head.time_ms + operation.movement.amount_units * HOUR_MS
            return Hold("screen", 1, expires_at_ms, remainder == 1, 800_000)
        return Allow("no_rule")

    def id(self, name: str) -> bytes:
        """Return an account by name."""
        return CUSTOMERS.get(name) or self.ledger.id(name)

    def new_key(self, choices: Choices) -> bytes:
        """Return a public key, sometimes one that is taken."""
        key = key_of(f"spare-{choices.number(32)}-{choices.number(32)}")
        self.keys[key.public_key] = key
        return key.public_key

    def open_key(self, account: bytes, choices: Choices) -> bytes:
        """Return a key that speaks for an account, or some key if none does."""
        row = self.ledger.get(OPEN_KEYS, account)
        return choices.pick(row.keys) if row is not None and row.keys else self.new_key(choices)

    def propose(self, policy: str, message: Message, choices: Choices) -> Message:
        """Sometimes remember a message that needs approval, so that people approve it."""
        if not choices.number(4):
            self.proposals.append((policy, message))
        return message

    def likely_senders(self, message: Message) -> Sequence[str]:
        """Return who could send a message with success, as far as its fields say."""
        accounts: tuple[bytes, ...] = ()
        if isinstance(message, (bank.Transfer, bank.OpenEscrow)):
            accounts = (message.payer,)
        elif isinstance(message, (bank.ReleaseEscrow, bank.RefundEscrow)):
            escrow = self.ledger.get(ESCROWS, message.escrow)
            if escrow is not None:
                release = isinstance(message, bank.ReleaseEscrow)
                accounts = (escrow.payer if release else escrow.payee,)
        elif isinstance(message, bank.AppealHold):
            hold = self.ledger.get(HOLDS, message.hold)
            accounts = () if hold is None else (hold.payer, hold.payee)
        elif isinstance(message, (identity.AddKey, identity.RotateKey, identity.RevokeKey)):
            accounts = (message.account,)
        elif isinstance(message, bank.OpenAccounts):
            accounts = (message.controller,)
        elif isinstance(message, identity.Approve):
            policies = {identity.subject_of(m): policy for policy, m in self.proposals}
            governance = policies.get(Digest(message.subject)) == "governance"
            return ("ann", "adam", "rick") if governance else ("cora", "carl", "ann")
        actors = self.ledger.actors.items()
        names = [name for name, actor in actors if actor.account in accounts]
        return names or (("ann",) if accounts else ())

    def makers(self) -> "Sequence[tuple[Sequence[str], Maker]]":
        """Return who sends what; each is equally likely."""
        return MAKERS

    def submit(self, raw: bytes) -> None:
        """Make a transaction from bytes and let it wait."""
        choices = Choices(raw)
        operations = []
        sender = ""
        for _ in range(1 + choices.number(3) // 2):
            senders, make = choices.pick(self.makers())
            operations.append(make(self, choices))
            likely = self.likely_senders(operations[-1]) or senders
            sender = sender or choices.pick(likely if choices.number(8) else SENDERS)
        key = self.keys.get(self.open_key(self.ledger.id(sender), choices))
        mode = choices.pick((INDEPENDENT, ATOMIC))
        self.ledger.submit(sender, *operations, key=key, lane=choices.number(2), mode=mode)
        self.waiting.append(tuple(operations))

    def block(self, advance_ms: int) -> list[tuple[Message, str]]:
        """Execute a block; return each message that was admitted, with its code."""
        waiting, self.waiting = self.waiting, []
        outcomes: list[Outcome] = self.ledger.block(advance_ms=advance_ms)
        first, *others = self.ledger.states
        for other in others:
            assert other.rows == first.rows
            assert other.leaves == first.leaves
        seen = []
        for messages, outcome in zip(waiting, outcomes, strict=True):
            seen += list(zip(messages, outcome.codes, strict=False))
            for event in outcome.events:
                if isinstance(event, HoldPlaced):
                    self.holds.append(event.hold)
                elif isinstance(event, EscrowOpened):
                    self.escrows.append(event.escrow)
        return seen


Maker = Callable[[World, Choices], Message]


def _member(world: World, choices: Choices) -> bytes:
    return world.id(choices.pick(("pia", "paul", "tom", "berta", "beta")))


def _until(world: World, choices: Choices) -> int:
    return world.ledger.head.time_ms + choices.number(60) * HOUR_MS


def _renew(world: World, choices: Choices) -> Message:
    hold = choices.pick(world.holds[-3:])
    row = world.ledger.get(HOLDS, hold)
    expires_at_ms = 0 if row is None else row.expires_at_ms
    return bank.RenewHold(hold, expires_at_ms + choices.number(2) * HOUR_MS, "renewal")


def _carry_out(world: World, choices: Choices) -> Message:
    return choices.pick(world.proposals[-2:])[1]


def _approve(world: World, choices: Choices) -> Message:
    policy, message = choices.pick(world.proposals[-2:])
    return identity.Approve(policy, identity.subject_of(message))


def _withdraw(world: World, choices: Choices) -> Message:
    policy, message = choices.pick(world.proposals[-2:])
    return identity.WithdrawApproval(policy, identity.subject_of(message))


def _suspend(world: World, choices: Choices) -> Message:
    account = _member(world, choices)
    kind = choices.pick((identity.Reinstate, identity.Suspend))
    if account == world.id("beta"):
        return world.propose("governance", kind(account, choices.pick(NAMES)), choices)
    return kind(account, None)


def _set_parameter(world: World, choices: Choices) -> Message:
    name = choices.pick(("bank.hold_renewals_max", "ledger.operations_max", "no.such"))
    message = identity.SetParameter(name, 2 + choices.number(4), choices.pick(NAMES))
    return world.propose("governance", message, choices)


def _set_policy(world: World, choices: Choices) -> Message:
    policy = Policy(1 + choices.number(2), ("admin", "risk"), True, bool(choices.number(2)))
    message = identity.SetPolicy(choices.pick(("extra", "other")), policy, choices.pick(NAMES))
    return world.propose("governance", message, choices)


def _register_organisation(world: World, choices: Choices) -> Message:
    name = f"org-{choices.number(9)}"
    message = identity.RegisterOrganisation(name, "adele", (world.new_key(choices),), "joins")
    return world.propose("governance", message, choices)


def _recover(world: World, choices: Choices) -> Message:
    account = world.id(choices.pick(("pia", "paul", "berta")))
    message = identity.Recover(account, (world.new_key(choices),), choices.pick(NAMES))
    return world.propose("recovery", message, choices)


def _payment(world: World, choices: Choices) -> tuple[bytes, bytes, str, int, int]:
    payer, payee = (world.id(choices.pick(PARTIES)) for _ in range(2))
    asset = "eur" if choices.number(8) else "points"
    skew = (choices.number(8) - 1) // 6 * 2 * HOUR_MS
    return payer, payee, asset, 1 + choices.number(200), world.ledger.head.time_ms + skew


def _transfer(world: World, choices: Choices) -> Message:
    return bank.Transfer(*_payment(world, choices), reference=bytes(32))


def _open_escrow(world: World, choices: Choices) -> Message:
    arbiter = world.id("rick") if choices.number(2) else None
    facts = _payment(world, choices)
    return bank.OpenEscrow(*facts, deadline_ms=_until(world, choices), arbiter=arbiter)


PAYERS = ("pia", "paul", "ann", "cora")
MAKERS: list[tuple[Sequence[str], Maker]] = [
    (PAYERS, _transfer),
    (PAYERS, _transfer),
    (PAYERS, _transfer),
    (PAYERS, _transfer),
    (PAYERS, _open_escrow),
    (PAYERS, _open_escrow),
    (("pia", "rick"), lambda w, c: bank.ReleaseEscrow(c.pick(w.escrows[-3:]))),
    (("paul", "rick"), lambda w, c: bank.RefundEscrow(c.pick(w.escrows[-3:]))),
    (COMPLIANCE, lambda w, c: bank.ReleaseHold(c.pick(w.holds[-3:]), "checked")),
    (COMPLIANCE, lambda w, c: bank.ReturnHold(c.pick(w.holds[-3:]), "checked")),
    (COMPLIANCE, _renew),
    (COMPLIANCE, _renew),
    (PAYERS, lambda w, c: bank.AppealHold(c.pick(w.holds[-3:]), bytes(32))),
    (COMPLIANCE, lambda w, c: bank.UpholdHold(c.pick(w.holds[-3:]), "checked")),
    (
        COMPLIANCE,
        lambda w, c: bank.FreezeAccount(w.id(c.pick(PARTIES)), _until(w, c), "suspicion"),
    ),
    (COMPLIANCE, lambda w, c: bank.UnfreezeAccount(w.id(c.pick(PARTIES)), "error")),
    (("tom", "bea"), lambda w, c: bank.CreateAsset(c.pick(("points", "eur")), "Points", 0)),
    (
        ("tom", "bea"),
        lambda w, c: bank.Issue(c.pick(("eur", "points")), w.id(c.pick((*PARTIES, "tom"))), 100),
    ),
    (("tom",), lambda w, c: bank.Redeem("eur", w.id(c.pick(("tom", "pia"))), 1 + c.number(200))),
    (
        ("ann", "bob"),
        lambda w, c: bank.OpenAccounts(
            w.id(c.pick(("ann", "bob"))), (PSEUDONYMS["cleo"], bytes([c.number(9)]) * 20)
        ),
    ),
    (
        ADMINS,
        lambda w, c: identity.RegisterAccount("person", f"new-{c.number(99)}", (), (w.new_key(c),)),
    ),
    (ADMINS, lambda w, c: identity.GrantRole(_member(w, c), c.pick(("compliance", "risk")))),
    (ADMINS, lambda w, c: identity.RevokeRole(_member(w, c), c.pick(("compliance", "risk")))),
    (
        ("pia", "paul"),
        lambda w, c: identity.AddKey(w.id(c.pick(("pia", "paul"))), w.new_key(c)),
    ),
    (
        ("pia", "paul"),
        lambda w, c: identity.RotateKey(
            account := w.id(c.pick(("pia", "paul"))), w.open_key(account, c), w.new_key(c)
        ),
    ),
    (
        ("pia", "paul"),
        lambda w, c: identity.RevokeKey(
            account := w.id(c.pick(("pia", "paul"))), w.open_key(account, c)
        ),
    ),
    (ADMINS, _suspend),
    (
        ("pia", "ann"),
        lambda w, c: identity.Delegate(
            w.id(c.pick(("pia", "alpha", "ann"))),
            w.id(c.pick(("paul", "cora"))),
            ("bank/transfer",),
            w.ledger.head.height + c.number(20),
        ),
    ),
    (
        ("pia", "ann", "paul"),
        lambda w, c: identity.EndDelegation(
            w.id(c.pick(("pia", "alpha", "ann"))), w.id(c.pick(("paul", "cora")))
        ),
    ),
    (SENDERS, _set_policy),
    (SENDERS, _set_parameter),
    (SENDERS, _register_organisation),
    (SENDERS, _recover),
    (("ann", "adam", "rick"), _approve),
    (("ann", "rick", "cora"), _approve),
    (("cora", "carl"), _approve),
    (("adam", "carl"), _withdraw),
    (SENDERS, _carry_out),
    (SENDERS, _carry_out),
]


def run_seed(world: World, seed: int, blocks: int) -> list[tuple[Message, str]]:
    """Run blocks of up to eight transactions that follow from a seed; return what was admitted."""
    seen = []
    for position in range(blocks):
        stream = b"".join(sha256(b"%d %d %d" % (seed, position, i)) for i in range(8))
        for offset in range(1 + stream[0] % 8):
            start = offset * STEP_SIZE_BYTES
            world.submit(stream[start : start + STEP_SIZE_BYTES])
        seen += world.block((1, 1_000, HOUR_MS, 9 * HOUR_MS)[stream[1] % 4])
    return seen
