"""Signatures: published vectors, crafted ones, and that the self-test notices another library."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from cairn.primitives import signature_cases as compiled
from cairn.primitives import signatures
from cairn.primitives.errors import InvalidKeyError, InvalidSignatureError, SelfTestError
from cairn.primitives.signatures import (
    KEY_PREFIX,
    SigningKey,
    check_public_key,
    self_test,
    verify,
    verify_many,
)
from tests.primitives import ed25519_reference as curve
from tests.primitives.signature_cases import RFC_8032, Case, make_cases
from tests.vector_files import load

CASES = make_cases()
KEY = SigningKey.from_seed(bytes(range(32)))
OTHER = SigningKey.from_seed(bytes(32))

# RFC 8032, section 7.1: public key and signature for each seed and message.
RFC_8032_RESULTS = {
    "rfc8032_test_1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "rfc8032_test_2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "rfc8032_test_3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
}


@pytest.mark.parametrize("name", RFC_8032)
def test_rfc_8032_signatures_come_out(name: str) -> None:
    seed, message = (bytes.fromhex(text) for text in RFC_8032[name])
    public_hex, signature_hex = RFC_8032_RESULTS[name]
    key = SigningKey.from_seed(seed)
    assert key.public_key == KEY_PREFIX + bytes.fromhex(public_hex)
    assert key.sign(message).hex() == signature_hex
    verify(key.public_key, message, bytes.fromhex(signature_hex))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_library_and_reference_agree_on_crafted_signatures(case: Case) -> None:
    verdict = curve.judge(case.key, case.message, case.signature)
    assert verdict.valid is case.valid
    triple = (KEY_PREFIX + case.key, case.message, case.signature)
    assert verify_many([triple]) == [case.valid]


def test_crafted_signatures_break_each_rule_alone() -> None:
    """A refused case passes where its one rule is missing; otherwise it would prove nothing."""
    verdicts = {case.name: curve.judge(case.key, case.message, case.signature) for case in CASES}
    lax = {name for name, verdict in verdicts.items() if verdict.equation_times_cofactor}
    refused = {case.name for case in CASES if not case.valid}
    assert refused - lax == {"other_message", "key_off_curve"}
    assert not verdicts["key_mixed_order_cofactored_only"].equation
    assert not verdicts["r_mixed_order_cofactored_only"].equation
    assert not verdicts["s_plus_l"].scalar_in_range
    assert not verdicts["s_with_high_bits"].scalar_in_range
    assert next(c for c in CASES if c.name == "s_with_high_bits").signature[63] & 0xE0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_keys_of_prime_order_are_registrable(case: Case) -> None:
    if case.key_registrable:
        assert check_public_key(KEY_PREFIX + case.key) == KEY_PREFIX + case.key
    else:
        with pytest.raises(InvalidKeyError):
            check_public_key(KEY_PREFIX + case.key)


def test_compiled_table_is_the_vectors_file() -> None:
    of_file = load("signatures")["cases"]
    of_module = [case._asdict() for case in compiled.CASES]
    for case in of_file:
        signature = case.pop("signature")
        case.pop("reasons")
        case["r"], case["s"] = signature[:64], signature[64:]
    assert of_module == of_file


def test_self_test_passes_with_the_pinned_library() -> None:
    self_test()


@pytest.mark.parametrize("index", range(len(compiled.CASES)))
def test_self_test_notices_each_wrong_verdict(monkeypatch: pytest.MonkeyPatch, index: int) -> None:
    wrong = compiled.CASES[index]
    real = crypto_sign_open
    crafted = bytes.fromhex(wrong.r + wrong.s + wrong.message)

    def other_library(signed: bytes, key: bytes) -> bytes:
        if signed == crafted and key.hex() == wrong.key:
            if wrong.valid:
                raise BadSignatureError("refused here")
            return signed[64:]
        return real(signed, key)

    monkeypatch.setattr(signatures, "crypto_sign_open", other_library)
    with pytest.raises(SelfTestError, match=wrong.name):
        self_test()


def test_self_test_notices_a_lenient_key_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "crypto_core_ed25519_is_valid_point", lambda point: True)
    with pytest.raises(SelfTestError, match="key_mixed_order"):
        self_test()


def test_self_test_notices_other_signing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "crypto_sign", lambda message, secret: bytes(64) + message)
    with pytest.raises(SelfTestError, match="RFC 8032"):
        self_test()


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=300))
def test_a_signature_holds_for_its_message_and_key_only(message: bytes) -> None:
    signature = KEY.sign(message)
    assert signature == KEY.sign(message)
    verify(KEY.public_key, message, signature)
    assert verify_many(
        [
            (KEY.public_key, message, signature),
            (KEY.public_key, message + b"\0", signature),
            (OTHER.public_key, message, signature),
        ]
    ) == [True, False, False]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 511), st.binary(max_size=8))
def test_every_bit_of_a_signature_counts(bit: int, message: bytes) -> None:
    changed = bytearray(KEY.sign(message))
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidSignatureError):
        verify(KEY.public_key, message, bytes(changed))


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_a_signature_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidSignatureError):
        verify(KEY.public_key, b"", (KEY.sign(b"") * 2)[:size])


@pytest.mark.parametrize(
    "key",
    [
        b"",
        KEY.public_key[:33],
        KEY.public_key + b"\0",
        KEY.public_key[2:],
        b"\xec\x01" + KEY.public_key[2:],
        b"\xed\x02" + KEY.public_key[2:],
        b"\xe7\x01\x02" + KEY.public_key[3:],
    ],
)
def test_a_key_of_another_form_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidKeyError):
        verify(key, b"", KEY.sign(b""))
    with pytest.raises(InvalidKeyError):
        check_public_key(key)
    assert verify_many([(key, b"", KEY.sign(b""))]) == [False]


def test_a_seed_has_32_bytes() -> None:
    for size in (0, 31, 33, 64):
        with pytest.raises(InvalidKeyError):
            SigningKey.from_seed(bytes(size))


def test_the_secret_is_never_shown() -> None:
    seed = bytes.fromhex("c0ffee" * 10 + "beef")
    shown = repr(SigningKey.from_seed(seed)) + str(SigningKey.from_seed(seed))
    assert "c0ffee" not in shown
    assert SigningKey.from_seed(seed).public_key.hex() in shown
    assert SigningKey.from_seed(seed).seed == seed
