"""A block runs in passes: decode, admit, judge, operations, outcomes, end of block, roots.

`Ledger.execute` is a pure function of the head, the rows it reads and the block. Only declared
refusals become receipts; any other exception leaves it, and the node stops before it commits.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cairn.ledger.admission import Admission, DecodedTransaction, decode_transaction
from cairn.ledger.changes import ChangeSet, StateReader
from cairn.ledger.charter import Charter
from cairn.ledger.context import Context
from cairn.ledger.errors import (
    BudgetExceededError,
    Fault,
    MalformedBlockError,
    ParameterOutOfBoundsError,
    Rejection,
    UnknownParameterError,
)
from cairn.ledger.hooks import AdmittedOperation, Allow, JudgedOutcome, Judgement
from cairn.ledger.module import MessageSpec, Registry
from cairn.ledger.parameters import (
    BLOCK_COST_MAX,
    OPERATIONS_MAX,
    PARAMETERS,
    SENDER_COST_MAX,
    TRANSACTION_COST_MAX,
    ParameterValue,
)
from cairn.ledger.receipts import (
    OK,
    OPERATION_REFUSED,
    RESULT_NOT_ADMITTED,
    RESULT_OK,
    RESULT_REFUSED,
    UNDONE,
    OperationReceipt,
    Receipt,
    Result,
    not_admitted,
)
from cairn.ledger.records import HISTORY, HistoryLeaf, application_hash, leaf_key, node_key
from cairn.ledger.state import WorkingState
from cairn.ledger.transactions import ATOMIC, Body
from cairn.primitives import trie
from cairn.primitives.encoding import Decoder, Record, encode
from cairn.primitives.merkle import Frontier, leaf_hash, root_of

STATE_VERSION = 1
"""Version of these rules; headers carry it as their application version."""


class LedgerHead(Record):
    """Where a ledger stands after a block: all that the next one needs besides the rows."""

    chain_id: str
    height: int
    time_ms: int
    state_root: bytes
    history: Frontier
    app_hash: bytes
    """What the next header commits to."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block as execution gets it; whoever ordered it has made header and hashes."""

    height: int
    time_ms: int
    block_hash: bytes
    data_hash: bytes
    transactions: Sequence[DecodedTransaction]
    signatures_valid: Sequence[bool]
    """For each transaction, whether its signature verifies; checked before, in batches."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What came of a block, before anything of it is stored."""

    head: LedgerHead
    receipts: list[bytes]
    results: list[Result]
    changes: ChangeSet
    changed_rows: dict[bytes, tuple[Any, Any, Any]]
    """`key -> (table, old, new)` for incremental invariants and reports."""


@dataclass(slots=True)
class _Run:
    """An admitted transaction on its way through the block."""

    transaction: DecodedTransaction
    body: Body
    cost: int
    code: str = OK
    judgements: list[Judgement | None] = field(default_factory=list)


