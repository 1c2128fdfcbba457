"""Proved facts, looked up by what they mean; what a claim did not look at is surplus.

`VerifiedFacts` holds what steps 3 to 7 proved. A claim's check asks it for rows, runs of series,
receipts and transactions; whatever the bundle does not prove ends the verification. A prover
answers the same questions from a ledger instead, and so learns what its bundle must carry.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from cairn.evidence.errors import (
    ClaimError,
    IncompleteRangeError,
    SeriesProofError,
    StateProofError,
    SurplusError,
)
from cairn.evidence.rows import RowDisclosure
from cairn.ledger.receipts import Receipt
from cairn.ledger.records import (
    HistoryLeaf,
    KeyPart,
    Series,
    SeriesEntry,
    Table,
    describe_key,
)
from cairn.ledger.transactions import Transaction
from cairn.primitives.encoding import Decoder, NonCanonicalError, Record

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True, slots=True)
class VerifiedHead:
    """A proving header that the trusted validators committed, and what it opens to."""

    height: int
    """Height H of the block after which the facts hold; the header's is H + 1."""
    time_ms: int
    """The header's time: facts hold as of it."""
    block_hash: bytes
    """Hash of the proving header."""
    state_root: bytes
    history_size: int
    history_root: bytes
    signed_power: int
    """Voting power that signed the header."""
    total_power: int


@dataclass(frozen=True, slots=True)
class VerifiedSeries:
    """A contiguous run of a series' entries, proved against the series' head."""

    key: bytes
    size: int
    start: int
    entries: tuple[SeriesEntry, ...]


