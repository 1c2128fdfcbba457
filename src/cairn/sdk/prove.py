"""Assembles bundles: the facts that a claim needs, fetched from a ledger, and no others.

A claim's check asks for facts one by one. Here it first runs over what the ledger says without
proof and notes what it asks for; then the proofs of just that are fetched, all from one head, and
the check runs again over them. So a bundle carries exactly what its verifier will look at, and a
claim that does not hold is found out at once. A ledger that moved in between is asked again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from cairn.evidence.bundle import (
    BUNDLE_FORMAT,
    Bundle,
    Claim,
    LiveClaim,
    PeriodClaim,
    RangeClaim,
    encode_bundle,
    in_order,
)
from cairn.evidence.claims import check_claim
from cairn.evidence.errors import (
    ClaimError,
    IncompleteRangeError,
    SeriesProofError,
    SurplusError,
)
from cairn.evidence.facts import (
    VerifiedFacts,
    VerifiedHead,
    VerifiedRange,
    VerifiedReceipt,
    VerifiedSeries,
    VerifiedTransaction,
    decoded,
)
from cairn.evidence.keys import check_keys
from cairn.evidence.proofs import (
    HeadProof,
    RangeProof,
    ReceiptsProof,
    SeriesProof,
    StateProof,
    TransactionProof,
)
from cairn.evidence.rows import RowDisclosure
from cairn.evidence.steps import verify_facts
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.ledger.records import ENTRY_DECODER, HistoryLeaf, Series, SeriesEntry
from cairn.ledger.transactions import decode_envelope
from cairn.primitives.checkpoints import SignedNote, note_bytes, parse_note
from cairn.primitives.encoding import Record, replace
from cairn.primitives.light import header_hash, header_time_ms
from cairn.sdk.errors import UsageError

RecordT = TypeVar("RecordT", bound=Record)

PAGE_ENTRIES = 1_000
"""Entries of a series that are read at once."""
TRIES_MAX = 5
"""How often a ledger that moves while it is read is asked again."""

_FAR = 2**53
"""Later than any time, above any height: without proof no header bounds a claim."""


@dataclass(slots=True)
class Wanted:
    """The proofs that a bundle needs, all from one head."""

    min_time_ms: int = 0
    """Least time of the proving header."""
    extends_size: int | None = None
    """Size of a history that the verifier holds a checkpoint of, whose extension is to be shown."""
    states: list[bytes] = field(default_factory=list)
    series: list[tuple[bytes, int, int]] = field(default_factory=list)
    """Key of the head, first position, end; the series has entries there."""
    empty_series: list[bytes] = field(default_factory=list)
    """Series without an entry: the absence of the head's row is to be shown."""
    ranges: list[tuple[bytes, int, int]] = field(default_factory=list)
    """Key of the head, from and until in ms."""
    receipts: list[tuple[int, int, int]] = field(default_factory=list)
    """Height, first position, end."""
    transactions: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Proofs:
    """The proofs that were wanted, from one head; each list in the order asked."""

    head: HeadProof
    states: Sequence[StateProof] = ()
    """Those of `states`, then those of `empty_series`."""
    series: Sequence[SeriesProof] = ()
    ranges: Sequence[RangeProof] = ()
    receipts: Sequence[ReceiptsProof] = ()
    transactions: Sequence[TransactionProof] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    """A transaction as it stands in a block, without proof."""

    height: int
    time_ms: int
    position: int
    raw: bytes
    """The envelope; empty where only the receipt was asked for."""
    receipt: bytes


class ProofSource(Protocol):
    """A ledger that answers, and proves what it answered when it is asked to."""

    chain_id: str

    def row(self, key: bytes) -> bytes | None:
        """Return the state row at `key`."""
        ...

    def entries(self, key: bytes, start: int, limit: int) -> tuple[int, Sequence[bytes]]:
        """Return a series' size, and at most `limit` of its entries from `start` on."""
        ...

    def transaction(self, transaction_id: bytes) -> Placed | None:
        """Return a transaction of a block, or None."""
        ...

    def receipts(self, transaction_ids: Sequence[bytes]) -> Sequence[Placed]:
        """Return where the transactions of these ids stand, with their receipts, in order."""
        ...

    def prove(self, wanted: Wanted) -> Proofs:
        """Return the wanted proofs from one head."""
        ...


