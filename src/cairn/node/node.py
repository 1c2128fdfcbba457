"""A node: one ledger's directory, its engine, and the answers it gives.

    charter.cairn     the signed charter
    cairn.toml        settings
    ledger/           block log and checkpoint (see `cairn.storage.store`)
    cosigned.note     the newest head with its witnesses' cosignatures
    divergence.json   written if a replay leaves the record
    node.sock         the socket, while the node serves

The node's key is not in the directory: whoever starts the node brings it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cairn.engine.application import LedgerApplication
from cairn.engine.base import Chain, Clock, Outcome
from cairn.engine.embedded import BlockSigner, EmbeddedEngine, SystemClock
from cairn.engine.errors import OptimizedPythonError, TimedOutError
from cairn.engine.signature_pool import SignaturePool
from cairn.ledger.errors import Fault, Rejection
from cairn.ledger.execution import BlockResult, Ledger, LedgerHead
from cairn.ledger.invariants import check_all
from cairn.ledger.memory import MemoryState
from cairn.ledger.module import Registry
from cairn.modules.registry import standard_registry
from cairn.node import queries
from cairn.node.api import (
    BlockInfo,
    EventPage,
    HeadInfo,
    Health,
    ProofRequest,
    Proofs,
    RangeQuery,
    RowPage,
    SeriesPage,
)
from cairn.node.directory import (
    LEDGER_FOLDER,
    Founding,
    create_directory,
    read_founding,
)
from cairn.node.divergence import DivergedError
from cairn.node.errors import CharterError, WrongDirectoryError
from cairn.node.keeper import HEAD_DECODER, StoreKeeper
from cairn.node.prover import ProvingView
from cairn.node.replay import Replay, ReplayReport
from cairn.node.settings import Settings, load_settings
from cairn.node.witnesses import Witnesses, parse_peer
from cairn.primitives.encoding import encode
from cairn.primitives.light import header_hash, header_time_ms
from cairn.primitives.signatures import SigningKey, self_test
from cairn.storage.disk import Disk
from cairn.storage.store import LedgerStore

REPLAY_SUBMIT_WAIT_MS = 30_000
