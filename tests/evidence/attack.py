"""How named attacks are registered, and what several of them start from."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from cairn.evidence.bundle import (
    Bundle,
    decode_bundle,
)
from cairn.evidence.trust import Trust
from cairn.ledger.records import SeriesHead
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from cairn.primitives.merkle import Frontier, leaf_hash
from tests.evidence.chain import WITNESS, Chain
from tests.evidence.story import Told
from tests.modules.founding import found, pay
from tests.modules.harness import key_of

OPERATOR = key_of("founder")
STRANGER = key_of("stranger")
ANN = sha256(b"account of ann")[:20]
BOB = sha256(b"account of bob")[:20]
HOME = sha256(b"account of their home")[:20]


@dataclass(frozen=True, slots=True)
class Attack:
    """A forged bundle."""

    name: str
    about: str
    bundle: bytes
    trust: Trust
    code: str
    """The refusal due, without `evidence/`."""
    replay: bool = False


Made = tuple[bytes | Bundle, str] | tuple[bytes | Bundle, str, Trust]
MAKERS: list[tuple[str, str, Callable[[Told], Made], bool]] = []


def attack(*, replay: bool = False) -> Callable[[Callable[[Told], Made]], Callable[[Told], Made]]:
    """Register a function that makes a forged bundle; its docstring says what the attacker does."""

    def register(maker: Callable[[Told], Made]) -> Callable[[Told], Made]:
        about = (maker.__doc__ or "").strip()
        MAKERS.append((maker.__name__, about, maker, replay))
        return maker

    return register


def trusting(honest: Told) -> Trust:
    """Return the victim's trust: the chain's validator and the supervisor's witness."""
    return honest.story.chain.trust((WITNESS,))


def opened(honest: Told, name: str) -> Bundle:
    """Return an honest bundle of the story."""
    return decode_bundle(honest.bundles[name])


def rowwise(honest: Told, name: str, key: bytes) -> tuple[Bundle, int]:
    """Return an honest bundle, and where it proves the row at `key`."""
    bundle = opened(honest, name)
    return bundle, [state.key for state in bundle.states].index(key)


@cache
def other_chain() -> Chain:
    """Return a ledger of other founders' parameters, which is another chain."""
    chain: Any = found(Chain, check_invariants=False, parameters={"ledger.operations_max": 99})
    chain.done("pia", pay(chain, 0, 1, 5))
    assert isinstance(chain, Chain)
    return chain


def series_of(entries: list[bytes]) -> bytes:
    """Return the head row of a series of these entries."""
    times = [msgspec.msgpack.decode(raw)[0] for raw in entries]
    frontier, _ = Frontier().extend([leaf_hash(raw) for raw in entries])
    return encode(SeriesHead(frontier.size, frontier.root(), times[-1], frontier.peaks))
