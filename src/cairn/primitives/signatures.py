"""Ed25519 signatures: one library, pinned, because libraries disagree on crafted signatures.

A public key is 34 bytes: the multicodec prefix 0xed 0x01, then the 32 bytes of RFC 8032. The prefix
leaves room for other key types.

Which signatures are valid is a rule of the protocol. It is what libsodium 1.0.20 does, inside
PyNaCl 1.6.2:

1. The signature is 64 bytes, R then S, and S is below the group order L (no `S + L`).
2. R and the key A are not points of small order, in any encoding.
3. A is encoded canonically (y < p).
4. `SB - hA`, encoded, equals R byte for byte: no multiplication by the cofactor, and a
   non-canonical R never matches.

Other libraries, and other versions of this one, decide differently at 2, 3 or 4, which would fork a
chain; so a node runs `self_test` before it starts.

Source: RFC 8032; Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs",
https://eprint.iacr.org/2020/1244
"""

from collections.abc import Iterable
from typing import NewType

from nacl.bindings import (
    crypto_core_ed25519_is_valid_point,
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from cairn.primitives.errors import InvalidKeyError, InvalidSignatureError, SelfTestError
from cairn.primitives.signature_cases import CASES

PublicKey = NewType("PublicKey", bytes)
"""A public key with its multicodec prefix, 34 bytes."""

KEY_PREFIX = b"\xed\x01"
"""Multicodec `ed25519-pub` (0xed) as an unsigned varint."""

PUBLIC_KEY_SIZE_BYTES = 34
SEED_SIZE_BYTES = 32
SIGNATURE_SIZE_BYTES = 64

# Published, and of no value: section 7.1, test 1.
_RFC_8032_SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")


class SigningKey:
    """A private key. It holds its secret in memory and never shows it."""

    __slots__ = ("_secret", "public_key")

    def __init__(self, secret: bytes, public_key: PublicKey) -> None:
        """Hold a key pair; use `from_seed` to make one."""
        self._secret = secret
        self.public_key = public_key

    @classmethod
    def from_seed(cls, seed: bytes) -> "SigningKey":
        """Return the key that RFC 8032 derives from a seed of 32 bytes.

        Raises:
            InvalidKeyError: The seed is not 32 bytes.
        """
        if len(seed) != SEED_SIZE_BYTES:
            raise InvalidKeyError(f"a seed has {SEED_SIZE_BYTES} bytes, not {len(seed)}")
        public, secret = crypto_sign_seed_keypair(seed)
        return cls(secret, PublicKey(KEY_PREFIX + public))

    @property
    def seed(self) -> bytes:
        """The seed of 32 bytes, for whoever keeps the key encrypted at rest."""
        return self._secret[:SEED_SIZE_BYTES]

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`, 64 bytes, the same for the same message."""
        return crypto_sign(message, self._secret)[:SIGNATURE_SIZE_BYTES]

    def __repr__(self) -> str:
        """Return a text that names the public key only."""
        return f"SigningKey(public_key={self.public_key.hex()})"


def check_public_key(raw: bytes) -> PublicKey:
    """Return `raw` as a public key that is fit to be registered.

    This is stricter than what `verify` asks: a key that passes here lies in the prime-order
    subgroup, so that no crafted key enters the state.

    Raises:
        InvalidKeyError: Wrong length or prefix, a non-canonical encoding, a point that is not on
            the curve, or one that does not have prime order.
    """
    if len(raw) != PUBLIC_KEY_SIZE_BYTES or not raw.startswith(KEY_PREFIX):
        raise InvalidKeyError("not an ed25519 public key of 34 bytes with its multicodec prefix")
    if not crypto_core_ed25519_is_valid_point(raw[2:]):
        raise InvalidKeyError("not the canonical encoding of a point of prime order")
    return PublicKey(raw)


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check that `signature` is valid for `message` under `public_key`.

    Raises:
        InvalidKeyError: The key is not 34 bytes with the prefix of ed25519.
        InvalidSignatureError: The signature is not 64 bytes, or not valid by the module's rules.
    """
    if len(public_key) != PUBLIC_KEY_SIZE_BYTES or not public_key.startswith(KEY_PREFIX):
        raise InvalidKeyError("not an ed25519 public key of 34 bytes with its multicodec prefix")
    if len(signature) != SIGNATURE_SIZE_BYTES:
        raise InvalidSignatureError(f"a signature has 64 bytes, not {len(signature)}")
    try:
        # The binding takes both lengths on trust, hence the checks above. It has no detached form;
        # the concatenation costs less than 1 % of a verification.
        crypto_sign_open(signature + message, public_key[2:])
    except BadSignatureError as error:
        raise InvalidSignatureError("the signature does not match key and message") from error


def verify_many(triples: Iterable[tuple[bytes, bytes, bytes]]) -> list[bool]:
    """Return, for each (public key, message, signature), whether `verify` accepts it.

    A function of its arguments alone, for worker processes that check a block in chunks.
    """
    verdicts = []
    for public_key, message, signature in triples:
        try:
            verify(public_key, message, signature)
        except (InvalidKeyError, InvalidSignatureError):
            verdicts.append(False)
        else:
            verdicts.append(True)
    return verdicts


def self_test() -> None:
    """Check that the installed library decides as consensus needs; under two milliseconds.

    Raises:
        SelfTestError: A verdict, or a signature of RFC 8032, comes out differently.
    """
    first = CASES[0]
    signature = SigningKey.from_seed(_RFC_8032_SEED).sign(bytes.fromhex(first.message))
    if signature.hex() != first.r + first.s:
        raise SelfTestError("signing: not the signature of RFC 8032, section 7.1, test 1")
    for case in CASES:
        public_key = KEY_PREFIX + bytes.fromhex(case.key)
        triple = (public_key, bytes.fromhex(case.message), bytes.fromhex(case.r + case.s))
        if verify_many([triple]) != [case.valid]:
            raise SelfTestError(f"verification: {case.name} must be valid={case.valid}")
        try:
            check_public_key(public_key)
        except InvalidKeyError:
            registrable = False
        else:
            registrable = True
        if registrable != case.key_registrable:
            raise SelfTestError(f"keys: {case.name} must be registrable={case.key_registrable}")
