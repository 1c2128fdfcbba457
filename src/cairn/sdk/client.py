"""The client of a ledger: signs and numbers transactions, submits them, waits for finality.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from cairn.modules.bank.events import AccountsOpened
    >>> from cairn.modules.bank.messages import Issue, OpenAccounts
    >>> from cairn.modules.bank.records import BALANCES
    >>> from cairn.modules.identity.records import member_id, organisation_id
    >>> from cairn.sdk.charters import Plan
    >>> from cairn.sdk.connecting import connect
    >>> from cairn.sdk.founding import found_workspace

    >>> folder = tempfile.TemporaryDirectory()
    >>> plan = Plan(name="bank-a", organisation="bank-a", assets=(("eur", 2),))
    >>> words = "four random words here"
    >>> workspace = found_workspace(Path(folder.name) / "bank-a", plan, words)
    >>> core = member_id(organisation_id("bank-a"), "core")
    >>> with connect(workspace, passphrase=lambda: words) as connection:
    ...     key = workspace.open_key("core", words)
    ...     client = Client(connection, core, key, trust=workspace.trust())
    ...     opened = client.submit(OpenAccounts(core, (b"customer number 0001",)))
    ...     alice = opened.event(AccountsOpened).accounts[0]
    ...     final = client.submit(Issue("eur", alice, 1_000))
    ...     balance = client.get(BALANCES, alice, "eur")
    >>> final.code, balance
    ('ok', Balance(available=1000, held=0, escrowed=0))
    >>> folder.cleanup()

Each sender has sixteen lanes with a sequence of its own; a client takes a free lane for each
submission, so that several threads do not wait for each other. If another program used a lane, the
node refuses the number; the client then asks for the next one and signs again.

The last height at which a transaction is valid is drawn from a range: two programs that send the
same message for one account at the same time sign two transactions, not one transaction twice.
"""

import queue
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from cairn.engine.base import Outcome
from cairn.evidence.trust import Trust
from cairn.ledger.errors import BadSequenceError, ExpiredTransactionError
from cairn.ledger.messages import Message
from cairn.ledger.parameters import PARAMETERS, VALIDITY_BLOCKS_MAX
from cairn.ledger.receipts import OK
from cairn.ledger.transactions import (
    ATOMIC,
    INDEPENDENT,
    LANES,
    TRANSACTION_SIZE_BYTES_MAX,
    Body,
    sign_transaction,
    transaction_id,
)
from cairn.modules.decisions.events import ExecutionReported
from cairn.modules.identity.messages import Approve
from cairn.node.api import SUBMIT_TRANSACTIONS_MAX, Connection
from cairn.primitives.encoding import encode
from cairn.primitives.signatures import SigningKey
from cairn.sdk import decisions, predictions
from cairn.sdk.decisions import Decision, Payment
from cairn.sdk.errors import PendingError, ProtocolError, UsageError
from cairn.sdk.outcomes import Final, OperationOutcome, open_receipt
from cairn.sdk.predictions import Prediction, Row
from cairn.sdk.reading import Reader
from cairn.sdk.refusals import rejected

if TYPE_CHECKING:
    from cairn.sdk.approvals import Approvable
    from cairn.sdk.pending import Pending
    from cairn.sdk.workspace import Workspace

VALIDITY_BLOCKS = 10_000
"""How many heights ahead a transaction stays valid, unless the ledger allows fewer."""
WAIT_MS = 25_000
"""How long a submission waits for finality."""
NUMBERING_TRIES_MAX = 5
"""How often a transaction is numbered again because somebody else used the lane."""


