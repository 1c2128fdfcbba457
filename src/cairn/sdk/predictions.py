"""Scores that the ledger computes: one row, many in a call, or a stream; each with its receipt.

Rows go into as few operations as hold them; a thousand rows take one or a few transactions, signed
once each and submitted together.

    receipts = client.predict("credit", [{"age": 31, "income": 2100}, …])
    receipts[0].score_ppm, receipts[0].position, receipts[0].transaction_id
"""

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cairn.exact.errors import ModelInputError
from cairn.exact.inputs import parse_value
from cairn.exact.models import Feature
from cairn.ledger.parameters import PARAMETERS, TRANSACTION_COST_MAX
from cairn.modules.inference.events import BatchScored, FeaturesScored
from cairn.modules.inference.messages import BATCH_ROWS_MAX, Score, ScoreBatch
from cairn.modules.inference.prices import BATCH_ROW_COST, UNPACK_COST
from cairn.modules.models.records import DEPLOYMENTS, SEALED, VERSIONS, InputFeature
from cairn.primitives.encoding import INT_MAX, encode
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.outcomes import Final
from cairn.sdk.reading import Reader

if TYPE_CHECKING:
    from cairn.sdk.client import Client

BATCH_SIZE_BYTES_MAX = 60_000
"""Rows of one transaction: what it may hold, less its envelope."""
STREAM_WAIT_MS = 20
"""How long the first row of a stream waits for others."""
STREAM_AHEAD = 4
"""How many batches of a stream are read ahead."""

Row = Mapping[str, Any] | Sequence[Any]
"""Values by the names of the model's inputs, or in their order."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The score of one row, and where it stands on record."""

    score_ppm: int
    deployment: str
    version: bytes
    position: int
    """In the deployment's series: what `cairn prove prediction` takes."""
    transaction_id: bytes
    height: int
    time_ms: int

    @property
    def score(self) -> float:
        """The score from 0 to 1."""
        return self.score_ppm / 1_000_000


@dataclass(frozen=True, slots=True)
class LiveSchema:
    """What the version that is live in a deployment takes."""

    deployment: str
    version: bytes
    features: tuple[Feature, ...]
    size_bytes: int
    step_count: int


def live_schema(reader: Reader, deployment: str) -> LiveSchema:
    """Return the inputs of the version that is live in a deployment.

    Raises:
        NotFoundError: There is no such deployment, or nothing is live in it.
    """
    row = reader.get(DEPLOYMENTS, deployment)
    if row is None or not row.current:
        raise NotFoundError(
            f"no version is live in {deployment!r}",
            "once people have approved one, `cairn go-live` lets it act",
        )
    return schema_of(reader, deployment, row.current)


def schema_of(reader: Reader, deployment: str, version: bytes) -> LiveSchema:
    """Return the inputs of a version."""
    sealed = reader.require(SEALED, reader.require(VERSIONS, version).model_digest)
    features = tuple(feature_of(one) for one in sealed.features)
    return LiveSchema(deployment, version, features, sealed.size_bytes, sealed.step_count)


def feature_of(one: InputFeature) -> Feature:
    """Return an input's declaration as the model's bytes have it."""
    return Feature(
        one.name,
        one.kind,  # type: ignore[arg-type]
        one.scale_bits,
        one.categories,
        one.nullable,
        one.unknown_allowed,
    )


def input_row(features: Sequence[Feature], row: Row, where: str = "") -> tuple[int, ...]:
    """Return a model's inputs from one row, by name or in order.

    Raises:
        UsageError: A value is missing, too many, or none that its input takes; it names row and
            column.
    """
    names = [feature.name for feature in features]
    if isinstance(row, Mapping):
        _check_names(names, row, where)
        values: Sequence[Any] = [row.get(name) for name in names]
    else:
        if len(row) != len(names):
            raise UsageError(
                f"{where}the row has {len(row)} values, the model takes {len(names)}",
                f"inputs in order: {', '.join(names)}",
            )
        values = row
    found = []
    for feature, value in zip(features, values, strict=True):
        is_plain = feature.kind == "integer" and not feature.scale_bits
        if is_plain and type(value) is int and -INT_MAX <= value <= INT_MAX:
            found.append(value)  # The usual case: a whole number stands for itself.
            continue
        try:
            found.append(parse_value(feature, value))
        except ModelInputError as error:
            shown = f"{where}column {feature.name!r}: {error}"
            raise UsageError(shown, hint_of(feature)) from error
    return tuple(found)


