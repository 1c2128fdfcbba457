"""Tables and series: how facts become rows of the flat state, and the field types they share.

A row key is a sequence of length-prefixed parts, the module and the table first, so that no two
tables can share a key. Declarations are inert: names, key types and the record type, no policy.
"""

from typing import Annotated, Generic, TypeVar

from msgspec import Meta

from cairn.primitives.encoding import Decoder, NonCanonicalError, Record, encode
from cairn.primitives.hashes import Digest, tagged_hash
from cairn.primitives.merkle import Frontier, leaf_hash

RecordT = TypeVar("RecordT", bound=Record)
KeyPart = bytes | str | int

AccountIdField = Annotated[bytes, Meta(min_length=20, max_length=20)]
ObjectIdField = Annotated[bytes, Meta(min_length=20, max_length=20)]
DigestField = Annotated[bytes, Meta(min_length=32, max_length=32)]
PublicKeyField = Annotated[bytes, Meta(min_length=34, max_length=34)]
NameField = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*\Z")]
"""A slug that people choose: asset, deployment, rule, policy, role."""
TextField = Annotated[str, Meta(max_length=256)]
"""Short free text; never personal data."""
AmountField = Annotated[int, Meta(gt=0, le=2**63 - 1)]
"""An amount in the asset's smallest unit."""
CountField = Annotated[int, Meta(ge=0, le=2**63 - 1)]
TimeMsField = Annotated[int, Meta(ge=0, le=2**53)]
HeightField = Annotated[int, Meta(ge=0, le=2**53)]
ScoreField = Annotated[int, Meta(ge=0, le=1_000_000)]
"""A score or share in parts per million."""
TerminalField = Annotated[bytes, Meta(max_length=20)]
"""Id of the terminal where a payment was made, 20 bytes; empty if there is none."""
StatedField = Annotated[int, Meta(gt=-(2**63), le=2**63 - 1)]
"""A stated number; the smallest integer stands for one that is missing."""
ASSERTED_MAX = 16
"""Most numbers that are stated about one payment."""


def key_part(part: KeyPart) -> bytes:
    """Return one part of a row key: its length in a byte, its bytes (integers: 8, big-endian)."""
    if isinstance(part, int):
        return b"\x08" + part.to_bytes(8, "big")
    raw = part.encode() if isinstance(part, str) else part
    return bytes((len(raw),)) + raw


def split_key(key: bytes) -> tuple[bytes, ...]:
    """Return the parts of a row key; the first two are the module and the table.

    Raises:
        NonCanonicalError: The bytes are not a row key.
    """
    parts = []
    position = 0
    while position < len(key):
        end = position + 1 + key[position]
        if end > len(key):
            raise NonCanonicalError("the last part of a row key is truncated")
        parts.append(key[position + 1 : end])
        position = end
    if len(parts) < 2:
        raise NonCanonicalError("a row key names a module and a table")
    return tuple(parts)


def describe_key(key: bytes) -> str:
    """Return a row key as people read it: `module/table` and the other parts in hex or text."""
    return "/".join(_shown(part) for part in split_key(key))


def _shown(part: bytes) -> str:
    text = part.decode("ascii", errors="replace")
    return text if part.isascii() and text.isprintable() else part.hex()


class Asserted(Record):
    """A number that the submitter of a payment states about it; the ledger cannot check it."""

    name: NameField
    value: StatedField


AssertedField = Annotated[tuple[Asserted, ...], Meta(max_length=ASSERTED_MAX)]
"""Sorted by name, each once."""