class Ledger:
    """The state machine of one chain over a registry of modules."""

    def __init__(self, registry: Registry) -> None:
        """Wire the hooks of the registry's modules."""
        self.registry = registry
        key_speaks = registry.hook("key_speaks")
        assert key_speaks is not None, "no module says which keys speak for an account"
        self._key_speaks = key_speaks
        self._prepare = registry.hook("prepare_block")
        self._after = registry.hook("after_operations")
        self._charge_fee = registry.hook("charge_fee")
        self._movement_price = registry.hook("movement_price")
        self._price_block = registry.hook("price_block")
        self._end_hooks = registry.hooks("end_block")

    def decode(self, raw: bytes) -> DecodedTransaction:
        """Return what the bytes of a transaction say."""
        return decode_transaction(self.registry, raw)

    def context(self, head: LedgerHead, reader: StateReader, *, time_ms: int = 0) -> Context:
        """Return a context for reading, as a block at the next height would have it."""
        return Context(
            WorkingState(reader),
            chain_id=head.chain_id,
            height=head.height + 1,
            time_ms=max(time_ms, head.time_ms),
        )

    def admission(self, head: LedgerHead, reader: StateReader) -> Admission:
        """Return the admission checks of the next height."""
        return self._admission(self.context(head, reader))

    def _admission(self, context: Context) -> Admission:
        return Admission(
            context,
            self._key_speaks,
            movement_price=self._movement_price,
            price_block=self._price_block,
        )

    def next_due_ms(self, head: LedgerHead, reader: StateReader) -> int | None:
        """Return the earliest time at which end-of-block work falls due, or None."""
        context = self.context(head, reader)
        due = [t for hook in self.registry.hooks("next_due") if (t := hook(context)) is not None]
        return min(due, default=None)

    def found(self, charter: Charter, chain_id: str, reader: StateReader) -> BlockResult:
        """Return the state at height 0, written by the modules from the charter's sections.

        Raises:
            Rejection: A parameter or section of the charter is not acceptable.
        """
        context = Context(
            WorkingState(reader), chain_id=chain_id, height=0, time_ms=charter.time_ms
        )
        for name, value in charter.parameters:
            set_parameter(self.registry, context, name, value)
        sections = dict(charter.sections)
        for module in self.registry.modules:
            if module.genesis is None or module.genesis_section is None:
                continue
            raw = sections.pop(module.name, None)
            section = None if raw is None else Decoder(module.genesis_section).decode(raw)
            module.genesis(context, section)
        if sections:
            raise UnknownParameterError(
                f"the charter has sections of no module: {sorted(sections)}"
            )
        empty = LedgerHead(chain_id, -1, charter.time_ms, trie.EMPTY_ROOT, Frontier(0, ()), b"")
        return self._roots(empty, reader, context, block=None, receipts=[], results=[])

    def execute(self, head: LedgerHead, reader: StateReader, block: Block) -> BlockResult:
        """Return what `block` does to the ledger at `head`.

        Raises:
            MalformedBlockError: The block breaks a rule that every proposer must keep.
            Fault: Anything that must not happen.
        """
        _check_block(head, block)
        context = Context(
            WorkingState(reader), chain_id=head.chain_id, height=block.height, time_ms=block.time_ms
        )
        runs, receipts, results = self._admit(context, block)
        remembered = self._judge(context, runs)
        outcomes: dict[int, Receipt] = {}
        for position, run in runs.items():
            receipt = outcomes[position] = self._run(context, run)
            receipts[position] = encode(receipt)
            code = RESULT_OK if receipt.code == OK else RESULT_REFUSED
            results[position] = Result(code, leaf_hash(receipts[position]), receipt.cost)
        if self._after is not None:
            self._after(context, _outcomes(remembered, outcomes))
        self._end_block(context, receipts, results)
        result = self._roots(head, reader, context, block=block, receipts=receipts, results=results)
        _index_transactions(block, runs, result.changes)
        return result

    def _admit(
        self, context: Context, block: Block
    ) -> tuple[dict[int, _Run], list[bytes], list[Result]]:
        """Admit the block's transactions in order; the others get their fixed result."""
        admission = self._admission(context)
        budget = _Budget(context)
        runs: dict[int, _Run] = {}
        receipts: list[bytes] = []
        results: list[Result] = []
        pairs = zip(block.transactions, block.signatures_valid, strict=True)
        for position, (transaction, valid) in enumerate(pairs):
            try:
                admission.admit(transaction, signature_valid=valid)
            except Rejection as refusal:
                receipts.append(not_admitted(refusal.code))
                results.append(Result(RESULT_NOT_ADMITTED, leaf_hash(receipts[-1]), 0))
                continue
            assert transaction.body is not None
            run = _Run(transaction, transaction.body, admission.cost_of(transaction))
            run.code = budget.charge(run)
            if run.code == OK:
                admission.take(transaction)
            runs[position] = run
            receipts.append(b"")
            results.append(Result(RESULT_OK, b"", 0))
        return runs, receipts, results

    def _judge(
        self, context: Context, runs: dict[int, _Run]
    ) -> list[tuple[AdmittedOperation, Judgement]]:
        """Give every movement of the block its verdict, before any operation runs.

        Returns the operations whose judgements have a memo.
        """
        operations: list[AdmittedOperation] = []
        moving = False
        for position, run in runs.items():
            run.judgements = [None] * len(run.body.operations)
            if run.code != OK or (run.body.mode == ATOMIC and any(run.transaction.invalid)):
                continue
            for index, message in enumerate(run.body.operations):
                spec = run.transaction.specs[index]
                if run.transaction.invalid[index]:
                    continue
                if spec.allow is not None:
                    run.judgements[index] = Judgement(Allow(spec.allow))
                movement = None if spec.movement is None else spec.movement(message)
                moving = moving or movement is not None
                operations.append(
                    AdmittedOperation(
                        position,
                        index,
                        run.transaction.id,
                        run.body.sender,
                        message,
                        movement,
                    )
                )
        remembered: list[tuple[AdmittedOperation, Judgement]] = []
        if self._prepare is None or not moving:
            return remembered
        judgements = self._prepare(context, operations)
        for operation, judgement in zip(operations, judgements, strict=True):
            if operation.movement is not None:
                run = runs[operation.transaction_index]
                run.judgements[operation.operation_index] = judgement
                if judgement is not None and judgement.memo is not None:
                    remembered.append((operation, judgement))
        return remembered

    def _run(self, block_context: Context, run: _Run) -> Receipt:
        """Run one admitted transaction and return its receipt."""
        transaction, body = run.transaction, run.body
        context = Context(
            block_context.state,
            chain_id=block_context.chain_id,
            height=block_context.height,
            time_ms=block_context.time_ms,
        )
        context.sender = body.sender
        context.transaction_id = transaction.id
        fee = 0
        if self._charge_fee is not None:
            fee = self._charge_fee(context, body.sender, run.cost)
        count = len(body.operations)
        if run.code != OK:
            outcomes = [OperationReceipt(run.code, ())] * count
        else:
            outcomes = self._run_operations(context, run)
            if body.mode == ATOMIC and any(outcome.code != OK for outcome in outcomes):
                run.code = OPERATION_REFUSED
        return Receipt(
            transaction.id, transaction.raw_hash, run.code, tuple(outcomes), run.cost, fee
        )

    def _run_operations(self, context: Context, run: _Run) -> list[OperationReceipt]:
        """Run the operations in order; an atomic transaction with a refusal is undone."""
        state = context.state
        start = state.mark()
        outcomes: list[OperationReceipt] = []
        specs, invalid = run.transaction.specs, run.transaction.invalid
        if run.body.mode == ATOMIC and any(invalid):
            # Nothing of it was judged, so nothing of it may run.
            refused = next(index for index, code in enumerate(invalid) if code)
            return _undone(run, refused, OperationReceipt(invalid[refused], ()))
        for index, message in enumerate(run.body.operations):
            mark = state.mark()
            judgement = run.judgements[index]
            explanation = () if judgement is None else judgement.events
            context.operation_index = index
            context.verdict = None if judgement is None else judgement.verdict
            context.events = []
            spec = specs[index]
            context.movement = None if spec.movement is None else spec.movement(message)
            code = invalid[index]
            if not code:
                code = _handle(spec, context, message)
            if code == OK:
                outcomes.append(OperationReceipt(OK, (*explanation, *context.events)))
                continue
            state.undo(mark)
            if run.body.mode == ATOMIC:
                state.undo(start)
                return _undone(run, index, OperationReceipt(code, explanation))
            outcomes.append(OperationReceipt(code, explanation))
        return outcomes

    def _end_block(self, context: Context, receipts: list[bytes], results: list[Result]) -> None:
        """Run the end-of-block hooks; what they tell of stands in a last receipt."""
        context.verdict = Allow("expiry")
        for hook in self._end_hooks:
            hook(context)
        if not context.events:
            return
        outcome = OperationReceipt(OK, tuple(context.events))
        receipts.append(encode(Receipt(b"", b"", OK, (outcome,), 0, 0)))
        results.append(Result(RESULT_OK, leaf_hash(receipts[-1]), 0))

    def _roots(
        self,
        head: LedgerHead,
        reader: StateReader,
        context: Context,
        *,
        block: Block | None,
        receipts: list[bytes],
        results: list[Result],
    ) -> BlockResult:
        """Fold the block's writes into a change set and compute the roots over everything."""
        changes = ChangeSet()
        changed_rows = context.state.fold(context.time_ms, changes)
        state_root = head.state_root
        if changes.state:
            root, changes.trie = trie.update(reader.trie_node, changes.state)
            state_root = root
        history = head.history
        if block is not None and (block.transactions or changes.state):
            history = _extend_history(history, block, receipts, changes)
        app_hash = application_hash(state_root, history.size, history.root())
        after = LedgerHead(
            head.chain_id, context.height, context.time_ms, state_root, history, app_hash
        )
        return BlockResult(after, receipts, results, changes, changed_rows)


