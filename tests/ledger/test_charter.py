"""Charters that no ledger is founded on."""

import pytest

from cairn.ledger.charter import Charter, CharterValidator, open_charter, sign_charter
from cairn.primitives.encoding import NonCanonicalError, encode, replace
from cairn.primitives.errors import InvalidSignatureError
from cairn.primitives.signatures import SigningKey

KEYS = [SigningKey.from_seed(bytes([number]) * 32) for number in (1, 2)]
ONE, OTHER = (key.public_key for key in KEYS)
CHARTER = Charter(
    version=1,
    name="test",
    time_ms=1,
    purpose="",
    validators=(CharterValidator("a", ONE, 1), CharterValidator("b", OTHER, 1)),
    trusting_period_ms=60_000,
    founders=(ONE, OTHER),
    parameters=(("a", 1), ("b", 2)),
    sections=(("bank", b""), ("identity", b"")),
)


def signed(charter: Charter, keys: list[SigningKey] = KEYS) -> bytes:
    return encode(sign_charter(charter, keys))


def test_a_charter_is_what_its_founders_signed() -> None:
    charter, chain_id = open_charter(signed(CHARTER))
    assert charter == CHARTER
    assert chain_id.startswith("test-")


@pytest.mark.parametrize(
    ("what", "charter"),
    [
        ("no founder", replace(CHARTER, founders=())),
        ("no validator", replace(CHARTER, validators=())),
        # Its commits would verify for nobody: a set lists each validator once.
        (
            "a validator twice",
            replace(CHARTER, validators=(*CHARTER.validators, *CHARTER.validators)),
        ),
        ("one key, two names", replace(CHARTER, validators=(CharterValidator("c", ONE, 1),) * 2)),
        ("a founder twice", replace(CHARTER, founders=(ONE, ONE))),
        ("another version", replace(CHARTER, version=2)),
        ("parameters out of order", replace(CHARTER, parameters=(("b", 1), ("a", 2)))),
        ("a section twice", replace(CHARTER, sections=(("bank", b""), ("bank", b"")))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_charter_founds_nothing(what: str, charter: Charter) -> None:
    keys = [key for founder in charter.founders for key in KEYS if key.public_key == founder]
    with pytest.raises(NonCanonicalError):
        open_charter(signed(charter, keys))


def test_every_founder_has_signed() -> None:
    for keys in ([KEYS[0]], [KEYS[1], KEYS[0]]):
        with pytest.raises(InvalidSignatureError):
            open_charter(signed(CHARTER, keys))
