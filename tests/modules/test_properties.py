"""Any sequence of messages keeps the laws, and every replica and process comes to the same hash."""

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cairn.ledger.messages import Message
from cairn.modules.bank.module import BANK
from cairn.modules.identity.module import identity_module
from tests.modules.sequences import HOUR_MS, STEP_SIZE_BYTES, World, run_seed

ROOT = Path(__file__).parent.parent.parent
SEED = 5
BLOCKS = 150


class BankMachine(RuleBasedStateMachine):
    """Two replicas side by side; the harness compares their hashes and checks the invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(replicas=2)

    @rule(raws=st.lists(st.binary(max_size=STEP_SIZE_BYTES), max_size=4))
    def transact(self, raws: list[bytes]) -> None:
        for raw in raws:
            self.world.submit(raw)

    @rule(advance_ms=st.sampled_from((0, 1, 1_000, HOUR_MS, 30 * HOUR_MS)))
    def block(self, advance_ms: int) -> None:
        self.world.block(advance_ms)

    @invariant()
    def nothing_overdue_is_forgotten(self) -> None:
        ledger = self.world.ledger
        due = ledger.ledger.next_due_ms(ledger.head, ledger.state)
        if due is not None and due <= ledger.head.time_ms:
            assert len(ledger.end_events) == 3, "a block ends as much as it may while work is due"


BankMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestBankMachine = BankMachine.TestCase


def tag_of(message: type[Message]) -> str:
    return str(message.__struct_config__.tag)  # type: ignore[attr-defined]


def test_the_sequences_reach_every_message_and_many_refusals() -> None:
    world = World(replicas=1)
    seen = run_seed(world, SEED, 4 * BLOCKS)
    tags = {
        tag_of(spec.message) for module in (identity_module(), BANK) for spec in module.messages
    }
    assert {tag_of(type(message)) for message, code in seen if code == "ok"} == tags
    assert len({(tag_of(type(message)), code) for message, code in seen}) > 2 * len(tags)


def fingerprint() -> str:
    """Return the heads after every block of a sequence."""
    world = World(replicas=1)
    heads = []
    for seed in range(BLOCKS // 10):
        run_seed(world, seed, 10)
        heads.append(world.ledger.head.app_hash.hex())
    return " ".join(heads)


def test_another_process_with_another_hash_seed_agrees() -> None:
    script = "from tests.modules.test_properties import fingerprint; print(fingerprint())"
    found = []
    for hash_seed in ("1", "2"):
        path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        found.append(done.stdout.strip())
    assert found[0] == found[1] == fingerprint()
    assert len(found[0].split()) == BLOCKS // 10