class _Budget:
    """What transactions, senders and the block have left to spend."""

    def __init__(self, context: Context) -> None:
        self._operations_max = context.param(OPERATIONS_MAX)
        self._transaction_max = context.param(TRANSACTION_COST_MAX)
        self._sender_max = context.param(SENDER_COST_MAX)
        self._block_left = context.param(BLOCK_COST_MAX)
        self._spent: dict[bytes, int] = {}

    def charge(self, run: _Run) -> str:
        """Charge a transaction to its sender and the block; return `ok` or the refusal's code."""
        cost, body = run.cost, run.body
        spent = self._spent.get(body.sender, 0) + cost
        if (
            len(body.operations) > self._operations_max
            or cost > self._transaction_max
            or spent > self._sender_max
            or cost > self._block_left
        ):
            return BudgetExceededError.code
        self._spent[body.sender] = spent
        self._block_left -= cost
        return OK


def set_parameter(registry: Registry, context: Context, name: str, value: int) -> None:
    """Set a protocol parameter within its declared bounds.

    Raises:
        UnknownParameterError: No module declares it.
        ParameterOutOfBoundsError: The value is outside its bounds.
    """
    parameter = registry.parameters.get(name)
    if parameter is None:
        raise UnknownParameterError(name)
    if not parameter.minimum <= value <= parameter.maximum:
        raise ParameterOutOfBoundsError(name)
    context.put(PARAMETERS, ParameterValue(value), name)


