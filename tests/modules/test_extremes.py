"""Every message with extreme field values: only declared refusals come out, and the laws hold.

The values follow from the types of the fields: both ends of each bound and what lies beside them,
the shortest and the longest texts and tuples, and ids of things that exist, of the right kind and
of every other. Whoever sends them holds every role, so that handlers are reached.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import inspect

from cairn.exact.features import FEATURES
from cairn.exact.models import encode_model
from cairn.exact.rules import Compare, Emit, Freeze, Hold, Refuse, encode_rule
from cairn.ledger.errors import Rejection
from cairn.ledger.messages import Message
from cairn.ledger.transactions import ATOMIC, INDEPENDENT
from cairn.modules.bank.events import EscrowOpened, HoldPlaced
from cairn.modules.bank.messages import OpenEscrow
from cairn.modules.identity import messages as identity
from cairn.modules.models.messages import Promote, UploadChunk
from cairn.modules.models.queries import get_deployment
from cairn.modules.models.records import model_digest, promotion_subject
from cairn.modules.registry import standard_registry
from cairn.modules.training.records import Metric, SplitUse
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from tests.modules.founding import (
    CUSTOMERS,
    HOUR_MS,
    activate,
    amount_model,
    customer,
    found,
    go_live,
    hold_rule,
    pay,
    record_run,
    register_dataset,
)
from tests.modules.harness import key_of

ROLES = ("admin", "agent", "compliance", "data-owner", "developer", "risk", "treasurer")
GOVERNED = (
    identity.RegisterOrganisation,
    identity.Suspend,
    identity.Reinstate,
    identity.SetPolicy,
    identity.SetParameter,
)
INTEGERS = (-(2**63), -(2**63) + 1, -(2**53), -1, 0, 1, 2**31, 2**32, 2**53, 2**63 - 1)
TEXTS = ("", "a", "x" * 256, "é" * 256, "\U0010ffff" * 256, "\x00", "\ufeff\u202e")
NAMES = ("0", "a" * 64, "a" * 80, "a._-", "eur", "fraud", "big", "governance", "recovery", "model")
WORDS = (*NAMES, *ROLES, "training", "person", "bank/transfer", "identity/approve")
PARAMETERS = tuple(sorted(standard_registry().parameters))
MODEL = encode_model(amount_model())
RULES = (
    hold_rule("big", Compare("field:amount_units", ">", -(2**63)), actions=[Refuse("é" * 200)]),
    hold_rule(
        "big",
        Compare("feature:amount_over_payer_mean_ppm", ">=", 2**63 - 1),
        actions=[Hold(1, "settle"), Freeze("payer", 1), Freeze("payee", 90 * 86_400_000)],
    ),
    hold_rule("a" * 64, Compare("model:" + "a" * 64, "==", 0), actions=[Emit("a" * 64)]),
)
BLOBS = (MODEL, MODEL[:-1], *map(encode_rule, RULES))
KINDS = tuple(standard_registry().specs)
MODULES = ("bank", "data", "identity", "inference", "models", "rules", "screening", "training")
ADVANCES_MS = (0, 1, 1_000, HOUR_MS, 400 * 24 * HOUR_MS)
BLOCKS = 4
WORLDS = 8
SENDERS = ("pia",) * 8 + ("cora", "cora", "ann", "bob")
"""pia holds every role and controls the customers, who are payer and payee; cora may decide."""
OUTCOMES = ("ok", "ledger/undone")


class Choices:
    """Choices that follow from a text, without end."""

    def __init__(self, seed: str) -> None:
        self._numbers = _numbers(seed)

    def number(self, bound: int) -> int:
        """Return a number from 0 to `bound` - 1."""
        return next(self._numbers) % bound

    def pick(self, options: Sequence[Any]) -> Any:
        """Return one of the options."""
        return options[self.number(len(options))]


def _numbers(seed: str) -> Iterator[int]:
    position = 0
    while True:
        yield int.from_bytes(sha256(f"{seed} {position}".encode())[:4], "big")
        position += 1


class World:
    """A ledger on which everything exists, and its ids and numbers as extreme values."""

    def __init__(self) -> None:
        self.ledger = ledger = found()
        for role in ROLES:
            ledger.done("ann", identity.GrantRole(ledger.id("pia"), role))
        dataset = register_dataset(ledger)
        version = go_live(ledger, "fraud", amount_model())
        run = record_run(ledger, model_digest(MODEL), dataset)
        activate(ledger, hold_rule("big", Compare("field:amount_units", ">=", 900)))
        hold = ledger.done("pia", pay(ledger, 0, 1, 900)).event(HoldPlaced).hold
        now = ledger.head.time_ms
        escrow = OpenEscrow(
            customer(1), customer(2), "eur", 1, now, now + HOUR_MS, ledger.id("rick")
        )
        opened = ledger.done("pia", escrow).event(EscrowOpened).escrow
        self.things = (dataset, version, run, hold, opened)
        self.by_size = {
            20: (
                *self.things,
                *(ledger.id(name) for name in ("pia", "paul", "cora", "bob", "alpha", "beta")),
                *(customer(place) for place in range(CUSTOMERS)),
            ),
            32: (model_digest(MODEL), sha256(b"chunk"), *self.state_digests()),
            34: tuple(
                key_of(name).public_key for name in ("pia", "paul", "new", "newer", "newest")
            ),
        }
        self.usual: dict[str, tuple[Any, ...]] = {
            "dataset": (dataset,),
            "version": (version,),
            "run": (run,),
            "hold": (hold,),
            "escrow": (opened,),
            "payer": (customer(1), ledger.id("pia")),
            "payee": (customer(2), customer(1), ledger.id("beta")),
            "account": (customer(1), ledger.id("pia"), ledger.id("paul"), ledger.id("beta")),
            "controller": (ledger.id("pia"), ledger.id("alpha")),
            "model_digest": (model_digest(MODEL),),
            "asset": ("eur",),
            "deployment": ("fraud",),
            "rule": ("big",),
            "policy": ("model", "governance"),
            "role": ROLES,
            "booked_at_ms": (now, now + HOUR_MS),
            "until_ms": (now + 2 * HOUR_MS,),
            "deadline_ms": (now + 2 * HOUR_MS,),
            "features": tuple((n,) * len(FEATURES) for n in (0, -(2**63), 2**63 - 1)),
            "splits": (
                (SplitUse(dataset, "train", 0, 1_000),),
                (SplitUse(dataset, "a", 0, 1),) * 32,
            ),
            "metrics": ((), (Metric("a", -(2**63)), Metric("b", 2**63 - 1))),
            "keys": ((key_of("fresh").public_key,),),
        }

    def state_digests(self) -> tuple[bytes, ...]:
        """Return digests that stand in the state: transactions and what they refer to."""
        return tuple(key[1:] for key in self.ledger.state.index_rows if len(key) == 33)[:8]

    def numbers(self) -> tuple[int, ...]:
        """Return heights and times around now."""
        head = self.ledger.head
        day = 24 * HOUR_MS
        times = (0, 1, -1, HOUR_MS, -HOUR_MS, 7 * day, 8 * day, 30 * day, 366 * day)
        return (*(head.height + n for n in (0, 1, 2)), *(head.time_ms + ms for ms in times))

    def value(self, kind: inspect.Type, choices: Choices) -> Any:
        """Return an extreme value of a type, one that the decoder accepts."""
        if isinstance(kind, inspect.UnionType):
            return self.value(choices.pick(kind.types), choices)
        if isinstance(kind, inspect.StructType):
            return kind.cls(*(self.value(part.type, choices) for part in kind.fields))
        if isinstance(kind, inspect.VarTupleType):
            return self._tuple(kind, choices)
        if isinstance(kind, inspect.IntType):
            low, high = _bounds(kind)
            likely = [n for n in (*INTEGERS, *self.numbers()) if low <= n <= high]
            return choices.pick((low, low, high, high, *likely))
        if isinstance(kind, inspect.BytesType):
            low, high = kind.min_length or 0, kind.max_length or 64
            known = self.by_size.get(high, ()) if low == high else ()
            blobs = [blob for blob in BLOBS if low <= len(blob) <= high]
            return choices.pick((bytes(low), b"\xff" * high, *known, *blobs))
        if isinstance(kind, inspect.StrType):
            return choices.pick(_texts(kind.min_length, kind.max_length, kind.pattern))
        if isinstance(kind, inspect.LiteralType):
            return choices.pick(kind.values)
        assert isinstance(kind, inspect.BoolType | inspect.NoneType), kind
        return None if isinstance(kind, inspect.NoneType) else bool(choices.number(2))

    def _tuple(self, kind: inspect.VarTupleType, choices: Choices) -> tuple[Any, ...]:
        low, high = kind.min_length or 0, min(kind.max_length or 32, 1_024)
        count = choices.pick((low, max(low, 1), max(low, min(2, high)), high))
        values = [self.value(kind.item_type, choices) for _ in range(count)]
        if choices.number(4) and not isinstance(kind.item_type, inspect.StructType):
            values = sorted(dict.fromkeys(values))
        return tuple(values)

    def message(self, kind: type[Message], choices: Choices) -> Message:
        """Return a message of extreme values, some of its fields in order."""
        if kind is UploadChunk and choices.number(2):
            return UploadChunk(model_digest(MODEL[:-1]), 0, 1, MODEL[:-1])
        described = inspect.type_info(kind)
        assert isinstance(described, inspect.StructType)
        if kind is identity.SetParameter and choices.number(4):
            declared = self.ledger.ledger.registry.parameters[choices.pick(PARAMETERS)]
            value = choices.pick((declared.minimum, declared.default, declared.maximum))
            return identity.SetParameter(declared.name, value, choices.pick(NAMES[:2]))
        values = []
        for part in described.fields:
            usual = self.usual.get(part.name, ())
            is_usual = choices.number(4) and _takes(part.type, usual)
            values.append(choices.pick(usual) if is_usual else self.value(part.type, choices))
        return kind(*values)

    def approve(self, message: Message) -> int:
        """Let people approve what needs approval; return how many transactions that took."""
        if isinstance(message, GOVERNED):
            return self._approve("governance", identity.subject_of(message), ("ann", "adam"))
        if isinstance(message, identity.Recover):
            return self._approve("recovery", identity.subject_of(message), ("ann", "carl"))
        row = None
        if isinstance(message, Promote):
            row = get_deployment(self.ledger.context(), message.deployment)
        if row is None or not isinstance(message, Promote):
            return 0
        subject = promotion_subject(message.deployment, message.version, row.change_count)
        return self._approve(row.policy, subject, ("cora", "rick", "vera"))

    def _approve(self, policy: str, subject: bytes, people: Sequence[str]) -> int:
        for name in people:
            self.ledger.submit(name, identity.Approve(policy, subject))
        return len(people)


def _bounds(kind: inspect.IntType) -> tuple[int, int]:
    low = kind.ge if kind.ge is not None else -(2**63) if kind.gt is None else kind.gt + 1
    high = kind.le if kind.le is not None else 2**63 - 1 if kind.lt is None else kind.lt - 1
    return int(low), int(high)


def _takes(kind: inspect.Type, usual: tuple[Any, ...]) -> bool:
    wanted = {
        bytes: inspect.BytesType,
        int: inspect.IntType,
        str: inspect.StrType,
        tuple: inspect.VarTupleType,
    }
    if not usual or not isinstance(kind, wanted[type(usual[0])]):
        return False
    if isinstance(kind, inspect.VarTupleType) and isinstance(kind.item_type, inspect.StructType):
        return all(isinstance(item, kind.item_type.cls) for value in usual for item in value)
    return True


def _texts(low: int | None, high: int | None, pattern: str | None) -> list[str]:
    """Return the texts that a field of this type takes."""
    kind = Annotated[str, msgspec.Meta(min_length=low, max_length=high, pattern=pattern)]
    decoder = msgspec.msgpack.Decoder(kind)
    accepted = []
    for text in dict.fromkeys((*TEXTS, *WORDS, *PARAMETERS)):
        try:
            accepted.append(decoder.decode(msgspec.msgpack.encode(text)))
        except msgspec.ValidationError:
            continue
    return accepted


def tag_of(message: object) -> str:
    """Return the tag of a message or of its type."""
    return str(message.__struct_config__.tag)  # type: ignore[attr-defined]


def declared_codes(root: type[Rejection] = Rejection) -> list[str]:
    """Return the codes of every refusal that is declared."""
    below = [code for kind in root.__subclasses__() for code in declared_codes(kind)]
    return [*([root.code] if hasattr(root, "code") else []), *below]


def drive(world: World, kinds: Sequence[type[Message]], choices: Choices) -> list[tuple[str, str]]:
    """Send messages of these kinds, many to a block; return each tag with its outcome."""
    seen: list[tuple[str, str]] = []
    ledger = world.ledger
    for _ in range(BLOCKS):
        sent: list[tuple[int, tuple[Message, ...]]] = []
        approvals = 0
        for kind in kinds:
            messages = tuple(world.message(kind, choices) for _ in range(1 + choices.number(3)))
            if sum(len(encode(message)) for message in messages) > 60_000:
                continue
            for message in messages:
                approvals += world.approve(message)
            sent.append((approvals + len(sent), messages))
            mode = choices.pick((INDEPENDENT, INDEPENDENT, ATOMIC))
            ledger.submit(choices.pick(SENDERS), *messages, mode=mode, lane=len(sent) % 16)
        outcomes = ledger.block(advance_ms=choices.pick(ADVANCES_MS))
        for place, messages in sent:
            codes = outcomes[place].codes or (outcomes[place].code,) * len(messages)
            seen += zip(map(tag_of, messages), codes, strict=True)
    return seen


@pytest.mark.parametrize("module", MODULES)
def test_extreme_fields_are_refused_or_taken_and_never_a_fault(module: str) -> None:
    kinds = [kind for kind in KINDS if tag_of(kind).startswith(module + "/")]
    seen: list[tuple[str, str]] = []
    for number in range(WORLDS):
        seen += drive(World(), kinds, Choices(f"{module} {number}"))
    assert {code for _, code in seen} <= {*OUTCOMES, *declared_codes()}
    assert "ledger/malformed_transaction" not in {code for _, code in seen}
    for kind in kinds:
        tag = tag_of(kind)
        reached = {code for sent, code in seen if sent == tag and not code.startswith("ledger/")}
        assert reached - {"identity/missing_role"}, f"{tag} never got past the first check"


def test_extremes_of_all_modules_in_the_same_blocks() -> None:
    for number in range(2 * WORLDS):
        choices = Choices(f"all {number}")
        drive(World(), [choices.pick(KINDS) for _ in range(14)], choices)
