"""The trust file: what a verifier takes on faith, obtained elsewhere than from the bundle.

It is JSON for people to read and compare: the chain id and genesis digest, the validators' keys,
the witnesses' keys and how many of them must have cosigned, and optionally a checkpoint that the
verifier saw earlier. Everything that `verify` concludes rests on these lines and on nothing else.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairn.evidence.errors import TrustFileError
from cairn.ledger.charter import Charter, chain_id_suffix
from cairn.primitives.did import did_key, parse_did_key
from cairn.primitives.errors import PrimitiveError
from cairn.primitives.light import Validator, ValidatorSet, validator_set_of

TRUST_FORMAT = "cairn-trust/1"
_FIELDS = {
    "format",
    "chain_id",
    "genesis_digest",
    "validators",
    "trusting_period_ms",
    "witnesses",
    "witness_threshold",
    "checkpoint",
}


@dataclass(frozen=True, slots=True)
class TrustedWitness:
    """A witness by name and public key; the name is the key's name on C2SP signature lines."""

    name: str
    key: bytes


@dataclass(frozen=True, slots=True)
class TrustedCheckpoint:
    """A head that the verifier saw earlier, by whatever way it trusts."""

    height: int
    block_hash: bytes
    history_size: int
    history_root: bytes


@dataclass(frozen=True, slots=True)
class Trust:
    """A checked trust file."""

    chain_id: str
    genesis_digest: bytes
    validators: ValidatorSet
    trusting_period_ms: int
    witnesses: tuple[TrustedWitness, ...]
    witness_threshold: int
    """Cosignatures without which a bundle is refused; 0 only reports the lack of them."""
    checkpoint: TrustedCheckpoint | None


def trust_of_charter(
    charter: Charter,
    chain_id: str,
    genesis_digest: bytes,
    witnesses: tuple[TrustedWitness, ...] = (),
    *,
    witness_threshold: int = 0,
) -> Trust:
    """Return the trust in a ledger's founding keys, plus the named witnesses."""
    members = (Validator(entry.key, entry.power) for entry in charter.validators)
    return Trust(
        chain_id,
        genesis_digest,
        validator_set_of(members),
        charter.trusting_period_ms,
        witnesses,
        witness_threshold,
        None,
    )


def dump_trust(trust: Trust) -> str:
    """Return the trust file's text."""
    document: dict[str, Any] = {
        "format": TRUST_FORMAT,
        "chain_id": trust.chain_id,
        "genesis_digest": trust.genesis_digest.hex(),
        "validators": [
            {"key": did_key(member.public_key), "power": member.voting_power}
            for member in trust.validators.validators
        ],
        "trusting_period_ms": trust.trusting_period_ms,
        "witnesses": [{"name": w.name, "key": did_key(w.key)} for w in trust.witnesses],
        "witness_threshold": trust.witness_threshold,
        "checkpoint": None,
    }
    if trust.checkpoint is not None:
        document["checkpoint"] = {
            "height": trust.checkpoint.height,
            "block_hash": trust.checkpoint.block_hash.hex(),
            "history_size": trust.checkpoint.history_size,
            "history_root": trust.checkpoint.history_root.hex(),
        }
    return json.dumps(document, indent=2) + "\n"


def load_trust(path: Path) -> Trust:
    """Return the trust file at `path`.

    Raises:
        TrustFileError: It cannot be read, or `parse_trust` refuses it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrustFileError(f"{path} cannot be read: {error}") from error
    return parse_trust(text)


def parse_trust(text: str) -> Trust:
    """Return the trust that a file's text states.

    Raises:
        TrustFileError: Not JSON, an unknown or missing field, a malformed value, or a chain id
            that does not end with the genesis digest.
    """
    try:
        document = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise TrustFileError(f"the trust file is not JSON: {error}") from error
    if not isinstance(document, dict) or document.get("format") != TRUST_FORMAT:
        raise TrustFileError(f"the trust file does not say format {TRUST_FORMAT!r}")
    unknown = sorted(set(document) - _FIELDS)
    if unknown:
        raise TrustFileError(f"the trust file has fields of no meaning: {', '.join(unknown)}")
    missing = sorted(_FIELDS - set(document))
    if missing:
        raise TrustFileError(f"the trust file lacks: {', '.join(missing)}")
    try:
        trust = _trust(document)
    except (KeyError, TypeError, ValueError, AttributeError, PrimitiveError) as error:
        raise TrustFileError(f"the trust file is malformed: {error!r}") from error
    _check_trust(trust)
    return trust


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; one that says a field twice would be read differently elsewhere."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands twice")
    return found


def _trust(document: dict[str, Any]) -> Trust:
    members = [
        Validator(parse_did_key(key), _int(power))
        for key, power in (_fields(one, "key", "power") for one in document["validators"])
    ]
    witnesses = [
        TrustedWitness(_text(name), parse_did_key(key))
        for name, key in (_fields(one, "name", "key") for one in document["witnesses"])
    ]
    checkpoint = document["checkpoint"]
    return Trust(
        _text(document["chain_id"]),
        bytes.fromhex(document["genesis_digest"]),
        validator_set_of(members),
        _int(document["trusting_period_ms"]),
        tuple(witnesses),
        _int(document["witness_threshold"]),
        None if checkpoint is None else _checkpoint(checkpoint),
    )


def _checkpoint(document: object) -> TrustedCheckpoint:
    names = ("height", "block_hash", "history_size", "history_root")
    height, block_hash, size, root = _fields(document, *names)
    return TrustedCheckpoint(
        _int(height), bytes.fromhex(block_hash), _int(size), bytes.fromhex(root)
    )


def _fields(document: object, *names: str) -> list[Any]:
    """Return the values of an object that has these fields and no others."""
    if not isinstance(document, dict) or set(document) != set(names):
        raise ValueError(f"an object has the fields {', '.join(names)} and no others")
    return [document[name] for name in names]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is not a text")
    return value


def _int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _check_trust(trust: Trust) -> None:
    """Check what the fields must be together."""
    if len(trust.genesis_digest) != 32:
        raise TrustFileError("the genesis digest is not 32 bytes")
    if not trust.chain_id.endswith("-" + chain_id_suffix(trust.genesis_digest)):
        raise TrustFileError("the chain id does not end with the genesis digest")
    if not trust.validators.validators:
        raise TrustFileError("the trust file names no validator")
    keys = [member.public_key for member in trust.validators.validators]
    if len(dict.fromkeys(keys)) != len(keys):
        raise TrustFileError("a validator is named twice")
    if any(member.voting_power <= 0 for member in trust.validators.validators):
        raise TrustFileError("a validator has no voting power")
    for named in ([w.key for w in trust.witnesses], [w.name for w in trust.witnesses]):
        if len(dict.fromkeys(named)) != len(named):
            raise TrustFileError("a witness is named twice")
    checkpoint = trust.checkpoint
    if checkpoint is not None and (
        not checkpoint.height or {len(checkpoint.block_hash), len(checkpoint.history_root)} != {32}
    ):
        raise TrustFileError("the checkpoint is not a height and hashes of 32 bytes")
    if trust.witness_threshold > len(trust.witnesses):
        raise TrustFileError("more cosignatures are asked for than there are witnesses")
    operators = [w.name for w in trust.witnesses if w.key in keys]
    if operators:
        raise TrustFileError(f"a validator's key serves as witness: {', '.join(operators)}")