class Table(Generic[RecordT]):
    """A declared table of the state: rows of one record type under keys of stated parts.

    Args:
        module: Name of the module that owns the rows.
        name: Name of the table within the module.
        key: Types of the key's parts, for example `(bytes, str)`.
        record: Record type of the rows.
        ordered: Whether consensus may walk the rows in key order. Only small tables, or tables
            whose key begins with what they are walked by (a due time), are ordered.
    """

    __slots__ = ("decoder", "key_types", "module", "name", "ordered", "prefix", "record")

    def __init__(
        self,
        module: str,
        name: str,
        key: tuple[type, ...],
        record: type[RecordT],
        *,
        ordered: bool = False,
    ) -> None:
        """Declare the table."""
        self.module = module
        self.name = name
        self.key_types = key
        self.record = record
        self.ordered = ordered
        self.prefix = key_part(module) + key_part(name)
        self.decoder: Decoder[RecordT] = Decoder(record)

    def key(self, *parts: KeyPart) -> bytes:
        """Return the row key of `parts`, or the rows' common prefix if fewer than all are given."""
        key = self.prefix
        for part in parts:
            if isinstance(part, bytes):
                key += bytes((len(part),)) + part
            else:
                key += key_part(part)
        return key


class SeriesHead(Record):
    """State row of a series: what a header's application hash binds about all of its entries."""

    size: int
    """Number of entries."""
    root: bytes
    """RFC 6962 root over the entries' bytes."""
    last_time_ms: int
    """Block time of the newest entry."""
    peaks: tuple[bytes, ...]
    """Roots of the perfect subtrees, largest first: what appending needs."""

    def frontier(self) -> Frontier:
        """Return the tree's frontier, to which entries are appended."""
        return Frontier(self.size, self.peaks)


class SeriesEntry(Record):
    """One leaf of a series: the time of the block that appended it, and the record's bytes."""

    time_ms: int
    payload: bytes


class Series(Generic[RecordT]):
    """An append-only table: its root, size and last time are state, its entries are leaves.

    Entries carry the block time and never go back in time, so that "every entry from a to b" can be
    proved complete by its neighbours.
    """

    __slots__ = ("decoder", "key_types", "module", "name", "prefix", "record", "table")

    def __init__(
        self, module: str, name: str, key: tuple[type, ...], record: type[RecordT]
    ) -> None:
        """Declare the series; with key parts there is one series for each value of the key."""
        self.module = module
        self.name = name
        self.key_types = key
        self.record = record
        self.table = Table(module, name, key, SeriesHead)
        self.prefix = self.table.prefix
        self.decoder: Decoder[RecordT] = Decoder(record)

    def key(self, *parts: KeyPart) -> bytes:
        """Return the row key of the series' head, which also names the series."""
        return self.table.key(*parts)


ENTRY_DECODER: Decoder[SeriesEntry] = Decoder(SeriesEntry)
HEAD_DECODER: Decoder[SeriesHead] = Decoder(SeriesHead)


def entry_bytes(time_ms: int, record: Record) -> bytes:
    """Return the bytes of a series' leaf."""
    return encode(SeriesEntry(time_ms, encode(record)))


def entry_hash(raw: bytes) -> Digest:
    """Return the Merkle leaf hash of a series entry's bytes."""
    return leaf_hash(raw)


def leaf_key(series: bytes, position: int) -> bytes:
    """Return where the entry at `position` of the series with head key `series` is stored."""
    return series + position.to_bytes(8, "big")


def node_key(tree: bytes, level: int, position: int) -> bytes:
    """Return where a Merkle node of a tree is stored; `tree` is a series' head key or `HISTORY`."""
    return tree + bytes((level,)) + position.to_bytes(8, "big")


HISTORY = key_part("ledger") + key_part("history")
"""Names the history tree among the stored Merkle nodes."""


class HistoryLeaf(Record):
    """What the history tree keeps of one block: any old fact is provable from a new header."""

    height: int
    time_ms: int
    block_hash: bytes
    data_hash: bytes
    """CometBFT's data hash: the Merkle root over the transactions' hashes."""
    receipts_root: bytes
    """RFC 6962 root over the receipts' bytes."""
    transaction_count: int
    receipt_count: int
    """Equal to the transaction count, or one more when end-of-block work left a receipt."""


HISTORY_DECODER: Decoder[HistoryLeaf] = Decoder(HistoryLeaf)


def application_hash(state_root: bytes, history_size: int, history_root: bytes) -> Digest:
    """Return the hash that the next header carries; it binds the history's size beside its root."""
    return tagged_hash(b"cairn/app", state_root, history_size.to_bytes(8, "big"), history_root)