def prove(
    source: ProofSource,
    claim: Claim,
    *,
    disclosure: RowDisclosure | None = None,
    witnesses: Sequence[str] | None = None,
    extends_size: int | None = None,
) -> bytes:
    """Return a bundle that shows `claim` to whoever trusts the source's validators.

    Args:
        source: The ledger.
        claim: What to show.
        disclosure: The row to disclose, for a claim about one.
        witnesses: Names of the witnesses whose cosignatures to carry; None for all that there are.
            A verifier refuses those of witnesses that its trust file does not name.
        extends_size: History size of the checkpoint that the verifier holds, if it does.

    Raises:
        ClaimError: The claim does not hold.
        EvidenceError: What the ledger proves is not what it says, each time it was asked.
        UsageError: A witness is asked for that has not cosigned this head.
    """
    rows = () if disclosure is None else (disclosure,)
    for tries_left in reversed(range(TRIES_MAX)):
        read = ReadFacts(source)
        read.disclosures.extend(rows)
        check_claim(claim, read, replay=False)
        check_keys(read)
        wanted = read.wanted
        wanted.min_time_ms, wanted.extends_size = _least_time_ms(claim), extends_size
        proofs = source.prove(wanted)
        bundle = _bundle(claim, read, proofs, rows=rows, witnesses=witnesses)
        try:
            _check(bundle)
        except (ClaimError, IncompleteRangeError, SeriesProofError, SurplusError):
            if not tries_left:
                raise
        else:
            return encode_bundle(bundle)
    raise AssertionError("the last try returns or raises")


def _check(bundle: Bundle) -> None:
    """Check that a bundle shows its claim, whoever has signed its head.

    Raises:
        EvidenceError: It does not.
    """
    facts = verify_facts(bundle, _unverified_head(bundle.head))
    check_keys(facts)
    check_claim(bundle.claim, facts, replay=False)
    facts.check_all_used()


def _bundle(
    claim: Claim,
    read: "ReadFacts",
    proofs: Proofs,
    *,
    rows: tuple[RowDisclosure, ...],
    witnesses: Sequence[str] | None,
) -> Bundle:
    """Return the bundle of a claim and the proofs that were fetched for it."""
    note = cosigned_by(proofs.head.cosigned_checkpoint, witnesses)
    count = len(read.wanted.states)
    empty = [SeriesProof(head, 0, (), ()) for head in proofs.states[count:]]
    return in_order(
        Bundle(
            BUNDLE_FORMAT,
            read.chain_id,
            claim,
            replace(proofs.head, cosigned_checkpoint=note),
            tuple(proofs.states[:count]),
            (*proofs.series, *empty),
            tuple(proofs.ranges),
            tuple(proofs.receipts),
            tuple(proofs.transactions),
            rows,
        )
    )


def _least_time_ms(claim: Claim) -> int:
    """Return the time that the proving header must have reached for a claim."""
    match claim:
        case LiveClaim():
            return claim.at_ms or 0
        case RangeClaim() | PeriodClaim():
            return claim.until_ms
        case _:
            return 0


def cosigned_by(checkpoint: bytes, witnesses: Sequence[str] | None) -> bytes:
    """Return a signed note with the lines of `witnesses` alone, sorted; empty if there are none.

    The log's own line, which bears the chain id, is left out: the header's commit says the same.

    Raises:
        UsageError: One of them has no line.
    """
    if not checkpoint:
        if witnesses:
            raise UsageError("no witness has cosigned this head")
        return b""
    note = parse_note(checkpoint)
    origin = note.text.partition("\n")[0]
    newest = {
        line.name: line
        for line in sorted(note.signatures, key=lambda line: line.signature[:8])
        if line.name != origin
    }
    missing = [name for name in witnesses or () if name not in newest]
    if missing:
        raise UsageError(f"{', '.join(missing)} has not cosigned this head")
    names = sorted(newest if witnesses is None else dict.fromkeys(witnesses))
    if not names:
        return b""
    return note_bytes(SignedNote(note.text, tuple(newest[name] for name in names)))


