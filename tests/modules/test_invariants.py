"""Invariants see rows that no sequence of messages leaves behind."""

from collections.abc import Callable

import pytest

from cairn.ledger.changes import StateReader
from cairn.ledger.errors import Fault, InvariantError
from cairn.ledger.records import Table
from cairn.modules.data.invariants import check_names
from cairn.modules.data.records import DATASETS, NAMES, DatasetName
from cairn.modules.models import invariants as models
from cairn.modules.models.api import model_bytes
from cairn.modules.models.messages import UploadChunk
from cairn.modules.models.records import (
    CHUNKS,
    DEPLOYMENTS,
    LIVE_COUNTS,
    SEALED,
    UPLOAD_COUNTS,
    UPLOADS,
    VERSIONS,
    Chunk,
    LiveCount,
    UploadCount,
)
from cairn.modules.rules import invariants as rules
from cairn.modules.rules.live import acting_rules
from cairn.modules.rules.records import NAMES as RULE_NAMES
from cairn.modules.rules.records import RULES, SHADOWS, STAGES, RuleStage, ShadowRule
from cairn.primitives.encoding import Record, encode, replace
from tests.modules.founding import activate, amount_model, found, go_live, hold_rule
from tests.modules.harness import Harness

NOBODY = b"\xee" * 20
DIGEST = b"\xdd" * 32


@pytest.fixture
def ledger() -> Harness:
    ledger = found()
    go_live(ledger, "fraud", amount_model())
    activate(ledger, hold_rule("big"))
    ledger.done("dev", UploadChunk(DIGEST, 0, 2, b"x"))
    return ledger


def only_key(ledger: Harness, table: Table[Record]) -> bytes:
    (key,) = [key for key in ledger.state.rows if key.startswith(table.prefix)]
    return key


def remove(ledger: Harness, table: Table[Record]) -> None:
    key = only_key(ledger, table)
    del ledger.state.rows[key]
    ledger.state.order.remove(key)


def write(ledger: Harness, table: Table[Record], row: Record, *key: bytes | str | int) -> None:
    if table.key(*key) not in ledger.state.rows:
        ledger.state.order.append(table.key(*key))
        ledger.state.order.sort()
    ledger.state.rows[table.key(*key)] = encode(row)


def change(ledger: Harness, table: Table[Record], **fields: object) -> None:
    key = only_key(ledger, table)
    row = table.decoder.decode_trusted(ledger.state.rows[key])
    ledger.state.rows[key] = encode(replace(row, **fields))


BREAKS: list[tuple[Callable[[StateReader], None], Callable[[Harness], None]]] = [
    (check_names, lambda x: remove(x, NAMES)),
    (check_names, lambda x: remove(x, DATASETS)),
    (check_names, lambda x: write(x, NAMES, DatasetName(NOBODY), NOBODY, "name", 1)),
    (check_names, lambda x: change(x, DATASETS, version=9)),
    (models.check_uploads, lambda x: change(x, UPLOADS, size_bytes=2)),
    (models.check_uploads, lambda x: change(x, UPLOADS, present_count=2)),
    (models.check_uploads, lambda x: change(x, UPLOAD_COUNTS, open=2)),
    (models.check_uploads, lambda x: remove(x, UPLOAD_COUNTS)),
    (models.check_uploads, lambda x: remove(x, SEALED)),
    (models.check_uploads, lambda x: write(x, CHUNKS, Chunk(b"x"), NOBODY, DIGEST, 0)),
    (models.check_uploads, lambda x: write(x, UPLOAD_COUNTS, UploadCount(1), NOBODY)),
    (models.check_live, lambda x: remove(x, VERSIONS)),
    (models.check_live, lambda x: change(x, VERSIONS, retired_ms=1)),
    (models.check_live, lambda x: remove(x, LIVE_COUNTS)),
    (models.check_live, lambda x: change(x, LIVE_COUNTS, count=2)),
    (models.check_live, lambda x: remove(x, DEPLOYMENTS)),
    (models.check_live, lambda x: write(x, LIVE_COUNTS, LiveCount(1), NOBODY)),
    (rules.check_live, lambda x: remove(x, RULES)),
    (rules.check_live, lambda x: change(x, RULE_NAMES, version_count=2)),
    (rules.check_live, lambda x: write(x, SHADOWS, ShadowRule(2, 0, 1), "big")),
    (rules.check_live, lambda x: write(x, SHADOWS, ShadowRule(1, 0, 1), "big")),
    (rules.check_live, lambda x: write(x, STAGES, RuleStage(0, b"", 7, 0), "big", 1)),
]


@pytest.mark.parametrize(("check", "damage"), BREAKS)
def test_a_broken_law_is_seen(
    ledger: Harness,
    check: Callable[[StateReader], None],
    damage: Callable[[Harness], None],
) -> None:
    check(ledger.state)
    damage(ledger)
    with pytest.raises(InvariantError):
        check(ledger.state)


def test_a_sealed_models_bytes_do_not_change(ledger: Harness) -> None:
    (key,) = [k for k in ledger.state.rows if k.startswith(CHUNKS.prefix) and DIGEST not in k]
    data = CHUNKS.decoder.decode_trusted(ledger.state.rows[key]).data
    ledger.state.rows[key] = encode(Chunk(data[:-1] + b"\x01"))
    with pytest.raises(InvariantError, match="bytes of the sealed model"):
        models.check_uploads(ledger.state)


def test_what_must_be_there_and_is_not_is_a_fault(ledger: Harness) -> None:
    (digest,) = [key[-32:] for key in ledger.state.rows if key.startswith(SEALED.prefix)]
    with pytest.raises(Fault, match="no sealed model"):
        model_bytes(ledger.context(), DIGEST)
    (key,) = [k for k in ledger.state.rows if k.startswith(CHUNKS.prefix) and DIGEST not in k]
    del ledger.state.rows[key]
    with pytest.raises(Fault, match="chunk 0"):
        model_bytes(ledger.context(), digest)
    remove(ledger, RULES)
    with pytest.raises(Fault, match="the rule big is missing"):
        acting_rules(ledger.context())
