"""A node's connection as the source that bundles are assembled from."""

from collections.abc import Sequence

from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.node.api import (
    PROOFS_MAX,
    Connection,
    ProofQuery,
    ProofRequest,
    RangeQuery,
    ReceiptsQuery,
    SeriesQuery,
    StateQuery,
    TransactionQuery,
)
from cairn.primitives.errors import NonCanonicalError
from cairn.sdk.errors import ProtocolError, UsageError
from cairn.sdk.prove import Placed, Proofs, Wanted


class ConnectionSource:
    """Reads and proves through a connection; blocks that were read once are kept."""

    def __init__(self, connection: Connection, *, witnessed: bool = True) -> None:
        """Use `connection`; `witnessed` asks the witnesses to cosign the head first."""
        self._connection = connection
        self._witnessed = witnessed
        self._placed: dict[bytes, Placed] = {}
        self.chain_id = connection.head().chain_id

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key`."""
        return self._connection.row(key)

    def entries(self, key: bytes, start: int, limit: int) -> tuple[int, Sequence[bytes]]:
        """Return a series' size, and at most `limit` of its entries from `start` on."""
        page = self._connection.series(key, start=start, limit=max(1, limit))
        return page.size, page.entries[:limit]

    def transaction(self, transaction_id: bytes) -> Placed | None:
        """Return a transaction of a block, or None.

        Raises:
            ProtocolError: What the node answers does not parse, or is another transaction.
        """
        if transaction_id not in self._placed:
            found = self._connection.receipt(transaction_id)
            if found is None:
                return None
            self._read_block(found.height, found.time_ms)
            if transaction_id not in self._placed:
                raise ProtocolError("the node names a block that does not hold the transaction")
        return self._placed[transaction_id]

    def receipts(self, transaction_ids: Sequence[bytes]) -> Sequence[Placed]:
        """Return where the transactions of these ids stand, with their receipts, in order.

        Raises:
            ProtocolError: As `transaction`, or there is none of an id.
        """
        found = []
        for identity in transaction_ids:
            placed = self.transaction(identity)
            if placed is None:
                raise ProtocolError(f"a series names transaction {identity.hex()}, no block does")
            found.append(placed)
        return found

    def prove(self, wanted: Wanted) -> Proofs:
        """Return the wanted proofs from one head.

        Raises:
            UsageError: More are wanted than the node gives at once.
            ProtocolError: The node proves more or less than was asked for.
        """
        queries: list[ProofQuery] = [StateQuery(key) for key in wanted.states]
        queries += [StateQuery(key) for key in wanted.empty_series]
        queries += [SeriesQuery(*run) for run in wanted.series]
        queries += [RangeQuery(*bounds) for bounds in wanted.ranges]
        queries += [ReceiptsQuery(*run) for run in wanted.receipts]
        queries += [TransactionQuery(identity) for identity in wanted.transactions]
        if len(queries) > PROOFS_MAX:
            raise UsageError(
                f"{len(queries):,} proofs, more than {PROOFS_MAX:,} in one bundle",
                "prove a shorter period, or several",
            )
        found = self._connection.prove(
            ProofRequest(tuple(queries), wanted.min_time_ms, wanted.extends_size, self._witnessed)
        )
        asked = (
            len(wanted.states) + len(wanted.empty_series),
            len(wanted.series),
            len(wanted.ranges),
            len(wanted.receipts),
            len(wanted.transactions),
        )
        kinds = (found.states, found.series, found.ranges, found.receipts, found.transactions)
        if asked != tuple(len(kind) for kind in kinds):
            raise ProtocolError("the node proves more or less than was asked for")
        return Proofs(found.head, *kinds)

    def _read_block(self, height: int, time_ms: int) -> None:
        """Keep the transactions of a block with their receipts."""
        block = self._connection.block(height)
        pairs = zip(block.transactions, block.receipts, strict=False)  # the block's end has no raw
        for position, (raw, receipt) in enumerate(pairs):
            try:
                identity = RECEIPT_DECODER.decode(receipt).transaction_id
            except NonCanonicalError:
                continue  # a transaction that was not admitted has no id
            self._placed[identity] = Placed(height, time_ms, position, raw, receipt)
