"""Doing recorded blocks again: after a crash from the checkpoint, or from genesis to compare roots.

Every header is checked against the block before it, every receipt and result against the record.
The state after a block is compared by the next header's application hash.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cairn.engine.base import Chain, LogEntry, transaction_results_hash
from cairn.ledger.changes import ChangeSet, StateReader
from cairn.ledger.errors import DivergenceError
from cairn.ledger.execution import Block, BlockResult, Ledger, LedgerHead
from cairn.ledger.transactions import signature_triple
from cairn.node.divergence import (
    DivergedError,
    DivergenceReport,
    receipt_differences,
    row_differences,
)
from cairn.primitives.errors import HeaderError
from cairn.primitives.light import (
    NIL_BLOCK_ID,
    ValidatorSet,
    commit_hash,
    data_hash,
    header_hash,
    header_time_ms,
    verify_header,
)
from cairn.primitives.merkle import EMPTY_ROOT

Check = Callable[[Sequence[tuple[bytes, bytes, bytes]]], list[bool]]
"""Says for each (key, message, signature) whether it is valid."""


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What a replay has done and found equal."""

    height: int
    transactions: int
    operations: int
    state_root: bytes
    app_hash: bytes


class Replay:
    """Executes recorded blocks in order and compares.

    Args:
        ledger: The state machine.
        chain: The last block before the ones to replay.
        head: Where the ledger stood after it.
        validators: Who signs the blocks.
        check_signatures: Checks the transactions' signatures again; None takes the record's word.
        recorded: The recorded state, for reports; it may be newer than the block in question.
        founded: What the founding came to, if the replay begins there, for a report on it.
    """

    def __init__(
        self,
        ledger: Ledger,
        chain: Chain,
        head: LedgerHead,
        *,
        validators: ValidatorSet,
        check_signatures: Check | None = None,
        recorded: StateReader | None = None,
        founded: BlockResult | None = None,
    ) -> None:
        """Begin after `chain`."""
        self.chain = chain
        self.head = head
        self.transactions = 0
        self.operations = 0
        self._ledger = ledger
        self._validators = validators
        self._check = check_signatures
        self._recorded = recorded
        self._last = founded

    def run(
        self,
        entries: Iterable[LogEntry],
        reader: Callable[[], StateReader],
        apply: Callable[[LogEntry, BlockResult], None],
    ) -> ReplayReport:
        """Execute blocks over what `reader` returns, hand each to `apply`, and say what was found.

        Raises:
            DivergenceError: A header does not follow from the block before it, or a root, receipt
                or result is another than the recorded one.
        """
        for entry in entries:
            result = self.block(entry, reader())
            apply(entry, result)
        return ReplayReport(
            self.head.height,
            self.transactions,
            self.operations,
            self.head.state_root,
            self.head.app_hash,
        )

    def block(self, entry: LogEntry, reader: StateReader) -> BlockResult:
        """Execute one block and compare it with its record.

        Raises:
            DivergenceError: As `run`.
        """
        block_hash = self._check_header(entry)
        time_ms = header_time_ms(entry.header)
        transactions = [self._ledger.decode(raw) for raw in entry.transactions]
        block = Block(
            entry.header.height,
            time_ms,
            block_hash,
            entry.header.data_hash,
            transactions,
            self._valid(entry),
        )
        result = self._ledger.execute(self.head, reader, block)
        self._compare(entry, result)
        self.transactions += len(transactions)
        self.operations += sum(
            len(one.body.operations) for one in transactions if one.body is not None
        )
        self.head, self._last = result.head, result
        self.chain = Chain(
            self.chain.chain_id,
            entry.header,
            entry.commit,
            entry.results[: len(entry.transactions)],
            result.head.app_hash,
            time_ms,
        )
        return result

    def _valid(self, entry: LogEntry) -> list[bool]:
        valid = [True] * len(entry.transactions)
        for place in entry.invalid:
            valid[place] = False
        if self._check is None:
            return valid
        triples = [signature_triple(raw) for raw in entry.transactions]
        found = self._check([triple for triple in triples if triple is not None])
        answers = iter(found)
        checked = [triple is not None and next(answers) for triple in triples]
        if checked != valid:
            raise DivergenceError(
                f"block {entry.header.height}: a signature's verdict differs from the record"
            )
        return valid

    def _check_header(self, entry: LogEntry) -> bytes:
        """Return the block's hash after checking its header and commit against the chain."""
        chain, header = self.chain, entry.header
        if header.app_hash != chain.app_hash and self._last is not None:
            self._diverge(
                header.height - 1, "app_hash", chain.app_hash, header.app_hash, self._last, None
            )
        last = chain.commit
        expected = (
            chain.height + 1,
            NIL_BLOCK_ID if last is None else last.block_id,
            EMPTY_ROOT if last is None else commit_hash(last),
            chain.app_hash,
            transaction_results_hash(chain.results),
            data_hash(entry.transactions),
        )
        found = (
            header.height,
            header.last_block_id,
            header.last_commit_hash,
            header.app_hash,
            header.last_results_hash,
            header.data_hash,
        )
        names = ("height", "last block", "last commit", "app hash", "last results", "data")
        for name, one, other in zip(names, expected, found, strict=True):
            if one != other:
                raise DivergenceError(f"block {chain.height + 1}: the header's {name} differs")
        if header_time_ms(header) <= chain.time_ms:
            raise DivergenceError(f"block {header.height}: the time does not move on")
        try:
            verify_header(chain.chain_id, header, entry.commit, self._validators)
        except HeaderError as error:
            raise DivergenceError(f"block {header.height}: {error}") from error
        return header_hash(header)

    def _compare(self, entry: LogEntry, result: BlockResult) -> None:
        height = entry.header.height
        if tuple(result.receipts) != entry.receipts:
            self._diverge(height, "receipts", b"", b"", result, entry)
        if tuple(result.results) != entry.results:
            self._diverge(height, "results", b"", b"", result, entry)

    def _diverge(
        self,
        height: int,
        what: str,
        computed: bytes,
        recorded: bytes,
        result: BlockResult,
        entry: LogEntry | None,
    ) -> None:
        rows = row_differences(self._ledger.registry, result, self._recorded)
        receipts = () if entry is None else receipt_differences(entry, result)
        raise DivergedError(
            DivergenceReport(
                self.chain.chain_id,
                height,
                what,
                computed.hex() or f"{len(result.receipts)} receipts",
                recorded.hex() or (f"{len(entry.receipts)} receipts" if entry else ""),
                rows,
                receipts,
            )
        )


def apply_to(changes: Callable[[ChangeSet], None]) -> Callable[[LogEntry, BlockResult], None]:
    """Return an `apply` that hands on the changes alone."""

    def apply(_: LogEntry, result: BlockResult) -> None:
        changes(result.changes)

    return apply
