"""Opening a ledger's directory: founding it, or doing again what came after its checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cairn.engine.base import Chain, LogEntry
from cairn.engine.errors import OptimizedPythonError, WrongValidatorError
from cairn.engine.signature_pool import SignaturePool
from cairn.ledger.errors import Fault, Rejection
from cairn.ledger.execution import BlockResult, Ledger, LedgerHead
from cairn.ledger.memory import MemoryState
from cairn.ledger.module import Registry
from cairn.modules.registry import standard_registry
from cairn.node.directory import LEDGER_FOLDER, Founding, read_founding
from cairn.node.divergence import DivergedError, DivergenceReport, state_differences
from cairn.node.errors import CharterError, WrongDirectoryError
from cairn.node.keeper import HEAD_DECODER, StoreKeeper, decode_entry
from cairn.node.replay import Replay, ReplayReport
from cairn.primitives import trie
from cairn.primitives.encoding import NonCanonicalError, encode
from cairn.primitives.light import header_time_ms
from cairn.primitives.signatures import SigningKey, self_test
from cairn.storage.disk import Disk
from cairn.storage.errors import CorruptCheckpointError
from cairn.storage.store import CHECKPOINT_FOLDER, LedgerStore, StoreSettings


@dataclass(frozen=True, slots=True)
class OpenLedger:
    """A ledger whose rows are those after the last block of its log."""

    founding: Founding
    ledger: Ledger
    store: LedgerStore
    keeper: StoreKeeper
    chain: Chain
    head: LedgerHead


def check_validator(founding: Founding, key: SigningKey) -> int:
    """Return the voting power of `key`, which must be the charter's one validator.

    Raises:
        WrongValidatorError: It is not, or the charter names several.
    """
    validators = founding.charter.validators
    if len(validators) != 1 or validators[0].key != key.public_key:
        raise WrongValidatorError("the key is not the charter's one validator")
    return validators[0].power


def check_charter(founding: Founding, registry: Registry | None) -> None:
    """Check that the modules accept the charter, before anything is written.

    Raises:
        CharterError: They do not.
    """
    ledger = Ledger(registry or standard_registry())
    try:
        ledger.found(founding.charter, founding.chain_id, MemoryState())
    except (Rejection, NonCanonicalError) as error:
        code = error.code if isinstance(error, Rejection) else str(error)
        raise CharterError(f"the modules refuse the charter: {code} {error}".strip()) from error


def open_ledger(
    directory: Path,
    settings: StoreSettings,
    *,
    registry: Registry | None = None,
    disk: Disk | None = None,
) -> OpenLedger:
    """Open a ledger and bring its rows up to the last block of its log.

    Raises:
        OptimizedPythonError: Python runs without assertions.
        DirectoryError, CharterError: There is no ledger, or its charter is damaged.
        StorageError: The store cannot be opened.
        WrongDirectoryError: The store is of another ledger than the charter.
        DivergenceError: A block came out differently than recorded; see divergence.json.
    """
    require_assertions()
    self_test()
    founding = read_founding(directory)
    ledger = Ledger(registry or standard_registry())
    store = LedgerStore(directory / LEDGER_FOLDER, disk=disk, settings=settings)
    try:
        keeper = StoreKeeper(store)
        replay = _replay_after_checkpoint(directory, founding, ledger, store, keeper)
    except BaseException:
        store.close()
        raise
    return OpenLedger(founding, ledger, store, keeper, replay.chain, replay.head)


def require_assertions() -> None:
    """Check that assertions are on.

    Raises:
        OptimizedPythonError: Python was started with -O: the ledger's assertions would be gone.
    """
    if not __debug__:
        raise OptimizedPythonError("a node does not run under `python -O`: it rests on assertions")


def _replay_after_checkpoint(
    directory: Path, founding: Founding, ledger: Ledger, store: LedgerStore, keeper: StoreKeeper
) -> Replay:
    """Found the ledger if it is new, and execute the blocks that the checkpoint lacks."""
    founded: BlockResult | None = None
    if store.checkpoint_meta is None:
        _check_empty(store)
        if store.head_height:
            _check_chain(founding, keeper.entry(1).header.chain_id)
        founded = ledger.found(founding.charter, founding.chain_id, store.reader)
        store.apply(0, founded.changes, encode(founded.head))
        if not store.head_height:
            store.checkpoint()
        head = founded.head
    else:
        head = _checkpoint_head(founding, store, keeper)
    last = keeper.entry(head.height) if head.height else None
    replay = Replay(
        ledger,
        _chain(founding, head, last),
        head,
        validators=founding.validators,
        founded=founded,
    )

    def apply(entry: LogEntry, result: BlockResult) -> None:
        store.maybe_checkpoint()  # of the block before, whose state this one's header confirms
        keeper.apply(entry, result)

    with _reporting(directory):
        replay.run(_entries(store, head.height + 1), keeper.reader, apply)
    return replay


def _checkpoint_head(founding: Founding, store: LedgerStore, keeper: StoreKeeper) -> LedgerHead:
    """Return where the ledger stood at the checkpoint.

    Raises:
        CorruptCheckpointError: Its trie is not of that head, or the log leads elsewhere.
        WrongDirectoryError: The checkpoint or the log is of another ledger.
    """
    assert store.checkpoint_meta is not None
    path = store.directory / CHECKPOINT_FOLDER
    try:
        head = HEAD_DECODER.decode(store.checkpoint_meta)
    except NonCanonicalError as error:
        raise CorruptCheckpointError(f"it names no head: {error}", path) from error
    _check_chain(founding, head.chain_id)
    if head.height != store.checkpoint_height:
        raise CorruptCheckpointError(f"its head is of height {head.height}", path)
    if trie.root_of(store.reader.trie_node) != head.state_root:
        raise CorruptCheckpointError("its trie is not of its head", path)
    if head.height:
        last = keeper.entry(head.height).header
        _check_chain(founding, last.chain_id)
        if header_time_ms(last) != head.time_ms:
            raise CorruptCheckpointError(f"its block {head.height} is not the log's", path)
    if head.height < store.head_height:
        follower = keeper.entry(head.height + 1).header
        _check_chain(founding, follower.chain_id)
        if follower.app_hash != head.app_hash:
            raise CorruptCheckpointError(f"block {follower.height} does not follow from it", path)
    return head


def _check_empty(store: LedgerStore) -> None:
    """Check that a checkpoint which names no head holds nothing.

    Raises:
        CorruptCheckpointError: It holds rows.
    """
    if next(store.reader.scan(b""), None) is not None:
        path = store.directory / CHECKPOINT_FOLDER
        raise CorruptCheckpointError("it holds rows and names no head", path)


def _check_chain(founding: Founding, chain_id: str) -> None:
    if chain_id != founding.chain_id:
        raise WrongDirectoryError(f"the store is of {chain_id}, not {founding.chain_id}")


def replay_from_genesis(
    directory: Path, *, registry: Registry | None = None, signature_workers: int = 0
) -> ReplayReport:
    """Execute the whole log over an empty memory and compare every root, receipt and signature.

    Raises:
        DirectoryError, CharterError, StorageError: As `open_ledger`.
        DivergenceError: Something came out differently than recorded; see divergence.json.
    """
    require_assertions()
    self_test()
    founding = read_founding(directory)
    ledger = Ledger(registry or standard_registry())
    store = LedgerStore(directory / LEDGER_FOLDER)
    signatures = SignaturePool(signature_workers, _raise)
    view = store.view()
    try:
        state = MemoryState()
        founded = ledger.found(founding.charter, founding.chain_id, state)
        state.apply(founded.changes)
        replay = Replay(
            ledger,
            _chain(founding, founded.head, None),
            founded.head,
            validators=founding.validators,
            check_signatures=signatures.check_all,
            recorded=view if store.checkpoint_meta is not None else None,
            founded=founded,
        )

        def apply(_: LogEntry, result: BlockResult) -> None:
            state.apply(result.changes)

        with _reporting(directory):
            report = replay.run(_entries(store, 1), lambda: state, apply)
            _compare_with_checkpoint(replay, state, store, ledger.registry)
    finally:
        view.close()
        signatures.close()
        store.close()
    return report


def _compare_with_checkpoint(
    replay: Replay, state: MemoryState, store: LedgerStore, registry: Registry
) -> None:
    """Compare all rows with the checkpoint's, if it is of the last block.

    Raises:
        DivergedError: A row differs.
    """
    if store.checkpoint_meta is None or store.checkpoint_height != replay.head.height:
        return
    recorded = HEAD_DECODER.decode(store.checkpoint_meta)
    view = store.view()
    try:
        rows = state_differences(registry, state, view)
    finally:
        view.close()
    if rows or recorded != replay.head:
        raise DivergedError(
            DivergenceReport(
                recorded.chain_id,
                recorded.height,
                "state",
                replay.head.app_hash.hex(),
                recorded.app_hash.hex(),
                rows,
                (),
            )
        )


def _chain(founding: Founding, head: LedgerHead, last: LogEntry | None) -> Chain:
    """Return what the block after `last` continues."""
    if last is None:
        return Chain(founding.chain_id, None, None, (), head.app_hash, head.time_ms)
    return Chain(
        founding.chain_id,
        last.header,
        last.commit,
        last.results[: len(last.transactions)],
        head.app_hash,
        header_time_ms(last.header),
    )


def _entries(store: LedgerStore, from_height: int) -> Iterator[LogEntry]:
    for height, payload in store.blocks(from_height):
        yield decode_entry(height, payload)


@contextmanager
def _reporting(directory: Path) -> Iterator[None]:
    """Write the report of a divergence into the node's directory before it stops the node."""
    try:
        yield
    except DivergedError as error:
        error.report.write(directory)
        raise


def _raise(fault: Fault) -> None:
    """Stop at a dead worker; nobody else is to be told."""
    raise fault
