"""Trust files: one spelling in, one meaning out, and everything else is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from cairn.evidence.errors import TrustFileError
from cairn.evidence.trust import TrustedCheckpoint, dump_trust, load_trust, parse_trust
from tests.evidence.chain import WITNESS
from tests.evidence.story import told

CHECKPOINT = TrustedCheckpoint(7, b"\x01" * 32, 5, b"\x02" * 32)


def document(**changes: Any) -> dict[str, Any]:
    chain = told().story.chain
    text = dump_trust(chain.trust((WITNESS,), threshold=1, checkpoint=CHECKPOINT))
    return {**json.loads(text), **changes}


def test_what_is_written_is_read_back() -> None:
    chain = told().story.chain
    for trust in (chain.trust(), chain.trust((WITNESS,), threshold=1, checkpoint=CHECKPOINT)):
        assert parse_trust(dump_trust(trust)) == trust


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrustFileError, match="cannot be read"):
        load_trust(tmp_path / "trust.json")
    (tmp_path / "trust.json").write_bytes(b"\xff\xfe")
    with pytest.raises(TrustFileError, match="cannot be read"):
        load_trust(tmp_path / "trust.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '"cairn-trust/1"',
        "[" * 100_000,
        '{"format": "cairn-trust/1"}',
        '{"format": "cairn-trust/2"}',
    ],
)
def test_what_is_no_trust_file_is_refused(text: str) -> None:
    with pytest.raises(TrustFileError):
        parse_trust(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("extra", 1),
        ("chain_id", "test-abc"),
        ("chain_id", 7),
        ("genesis_digest", "00"),
        ("genesis_digest", "zz"),
        ("genesis_digest", 5),
        ("validators", []),
        ("validators", [{"key": "did:key:zabc", "power": 1}]),
        ("validators", {"key": "x"}),
        ("trusting_period_ms", -1),
        ("trusting_period_ms", 1.5),
        ("trusting_period_ms", True),
        ("witness_threshold", 2),
        ("witness_threshold", -1),
        ("witnesses", [{"name": WITNESS}]),
        ("witnesses", None),
        ("checkpoint", {}),
        ("checkpoint", {"height": 1, "block_hash": "", "history_size": 1, "history_root": ""}),
    ],
)
def test_a_malformed_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(TrustFileError):
        parse_trust(json.dumps(document(**{field: value})))


def test_a_missing_field_is_refused() -> None:
    for field in document():
        reduced = document()
        del reduced[field]
        with pytest.raises(TrustFileError):
            parse_trust(json.dumps(reduced))


def test_names_and_keys_stand_once() -> None:
    validator, witness = document()["validators"][0], document()["witnesses"][0]
    second = {"name": "witness.example/second", "key": witness["key"]}
    same_name = {"name": witness["name"], "key": document()["validators"][0]["key"]}
    for changes in (
        {"validators": [validator, validator]},
        {"validators": [validator, {**validator, "power": 2}]},
        {"validators": [{**validator, "power": 0}]},
        {"witnesses": [witness, witness]},
        {"witnesses": [witness, second]},
        {"witnesses": [witness, same_name]},
    ):
        with pytest.raises(TrustFileError):
            parse_trust(json.dumps(document(**changes)))


def test_a_validators_key_is_no_witness() -> None:
    operator = {"name": "witness.example/own", "key": document()["validators"][0]["key"]}
    with pytest.raises(TrustFileError, match="serves as witness"):
        parse_trust(json.dumps(document(witnesses=[operator], witness_threshold=1)))


def test_json_that_says_a_field_twice_is_refused() -> None:
    text = json.dumps(document())
    doubled = text[:-1] + ', "witness_threshold": 0}'
    with pytest.raises(TrustFileError):
        parse_trust(doubled)