@dataclass(frozen=True, slots=True)
class VerifiedRange:
    """Every entry of a series in [from_ms, until_ms), with the position of the first."""

    key: bytes
    from_ms: int
    until_ms: int
    start: int
    entries: tuple[SeriesEntry, ...]


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt that stands in a block of the history."""

    block: HistoryLeaf
    position: int
    raw: bytes
    receipt: Receipt | None
    """None if the transaction was not admitted."""


@dataclass(frozen=True, slots=True)
class VerifiedTransaction:
    """A signed transaction that stands in a block of the history, with its receipt."""

    id: bytes
    envelope: Transaction
    block: HistoryLeaf
    position: int
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Entry(Generic[RecordT]):
    """An entry of a series, decoded."""

    position: int
    time_ms: int
    record: RecordT


@dataclass(frozen=True, slots=True)
class Stretch(Generic[RecordT]):
    """Consecutive entries of a series, nothing missing between them."""

    entries: tuple[Entry[RecordT], ...]
    ended: bool
    """Whether the last entry is the one that was looked for; else the series has none."""


@dataclass(slots=True)
class VerifiedFacts:
    """Everything that a bundle's facts prove, by what it is looked up by."""

    head: VerifiedHead
    chain_id: str
    states: dict[bytes, bytes | None] = field(default_factory=dict)
    series: dict[bytes, VerifiedSeries] = field(default_factory=dict)
    ranges: dict[bytes, VerifiedRange] = field(default_factory=dict)
    receipts: dict[bytes, VerifiedReceipt] = field(default_factory=dict)
    """By transaction id."""
    transactions: dict[bytes, VerifiedTransaction] = field(default_factory=dict)
    disclosures: list[RowDisclosure] = field(default_factory=list)
    _used: set[tuple[str, bytes]] = field(default_factory=set)

    # Rows

    def state(self, key: bytes) -> bytes | None:
        """Return the proved bytes of a row, None for one that is proved absent.

        Raises:
            ClaimError: The bundle proves neither.
        """
        if key not in self.states:
            self.load_state(key)
        self._used.add(("row", key))
        return self.states[key]

    def row(self, table: Table[RecordT], *key: KeyPart) -> RecordT | None:
        """Return a proved row, or None for one that is proved absent.

        Raises:
            ClaimError: The bundle proves neither.
            StateProofError: The row's bytes are not a record of the table.
        """
        name = key_of(table, key)
        raw = self.state(name)
        if raw is None:
            return None
        try:
            return table.decoder.decode(raw)
        except NonCanonicalError as error:
            raise StateProofError(f"{name_of(name)}: {error}") from error

    def required_row(self, table: Table[RecordT], *key: KeyPart) -> RecordT:
        """Return a proved row.

        Raises:
            ClaimError: The bundle does not prove it, or proves that there is none.
        """
        row = self.row(table, *key)
        if row is None:
            raise ClaimError(f"there is no {name_of(key_of(table, key))}")
        return row

    # Series

    def stretch(
        self,
        series: Series[RecordT],
        *key: KeyPart,
        since_ms: int = 0,
        until: Callable[[int, RecordT], bool] | None = None,
    ) -> Stretch[RecordT]:
        """Return the entries from `since_ms` on up to the first for which `until` holds.

        Args:
            series: The series.
            key: Key parts of the series.
            since_ms: Time from which on no entry is missing; 0 for the very first one.
            until: Called with time and record; None for "up to the series' end".

        Raises:
            ClaimError: The bundle holds no entries of this series.
            SeriesProofError: An entry is not a record of the series.
            IncompleteRangeError: An entry is missing at either end, or more are given than needed.
        """
        name = key_of(series.table, key)
        if name not in self.series:
            self.load_stretch(series, name, since_ms, until)
        self._used.add(("series", name))
        run = self.series[name]
        entries = decoded(run.entries, run.start, series.decoder, name)
        inside = tuple(entry for entry in entries if entry.time_ms >= since_ms)
        before = len(entries) - len(inside)
        if before > 1 or (before == 0 and run.start > 0):
            raise IncompleteRangeError(f"{name_of(name)}: it does not begin where it must")
        ends = [until is not None and until(entry.time_ms, entry.record) for entry in inside]
        if any(ends[:-1]):
            raise IncompleteRangeError(f"{name_of(name)}: entries beyond the last that is needed")
        ended = bool(ends) and ends[-1]
        if not ended and run.start + len(entries) != run.size:
            raise IncompleteRangeError(f"{name_of(name)}: later entries are not shown")
        return Stretch(inside, ended)

    def entry(self, series: Series[RecordT], position: int, *key: KeyPart) -> Entry[RecordT]:
        """Return one entry of a series.

        Raises:
            ClaimError: The bundle does not hold it, and it alone.
        """
        name = key_of(series.table, key)
        if name not in self.series:
            self.load_entry(name, position)
        self._used.add(("series", name))
        run = self.series[name]
        if run.start != position or len(run.entries) != 1:
            raise ClaimError(f"{name_of(name)}: entry {position} is not the one shown")
        return decoded(run.entries, run.start, series.decoder, name)[0]

    def range(
        self, series: Series[RecordT], *key: KeyPart, from_ms: int, until_ms: int
    ) -> tuple[Entry[RecordT], ...]:
        """Return every entry of a series in [from_ms, until_ms).

        Raises:
            ClaimError: The bundle holds no such range.
            SeriesProofError: An entry is not a record of the series.
        """
        name = key_of(series.table, key)
        found = self.raw_range(name, from_ms, until_ms)
        return decoded(found.entries, found.start, series.decoder, name)

    def raw_range(self, name: bytes, from_ms: int, until_ms: int) -> VerifiedRange:
        """Return every entry of the series with head key `name` in [from_ms, until_ms), undecoded.

        Raises:
            ClaimError: The bundle holds no such range.
        """
        if name not in self.ranges:
            self.load_range(name, from_ms, until_ms)
        self._used.add(("range", name))
        found = self.ranges[name]
        if (found.from_ms, found.until_ms) != (from_ms, until_ms):
            raise ClaimError(f"{name_of(name)}: the range shown is another one")
        return found

    # Blocks

    def transaction(self, identity: bytes) -> VerifiedTransaction:
        """Return a proved transaction.

        Raises:
            ClaimError: The bundle does not prove it.
        """
        if identity not in self.transactions:
            self.load_transaction(identity)
        self._used.add(("transaction", identity))
        return self.transactions[identity]

    def receipts_of(self, identities: Iterable[bytes]) -> Mapping[bytes, VerifiedReceipt]:
        """Return the proved receipts, by the ids of their transactions.

        Raises:
            ClaimError: The bundle does not prove one of them.
        """
        wanted = list(dict.fromkeys(identities))
        missing = [identity for identity in wanted if identity not in self.receipts]
        if missing:
            self.load_receipts(missing)
        self._used.update(("receipt", identity) for identity in wanted)
        return {identity: self.receipts[identity] for identity in wanted}

    def disclosure(self) -> RowDisclosure:
        """Return the row that the bundle discloses.

        Raises:
            ClaimError: It discloses none.
        """
        if not self.disclosures:
            raise ClaimError("the bundle discloses no row")
        self._used.add(("disclosure", b""))
        return self.disclosures[0]

    # What is missing: a bundle has nothing more to offer, a prover fetches it

    def load_state(self, key: bytes) -> None:
        """Find a row that is not there yet."""
        raise ClaimError(f"the bundle does not prove {name_of(key)}")

    def load_stretch(
        self,
        series: Series[RecordT],
        name: bytes,
        since_ms: int,
        until: Callable[[int, RecordT], bool] | None,
    ) -> None:
        """Find a run of entries that is not there yet."""
        del series, since_ms, until
        raise ClaimError(f"the bundle does not prove entries of {name_of(name)}")

    def load_entry(self, name: bytes, position: int) -> None:
        """Find one entry that is not there yet."""
        raise ClaimError(f"the bundle does not prove entry {position} of {name_of(name)}")

    def load_range(self, name: bytes, from_ms: int, until_ms: int) -> None:
        """Find a range that is not there yet."""
        del from_ms, until_ms
        raise ClaimError(f"the bundle does not prove a range of {name_of(name)}")

    def load_transaction(self, identity: bytes) -> None:
        """Find a transaction that is not there yet."""
        raise ClaimError(f"the bundle does not prove transaction {identity.hex()}")

    def load_receipts(self, identities: list[bytes]) -> None:
        """Find receipts that are not there yet."""
        raise ClaimError(
            f"the bundle does not prove {len(identities)} receipts, among them that of "
            f"transaction {identities[0].hex()}"
        )

    # The whole

    def check_all_used(self) -> None:
        """Check that the claim had a use for every fact.

        Raises:
            SurplusError: It had none for one of them.
        """
        there: list[tuple[str, bytes]] = [("row", key) for key in self.states]
        there += [("series", key) for key in self.series]
        there += [("range", key) for key in self.ranges]
        there += [("receipt", identity) for identity in self.receipts]
        there += [("transaction", identity) for identity in self.transactions]
        there += [("disclosure", b"") for _ in self.disclosures]
        for kind, name in there:
            if (kind, name) not in self._used:
                shown = name_of(name) if kind in ("row", "series", "range") else name.hex()
                raise SurplusError(f"the claim has no use for {kind} {shown}".rstrip())

    def sentence(self) -> str:
        """Return the counts of what was proved, in words."""
        entries = sum(len(s.entries) for s in self.series.values()) + sum(
            len(r.entries) for r in self.ranges.values()
        )
        counts = (
            (len(self.transactions), "transaction"),
            (len(self.receipts), "receipt"),
            (len(self.states), "row"),
            (entries, "entr"),
        )
        return (
            ", ".join(f"{count:,} {_plural(noun, count)}" for count, noun in counts)
            + " lead to the header"
        )


