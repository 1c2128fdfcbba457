"""Golden vectors of the primitives: did a byte of the protocol move?

The ledger's and the modules' vectors are replayed beside their tests, with the same function.
`CAIRN_VECTORS=write` (or `make vectors`) rewrites the files that the project makes itself; those
in `READ_ONLY` are published elsewhere and are only read.
"""

from collections.abc import Callable
from typing import Any

import pytest

from cairn.primitives.encoding import Record, encode
from cairn.primitives.fixed import SIGMOID_TABLE, sigmoid_ppm
from cairn.primitives.hashes import tagged_hash
from cairn.primitives.ids import derive_id
from tests.primitives import ed25519_reference as curve
from tests.primitives.signature_cases import make_cases
from tests.vector_files import VECTORS, replay

READ_ONLY = ("comet", "did_keys", "merkle")
"""Files that others published; a test of their subject reads them."""


class Sample(Record):
    """One field of each kind."""

    number: int
    data: bytes
    text: str
    flag: bool
    nothing: None
    items: tuple[int, ...]


def signatures() -> dict[str, Any]:
    """Return every crafted signature with its verdict and what holds of it, rule by rule."""
    cases = []
    for case in make_cases():
        verdict = curve.judge(case.key, case.message, case.signature)
        cases.append(
            {
                "name": case.name,
                "key": case.key.hex(),
                "message": case.message.hex(),
                "signature": case.signature.hex(),
                "valid": case.valid,
                "key_registrable": case.key_registrable,
                "reasons": verdict._asdict(),
            }
        )
    return {
        "about": "Ed25519 signatures and whether consensus accepts them; key and signature are"
        " the bytes of RFC 8032 in hex",
        "cases": cases,
    }


def sigmoid() -> dict[str, Any]:
    """Return the table's digest and values of the function across its range."""
    raws = [0, 1, 2**24 - 1, 2**24, 2**32, 3 * 2**32 + 5, 16 * 2**32 - 1, 16 * 2**32, 2**63 - 1]
    raws += [-raw for raw in raws[1:]] + [-(2**63)]
    raws += [k * 1_234_567_891 for k in range(-60, 61)]
    table = b"".join(value.to_bytes(8, "big") for value in SIGMOID_TABLE)
    return {
        "about": "sigmoid_ppm: raw at 2^-32 to parts per million; the table is 4097 big-endian"
        " 8-byte integers, hashed as tagged_hash('cairn/sigmoid-table', table)",
        "table_hash": tagged_hash(b"cairn/sigmoid-table", table).hex(),
        "cases": [{"raw": raw, "ppm": sigmoid_ppm(raw)} for raw in raws],
    }


def primitives() -> dict[str, Any]:
    """Return spellings of records, tagged hashes and ids."""
    samples = [
        Sample(0, b"", "", False, None, ()),
        Sample(-1, b"\xff", "\u00e9", True, None, (127, 128, 255, 256)),
        Sample(2**63 - 1, b"\0" * 40, "a" * 40, True, None, tuple(range(20))),
        Sample(-(2**63), b"", "\U0001f512", False, None, (-32, -33, -128, -129)),
    ]
    parts: list[tuple[bytes, ...]] = [(), (b"",), (b"", b""), (b"ab",), (b"a", b"b")]
    return {
        "about": "canonical bytes of (number, data, text, flag, nothing, items); tagged hashes"
        " and ids of the tag 'cairn/vector'",
        "records": [
            {
                "number": sample.number,
                "data": sample.data.hex(),
                "text": sample.text,
                "flag": sample.flag,
                "nothing": sample.nothing,
                "items": list(sample.items),
                "encoded": encode(sample).hex(),
            }
            for sample in samples
        ],
        "hashes": [
            {
                "parts": [part.hex() for part in group],
                "hash": tagged_hash(b"cairn/vector", *group).hex(),
                "id": derive_id(b"cairn/vector", *group).hex(),
            }
            for group in parts
        ],
    }


MADE_HERE: dict[str, Callable[[], dict[str, Any]]] = {
    "primitives": primitives,
    "sigmoid": sigmoid,
    "signatures": signatures,
}


@pytest.mark.vectors
@pytest.mark.parametrize("name", MADE_HERE)
def test_what_is_made_here_is_what_is_written(name: str) -> None:
    replay(name, MADE_HERE[name]())


def test_every_file_is_read_by_some_test() -> None:
    tests = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted((VECTORS.parent / "tests").rglob("test_*.py"))
    )
    unread = [path.stem for path in sorted(VECTORS.glob("*.json")) if f'"{path.stem}"' not in tests]
    assert unread == []


def test_published_files_are_not_rewritten() -> None:
    for name in READ_ONLY:
        assert name not in MADE_HERE
        assert (VECTORS / f"{name}.json").is_file()
