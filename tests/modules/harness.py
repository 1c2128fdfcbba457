"""A ledger in memory for module tests: real signatures, real blocks, receipts read back.

    ledger = Harness(BANK, sections={"bank": BankGenesis(...)})
    outcome = ledger.run("tom", CreateAsset(...))        # a block of one transaction
    ledger.refused("pia", CreateAsset(...), "identity/missing_role")   # refused, nothing changed
    ledger.submit("tom", ...); ledger.submit("ann", ...); ledger.block()

People of the standard charter are named in `PEOPLE`. Unless a module judges movements, the harness
does, with `ledger.judge` (allows everything at first).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from cairn.ledger.admission import SEQUENCES
from cairn.ledger.charter import Charter, CharterValidator, chain_id_of
from cairn.ledger.context import Context
from cairn.ledger.execution import Block, BlockResult, Ledger, LedgerHead
from cairn.ledger.hooks import AdmittedOperation, Allow, Judgement, Verdict
from cairn.ledger.memory import MemoryState
from cairn.ledger.messages import Event, Message
from cairn.ledger.module import Module, Registry
from cairn.ledger.receipts import RECEIPT_DECODER, NotAdmitted, Receipt
from cairn.ledger.records import KeyPart, Table
from cairn.ledger.transactions import ATOMIC, Body, sign_transaction, signature_triple
from cairn.modules.identity.module import identity_module
from cairn.modules.identity.records import (
    FoundingMember,
    FoundingOrganisation,
    FoundingPolicy,
    IdentityGenesis,
    Policy,
    member_id,
    organisation_id,
)
from cairn.primitives.encoding import Decoder, Record, encode
from cairn.primitives.hashes import sha256
from cairn.primitives.signatures import SigningKey, verify_many

RecordT = TypeVar("RecordT", bound=Record)

START_MS = 1_700_000_000_000
"""Founding time of test ledgers."""

PEOPLE: dict[str, tuple[str, tuple[str, ...]]] = {
    "ann": ("alpha", ("admin", "agent")),
    "adam": ("alpha", ("admin",)),
    "tom": ("alpha", ("treasurer",)),
    "cora": ("alpha", ("compliance",)),
    "carl": ("alpha", ("compliance",)),
    "dana": ("alpha", ("data_owner",)),
    "dev": ("alpha", ("developer",)),
    "vera": ("alpha", ("validator",)),
    "rick": ("alpha", ("risk",)),
    "pia": ("alpha", ()),
    "paul": ("alpha", ()),
    "bob": ("beta", ("admin", "agent")),
    "bea": ("beta", ("treasurer",)),
    "ben": ("beta", ("compliance",)),
    "bill": ("beta", ("validator",)),
    "berta": ("beta", ()),
}
"""Name of each founding person: organisation and roles."""

POLICIES = {
    "governance": Policy(2, ("admin", "risk"), True, False),
    "recovery": Policy(2, ("admin", "compliance"), True, False),
    "joint": Policy(2, ("admin",), True, True),
    "model": Policy(3, ("compliance", "data_owner", "risk", "validator"), False, False),
}

_NOT_ADMITTED: Decoder[NotAdmitted] = Decoder(NotAdmitted)


def key_of(name: str) -> SigningKey:
    """Return the key that the tests call `name`, the same in every run."""
    return SigningKey.from_seed(sha256(b"test key " + name.encode()))


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who signs."""

    name: str
    account: bytes
    key: SigningKey


@dataclass(frozen=True, slots=True)
class Outcome:
    """A receipt, read."""

    code: str
    """Of the transaction, or why it was not admitted."""
    codes: tuple[str, ...]
    """Of its operations."""
    events: tuple[Event, ...]
    receipt: Receipt | None

    @property
    def ok(self) -> bool:
        """Whether every operation took effect."""
        return self.code == "ok" and all(code == "ok" for code in self.codes)

    def event(self, kind: type[RecordT]) -> RecordT:
        """Return the only event of this type."""
        found = [event for event in self.events if isinstance(event, kind)]
        assert len(found) == 1, f"{len(found)} events {kind.__name__} in {self}"
        return found[0]


