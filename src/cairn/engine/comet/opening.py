"""Opening a ledger for the replicated engine: directory, state, application, engine.

A directory holds:

charter.cairn   the signed charter, written by whoever founds the directory
ledger/         decided blocks and checkpoint
comet/          CometBFT's own directory
"""

from dataclasses import dataclass, replace
from pathlib import Path

from cairn.engine.base import LOG_ENTRY_VERSION, Clock, LogEntry
from cairn.engine.comet.application import CometApplication
from cairn.engine.comet.engine import CometEngine
from cairn.engine.comet.settings import CometSettings
from cairn.engine.comet.store import DecidedBlockStore
from cairn.engine.errors import OptimizedPythonError, WrongValidatorError
from cairn.engine.mempool import MempoolSettings
from cairn.engine.signature_pool import SignaturePool
from cairn.ledger.charter import Charter, open_charter
from cairn.ledger.execution import Ledger
from cairn.ledger.module import Registry
from cairn.primitives.light import Validator, ValidatorSet, validator_set_of
from cairn.primitives.signatures import SigningKey, self_test
from cairn.storage.store import LedgerStore, StoreSettings

LEDGER_FOLDER = "ledger"
COMET_FOLDER = "comet"

NETWORK_MEMPOOL = MempoolSettings(block_operations=10_000, sequence_wait_ms=10_000)
"""Blocks come every few hundred milliseconds, so they are larger than the embedded engine's, and a
transaction may arrive well before the one that precedes it in its lane."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a validator is given besides its directory, charter and key."""

    registry: Registry
    clock: Clock
    comet: CometSettings
    """Its `home` is replaced by the one inside the directory."""
    mempool: MempoolSettings = NETWORK_MEMPOOL
    storage: StoreSettings | None = None
    signature_workers: int = 0
    invariant_interval_blocks: int = 100


class CometLedger:
    """A ledger that CometBFT orders, opened; start the engine, and close this in the end."""

    def __init__(
        self, directory: Path, charter_file: bytes, key: SigningKey, opening: Opening
    ) -> None:
        """Open the store and bring its state up to the last block of its log.

        Raises:
            OptimizedPythonError: Python runs without assertions.
            NonCanonicalError, InvalidSignatureError: The charter is not acceptable.
            WrongValidatorError: The key is none of the charter's validators.
            BinaryMissingError, SocketPathError: CometBFT cannot be run from here.
            StorageError: The store cannot be opened.
            DivergenceError: A block came out differently than recorded.
        """
        if not __debug__:
            raise OptimizedPythonError("a node does not run under `python -O`")
        self_test()
        self.charter, self.chain_id = open_charter(charter_file)
        _check_validator(self.charter, key)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._store = LedgerStore(directory / LEDGER_FOLDER, settings=opening.storage)
        try:
            self.keeper = DecidedBlockStore(self._store)
            ledger = Ledger(opening.registry)
            head = self.keeper.restore(ledger, self.charter, self.chain_id)
            self.application = CometApplication(
                ledger,
                self.keeper,
                head,
                clock=opening.clock,
                settings=opening.mempool,
                invariant_interval_blocks=opening.invariant_interval_blocks,
            )
            self.engine = CometEngine(
                self.application,
                self.charter,
                self.chain_id,
                key,
                replace(opening.comet, home=directory.resolve() / COMET_FOLDER),
            )
        except BaseException:
            self._store.close()
            raise
        self._signatures = SignaturePool(opening.signature_workers, self.engine.fail)
        self.application.signatures = self._signatures

    @property
    def validators(self) -> ValidatorSet:
        """The charter's validators, in the order in which commits list them."""
        return charter_validators(self.charter)

    def entry(self, height: int) -> LogEntry:
        """Return a kept block with its header and commit: the form in which evidence is made.

        Raises:
            CorruptLogError: The log is damaged.
            UnreachableError: CometBFT does not answer.
            HeaderError: What it answers does not verify.
        """
        block = self.keeper.block(height)
        header, commit = self.engine.signed_header(height, self.validators)
        return LogEntry(
            LOG_ENTRY_VERSION,
            header,
            commit,
            block.transactions,
            block.invalid,
            block.receipts,
            block.results,
        )

    def close(self) -> None:
        """Stop the engine, write a checkpoint unless a fault forbids it, and let go.

        Raises:
            StorageError: The checkpoint could not be written; the log has everything.
        """
        self.engine.stop()
        self._signatures.close()
        try:
            if self.engine.fault is None:
                self._store.checkpoint()
        finally:
            self._store.close()

    def __enter__(self) -> "CometLedger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def charter_validators(charter: Charter) -> ValidatorSet:
    """Return the validators that a charter names, in the order in which commits list them."""
    return validator_set_of(Validator(entry.key, entry.power) for entry in charter.validators)


def _check_validator(charter: Charter, key: SigningKey) -> None:
    if all(member.key != key.public_key for member in charter.validators):
        raise WrongValidatorError("the key is none of the charter's validators")
