"""The toy ledger as several validators would run it, over memory or as processes."""

from cairn.engine.base import Outcome
from cairn.engine.comet.application import CometApplication, Proposed
from cairn.engine.comet.record import DecidedBlock, outcome_at
from cairn.engine.mempool import MempoolSettings
from cairn.ledger.changes import StateReader
from cairn.ledger.charter import Charter, CharterValidator, chain_id_of, sign_charter
from cairn.ledger.execution import BlockResult, Ledger, transaction_index_key
from cairn.ledger.memory import MemoryState
from cairn.ledger.module import Registry
from cairn.primitives.encoding import encode
from cairn.primitives.hashes import sha256
from cairn.primitives.signatures import SigningKey
from tests.engine.toy import START_MS, USER_KEYS, ManualClock, registry
from tests.engine.toy import charter as single_charter

VALIDATOR_KEYS = [SigningKey.from_seed(bytes((110 + index,)) * 32) for index in range(4)]


def charter(count: int, parameters: tuple[tuple[str, int], ...] = ()) -> Charter:
    single = single_charter(parameters=parameters)
    members = tuple(
        CharterValidator(f"v{index}", key.public_key, 10)
        for index, key in enumerate(VALIDATOR_KEYS[:count])
    )
    return Charter(
        single.version,
        single.name,
        single.time_ms,
        single.purpose,
        members,
        single.trusting_period_ms,
        single.founders,
        single.parameters,
        single.sections,
    )


def charter_file(count: int) -> bytes:
    return encode(sign_charter(charter(count), [USER_KEYS[0]]))


def toy_registry() -> Registry:
    return registry()


class MemoryKeeper:
    """Keeps decided blocks in memory."""

    def __init__(self, state: MemoryState) -> None:
        self.state = state
        self.blocks: list[DecidedBlock] = []

    def keep(self, block: DecidedBlock, result: BlockResult) -> None:
        self.blocks.append(block)
        self.state.apply(result.changes)

    def reader(self) -> StateReader:
        return self.state

    def row(self, key: bytes) -> bytes | None:
        return self.state.get(key)

    def outcome(self, transaction_id: bytes) -> Outcome | None:
        place = self.state.index(transaction_index_key(transaction_id))
        if place is None:
            return None
        height, position = int.from_bytes(place[:8], "big"), int.from_bytes(place[8:], "big")
        return outcome_at(self.blocks[height - 1], position, transaction_id)


class MemoryValidator:
    """A validator's application over memory, asked by hand."""

    def __init__(
        self,
        *,
        count: int = 1,
        mempool: MempoolSettings | None = None,
        parameters: tuple[tuple[str, int], ...] = (),
    ) -> None:
        self.charter = charter(count, parameters)
        self.chain_id = chain_id_of(encode(self.charter))
        self.clock = ManualClock()
        self.ledger = Ledger(registry())
        state = MemoryState()
        founded = self.ledger.found(self.charter, self.chain_id, state)
        state.apply(founded.changes)
        self.keeper = MemoryKeeper(state)
        self.application = CometApplication(
            self.ledger,
            self.keeper,
            founded.head,
            clock=self.clock,
            settings=mempool or MempoolSettings(),
            invariant_interval_blocks=1,
        )

    def proposed(self, *raws: bytes) -> Proposed:
        """Return the next block with these transactions, as CometBFT would hand it over."""
        height = self.application.head.height + 1
        return Proposed(
            height,
            START_MS + 1_000 * height,
            sha256(b"block %d" % height + b"".join(raws)),
            bytes(20),
            bytes(32),
            (),
            raws,
        )

    def decide(self, *raws: bytes) -> DecidedBlock:
        """Finalize and commit the next block with these transactions."""
        block = self.application.finalize(self.proposed(*raws))
        self.application.commit()
        return block

    def propose(self) -> list[bytes]:
        return self.application.propose(4 * 2**20, 0)
