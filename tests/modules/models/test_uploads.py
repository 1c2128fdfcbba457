from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact.models import encode_model
from cairn.modules.models.api import model_bytes
from cairn.modules.models.events import ModelSealed, UploadDropped
from cairn.modules.models.messages import DropUpload, SealModel, UploadChunk
from cairn.modules.models.queries import get_sealed, get_upload
from cairn.modules.models.records import CHUNKS, UPLOAD_COUNTS, model_digest
from tests.modules.founding import amount_model, chunks_of, found
from tests.modules.harness import Harness

RAW = encode_model(amount_model())
DIGEST = model_digest(RAW)
NOTHING = b"\xdd" * 32


@pytest.fixture
def ledger() -> Harness:
    return found()


def seal(raw: bytes = RAW) -> SealModel:
    return SealModel(model_digest(raw), len(raw))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_chunks_come_in_any_order(ledger: Harness, order: tuple[int, ...]) -> None:
    chunks = chunks_of(RAW, len(RAW) // 3 + 1)
    for place in order:
        ledger.done("dev", chunks[place])
    outcome = ledger.done("dev", seal())
    assert outcome.event(ModelSealed).size_bytes == len(RAW)
    assert model_bytes(ledger.context(), DIGEST) == RAW
    sealed = get_sealed(ledger.context(), DIGEST)
    assert sealed is not None
    assert [f.name for f in sealed.features] == [f.name for f in amount_model().features]
    assert get_upload(ledger.context(), ledger.id("dev"), DIGEST) is None
    assert ledger.get(UPLOAD_COUNTS, ledger.id("dev")) is None


def test_uploading_is_refused_in_order(ledger: Harness) -> None:
    one, two, three = chunks_of(RAW, len(RAW) // 3 + 1)
    ledger.refused("rick", one, "identity/missing_role")
    ledger.done("dev", two)
    ledger.refused("dev", UploadChunk(DIGEST, 1, 4, b"x"), "models/chunk_count_differs")
    ledger.refused("dev", two, "models/chunk_exists")
    ledger.done("dev", one)
    ledger.done("dev", three)
    ledger.done("dev", seal())
    ledger.refused("rick", one, "identity/missing_role")
    ledger.refused("dev", UploadChunk(DIGEST, 1, 4, b"x"), "models/already_sealed")


def test_only_so_many_uploads_are_open() -> None:
    ledger = found(parameters={"models.open_uploads_max": 2})
    for name in (b"a", b"b"):
        ledger.done("dev", UploadChunk(model_digest(name), 0, 2, b"x"))
    third = UploadChunk(model_digest(b"c"), 0, 2, b"x")
    ledger.refused("dev", third, "models/too_many_uploads")
    ledger.done("dirk", third)
    ledger.done("dev", UploadChunk(model_digest(b"a"), 1, 2, b"x"))
    ledger.done("dev", DropUpload(ledger.id("dev"), model_digest(b"a")))
    ledger.done("dev", third)


def test_a_model_may_be_as_big_as_the_parameter_and_no_bigger() -> None:
    ledger = found(parameters={"models.size_bytes_max": 40_000})
    ledger.done("dev", UploadChunk(NOTHING, 0, 3, bytes(30_000)))
    ledger.refused("dev", UploadChunk(NOTHING, 1, 3, bytes(10_001)), "models/model_too_big")
    ledger.done("dev", UploadChunk(NOTHING, 1, 3, bytes(10_000)))
    ledger.refused("dev", UploadChunk(NOTHING, 2, 3, b"x"), "models/model_too_big")


@pytest.mark.parametrize(
    "chunk",
    [
        UploadChunk(NOTHING, 0, 1, bytes(32_769)),
        UploadChunk(NOTHING, 0, 1, b""),
        UploadChunk(NOTHING, 0, 0, b"x"),
        UploadChunk(NOTHING, 512, 513, b"x"),
        UploadChunk(b"short", 0, 1, b"x"),
    ],
)
def test_what_is_outside_a_fields_bounds_is_malformed(ledger: Harness, chunk: UploadChunk) -> None:
    assert ledger.run("dev", chunk).code == "ledger/malformed_transaction"


def test_a_full_chunk_fits_in_a_transaction(ledger: Harness) -> None:
    ledger.done("dev", UploadChunk(NOTHING, 0, 1, bytes(32_768)))


def test_an_index_is_below_the_count(ledger: Harness) -> None:
    ledger.refused("dev", UploadChunk(NOTHING, 2, 2, b"x"), "ledger/invalid_message")


def test_sealing_is_refused_in_order(ledger: Harness) -> None:
    one, two, three = chunks_of(RAW, len(RAW) // 3 + 1)
    wrong = SealModel(DIGEST, len(RAW) + 1)
    ledger.refused("rick", wrong, "identity/missing_role")
    ledger.refused("dev", wrong, "models/upload_not_found")
    ledger.done("dev", one)
    ledger.done("dev", three)
    ledger.refused("dev", wrong, "models/chunk_missing")
    ledger.done("dev", two)
    ledger.refused("dev", wrong, "models/size_differs")
    # An upload is its uploader's own.
    ledger.refused("dirk", seal(), "models/upload_not_found")
    ledger.done("dev", seal())
    ledger.refused("dirk", seal(), "models/already_sealed")


def test_a_gap_is_no_model(ledger: Harness) -> None:
    chunks = chunks_of(RAW, len(RAW) // 4 + 1)
    for chunk in (*chunks[:2], *chunks[3:]):
        ledger.done("dev", chunk)
    ledger.refused("dev", seal(), "models/chunk_missing")


def test_other_bytes_than_the_digest_says_are_refused(ledger: Harness) -> None:
    for chunk in chunks_of(RAW):
        changed = chunk.data[:-1] + bytes((chunk.data[-1] ^ 1,))
        ledger.done("dev", UploadChunk(DIGEST, chunk.index, chunk.chunk_count, changed))
    ledger.refused("dev", seal(), "models/digest_mismatch")


def test_swapped_chunks_are_refused(ledger: Harness) -> None:
    one, two = chunks_of(RAW, len(RAW) // 2 + 1)
    ledger.done("dev", UploadChunk(DIGEST, 0, 2, two.data))
    ledger.done("dev", UploadChunk(DIGEST, 1, 2, one.data))
    ledger.refused("dev", seal(), "models/digest_mismatch")


@pytest.mark.parametrize("raw", [b"no model", RAW[:-1], RAW + b"\x00", b"\x94" * 2_000])
def test_bytes_that_are_no_exact_model_are_refused(ledger: Harness, raw: bytes) -> None:
    for chunk in chunks_of(raw):
        ledger.done("dev", chunk)
    ledger.refused("dev", seal(raw), "models/malformed_model")


@given(place=st.integers(0, len(RAW) - 1), value=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_changed_byte_gives_a_model_or_a_refusal_and_nothing_else(place: int, value: int) -> None:
    raw = RAW[:place] + bytes((value,)) + RAW[place + 1 :]
    ledger = LEDGERS.setdefault("one", found(check_invariants=False))
    if get_sealed(ledger.context(), model_digest(raw)) is not None:
        return
    for chunk in chunks_of(raw):
        ledger.done("dev", chunk)
    codes = ledger.run("dev", seal(raw)).codes
    assert codes in (("ok",), ("models/malformed_model",))
    if codes != ("ok",):
        ledger.done("dev", DropUpload(ledger.id("dev"), model_digest(raw)))


LEDGERS: dict[str, Harness] = {}


def test_dropping_is_refused_in_order(ledger: Harness) -> None:
    dev = ledger.id("dev")
    drop = DropUpload(dev, DIGEST)
    ledger.refused("rick", drop, "identity/missing_role")
    ledger.refused("dev", drop, "models/upload_not_found")
    for chunk in chunks_of(RAW, len(RAW) // 3 + 1)[1:]:
        ledger.done("dev", chunk)
    ledger.refused("dirk", drop, "models/upload_not_expired")
    assert ledger.done("dev", drop).event(UploadDropped).uploader == dev
    assert not [key for key in ledger.state.rows if key.startswith(CHUNKS.prefix)]
    ledger.refused("dev", drop, "models/upload_not_found")


def test_somebody_elses_upload_can_be_dropped_when_it_is_old() -> None:
    ledger = found(parameters={"models.upload_life_ms": 60_000})
    ledger.done("dev", UploadChunk(DIGEST, 0, 2, b"x"))
    opened_ms = ledger.head.time_ms
    drop = DropUpload(ledger.id("dev"), DIGEST)
    ledger.submit("dirk", drop)
    assert ledger.block(time_ms=opened_ms + 59_999)[0].codes == ("models/upload_not_expired",)
    ledger.submit("dirk", drop)
    assert ledger.block(time_ms=opened_ms + 60_000)[0].ok


def test_a_sealed_model_cannot_be_dropped(ledger: Harness) -> None:
    for chunk in chunks_of(RAW):
        ledger.done("dev", chunk)
    ledger.done("dev", seal())
    ledger.refused("dev", DropUpload(ledger.id("dev"), DIGEST), "models/upload_not_found")


def test_nobody_is_kept_from_uploading_by_somebody_elses_wrong_chunk(ledger: Harness) -> None:
    ledger.done("dirk", UploadChunk(DIGEST, 0, 1, b"wrong"))
    for chunk in chunks_of(RAW):
        ledger.done("dev", chunk)
    ledger.done("dev", seal())
    assert model_bytes(ledger.context(), DIGEST) == RAW
    ledger.done("dirk", DropUpload(ledger.id("dirk"), DIGEST))
    assert model_bytes(ledger.context(), DIGEST) == RAW