def _undone(run: _Run, refused: int, receipt: OperationReceipt) -> list[OperationReceipt]:
    """Return the outcomes of an atomic transaction whose operation at `refused` was refused."""
    outcomes = [
        OperationReceipt(UNDONE, () if judgement is None else judgement.events)
        for judgement in run.judgements
    ]
    outcomes[refused] = receipt
    return outcomes


def _outcomes(
    remembered: Sequence[tuple[AdmittedOperation, Judgement]], receipts: Mapping[int, Receipt]
) -> list[JudgedOutcome]:
    """Return what became of the operations whose judgements have a memo, in block order."""
    return [
        JudgedOutcome(
            operation,
            judgement,
            receipts[operation.transaction_index].operations[operation.operation_index].code,
        )
        for operation, judgement in remembered
    ]


def _handle(spec: MessageSpec, context: Context, message: Any) -> str:
    """Run one handler; return `ok` or the code of its refusal."""
    handler: Callable[..., None] = spec.handler
    try:
        handler(context, message)
    except Rejection as refusal:
        return refusal.code
    return OK


def _check_block(head: LedgerHead, block: Block) -> None:
    """Check what every honest proposer keeps.

    Raises:
        MalformedBlockError: The height does not follow, time goes back, or an id stands twice.
    """
    if block.height != head.height + 1:
        raise MalformedBlockError(f"height {block.height} does not follow {head.height}")
    if block.time_ms < head.time_ms:
        raise MalformedBlockError(f"the time of block {block.height} goes back")
    ids = [transaction.id for transaction in block.transactions if transaction.id]
    if len(ids) != len(dict.fromkeys(ids)):
        raise MalformedBlockError(f"block {block.height} holds a transaction twice")
    if len(block.signatures_valid) != len(block.transactions):
        raise Fault("one signature result for each transaction is needed")


def _extend_history(
    history: Frontier, block: Block, receipts: Sequence[bytes], changes: ChangeSet
) -> Frontier:
    """Append the block's leaf to the history tree."""
    leaf = encode(
        HistoryLeaf(
            block.height,
            block.time_ms,
            block.block_hash,
            block.data_hash,
            root_of([leaf_hash(raw) for raw in receipts]),
            len(block.transactions),
            len(receipts),
        )
    )
    changes.leaves[leaf_key(HISTORY, history.size)] = leaf
    changes.index[block_index_key(block.height)] = history.size.to_bytes(8, "big")
    after, nodes = history.append(leaf_hash(leaf))
    for level, position, digest in nodes:
        changes.nodes[node_key(HISTORY, level, position)] = digest
    return after


def _index_transactions(block: Block, admitted: Iterable[int], changes: ChangeSet) -> None:
    """Index where admitted transactions stand; a replayed copy that was refused is no place."""
    for position in admitted:
        place = block.height.to_bytes(8, "big") + position.to_bytes(4, "big")
        changes.index[transaction_index_key(block.transactions[position].id)] = place


def transaction_index_key(transaction_id: bytes) -> bytes:
    """Return the look-up key of a transaction's place: eight bytes height, four bytes position."""
    return b"t" + transaction_id


def block_index_key(height: int) -> bytes:
    """Return the look-up key of a block's position in the history."""
    return b"h" + height.to_bytes(8, "big")
