"""Any sequence of messages of all eight modules, on replicas in processes of their own."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cairn.primitives.hashes import sha256
from tests.modules.everything import Everything
from tests.modules.replica import Replica, digest_of
from tests.modules.sequences import HOUR_MS, STEP_SIZE_BYTES, run_seed

HASH_SEEDS = (1, 4242)
SEEDS = 90
OWN = ("data", "training", "models", "inference", "screening", "rules", "decisions")


class EverythingMachine(RuleBasedStateMachine):
    """Everybody sends everything; after every block the replicas must have come to the same."""

    replicas: tuple[Replica, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.world = Everything()
        for replica in self.replicas:
            replica.begin()

    @rule(raws=st.lists(st.binary(max_size=STEP_SIZE_BYTES), max_size=5))
    def transact(self, raws: list[bytes]) -> None:
        for raw in raws:
            self.world.submit(raw)

    @rule(advance_ms=st.sampled_from((0, 1, 1_000, HOUR_MS, 30 * HOUR_MS)))
    def block(self, advance_ms: int) -> None:
        raws = list(self.world.ledger._queue)
        self.world.block(advance_ms)
        ledger = self.world.ledger
        for replica in self.replicas:
            assert replica.block(ledger.head.time_ms, raws) == digest_of(ledger)

    @rule(seed=st.integers(0, 2**20))
    def a_busy_day(self, seed: int) -> None:
        """So many blocks that something goes live and something expires."""
        for position in range(8):
            stream = b"".join(sha256(b"%d %d %d" % (seed, position, part)) for part in range(4))
            for start in range(0, len(stream), STEP_SIZE_BYTES):
                self.world.submit(stream[start : start + STEP_SIZE_BYTES])
            self.block(3 * HOUR_MS)

    @invariant()
    def nothing_overdue_is_forgotten(self) -> None:
        ledger = self.world.ledger
        due = ledger.ledger.next_due_ms(ledger.head, ledger.state)
        if due is not None and due <= ledger.head.time_ms:
            assert ledger.end_events, "a block ends something while work is due"


class TestEverything(EverythingMachine.TestCase):  # type: ignore[misc, valid-type]
    settings = settings(max_examples=25, stateful_step_count=25, deadline=None)

    @classmethod
    def setUpClass(cls) -> None:
        EverythingMachine.replicas = tuple(Replica(seed) for seed in HASH_SEEDS)

    @classmethod
    def tearDownClass(cls) -> None:
        for replica in EverythingMachine.replicas:
            replica.close()
        EverythingMachine.replicas = ()


def tag_of(message: type) -> str:
    return str(message.__struct_config__.tag)  # type: ignore[attr-defined]


def test_the_sequences_reach_every_message_of_the_six_modules() -> None:
    world = Everything(check_invariants=False)
    seen = [pair for seed in range(SEEDS) for pair in run_seed(world, seed, 10)]
    done = {tag_of(type(message)) for message, code in seen if code == "ok"}
    tags = {tag_of(message) for message in world.ledger.ledger.registry.specs}
    assert {tag for tag in tags - done if tag.split("/")[0] in OWN} == set()
    assert len(done) > 0.85 * len(tags)
    assert len({(tag_of(type(message)), code) for message, code in seen}) > 3 * len(tags)
