"""Crafted signatures: each breaks one rule of acceptance, and some library in use accepts it.

The ideas come from "Taming the many EdDSAs" (https://eprint.iacr.org/2020/1244) and from Wycheproof
(https://github.com/C2SP/wycheproof); the bytes are made here, from fixed scalars, so that anybody
can see where they come from. Nobody can craft a non-canonical key or R of large order that
satisfies the equation, for nobody knows its logarithm; those encodings appear with points of small
order.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from tests.primitives import ed25519_reference as curve
from tests.primitives.ed25519_reference import BASE, IDENTITY, L, P, Point

RFC_8032 = {
    "rfc8032_test_1": ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", ""),
    "rfc8032_test_2": ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72"),
    "rfc8032_test_3": ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82"),
}
"""Seed and message of RFC 8032, section 7.1; the signatures are checked in test_signatures.py."""


class Case(NamedTuple):
    """One signature and whether consensus accepts it."""

    name: str
    key: bytes
    message: bytes
    signature: bytes
    valid: bool

    @property
    def key_registrable(self) -> bool:
        """Whether the key is fit to be registered: canonical, and of prime order."""
        verdict = curve.judge(self.key, self.message, self.signature)
        return verdict.key_canonical and verdict.key_prime_order


def _scalar(label: str) -> int:
    return int.from_bytes(hashlib.sha512(label.encode()).digest(), "little") % L


_KEY_SCALAR = _scalar("key")
_R_SCALAR = _scalar("r")
_KEY = curve.multiply(_KEY_SCALAR, BASE)
_R = curve.multiply(_R_SCALAR, BASE)
_TORSION = curve.torsion_point()
_ORDER_4 = Point(curve.recover_x(0, 0) or 0, 0)


def _message(r: bytes, key: bytes, wanted: Callable[[int], bool]) -> bytes:
    """Return the first short message whose challenge is as wanted."""
    for counter in range(1000):
        message = b"case %d" % counter
        if wanted(curve.challenge(r, key, message)):
            return message
    raise AssertionError("no message found")


def _craft(name: str, key: bytes, r: bytes, *, wanted: Callable[[int], bool]) -> Case:
    """Return a case whose S is what an owner of both scalars would compute, torsion left out."""
    message = _message(r, key, wanted)
    key_scalar = 0 if curve.judge(key, b"", r + bytes(32)).key_small_order else _KEY_SCALAR
    r_scalar = 0 if curve.judge(key, b"", r + bytes(32)).r_small_order else _R_SCALAR
    s = (r_scalar + curve.challenge(r, key, message) * key_scalar) % L
    signature = r + s.to_bytes(32, "little")
    return Case(name, key, message, signature, curve.judge(key, message, signature).valid)


def _with_scalar(name: str, case: Case, s: int) -> Case:
    signature = case.signature[:32] + s.to_bytes(32, "little")
    return case._replace(
        name=name, signature=signature, valid=curve.judge(case.key, case.message, signature).valid
    )


def _good_cases() -> list[Case]:
    cases = []
    for name, (seed, message_hex) in RFC_8032.items():
        public, secret = crypto_sign_seed_keypair(bytes.fromhex(seed))
        message = bytes.fromhex(message_hex)
        signature = crypto_sign(message, secret)[:64]
        valid = curve.judge(public, message, signature).valid
        cases.append(Case(name, public, message, signature, valid))
    return cases


def _any(challenge: int) -> bool:
    return True


def _remainder(remainder: int) -> Callable[[int], bool]:
    """Return the wish for a challenge that leaves `remainder` modulo eight."""
    return lambda challenge: challenge % 8 == remainder


def _off_curve_key() -> bytes:
    y = 2
    while curve.recover_x(y, 0) is not None:
        y += 1
    return y.to_bytes(32, "little")


def make_cases() -> list[Case]:
    """Return every case, good ones first; the verdict is that of the reference."""
    key, r = curve.encode(_KEY), curve.encode(_R)
    mixed_key = curve.encode(curve.add(_KEY, _TORSION))
    mixed_r = curve.encode(curve.add(_R, _TORSION))
    identity = curve.encode(IDENTITY)
    identity_above_p = curve.encode(IDENTITY, y_excess=P)
    identity_negative = bytes([1]) + bytes(30) + bytes([0x80])
    order_8 = curve.encode(_TORSION)
    order_4 = curve.encode(_ORDER_4)
    plain = _craft("plain", key, r, wanted=_any)
    s = int.from_bytes(plain.signature[32:], "little")
    return [
        *_good_cases(),
        plain,
        plain._replace(name="other_message", message=b"another", valid=False),
        _craft("key_mixed_order_equation_holds", mixed_key, r, wanted=_remainder(0)),
        _craft("key_mixed_order_cofactored_only", mixed_key, r, wanted=_remainder(1)),
        _craft("r_mixed_order_cofactored_only", key, mixed_r, wanted=_any),
        _craft("key_identity", identity, r, wanted=_any),
        _craft("key_order_8", order_8, r, wanted=_remainder(0)),
        _craft("key_all_zero", order_4, r, wanted=_remainder(0)),
        _craft("key_all_zero_r_all_zero", bytes(32), bytes(32), wanted=_remainder(3)),
        _craft("key_order_8_r_order_8", order_8, order_8, wanted=_remainder(7)),
        _craft("key_non_canonical_y_above_p", identity_above_p, r, wanted=_any),
        _craft("key_non_canonical_negative_zero", identity_negative, r, wanted=_any),
        _craft("r_identity", key, identity, wanted=_any),
        _craft("r_non_canonical_y_above_p", key, identity_above_p, wanted=_any),
        _craft("r_non_canonical_negative_zero", key, identity_negative, wanted=_any),
        _with_scalar("s_plus_l", plain, s + L),
        _with_scalar("s_with_high_bits", plain, s + (2**256 - 1 - s) // L * L),
        plain._replace(name="key_off_curve", key=_off_curve_key(), valid=False),
    ]
