"""Public keys as text: `did:key:z…`, one spelling per key.

A did:key is `did:key:`, the multibase prefix `z` and base58btc of the 34 bytes of a public key.

Source: https://w3c-ccg.github.io/did-key-spec/ and
https://datatracker.ietf.org/doc/html/draft-msporny-base58-03
"""

from cairn.primitives.errors import InvalidKeyError
from cairn.primitives.signatures import KEY_PREFIX, PUBLIC_KEY_SIZE_BYTES, PublicKey

_SCHEME = "did:key:z"
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_PAYLOAD_CHARACTERS = 47
"""Base58 length of every value of 34 bytes that begins with 0xed 0x01."""


def did_key(public_key: bytes) -> str:
    """Return the did:key of `public_key`.

    Raises:
        InvalidKeyError: The key is not 34 bytes with the prefix of ed25519.
    """
    if len(public_key) != PUBLIC_KEY_SIZE_BYTES or not public_key.startswith(KEY_PREFIX):
        raise InvalidKeyError("not an ed25519 public key of 34 bytes with its multicodec prefix")
    number = int.from_bytes(public_key, "big")
    characters = []
    while number:
        number, digit = divmod(number, 58)
        characters.append(_ALPHABET[digit])
    return _SCHEME + "".join(reversed(characters))


def parse_did_key(text: str) -> PublicKey:
    """Return the public key that `text` names.

    Raises:
        InvalidKeyError: Not a did:key, not base58btc, another kind of key, or any spelling but the
            one that `did_key` returns.
    """
    if not text.startswith(_SCHEME):
        raise InvalidKeyError("a key is written did:key:z…")
    payload = text[len(_SCHEME) :]
    if len(payload) != _PAYLOAD_CHARACTERS:
        raise InvalidKeyError(
            f"an ed25519 did:key has {_PAYLOAD_CHARACTERS} characters after the z"
        )
    number = 0
    for character in payload:
        value = _VALUES.get(character)
        if value is None:
            raise InvalidKeyError("a did:key holds a character that is not base58btc")
        number = number * 58 + value
    if number.bit_length() != 8 * PUBLIC_KEY_SIZE_BYTES:
        raise InvalidKeyError("a did:key of another length than ed25519's")
    raw = number.to_bytes(PUBLIC_KEY_SIZE_BYTES, "big")
    if not raw.startswith(KEY_PREFIX):
        raise InvalidKeyError("a did:key of another kind than ed25519")
    return PublicKey(raw)