class Client(Reader):
    """One account on one ledger.

    Args:
        connection: The node.
        account: The account that acts.
        key: A key that speaks for it.
        trust: Against which every answer is verified; None believes the node.
        lanes: Which of the account's lanes to use.
    """

    def __init__(
        self,
        connection: Connection,
        account: bytes,
        key: SigningKey,
        *,
        trust: Trust | None = None,
        lanes: Sequence[int] = tuple(range(LANES)),
    ) -> None:
        """Act for `account` through `connection`."""
        super().__init__(connection, trust=trust)
        self.account = account
        self._key = key
        self._next: dict[int, int] = {}
        self._height = 0
        self._validity: int | None = None
        self._spread = 1
        self._free: queue.LifoQueue[int] = queue.LifoQueue()
        for lane in sorted(lanes, reverse=True):
            self._free.put(lane)

    def submit(self, *messages: Message) -> Final:
        """Submit messages as one transaction, all or nothing, and return its outcome.

        Raises:
            RejectedError: It was refused; nothing was changed.
            PendingError: It was taken and is not final yet.
            UnavailableError, ProtocolError, NodeFaultError: The node does not answer, or wrongly.
        """
        final = self.submit_many([messages], mode=ATOMIC)[0]
        final.check()
        return final

    def pending(self, workspace: "Workspace | None" = None) -> "list[Pending]":
        """Return what waits for this account's approval, with what is known of it.

        What a model's card says is told if the workspace has it.

        Raises:
            ProtocolError: An answer does not verify.
        """
        from cairn.sdk.pending import pending

        return pending(self, self.account, workspace)

    def approve(self, *approvables: "Approvable | Pending") -> Final:
        """Approve models and rules as this account, all in one transaction.

        Raises:
            Errors as `submit`.
        """
        return self.submit(*[Approve(one.policy, one.subject) for one in approvables])

    def submit_each(self, *messages: Message) -> list[OperationOutcome]:
        """Submit messages as one transaction in which each stands alone.

        Raises:
            RejectedError: The transaction as a whole was refused.
            PendingError, UnavailableError, ProtocolError, NodeFaultError: As `submit`.
        """
        final = self.submit_many([messages], mode=INDEPENDENT)[0]
        if final.code != OK:
            raise rejected(final.code)
        return list(final.operations)

    def submit_many(
        self, batches: Sequence[Sequence[Message]], *, mode: int = ATOMIC
    ) -> list[Final]:
        """Submit one transaction for each batch, in order on one lane; return their outcomes.

        A refused operation is told by its transaction's outcome, not raised.

        Raises:
            RejectedError: A transaction did not enter a block; those before it did.
            PendingError, UnavailableError, ProtocolError, NodeFaultError: As `submit`.
            UsageError: A transaction is empty or too large.
        """
        finals: list[Final] = []
        with self._lane() as lane:
            for start in range(0, len(batches), SUBMIT_TRANSACTIONS_MAX):
                part = batches[start : start + SUBMIT_TRANSACTIONS_MAX]
                finals += self._submit_on(lane, part, mode)
        return finals

    def predict(self, deployment: str, rows: Sequence[Row]) -> list[Prediction]:
        """Score rows with the version that is live, in as few transactions as hold them.

        Raises:
            NotFoundError: There is no such deployment, or nothing is live in it.
            UsageError: A row does not fit the model; it names row and column, nothing was sent.
            RejectedError, PendingError, UnavailableError, ProtocolError, NodeFaultError: As
                `submit`.
        """
        return predictions.predict(self, deployment, rows)

    def predict_stream(
        self, deployment: str, rows: Iterable[Row], *, batch: int = 256
    ) -> Iterator[Prediction]:
        """Yield the score of each row of a stream in order, while rows are still coming.

        Raises:
            Errors as `predict`; what came before the row at fault is scored.
        """
        return predictions.predict_stream(self, deployment, rows, batch=batch)

    def decide_payment(self, payment: Payment, *, executor: bytes) -> Decision:
        """Ask whether a payment may settle on another rail; return the answer with its reasons.

        Raises:
            Errors as `submit`.
        """
        return decisions.decide_payment(self, payment, executor)

    def decide_case(
        self,
        deployment: str,
        case: Mapping[str, Any] | Sequence[Any],
        *,
        executor: bytes,
        reference: bytes = bytes(32),
    ) -> Decision:
        """Ask for a decision on a case that a deployment's model scores; return the answer.

        Raises:
            NotFoundError: There is no such deployment, or nothing is live in it.
            UsageError: The case does not fit the model; it names the column.
            Errors as `submit`.
        """
        return decisions.decide_case(self, deployment, case, executor, reference)

    def decide_cases(
        self, deployment: str, cases: Sequence[Row], *, executor: bytes = b""
    ) -> list[Decision]:
        """Ask for decisions on many cases, in as few transactions as hold them; return them all.

        Without an executor this account acts on them.

        Raises:
            NotFoundError: There is no such deployment, or nothing is live in it.
            UsageError: A case does not fit the model; it names row and column, nothing was sent.
            Errors as `submit`.
        """
        return decisions.decide_cases(self, deployment, cases, executor or self.account)

    def report_execution(
        self,
        decision: Decision | bytes,
        done: Literal["executed", "stopped"],
        *,
        acted_ms: int | None = None,
    ) -> ExecutionReported:
        """State what was done about a decision; return what the ledger makes of it.

        Raises:
            Errors as `submit`.
        """
        return decisions.report_execution(self, decision, done, acted_ms)

    @contextmanager
    def _lane(self) -> Iterator[int]:
        lane = self._free.get()
        try:
            yield lane
        finally:
            self._free.put(lane)

    def _submit_on(self, lane: int, batches: Sequence[Sequence[Message]], mode: int) -> list[Final]:
        """Submit on a lane; what was refused for its number or age alone is signed again."""
        finals: list[Final] = []
        tries = 0
        while len(finals) < len(batches):
            entered, refused = self._try_on(lane, batches[len(finals) :], mode)
            finals += entered
            if not refused:
                continue
            self._next.pop(lane, None)
            tries = 0 if entered else tries + 1
            retried = refused in (BadSequenceError.code, ExpiredTransactionError.code)
            if not retried or tries >= NUMBERING_TRIES_MAX:
                raise rejected(refused)
            self._height = 0
        return finals

    def _try_on(
        self, lane: int, batches: Sequence[Sequence[Message]], mode: int
    ) -> tuple[list[Final], str]:
        """Return the outcomes up to the first transaction that no block holds, and its refusal."""
        signed = [self._sign(lane, batch, mode) for batch in batches]
        try:
            outcomes = self.connection.submit([raw for raw, _ in signed], wait_ms=WAIT_MS)
        except BaseException as error:
            # Nobody knows how many of the numbers were used.
            self._next.pop(lane, None)
            if isinstance(error, PendingError):
                raise PendingError(signed[-1][1]) from error
            raise
        if len(outcomes) != len(signed):
            raise ProtocolError("the node answers for another number of transactions")
        finals: list[Final] = []
        for (_, identity), outcome in zip(signed, outcomes, strict=True):
            final = self._final(identity, outcome)
            if final is None:
                return finals, outcome.code
            finals.append(final)
        return finals, ""

    def _final(self, identity: bytes, outcome: Outcome) -> Final | None:
        """Return a transaction's outcome, or None if no block holds it."""
        if not outcome.receipt:
            return None
        final = open_receipt(
            identity,
            height=outcome.height,
            position=outcome.position,
            time_ms=outcome.time_ms,
            receipt=outcome.receipt,
        )
        self._height = max(self._height, final.height)
        if self.trust is not None:
            self.check_final(final)
        return final

    def _sign(self, lane: int, batch: Sequence[Message], mode: int) -> tuple[bytes, bytes]:
        """Return a signed transaction with the lane's next number, and its id."""
        if not batch:
            raise UsageError("a transaction needs an operation")
        if lane not in self._next:
            self._next[lane] = self.connection.next_sequence(self.account, lane)
        if not self._height:
            self._height = self.connection.head().height
        until = self._height + self._validity_blocks() - secrets.randbelow(self._spread)
        body = Body(
            self.chain_id, self.account, lane, self._next[lane], mode, 0, until, tuple(batch)
        )
        raw = sign_transaction(body, self._key)
        if len(raw) > TRANSACTION_SIZE_BYTES_MAX:
            raise UsageError(
                f"a transaction of {len(raw)} bytes, more than {TRANSACTION_SIZE_BYTES_MAX}",
                "put fewer operations into one transaction",
            )
        self._next[lane] += 1
        return raw, transaction_id(encode(body))

    def _validity_blocks(self) -> int:
        if self._validity is None:
            row = self.get(PARAMETERS, VALIDITY_BLOCKS_MAX.name)
            allowed = VALIDITY_BLOCKS_MAX.default if row is None else row.value
            self._validity = min(VALIDITY_BLOCKS, allowed)
            self._spread = max(1, self._validity // 2)
        return self._validity
