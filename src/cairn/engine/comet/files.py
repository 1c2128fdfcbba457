"""The files that CometBFT reads: configuration, genesis, and the keys of validator and node.

All but the keys follow from the charter and the settings and are written at every start. What the
validator has signed last (`priv_validator_state.json`) is CometBFT's to write: it is made once and
never touched again, since a lost one could sign a height twice.
"""

import json
import os
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cairn.engine.comet.settings import CometSettings, config_text
from cairn.ledger.charter import Charter
from cairn.ledger.execution import STATE_VERSION
from cairn.primitives.hashes import tagged_hash
from cairn.primitives.light import ConsensusParams, address_of
from cairn.primitives.signatures import KEY_PREFIX, SigningKey

PUBLIC_KEY_TYPE = "tendermint/PubKeyEd25519"
PRIVATE_KEY_TYPE = "tendermint/PrivKeyEd25519"

EVIDENCE_AGE_BLOCKS_MAX = 100_000
"""With the trusting period, how old evidence of misbehaviour may be."""
FIRST_BLOCK_DELAY_MS = 1
"""CometBFT dates the first block with the genesis time; the ledger wants it after the charter."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def node_key_of(key: SigningKey) -> SigningKey:
    """Return the key with which a node meets its peers, derived from the validator's."""
    return SigningKey.from_seed(tagged_hash(b"cairn/comet-node-key", key.seed))


def node_id_of(key: SigningKey) -> str:
    """Return the name under which peers know the node with this validator key."""
    return address_of(node_key_of(key).public_key).hex()


def genesis_document(charter: Charter, chain_id: str) -> dict[str, Any]:
    """Return `genesis.json`, which follows from the charter alone."""
    own = ConsensusParams()
    validators = [
        {
            "address": address_of(member.key).hex().upper(),
            "pub_key": _public_key(member.key),
            "power": str(member.power),
            "name": member.name,
        }
        for member in charter.validators
    ]
    return {
        "genesis_time": _rfc3339(charter.time_ms + FIRST_BLOCK_DELAY_MS),
        "chain_id": chain_id,
        "initial_height": "1",
        "consensus_params": {
            "block": {
                "max_bytes": str(own.block_size_bytes_max),
                "max_gas": str(own.block_gas_max),
            },
            "evidence": {
                "max_age_num_blocks": str(EVIDENCE_AGE_BLOCKS_MAX),
                "max_age_duration": str(charter.trusting_period_ms * 1_000_000),
                "max_bytes": "1048576",
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": str(STATE_VERSION)},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": validators,
        "app_hash": "",
    }


def write_home(settings: CometSettings, charter: Charter, chain_id: str, key: SigningKey) -> None:
    """Write what CometBFT reads into its directory."""
    config, data = settings.home / "config", settings.home / "data"
    for folder in (settings.home, config, data):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(config / "config.toml", config_text(settings).encode())
    _write_json(config / "genesis.json", genesis_document(charter, chain_id))
    _write_json(config / "priv_validator_key.json", _validator_key(key))
    _write_json(config / "node_key.json", {"priv_key": _private_key(node_key_of(key))})
    state = data / "priv_validator_state.json"
    if not state.exists():
        _write_json(state, {"height": "0", "round": 0, "step": 0})


def _validator_key(key: SigningKey) -> dict[str, Any]:
    return {
        "address": address_of(key.public_key).hex().upper(),
        "pub_key": _public_key(key.public_key),
        "priv_key": _private_key(key),
    }


def _public_key(key: bytes) -> dict[str, str]:
    return {"type": PUBLIC_KEY_TYPE, "value": b64encode(key.removeprefix(KEY_PREFIX)).decode()}


def _private_key(key: SigningKey) -> dict[str, str]:
    secret = key.seed + key.public_key.removeprefix(KEY_PREFIX)
    return {"type": PRIVATE_KEY_TYPE, "value": b64encode(secret).decode()}


def _rfc3339(time_ms: int) -> str:
    at = _EPOCH + timedelta(milliseconds=time_ms)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time_ms % 1000:03d}Z"


def _write_json(path: Path, document: dict[str, Any]) -> None:
    _write(path, (json.dumps(document, indent=2) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    """Replace a file at once, readable by its owner alone."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
