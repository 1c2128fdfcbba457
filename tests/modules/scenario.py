"""A fixed history through all modules; run as a program it prints what the ledger came to.

Another process, with another hash seed, must print the same.
"""

import sys

from cairn.exact.features import FEATURES
from cairn.exact.rules import All, Compare, Emit, Freeze, Hold, Not
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.data.messages import GrantUse
from cairn.modules.inference.messages import RecordPrediction, Score
from cairn.modules.models.messages import RollBack
from cairn.modules.models.queries import get_deployment
from cairn.modules.rules.messages import SwitchAllRules, SwitchRule
from cairn.modules.screening.messages import RecordOutcome
from cairn.primitives.hashes import sha256, tagged_hash
from tests.modules.founding import (
    activate,
    amount_model,
    found,
    go_live,
    hold_rule,
    pay,
    promote,
    register_dataset,
    register_version,
    tree_model,
)
from tests.modules.harness import Harness

HOUR_MS = 3_600_000


def run(ledger: Harness) -> None:
    """Let everything happen once."""
    dataset = register_dataset(ledger)
    until_ms = ledger.head.time_ms + HOUR_MS
    ledger.done("dana", GrantUse(dataset, ledger.id("dirk"), "training", until_ms))
    go_live(ledger, "fraud", tree_model(10, 4))
    go_live(ledger, "size", amount_model())
    scored = (Compare("model:fraud", ">=", 600_000), Compare("model:size", ">=", 300_000), All(2))
    activate(ledger, hold_rule("both", *scored, daily_cap=5))
    velocity = (Compare("feature:payer_count_1h", "<", 4), Not())
    freeze = [Hold(HOUR_MS, "settle"), Freeze("payer", HOUR_MS), Emit("fast")]
    activate(ledger, hold_rule("fast", *velocity, actions=freeze, priority=2))
    for turn in range(12):
        payments = [
            pay(ledger, (turn + i) % 6, (turn + 2 * i + 1) % 6, 37 * (turn + i) + 11)
            for i in range(6)
            if (turn + i) % 6 != (turn + 2 * i + 1) % 6
        ]
        ledger.submit("pia", *payments, mode=INDEPENDENT)
        if turn == 4:
            ledger.submit("cora", SwitchRule("fast", False))
        if turn == 6:
            ledger.submit("rick", SwitchAllRules(False))
            ledger.submit("cora", RecordOutcome(7, "fraud"))
        if turn == 8:
            ledger.submit("rick", SwitchAllRules(True))
        ledger.block(advance_ms=20 * 60_000)
    promote(ledger, "size", register_version(ledger, amount_model(9)))
    ledger.done("pia", Score("fraud", tuple(range(len(FEATURES)))))
    ledger.done("rick", RollBack("size"))
    row = get_deployment(ledger.context(), "size")
    assert row is not None
    digest = sha256(b"input")
    ledger.done("pia", RecordPrediction("size", row.current, digest, 12, digest))


def digest_of(ledger: Harness) -> bytes:
    """Return one digest over the rows, the leaves and the application hash."""
    rows = [part for pair in sorted(ledger.state.rows.items()) for part in pair]
    leaves = [part for pair in sorted(ledger.state.leaves.items()) for part in pair]
    return tagged_hash(b"cairn/test", ledger.head.app_hash, *rows, *leaves)


if __name__ == "__main__":
    history = found(check_invariants=False)
    run(history)
    sys.stdout.write(digest_of(history).hex())
