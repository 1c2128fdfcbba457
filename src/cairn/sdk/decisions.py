"""Decisions asked before somebody acts: a verdict with its reasons, and what the executor did.

decision = client.decide_payment(payment, executor=rail)
if decision.is_allowed:
    …  # let the rail pay
    client.report_execution(decision, "executed")
"""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cairn.evidence.reasons import condition_words, contribution_words
from cairn.evidence.trust import Trust
from cairn.evidence.words import share_words
from cairn.exact import rules as exact
from cairn.ledger.messages import Event
from cairn.ledger.records import Asserted, KeyPart, Table
from cairn.modules.decisions.events import Decided, ExecutionReported
from cairn.modules.decisions.messages import (
    DecideCase,
    DecidePayment,
    ReportExecution,
    Review,
)
from cairn.modules.decisions.records import ALLOW, DECISIONS, HOLD
from cairn.modules.decisions.records import Decision as DecisionRow
from cairn.modules.inference.events import Explained
from cairn.modules.rules.events import CapReached, PayerFrozen, RuleFired
from cairn.modules.rules.records import RULES
from cairn.node.api import Connection
from cairn.primitives.encoding import encode
from cairn.sdk.outcomes import Final
from cairn.sdk.predictions import (
    BATCH_SIZE_BYTES_MAX,
    LiveSchema,
    Row,
    input_row,
    live_schema,
)
from cairn.sdk.quantities import format_time
from cairn.sdk.reading import Reader, RecordT

if TYPE_CHECKING:
    from cairn.sdk.client import Client