def spelled(features: Sequence[Feature], columns: Sequence[str]) -> list[str]:
    """Return the columns of a file, those that are inputs by the names of the inputs.

    An input has a name of the ledger's alphabet, so that `LIMIT_BAL` is `limit_bal`.
    """
    from cairn.sdk.tabular import input_name

    names = [feature.name for feature in features]
    return [
        slug if one not in names and slug in names and slug not in columns else one
        for one in columns
        for slug in (input_name(one),)
    ]


def check_columns(features: Sequence[Feature], columns: Sequence[str]) -> None:
    """Check that a file has a column for each input, none twice; others are let be.

    Raises:
        UsageError: One is missing, or stands twice.
    """
    names = [feature.name for feature in features]
    missing = [name for name in names if name not in columns]
    if missing:
        raise UsageError(
            f"there is no column {', '.join(map(repr, missing))}",
            f"the model takes: {', '.join(names)}; the file has: {', '.join(columns)}",
        )
    twice = [name for name in names if list(columns).count(name) > 1]
    if twice:
        raise UsageError(f"the column {twice[0]!r} stands twice", "leave one of them out")


def predict(
    client: "Client", deployment: str, rows: Sequence[Row], *, first_row: int = 0
) -> list[Prediction]:
    """Score rows with the version that is live; all are checked before any is sent.

    Raises:
        NotFoundError: There is no such deployment, or nothing is live in it.
        UsageError: A row does not fit the model.
        RejectedError: The ledger refused them.
    """
    schema = live_schema(client, deployment)
    inputs = [
        input_row(schema.features, row, where=f"row {first_row + place}, ")
        for place, row in enumerate(rows)
    ]
    return predict_inputs(client, schema, inputs)


def predict_inputs(
    client: "Client", schema: LiveSchema, inputs: Sequence[tuple[int, ...]]
) -> list[Prediction]:
    """Score rows that are in the model's integers already."""
    if not inputs:
        return []
    deployment = schema.deployment
    batches = [
        Score(deployment, part[0]) if len(part) == 1 else ScoreBatch(deployment, tuple(part))
        for part in _parts(inputs, _rows_max(client, schema))
    ]
    finals = client.submit_many([[batch] for batch in batches])
    found: list[Prediction] = []
    for final in finals:
        final.check()
        found.extend(opened(final))
    return found


def predict_stream(
    client: "Client",
    deployment: str,
    rows: Iterable[Row],
    *,
    batch: int = 256,
    wait_ms: int = STREAM_WAIT_MS,
) -> Iterator[Prediction]:
    """Yield the score of each row of a stream, in order, while rows are still coming.

    Rows that come close together share a transaction; the first waits `wait_ms` for others.

    Raises:
        UsageError: A row does not fit the model; those before it are scored.
    """
    if not 1 <= batch <= BATCH_ROWS_MAX or wait_ms < 0:
        raise UsageError(f"a batch holds 1 to {BATCH_ROWS_MAX} rows, waiting 0 ms or longer")
    source = _Ahead(rows, batch * STREAM_AHEAD)
    done = 0
    try:
        for part in source.parts(batch, wait_ms):
            yield from predict(client, deployment, part, first_row=done)
            done += len(part)
    finally:
        source.stop()


