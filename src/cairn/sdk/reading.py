"""Reading a ledger through a connection; with a trust file, nothing unproved is believed.

Without a trust file rows and entries are what the node says: right for one's own node in the same
process. With one, each answer comes with its proof from one signed head, whose height never goes
back, so that a node can neither invent a row nor hide one that was asked for by its key.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from cairn.evidence.errors import EvidenceError
from cairn.evidence.facts import Entry, VerifiedHead, decoded
from cairn.evidence.steps import (
    verify_complete,
    verify_head,
    verify_series,
    verify_state,
    verify_transaction,
)
from cairn.evidence.trust import Trust
from cairn.ledger.receipts import OK
from cairn.ledger.records import ENTRY_DECODER, KeyPart, Series, SeriesEntry, Table, split_key
from cairn.node.api import (
    PAGE_SIZE_MAX,
    Connection,
    HeadInfo,
    ProofQuery,
    ProofRequest,
    Proofs,
    RangeQuery,
    SeriesQuery,
    StateQuery,
    TransactionQuery,
)
from cairn.primitives.encoding import NonCanonicalError, Record
from cairn.sdk.errors import NotFoundError, ProtocolError, UsageError
from cairn.sdk.outcomes import Final, open_receipt

if TYPE_CHECKING:
    from cairn.sdk.lineage import Lineage

RecordT = TypeVar("RecordT", bound=Record)

PROVED_AT_ONCE = 200
"""Rows of one listing that are proved by one request."""


@dataclass(frozen=True, slots=True)
class Row(Generic[RecordT]):
    """A row of a table: the parts of its key after module and table, and its record."""

    key: tuple[bytes, ...]
    record: RecordT


class Reader:
    """Typed reading of one ledger."""

    def __init__(self, connection: Connection, *, trust: Trust | None = None) -> None:
        """Read through `connection`, believing nothing unproved if `trust` is given.

        Raises:
            ProtocolError: The node serves another ledger than the trusted one.
        """
        self.connection = connection
        self.trust = trust
        self.chain_id = connection.head().chain_id
        self._proved_height = 0
        if trust is not None and trust.chain_id != self.chain_id:
            raise ProtocolError(
                f"the node serves {self.chain_id}, trusted is {trust.chain_id}",
                "connect to the ledger that the trust file names",
            )

    def head(self) -> HeadInfo:
        """Return where the node says that the ledger stands."""
        return self.connection.head()

    def get(self, table: Table[RecordT], *key: KeyPart) -> RecordT | None:
        """Return the row at a key, or None if there is none.

        Raises:
            ProtocolError: The answer does not parse or does not verify.
        """
        name = table.key(*key)
        raw = self.connection.row(name) if self.trust is None else self._proved_rows([name])[0]
        return None if raw is None else _record(table, name, raw)

    def require(self, table: Table[RecordT], *key: KeyPart) -> RecordT:
        """Return the row at a key.

        Raises:
            NotFoundError: There is none.
            ProtocolError: As `get`.
        """
        record = self.get(table, *key)
        if record is None:
            shown = "/".join(p.hex() if isinstance(p, bytes) else str(p) for p in key)
            raise NotFoundError(f"there is no {table.module}/{table.name} {shown}")
        return record

    def scan(
        self, table: Table[RecordT], *prefix: KeyPart, limit: int | None = None
    ) -> Iterator[Row[RecordT]]:
        """Yield rows of a table in the order of their keys.

        Each row is proved where there is a trust file; that none is missing is not: for that there
        are series and ranges.

        Raises:
            ProtocolError: A row does not parse or does not verify.
        """
        return self.scan_keys(table, table.key(*prefix), limit=limit)

    def scan_keys(
        self, table: Table[RecordT], prefix: bytes, *, limit: int | None = None
    ) -> Iterator[Row[RecordT]]:
        """Yield rows whose key begins with these bytes, as `scan`."""
        cursor, left = b"", limit
        while left is None or left > 0:
            size = PROVED_AT_ONCE if self.trust is not None else PAGE_SIZE_MAX
            page = self.connection.rows(prefix, cursor=cursor, limit=min(size, left or size))
            yield from self._opened(table, page.rows)
            if left is not None:
                left -= len(page.rows)
            if not page.cursor:
                return
            cursor = page.cursor

    def _opened(
        self, table: Table[RecordT], rows: Sequence[tuple[bytes, bytes]]
    ) -> Iterator[Row[RecordT]]:
        keys = [key for key, _ in rows]
        values = [value for _, value in rows]
        if self.trust is not None and keys:
            proved = self._proved_rows(keys)
            values = [raw for raw in proved if raw is not None]
            if len(values) != len(keys):
                raise ProtocolError("the node lists a row that is not there")
        for key, raw in zip(keys, values, strict=True):
            if not key.startswith(table.prefix):
                raise ProtocolError("the node lists a row of another table")
            yield Row(split_key(key)[2:], _record(table, key, raw))

    def series_size(self, series: Series[RecordT], *key: KeyPart) -> int:
        """Return how many entries a series has."""
        head = self.get(series.table, *key)
        return 0 if head is None else head.size

    def series(
        self,
        series: Series[RecordT],
        *key: KeyPart,
        start: int = 0,
        limit: int | None = None,
    ) -> Iterator[Entry[RecordT]]:
        """Yield entries of a series from a position on.

        Raises:
            ProtocolError: An entry does not parse or does not verify.
        """
        name = series.key(*key)
        size = self.series_size(series, *key)
        end = size if limit is None else min(size, start + limit)
        position = start
        while position < end:
            page = self._series_page(name, position, min(end, position + PAGE_SIZE_MAX))
            yield from _entries(series, page, position, name)
            position += len(page)

    def range(
        self, series: Series[RecordT], *key: KeyPart, from_ms: int, until_ms: int
    ) -> tuple[Entry[RecordT], ...]:
        """Return every entry of a series in [from_ms, until_ms), nothing missing.

        Raises:
            ProtocolError: An entry does not parse; with a trust file: or the range is not complete.
        """
        name = series.key(*key)
        if self.trust is None:
            entries = self.series(series, *key)
            return tuple(entry for entry in entries if from_ms <= entry.time_ms < until_ms)
        proofs, head = self._prove((RangeQuery(name, from_ms, until_ms),))
        try:
            found = verify_complete(proofs.ranges[0], head)
        except EvidenceError as error:
            raise ProtocolError(str(error)) from error
        if (found.key, found.from_ms, found.until_ms) != (name, from_ms, until_ms):
            raise ProtocolError("the node proves another range than the one asked for")
        return _entries(series, found.entries, found.start, name)

    def outcome(self, transaction_id: bytes) -> Final | None:
        """Return what became of a transaction, or None if no block holds it.

        Raises:
            ProtocolError: The answer does not parse or does not verify.
        """
        final = self._stated(transaction_id)
        if final is not None and self.trust is not None:
            self.check_finals((final,))
        return final

    def outcomes(self, transaction_ids: Iterable[bytes]) -> Iterator[Final | None]:
        """Yield what became of transactions, in order; many are proved by one request.

        Raises:
            ProtocolError: An answer does not parse or does not verify.
        """
        wanted = iter(transaction_ids)
        while part := [self._stated(one) for one in islice(wanted, PROVED_AT_ONCE)]:
            found = [final for final in part if final is not None]
            if self.trust is not None and found:
                self.check_finals(found)
            yield from part

    def _stated(self, transaction_id: bytes) -> Final | None:
        """Return what the node says became of a transaction."""
        found = self.connection.receipt(transaction_id)
        if found is None:
            return None
        if not found.receipt or found.transaction_id != transaction_id:
            raise ProtocolError("the node answers with another transaction")
        return open_receipt(
            transaction_id,
            height=found.height,
            position=found.position,
            time_ms=found.time_ms,
            receipt=found.receipt,
        )

    def check_final(self, final: Final) -> None:
        """Check an outcome against the proof of it; there has to be a trust file.

        Raises:
            ProtocolError: The transaction does not stand there, or had another outcome.
            UsageError: There is no trust file to check against.
        """
        self.check_finals((final,))

    def check_finals(self, finals: Sequence[Final]) -> None:
        """Check outcomes against the proof of them; there has to be a trust file.

        Raises:
            ProtocolError: A transaction does not stand there, or had another outcome.
            UsageError: There is no trust file to check against.
        """
        proofs, head = self._prove([TransactionQuery(final.transaction_id) for final in finals])
        if len(proofs.transactions) != len(finals):
            raise ProtocolError("the node proves more or less than was asked for")
        for final, proof in zip(finals, proofs.transactions, strict=True):
            try:
                proved = verify_transaction(proof, head)
            except EvidenceError as error:
                raise ProtocolError(f"the receipt is not proved: {error}") from error
            stated = final.transaction_id, final.height, final.position, final.time_ms
            shown = proved.id, proved.block.height, proved.position, proved.block.time_ms
            if stated != shown or final.receipt != proof.receipt.receipt:
                raise ProtocolError("the node stated another outcome than it proves")

    def newest_head(self) -> tuple[Proofs, VerifiedHead]:
        """Return the newest head that is signed and opened, verified; there has to be a trust file.

        Raises:
            ProtocolError: It does not verify.
            UsageError: There is no trust file to check against.
        """
        return self._prove(())

    def lineage(self, version: bytes) -> "Lineage":
        """Return what a version of a model is made from, tested on and used in.

        Raises:
            NotFoundError: There is no such version.
            ProtocolError: An answer does not parse or does not verify.
        """
        from cairn.sdk.lineage import lineage_of

        return lineage_of(self, version)

    # Proved answers

    def _proved_rows(self, keys: Sequence[bytes]) -> list[bytes | None]:
        proofs, head = self._prove([StateQuery(key) for key in keys])
        if [proof.key for proof in proofs.states] != list(keys):
            raise ProtocolError("the node proves other rows than those asked for")
        try:
            return [verify_state(proof, head) for proof in proofs.states]
        except EvidenceError as error:
            raise ProtocolError(str(error)) from error

    def _series_page(self, name: bytes, start: int, end: int) -> tuple[SeriesEntry, ...]:
        if self.trust is None:
            page = self.connection.series(name, start=start, limit=end - start)
            if not page.entries or page.start != start:
                raise ProtocolError("the node leaves out entries of a series")
            return tuple(_decoded_entries(page.entries))
        proofs, head = self._prove((SeriesQuery(name, start, end),))
        try:
            run = verify_series(proofs.series[0], head)
        except EvidenceError as error:
            raise ProtocolError(str(error)) from error
        if run.key != name or run.start != start or len(run.entries) != end - start:
            raise ProtocolError("the node proves other entries than those asked for")
        return run.entries

    def _prove(self, queries: Sequence[ProofQuery]) -> tuple[Proofs, VerifiedHead]:
        """Return proofs and the head that they hang on, which the trusted validators signed."""
        if self.trust is None:
            raise UsageError("there is no trust file to check against", "give one to the client")
        proofs = self.connection.prove(ProofRequest(tuple(queries), witnessed=False))
        counts = (proofs.states, proofs.series, proofs.ranges, proofs.receipts, proofs.transactions)
        if sum(len(found) for found in counts) != len(queries):
            raise ProtocolError("the node proves more or less than was asked for")
        try:
            head = verify_head(proofs.head, self.trust)
        except EvidenceError as error:
            raise ProtocolError(f"the node's head does not verify: {error}") from error
        if head.height < self._proved_height:
            raise ProtocolError(f"the node went back from height {self._proved_height}")
        self._proved_height = head.height
        return proofs, head


def check_done(outcomes: Iterable[Final]) -> None:
    """Check that all transactions took effect.

    Raises:
        RejectedError: One did not.
    """
    for outcome in outcomes:
        if outcome.code != OK:
            outcome.check()


def _record(table: Table[RecordT], key: bytes, raw: bytes) -> RecordT:
    try:
        return table.decoder.decode(raw)
    except NonCanonicalError as error:
        raise ProtocolError(f"row {key.hex()} does not parse: {error}") from error


def _entries(
    series: Series[RecordT], page: tuple[SeriesEntry, ...], start: int, name: bytes
) -> tuple[Entry[RecordT], ...]:
    try:
        return decoded(page, start, series.decoder, name)
    except EvidenceError as error:
        raise ProtocolError(str(error)) from error


def _decoded_entries(raws: Sequence[bytes]) -> Iterator[SeriesEntry]:
    for raw in raws:
        try:
            yield ENTRY_DECODER.decode(raw)
        except NonCanonicalError as error:
            raise ProtocolError(f"an entry does not parse: {error}") from error
