"""A slow, readable Ed25519 over Python integers, to craft signatures and to judge them.

It exists to say *why* a crafted signature is valid or not, independently of the pinned library:
`judge` names every acceptance rule that a signature breaks, and the two equations. Not for use with
real keys: nothing here runs in constant time.

Source: RFC 8032, section 5.1.
"""

import hashlib
from typing import NamedTuple

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
_SQRT_M1 = pow(2, (P - 1) // 4, P)


class Point(NamedTuple):
    """A point of the curve in affine coordinates."""

    x: int
    y: int


IDENTITY = Point(0, 1)


def add(a: Point, b: Point) -> Point:
    """Return the sum by the complete twisted-Edwards formulas."""
    k = D * a.x * b.x * a.y * b.y % P
    x = (a.x * b.y + b.x * a.y) * pow(1 + k, -1, P) % P
    y = (a.y * b.y + a.x * b.x) * pow(1 - k, -1, P) % P
    return Point(x, y)


def negate(a: Point) -> Point:
    """Return the inverse of `a`."""
    return Point(-a.x % P, a.y)


def multiply(scalar: int, point: Point) -> Point:
    """Return `scalar` times `point`; the scalar is not reduced, so torsion counts."""
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def recover_x(y: int, sign: int) -> int | None:
    """Return the x of the given sign that belongs to `y` on the curve, if there is one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * _SQRT_M1 % P
    if (x * x - square) % P:
        return None
    return x if x & 1 == sign else -x % P


def encode(point: Point, *, y_excess: int = 0) -> bytes:
    """Return the 32 bytes of `point`; `y_excess=P` gives the other spelling of a y below 19."""
    return (point.y + y_excess | (point.x & 1) << 255).to_bytes(32, "little")


def decode(raw: bytes) -> Point | None:
    """Return the point that `raw` spells, canonically or not; None if it is not on the curve."""
    number = int.from_bytes(raw, "little")
    y = (number & (1 << 255) - 1) % P
    x = recover_x(y, number >> 255)
    return None if x is None else Point(x, y)


BASE = Point(recover_x(4 * pow(5, -1, P) % P, 0) or 0, 4 * pow(5, -1, P) % P)


def torsion_point() -> Point:
    """Return a point of order eight: L times a point, the first by y that has full order."""
    y = 2
    while True:
        x = recover_x(y, 0)
        if x is not None:
            candidate = multiply(L, Point(x, y))
            if multiply(4, candidate) != IDENTITY:
                return candidate
        y += 1


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    """Return h = SHA-512(R, A, M) mod L."""
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


class Verdict(NamedTuple):
    """What holds of a signature."""

    scalar_in_range: bool
    key_canonical: bool
    key_small_order: bool
    key_prime_order: bool
    r_canonical: bool
    r_small_order: bool
    equation: bool
    equation_times_cofactor: bool

    @property
    def valid(self) -> bool:
        """Whether the rules that Cairn's consensus follows accept it."""
        return (
            self.scalar_in_range
            and self.key_canonical
            and not self.key_small_order
            and self.r_canonical
            and not self.r_small_order
            and self.equation
        )


def _is_canonical(raw: bytes) -> bool:
    point = decode(raw)
    return point is not None and encode(point) == raw


def _is_small(point: Point | None) -> bool:
    return point is not None and multiply(8, point) == IDENTITY


def judge(key: bytes, message: bytes, signature: bytes) -> Verdict:
    """Return, rule by rule, what holds of a signature of 64 bytes under a key of 32."""
    a, r = decode(key), decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    difference = None
    if a is not None and r is not None:
        h = challenge(signature[:32], key, message)
        right = add(r, multiply(h, a))
        difference = add(multiply(s, BASE), negate(right))
    return Verdict(
        scalar_in_range=s < L,
        key_canonical=_is_canonical(key),
        key_small_order=_is_small(a),
        key_prime_order=a is not None and a != IDENTITY and multiply(L, a) == IDENTITY,
        r_canonical=_is_canonical(signature[:32]),
        r_small_order=_is_small(r),
        equation=difference == IDENTITY,
        equation_times_cofactor=_is_small(difference),
    )