class ReadFacts(VerifiedFacts):
    """Facts as a ledger states them, without proof; notes which proofs they would need."""

    __slots__ = ("_source", "wanted")

    def __init__(self, source: ProofSource) -> None:
        """Start with nothing."""
        super().__init__(VerifiedHead(_FAR, _FAR, b"", b"", 0, b"", 0, 0), source.chain_id)
        self._source = source
        self.wanted = Wanted()

    def load_state(self, key: bytes) -> None:
        """Read a row."""
        self.wanted.states.append(key)
        self.states[key] = self._source.row(key)

    def load_stretch(
        self,
        series: Series[RecordT],
        name: bytes,
        since_ms: int,
        until: Callable[[int, RecordT], bool] | None,
    ) -> None:
        """Read the entries from `since_ms` on, the one before them, up to where `until` holds."""
        size, _ = self._source.entries(name, 0, 0)
        start = max(0, self._find(name, size, since_ms) - 1) if since_ms else 0
        kept: list[SeriesEntry] = []
        while start + len(kept) < size:
            page = self._page(name, start + len(kept), size)
            found = [
                entry.position
                for entry in decoded(page, start + len(kept), series.decoder, name)
                if until is not None
                and entry.time_ms >= since_ms
                and until(entry.time_ms, entry.record)
            ]
            if found:
                kept.extend(page[: found[0] + 1 - start - len(kept)])
                break
            kept.extend(page)
        self._keep_run(name, size, start, kept)

    def load_entry(self, name: bytes, position: int) -> None:
        """Read one entry.

        Raises:
            ClaimError: The series has no such entry.
        """
        size, raws = self._source.entries(name, position, 1)
        if not raws:
            raise ClaimError(f"there is no entry {position} among {size}")
        self._keep_run(name, size, position, _decode(raws))

    def load_range(self, name: bytes, from_ms: int, until_ms: int) -> None:
        """Read the entries in a range of time."""
        self.wanted.ranges.append((name, from_ms, until_ms))
        size, _ = self._source.entries(name, 0, 0)
        start = position = self._find(name, size, from_ms)
        inside: list[SeriesEntry] = []
        while position < size:
            page = self._page(name, position, size)
            inside.extend(entry for entry in page if entry.time_ms < until_ms)
            if page[-1].time_ms >= until_ms:
                break
            position += len(page)
        self.ranges[name] = VerifiedRange(name, from_ms, until_ms, start, tuple(inside))

    def load_transaction(self, identity: bytes) -> None:
        """Read a transaction with its receipt.

        Raises:
            ClaimError: No block holds it.
        """
        placed = self._source.transaction(identity)
        if placed is None:
            raise ClaimError(f"no block holds transaction {identity.hex()}")
        self.wanted.transactions.append(identity)
        self.transactions[identity] = VerifiedTransaction(
            identity,
            decode_envelope(placed.raw),
            _block(placed),
            placed.position,
            RECEIPT_DECODER.decode(placed.receipt),
        )

    def load_receipts(self, identities: list[bytes]) -> None:
        """Read receipts; those that stand side by side in a block are proved together."""
        found = self._source.receipts(identities)
        runs = runs_of([(placed.height, placed.position) for placed in found])
        self.wanted.receipts += [(height, start, end) for (height, start), end in runs.items()]
        for identity, placed in zip(identities, found, strict=True):
            self.receipts[identity] = VerifiedReceipt(
                _block(placed),
                placed.position,
                placed.receipt,
                RECEIPT_DECODER.decode(placed.receipt),
            )

    def _page(self, name: bytes, start: int, size: int) -> tuple[SeriesEntry, ...]:
        _, raws = self._source.entries(name, start, min(PAGE_ENTRIES, size - start))
        return _decode(raws)

    def _find(self, name: bytes, size: int, time_ms: int) -> int:
        """Return the position of the first entry of at least `time_ms`, `size` if there is none."""
        low, high = 0, size
        while low < high:
            middle = (low + high) // 2
            if _decode(self._source.entries(name, middle, 1)[1])[0].time_ms < time_ms:
                low = middle + 1
            else:
                high = middle
        return low

    def _keep_run(self, name: bytes, size: int, start: int, entries: Sequence[SeriesEntry]) -> None:
        if size:
            self.wanted.series.append((name, start, start + len(entries)))
        else:
            self.wanted.empty_series.append(name)
        self.series[name] = VerifiedSeries(name, size, start, tuple(entries))


def runs_of(places: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
    """Return `(height, start) -> end` of the runs that places, height and position, make up."""
    runs: dict[tuple[int, int], int] = {}
    last: tuple[int, int] | None = None
    for height, position in sorted(dict.fromkeys(places)):
        if last is None or last[0] != height or runs[last] != position:
            last = (height, position)
        runs[last] = position + 1
    return runs


def _unverified_head(head: HeadProof) -> VerifiedHead:
    return VerifiedHead(
        head.header.height - 1,
        header_time_ms(head.header),
        header_hash(head.header),
        head.state_root,
        head.history_size,
        head.history_root,
        0,
        0,
    )


def _block(placed: Placed) -> HistoryLeaf:
    """Return what is known of a block without proof: its height and time."""
    return HistoryLeaf(placed.height, placed.time_ms, b"", b"", b"", 0, 0)


def _decode(raws: Sequence[bytes]) -> tuple[SeriesEntry, ...]:
    return tuple(ENTRY_DECODER.decode(raw) for raw in raws)
