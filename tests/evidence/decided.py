"""A history of decisions on a chain with signed headers, and a bundle for each of them."""

from dataclasses import dataclass, field
from functools import cache

from cairn.evidence.bundle import Bundle, DecisionClaim, decode_bundle
from cairn.exact.rules import Compare, Hold, Refuse
from cairn.ledger.messages import Message
from cairn.modules.bank.messages import FreezeAccount
from cairn.modules.decisions.events import Decided
from cairn.modules.decisions.messages import ReportExecution, Review
from cairn.modules.decisions.records import DECISIONS, Decision
from cairn.modules.inference.messages import Score, ScoreBatch
from cairn.sdk.prove import prove
from tests.evidence.chain import WITNESS, Chain, Source
from tests.modules.decisions.world import (
    ANSWER_MS,
    HOLD_MS,
    ask,
    ask_case,
    big_rule,
    case_rule,
)
from tests.modules.founding import (
    HOUR_MS,
    activate,
    amount_model,
    customer,
    found,
    go_live,
    hold_rule,
    linear_model,
)


@dataclass(slots=True)
class History:
    """What was decided, by the names that tests use."""

    chain: Chain
    decisions: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    def decide(self, name: str, message: Message) -> bytes:
        """Let pia ask, in a block of its own."""
        decided = self.chain.done("pia", message).event(Decided)
        self.decisions[name] = decided.decision
        self.times[name] = self.chain.head.time_ms
        return decided.decision

    def report(self, name: str, done: str, acted_ms: int = 0) -> None:
        """Let paul, the executor, say what he did; now, if no time is given."""
        at_ms = acted_ms or self.chain.head.time_ms
        message = ReportExecution(self.decisions[name], done, at_ms)  # type: ignore[arg-type]
        self.chain.done("paul", message)

    def row(self, name: str) -> Decision:
        """Return a decision as it stands."""
        row = self.chain.get(DECISIONS, self.decisions[name])
        assert row is not None
        return row


def tell(chain: Chain) -> History:
    """Let everything happen on a new chain."""
    history = History(chain)
    _models_and_rules(chain)
    history.decide("enforced", ask(chain, 0, 100))
    history.report("enforced", "executed")
    history.decide("overridden", ask(chain, 1, 950))
    history.report("overridden", "executed")
    history.decide("late", ask(chain, 2, 90))
    history.report("late", "executed", history.times["late"] - 1)
    for name in ("released", "rejected", "held"):
        history.decide(name, ask(chain, 3, 300))
    chain.done("cora", Review(history.decisions["released"], "release", "called-back"))
    history.report("released", "executed")
    chain.done("carl", Review(history.decisions["rejected"], "reject", "no-answer"))
    history.decide("case", ask_case(chain, (40, 100)))
    history.report("case", "stopped")
    history.decide("case held", ask_case(chain, (17, 5)))
    history.decide("unanswered", ask(chain, 4, 80))
    until_ms = chain.head.time_ms + 90 * HOUR_MS
    chain.done("cora", FreezeAccount(customer(5), until_ms, "suspicion"))
    history.decide("frozen", ask(chain, 5, 10))
    chain.block(advance_ms=ANSWER_MS)
    history.report("rejected", "stopped")
    chain.block(advance_ms=HOLD_MS - ANSWER_MS)
    history.decide("open", ask(chain, 0, 70))
    batch = ScoreBatch("credit", tuple((age, age % 7) for age in range(20, 60)))
    chain.submit("pia", Score("credit", (33, 1)), batch, Score("credit", (34, 1)))
    chain.submit("tom", batch)
    assert all(outcome.ok for outcome in chain.block())
    history.times["told"] = chain.head.time_ms
    return history


def _models_and_rules(chain: Chain) -> None:
    go_live(chain, "fraud", amount_model(1_000))
    go_live(chain, "credit", linear_model({"age": 10_000}, names=("age", "income")))
    scored = Compare("model:fraud", ">=", 900_000)
    activate(chain, hold_rule("scored", scored, actions=[Refuse("fraud")], priority=5))
    activate(chain, big_rule("big", above=200))
    old, young = Compare("model:credit", ">=", 300_000), Compare("input:age", "<", 18)
    activate(chain, case_rule(old, action=Refuse("too-old"), name="old"))
    activate(chain, case_rule(young, action=Hold(2 * HOLD_MS, "settle"), name="young"))


@dataclass(frozen=True, slots=True)
class Decisions:
    """The history with its proofs."""

    history: History
    source: Source
    bundles: dict[str, bytes]

    def opened(self, name: str) -> Bundle:
        """Return an honest bundle."""
        return decode_bundle(self.bundles[name])


@cache
def decisions() -> Decisions:
    """Return the history and a bundle of each decision, made once."""
    history = tell(found(Chain, check_invariants=False))  # type: ignore[arg-type]
    source = history.chain.source(witnesses=(WITNESS,))
    bundles = {name: prove(source, DecisionClaim(i)) for name, i in history.decisions.items()}
    return Decisions(history, source, bundles)