class Harness:
    """One ledger, executed on one or several replicas at once."""

    def __init__(
        self,
        *modules: Module,
        sections: Mapping[str, Record] | None = None,
        parameters: Mapping[str, int] | None = None,
        replicas: int = 1,
        check_invariants: bool = True,
    ) -> None:
        """Found a ledger with identity and `modules`; `sections` are their parts of the charter."""
        self.judge: Callable[[AdmittedOperation], Verdict] = lambda _: Allow("no_rule")
        if all(module.prepare_block is None for module in modules):
            modules = (*modules, Module(name="gate", prepare_block=self._prepare))
        self.modules = (identity_module(modules), *modules)
        self.ledger = Ledger(Registry(self.modules))
        self.actors = {name: self._founder(name, home) for name, (home, _) in PEOPLE.items()}
        self.states = [MemoryState() for _ in range(replicas)]
        self.last_result: BlockResult
        self.end_events: tuple[Event, ...] = ()
        """Events of the last block's end."""
        self._check_invariants = check_invariants
        self._queue: list[bytes] = []
        self._sequences: dict[tuple[bytes, int], int] = {}
        charter = standard_charter(
            {"identity": standard_identity(), **(sections or {})}, parameters
        )
        self.charter = charter
        self.chain_id = chain_id_of(encode(charter))
        self._take([self.ledger.found(charter, self.chain_id, state) for state in self.states])

    # Acting

    def run(self, sender: str, *messages: Message, **options: Any) -> Outcome:
        """Execute a block that holds one transaction; return what became of it."""
        assert not self._queue, "transactions are waiting: call block()"
        self.submit(sender, *messages, **options)
        return self.block()[0]

    def done(self, sender: str, *messages: Message, **options: Any) -> Outcome:
        """Run a transaction that must take effect."""
        outcome = self.run(sender, *messages, **options)
        assert outcome.ok, f"{outcome.code} {outcome.codes}"
        return outcome

    def refused(self, sender: str, message: Message, code: str, **options: Any) -> None:
        """Run an operation that must be refused with `code` and change nothing but the sequence."""
        before = self.rows_but_sequences()
        outcome = self.run(sender, message, **options)
        assert outcome.codes == (code,), f"{outcome.code} {outcome.codes}, expected {code}"
        assert self.rows_but_sequences() == before

    def submit(
        self,
        sender: str,
        *messages: Message,
        key: SigningKey | None = None,
        lane: int = 0,
        mode: int = ATOMIC,
        sequence: int | None = None,
        valid_until: int | None = None,
    ) -> bytes:
        """Sign a transaction and let it wait for the next block; return its bytes."""
        actor = self.actors[sender]
        if sequence is None:
            sequence = self._sequences.get((actor.account, lane), 0) + 1
            self._sequences[actor.account, lane] = sequence
        body = Body(
            chain_id=self.chain_id,
            sender=actor.account,
            lane=lane,
            sequence=sequence,
            mode=mode,
            fee=0,
            valid_until=self.head.height + 100 if valid_until is None else valid_until,
            operations=messages,
        )
        raw = sign_transaction(body, actor.key if key is None else key)
        self._queue.append(raw)
        return raw

    def block(self, *, advance_ms: int = 1_000, time_ms: int | None = None) -> list[Outcome]:
        """Execute a block of what waits; return an outcome for each transaction."""
        raws, self._queue = self._queue, []
        height = self.head.height + 1
        results = []
        for state in self.states:
            block = Block(
                height=height,
                time_ms=self.head.time_ms + advance_ms if time_ms is None else time_ms,
                block_hash=sha256(b"block %d" % height),
                data_hash=sha256(b"".join(raws)),
                transactions=[self.ledger.decode(raw) for raw in raws],
                signatures_valid=verify_many([_triple(raw) for raw in raws]),
            )
            results.append(self.ledger.execute(self.head, state, block))
        self._take(results)
        receipts = results[0].receipts
        self.end_events = ()
        if len(receipts) > len(raws):
            self.end_events = self._outcome(receipts[-1]).events
        outcomes = [self._outcome(receipt) for receipt in receipts[: len(raws)]]
        for raw, outcome in zip(raws, outcomes, strict=True):
            if outcome.receipt is None:
                self._forget_sequence(raw)
        return outcomes

    def add_actor(self, name: str, account: bytes, key: SigningKey | None = None) -> Actor:
        """Let `name` sign for an account, with the test key of its name if no other is given."""
        actor = Actor(name, account, key_of(name) if key is None else key)
        self.actors[name] = actor
        return actor

    # Looking

    @property
    def state(self) -> MemoryState:
        """The rows of the first replica."""
        return self.states[0]

    def id(self, name: str) -> bytes:
        """Return the account of an actor or of an organisation."""
        return self.actors[name].account if name in self.actors else organisation_id(name)

    def context(self, *, time_ms: int = 0) -> Context:
        """Return a context for reading, as a block at the next height would have it."""
        return self.ledger.context(self.head, self.state, time_ms=time_ms)

    def get(self, table: Table[RecordT], *key: KeyPart) -> RecordT | None:
        """Return a row."""
        return self.context().get(table, *key)

    def rows_but_sequences(self) -> dict[bytes, bytes]:
        """Return all state rows but the senders' sequence numbers."""
        rows = self.state.rows
        return {key: row for key, row in rows.items() if not key.startswith(SEQUENCES.prefix)}

    def check_invariants(self) -> None:
        """Check every invariant in full, and the incremental ones over the last block."""
        for module in self.modules:
            for invariant in module.invariants:
                invariant.full(self.state)
                if invariant.incremental is not None:
                    invariant.incremental(self._changed(invariant.tables))

    # Inside

    def _take(self, results: Sequence[BlockResult]) -> None:
        for state, result in zip(self.states, results, strict=True):
            assert result.head == results[0].head, "the replicas differ"
            assert result.receipts == results[0].receipts
            state.apply(result.changes)
        self.head: LedgerHead = results[0].head
        self.last_result = results[0]
        if self._check_invariants:
            self.check_invariants()

    def _changed(self, tables: Sequence[Table[Any]]) -> dict[bytes, tuple[Any, Any]]:
        changed = self.last_result.changed_rows
        return {key: (old, new) for key, (table, old, new) in changed.items() if table in tables}

    def _prepare(
        self, _: Context, operations: Sequence[AdmittedOperation]
    ) -> list[Judgement | None]:
        return [None if o.movement is None else Judgement(self.judge(o)) for o in operations]

    def _founder(self, name: str, home: str) -> Actor:
        return Actor(name, member_id(organisation_id(home), name), key_of(name))

    def _outcome(self, raw: bytes) -> Outcome:
        if raw[0] & 0x0F == 1:
            return Outcome(_NOT_ADMITTED.decode(raw).code, (), (), None)
        receipt = RECEIPT_DECODER.decode(raw)
        decode = self.ledger.registry.event_decoder.decode
        events = tuple(decode(e) for operation in receipt.operations for e in operation.events)
        codes = tuple(operation.code for operation in receipt.operations)
        return Outcome(receipt.code, codes, events, receipt)

    def _forget_sequence(self, raw: bytes) -> None:
        body = self.ledger.decode(raw).body
        if body is not None:
            row = self.get(SEQUENCES, body.sender, body.lane)
            self._sequences[body.sender, body.lane] = 0 if row is None else row.last