def decoded(
    entries: tuple[SeriesEntry, ...], start: int, decoder: Decoder[RecordT], name: bytes
) -> tuple[Entry[RecordT], ...]:
    """Return entries with their records.

    Raises:
        SeriesProofError: One is not a record of the series.
    """
    try:
        return tuple(
            Entry(start + offset, entry.time_ms, decoder.decode(entry.payload))
            for offset, entry in enumerate(entries)
        )
    except NonCanonicalError as error:
        raise SeriesProofError(f"{name_of(name)}: {error}") from error


def key_of(table: Table[Any], parts: tuple[KeyPart, ...]) -> bytes:
    """Return a row key; its parts come from proved records, which an operator may have made up.

    Raises:
        ClaimError: A part is too long, or too large, to be one.
    """
    try:
        return table.key(*parts)
    except (OverflowError, ValueError) as error:
        raise ClaimError(f"a row of {table.module}/{table.name} has no such key") from error


def name_of(key: bytes) -> str:
    """Return a row key as people read it; a key that is none is shown in hex."""
    try:
        return describe_key(key)
    except NonCanonicalError:
        return key.hex()


def _plural(noun: str, count: int) -> str:
    if noun == "entr":
        return "entry" if count == 1 else "entries"
    return noun if count == 1 else noun + "s"