def opened(final: Final, operation: int = 0) -> list[Prediction]:
    """Return the predictions that an operation put on record."""
    place = (final.transaction_id, final.height, final.time_ms)
    for event in final.operations[operation].events:
        if isinstance(event, FeaturesScored):
            name, version = event.deployment, event.version
            return [Prediction(event.score_ppm, name, version, event.position, *place)]
        if isinstance(event, BatchScored):
            name, version, first = event.deployment, event.version, event.first_position
            return [
                Prediction(score_ppm, name, version, first + offset, *place)
                for offset, score_ppm in enumerate(event.scores_ppm)
            ]
    return []


def hint_of(feature: Feature) -> str:
    """Return what a value of an input looks like, in words."""
    empty = ", or nothing where it is missing" if feature.nullable else ""
    if feature.kind == "category":
        shown = ", ".join(feature.categories[:12])
        more = ", …" if len(feature.categories) > 12 else ""
        return f"{feature.name} is one of: {shown}{more}{empty}"
    kind = "a whole number" if feature.kind == "integer" and not feature.scale_bits else "a number"
    return f"{feature.name} is {kind}{empty}"


def _check_names(names: Sequence[str], row: Mapping[str, Any], where: str) -> None:
    missing = [name for name in names if name not in row]
    unknown = [str(name) for name in row if name not in names]
    if missing or unknown:
        what = f"no value for {missing[0]!r}" if missing else f"there is no input {unknown[0]!r}"
        raise UsageError(f"{where}{what}", f"the model takes: {', '.join(names)}")


def _rows_max(client: "Client", schema: LiveSchema) -> int:
    """Return how many rows one transaction's budget pays for."""
    row = client.get(PARAMETERS, TRANSACTION_COST_MAX.name)
    budget = TRANSACTION_COST_MAX.default if row is None else row.value
    budget -= UNPACK_COST + schema.size_bytes // 3 + 2 * BATCH_SIZE_BYTES_MAX
    return max(1, min(BATCH_ROWS_MAX, budget // (BATCH_ROW_COST + schema.step_count // 16 + 1)))


def _parts(inputs: Sequence[tuple[int, ...]], rows_max: int) -> Iterator[list[tuple[int, ...]]]:
    """Yield the rows of each transaction, in order."""
    part: list[tuple[int, ...]] = []
    size_bytes = 0
    for row in inputs:
        row_bytes = len(encode(row))
        if part and (len(part) >= rows_max or size_bytes + row_bytes > BATCH_SIZE_BYTES_MAX):
            yield part
            part, size_bytes = [], 0
        part.append(row)
        size_bytes += row_bytes
    if part:
        yield part


class _Ahead:
    """Reads an iterable in a thread of its own, so that what has come can go out meanwhile."""

    def __init__(self, rows: Iterable[Row], rows_max: int) -> None:
        self._rows = rows
        self._queue: queue.Queue[tuple[Row | None, Exception | None]]
        self._queue = queue.Queue(rows_max)
        self._stopped = False
        threading.Thread(target=self._run, name="predict-stream", daemon=True).start()

    def parts(self, batch: int, wait_ms: int) -> Iterator[list[Row]]:
        """Yield rows that came close together; what the iterable raises is raised in its place."""
        while True:
            row, error = self._queue.get()
            part: list[Row] = []
            until = time.monotonic() + wait_ms / 1000
            while row is not None:
                part.append(row)
                if len(part) == batch:
                    break
                try:
                    row, error = self._queue.get(timeout=max(0.0, until - time.monotonic()))
                except queue.Empty:
                    break
            if part:
                yield part
            if error is not None:
                raise error
            if row is None:
                return

    def stop(self) -> None:
        """Let the thread end after the row that it waits for."""
        self._stopped = True

    def _run(self) -> None:
        error: Exception | None = None
        try:
            for row in self._rows:
                if not self._put((row, None)):
                    return
        except Exception as raised:  # noqa: BLE001 - it is raised where the rows are taken
            error = raised
        self._put((None, error))

    def _put(self, item: tuple[Row | None, Exception | None]) -> bool:
        """Hand over an item; return False if nobody takes any more."""
        while not self._stopped:
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
