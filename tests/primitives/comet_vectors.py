"""Records of `cairn.primitives.light` from the JSON of `vectors/comet.json`."""

from typing import Any

from cairn.primitives.light import (
    BlockID,
    Commit,
    CommitSig,
    Header,
    PartSetHeader,
    Timestamp,
    Validator,
    ValidatorSet,
)
from cairn.primitives.signatures import KEY_PREFIX


def timestamp(value: Any) -> Timestamp:
    return Timestamp(value["seconds"], value["nanos"])


def block_id(value: Any) -> BlockID:
    parts = PartSetHeader(value["parts_total"], bytes.fromhex(value["parts_hash"]))
    return BlockID(bytes.fromhex(value["hash"]), parts)


def header(value: Any) -> Header:
    return Header(
        version_block=value["version_block"],
        version_app=value["version_app"],
        chain_id=value["chain_id"],
        height=value["height"],
        time=timestamp(value["time"]),
        last_block_id=block_id(value["last_block_id"]),
        last_commit_hash=bytes.fromhex(value["last_commit_hash"]),
        data_hash=bytes.fromhex(value["data_hash"]),
        validators_hash=bytes.fromhex(value["validators_hash"]),
        next_validators_hash=bytes.fromhex(value["next_validators_hash"]),
        consensus_hash=bytes.fromhex(value["consensus_hash"]),
        app_hash=bytes.fromhex(value["app_hash"]),
        last_results_hash=bytes.fromhex(value["last_results_hash"]),
        evidence_hash=bytes.fromhex(value["evidence_hash"]),
        proposer_address=bytes.fromhex(value["proposer_address"]),
    )


def commit(value: Any) -> Commit:
    signatures = tuple(
        CommitSig(
            entry["block_id_flag"],
            bytes.fromhex(entry["validator_address"]),
            timestamp(entry["time"]),
            bytes.fromhex(entry["signature"]),
        )
        for entry in value["signatures"]
    )
    return Commit(value["height"], value["round"], block_id(value["block_id"]), signatures)


def validator_set(value: Any) -> ValidatorSet:
    return ValidatorSet(
        tuple(
            Validator(KEY_PREFIX + bytes.fromhex(member["public_key"]), member["voting_power"])
            for member in value
        )
    )