def standard_identity() -> IdentityGenesis:
    """Return the founding of `PEOPLE` and `POLICIES`."""
    homes: dict[str, list[FoundingMember]] = {}
    for name, (home, roles) in PEOPLE.items():
        member = FoundingMember("person", name, roles, (key_of(name).public_key,))
        homes.setdefault(home, []).append(member)
    return IdentityGenesis(
        tuple(FoundingOrganisation(home, (), tuple(members)) for home, members in homes.items()),
        tuple(FoundingPolicy(name, policy) for name, policy in POLICIES.items()),
    )


def standard_charter(
    sections: Mapping[str, Record], parameters: Mapping[str, int] | None = None
) -> Charter:
    """Return a charter of one validator with the given sections."""
    founder = key_of("founder").public_key
    return Charter(
        version=1,
        name="test",
        time_ms=START_MS,
        purpose="tests",
        validators=(CharterValidator("node", founder, 1),),
        trusting_period_ms=86_400_000,
        founders=(founder,),
        parameters=tuple(sorted((parameters or {}).items())),
        sections=tuple(sorted((name, encode(section)) for name, section in sections.items())),
    )


def _triple(raw: bytes) -> tuple[bytes, bytes, bytes]:
    triple = signature_triple(raw)
    assert triple is not None
    return triple