CASES_AT_ONCE = 100
"""Most cases that share a transaction."""
CASE_STEPS_MAX = 4_000_000
"""Most comparisons or products that scoring the cases of a transaction takes."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the ledger answered, and the receipt that says so."""

    id: bytes
    verdict: str
    """`allow`, `hold` or `refuse`."""
    basis: str
    """`rule`, `screened`, `no_rule` or `frozen`."""
    rule: str
    version: int
    score_ppm: int
    """-1 where no score was looked at."""
    expires_at_ms: int
    """When a hold ends by itself; 0 where nothing is held."""
    allow_on_expiry: bool
    due_ms: int
    """By when the executor has to say what it did."""
    reasons: tuple[str, ...]
    """Why, in words, the weightiest first."""
    final: Final
    """The transaction in which it was made, with its receipt."""

    @property
    def is_allowed(self) -> bool:
        """Whether the executor may act."""
        return self.verdict == ALLOW

    @property
    def is_held(self) -> bool:
        """Whether a person decides, or the expiry does."""
        return self.verdict == HOLD

    def __str__(self) -> str:
        """Return the verdict with its reasons."""
        return "\n".join((f"{self.verdict}: decision {self.id.hex()}", *self.reasons))

    def _repr_html_(self) -> str:
        """Return the same for a notebook."""
        from html import escape

        lines = "".join(f"<li>{escape(reason)}</li>" for reason in self.reasons)
        return f"<b>{escape(self.verdict)}</b> <code>{self.id.hex()}</code><ul>{lines}</ul>"


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that would settle on another rail."""

    payer: bytes
    payee: bytes
    asset: str
    amount_units: int
    booked_at_ms: int = 0
    """When it was booked; 0 is now."""
    terminal: bytes = b""
    asserted: Mapping[str, int] | None = None
    """What the sender states about it, for rules."""
    reference: bytes = bytes(32)


def decide_payment(client: "Client", payment: Payment, executor: bytes) -> Decision:
    """Ask whether a payment may settle, and wait for the answer."""
    stated = tuple(Asserted(n, v) for n, v in sorted((payment.asserted or {}).items()))
    message = DecidePayment(
        payer=payment.payer,
        payee=payment.payee,
        asset=payment.asset,
        amount_units=payment.amount_units,
        booked_at_ms=payment.booked_at_ms or now_ms(),
        executor=executor,
        reference=payment.reference,
        terminal=payment.terminal,
        asserted=stated,
    )
    return opened(client, client.submit(message))


def decide_case(
    client: "Client",
    deployment: str,
    case: Mapping[str, Any] | Sequence[Any],
    executor: bytes,
    reference: bytes = bytes(32),
) -> Decision:
    """Ask for a decision on a case, and wait for the answer."""
    row = input_row(live_schema(client, deployment).features, case)
    return opened(client, client.submit(DecideCase(deployment, row, executor, reference)))


def decide_cases(
    client: "Client", deployment: str, cases: Sequence[Row], executor: bytes
) -> list[Decision]:
    """Ask for decisions on many cases; all are checked before any is sent.

    A table, of pandas or Arrow, may have other columns too.

    Each has an operation and a random reference of its own; a transaction holds many.

    Raises:
        NotFoundError: There is no such deployment, or nothing is live in it.
        UsageError: A case does not fit the model; it names row and column, and nothing was sent.
        RejectedError: The ledger refused.
    """
    schema = live_schema(client, deployment)
    if hasattr(cases, "columns"):
        from cairn.learning.conversion.rows import encode_rows

        encoded = encode_rows(schema.features, cases)
        return decide_inputs(client, schema, [tuple(row) for row in encoded.tolist()], executor)
    inputs = [
        input_row(schema.features, case, where=f"row {number}, ")
        for number, case in enumerate(cases, 1)
    ]
    return decide_inputs(client, schema, inputs, executor)


def decide_inputs(
    client: "Client",
    schema: LiveSchema,
    inputs: Sequence[tuple[int, ...]],
    executor: bytes,
) -> list[Decision]:
    """Ask for decisions on cases that are in the model's integers already."""
    if not inputs:
        return []
    messages = [
        DecideCase(schema.deployment, row, executor, secrets.token_bytes(32)) for row in inputs
    ]
    size_bytes = max(len(encode(message)) for message in messages)
    at_once = min(CASES_AT_ONCE, max(1, BATCH_SIZE_BYTES_MAX // (size_bytes + 32)))
    at_once = min(at_once, max(1, CASE_STEPS_MAX // (schema.step_count + 1)))
    batches = [messages[at : at + at_once] for at in range(0, len(messages), at_once)]
    known = _Remembering(client.connection, trust=client.trust)
    found: list[Decision] = []
    for final in client.submit_many(batches):
        final.check()
        found += [opened(known, final, place) for place in range(len(final.operations))]
    return found


class _Remembering(Reader):
    """Reads each row once: what many decisions of one model and rule look at does not change."""

    def __init__(self, connection: Connection, *, trust: Trust | None = None) -> None:
        super().__init__(connection, trust=trust)
        self._rows: dict[bytes, Any] = {}

    def get(self, table: Table[RecordT], *key: KeyPart) -> RecordT | None:
        """Return the row as it was when it was read first."""
        name = table.key(*key)
        if name not in self._rows:
            self._rows[name] = super().get(table, *key)
        found: RecordT | None = self._rows[name]
        return found


def review(
    client: "Client", decision: bytes, ruling: Literal["release", "reject"], reason: str
) -> Final:
    """End a hold by a person's word."""
    return client.submit(Review(decision, ruling, reason))


def report_execution(
    client: "Client",
    decision: Decision | bytes,
    done: Literal["executed", "stopped"],
    acted_ms: int | None = None,
) -> ExecutionReported:
    """State what was done about a decision; return what the ledger makes of it.

    Without a time it was done now, and not before there was the decision: clocks differ.
    """
    identity = decision if isinstance(decision, bytes) else decision.id
    if acted_ms is None:
        acted_ms = max(now_ms(), client.require(DECISIONS, identity).answered_ms)
    final = client.submit(ReportExecution(identity, done, acted_ms))
    return final.event(ExecutionReported)


def opened(reader: Reader, final: Final, operation: int = 0) -> Decision:
    """Return the decision that an operation of a transaction made.

    Raises:
        RejectedError: The operation was refused.
        ProtocolError: It made none.
    """
    outcome = final.operations[operation]
    outcome.check()
    events = outcome.events
    decided = next((event for event in events if isinstance(event, Decided)), None)
    if decided is None:
        decided = final.event(Decided)
    return Decision(
        id=decided.decision,
        verdict=decided.verdict,
        basis=decided.basis,
        rule=decided.rule,
        version=decided.version,
        score_ppm=decided.score_ppm,
        expires_at_ms=decided.expires_at_ms,
        allow_on_expiry=decided.allow_on_expiry,
        due_ms=decided.due_ms,
        reasons=tuple(reasons_of(reader, events, decided)),
        final=final,
    )


def reasons_of(reader: Reader, events: Sequence[Event], decided: Decided) -> Iterator[str]:
    """Yield why a decision came out as it did: rules that fired, contributions, what is left."""
    if decided.basis == "frozen":
        yield "the payer is frozen"
    for event in events:
        if isinstance(event, PayerFrozen):
            yield f"rule `{event.rule}` froze the payer earlier in the block"
        if isinstance(event, RuleFired):
            yield _fired_words(reader, event)
        if isinstance(event, CapReached):
            yield f"rule `{event.rule}` had used up its daily cap of {event.daily_cap}"
        if isinstance(event, Explained):
            yield _explained_words(reader, event)
    if decided.basis == "screened" and not any(isinstance(e, RuleFired) for e in events):
        yield "no rule objects"
    if decided.basis == "no_rule":
        yield "no rule acts"
    if decided.score_ppm >= 0:
        yield f"the score is {share_words(decided.score_ppm)}"
    if decided.verdict == HOLD:
        end = "allowed" if decided.allow_on_expiry else "refused"
        yield f"held until {format_time(decided.expires_at_ms)}, then {end}"


def waiting_words(row: DecisionRow) -> str:
    """Return what is still to happen with a decision, in words."""
    if row.status == "held":
        return f"waits for compliance until {format_time(row.expires_at_ms)}"
    if row.status == "open":
        return f"waits for the executor's word until {format_time(row.due_ms)}"
    return row.status


def _fired_words(reader: Reader, event: RuleFired) -> str:
    """Return the comparisons of a rule that were true, with what they looked at."""
    rule = exact.decode_rule(reader.require(RULES, event.rule, event.version).raw)
    features = live_schema(reader, rule.scope).features if rule.scope else ()
    told = condition_words(rule, event.conditions, event.inputs, features)
    did = f"; it did: {', '.join(event.actions)}" if event.actions else ""
    return f"rule `{event.rule}` {event.version} fired: {' and '.join(told)}{did}"


def _explained_words(reader: Reader, event: Explained) -> str:
    """Return the inputs that made a score what it is, the largest share first."""
    features = live_schema(reader, event.deployment).features
    added = contribution_words(event.contributions, features)
    return f"most to the score of `{event.deployment}` added: {added}"


def now_ms() -> int:
    """Return the time of day, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
