"""What CometBFT says about its own record: status, headers with their commits, validators.

Asked over its Unix socket, never while one of its requests is being answered. Nothing that comes
from here is believed: a header counts once `primitives.light` has verified it.
"""

import http.client
import json
import re
import socket
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cairn.engine.comet.errors import UnreachableError
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

TIMEOUT_SECONDS = 10.0
VALIDATORS_MAX = 100
"""As many as CometBFT lists at once."""

_TIME = re.compile(r"^(\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$")


class CometRpc:
    """One CometBFT's answers."""

    def __init__(self, path: Path) -> None:
        """Ask at the Unix socket `path`."""
        self._path = path

    def call(self, method: str, parameters: Mapping[str, str] | None = None) -> Any:
        """Return the result of a JSON-RPC call.

        Raises:
            UnreachableError: Nobody answers, or the answer is an error.
        """
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": dict(parameters or {})}
        connection = _UnixConnection(self._path)
        try:
            connection.request(
                "POST", "/", json.dumps(request), {"Content-Type": "application/json"}
            )
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise UnreachableError(f"CometBFT does not answer {method}: {error}") from error
        finally:
            connection.close()
        if not isinstance(answer, dict) or answer.get("result") is None:
            detail = answer.get("error") if isinstance(answer, dict) else answer
            raise UnreachableError(f"CometBFT refuses {method}: {detail}")
        return answer["result"]

    def signed_header(self, height: int) -> tuple[Header, Commit]:
        """Return a header and a commit of it, not verified.

        Raises:
            UnreachableError: CometBFT does not answer, or not with a header.
        """
        result = self.call("commit", {"height": str(height)})
        try:
            signed = result["signed_header"]
            return _header(signed["header"]), _commit(signed["commit"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnreachableError(f"CometBFT's header {height} is malformed: {error}") from error

    def validators(self, height: int) -> ValidatorSet:
        """Return the validators of a height in the order of commits, not verified.

        Raises:
            UnreachableError: CometBFT does not answer, or not with validators.
        """
        parameters = {"height": str(height), "page": "1", "per_page": str(VALIDATORS_MAX)}
        result = self.call("validators", parameters)
        try:
            return ValidatorSet(tuple(_validator(one) for one in result["validators"]))
        except (KeyError, TypeError, ValueError) as error:
            raise UnreachableError(f"CometBFT's validators are malformed: {error}") from error


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _header(raw: Mapping[str, Any]) -> Header:
    return Header(
        version_block=int(raw["version"]["block"]),
        version_app=int(raw["version"].get("app", 0)),
        chain_id=raw["chain_id"],
        height=int(raw["height"]),
        time=parse_time(raw["time"]),
        last_block_id=_block_id(raw["last_block_id"]),
        last_commit_hash=bytes.fromhex(raw["last_commit_hash"]),
        data_hash=bytes.fromhex(raw["data_hash"]),
        validators_hash=bytes.fromhex(raw["validators_hash"]),
        next_validators_hash=bytes.fromhex(raw["next_validators_hash"]),
        consensus_hash=bytes.fromhex(raw["consensus_hash"]),
        app_hash=bytes.fromhex(raw["app_hash"]),
        last_results_hash=bytes.fromhex(raw["last_results_hash"]),
        evidence_hash=bytes.fromhex(raw["evidence_hash"]),
        proposer_address=bytes.fromhex(raw["proposer_address"]),
    )


def _commit(raw: Mapping[str, Any]) -> Commit:
    entries = tuple(
        CommitSig(
            int(one["block_id_flag"]),
            bytes.fromhex(one["validator_address"]),
            parse_time(one["timestamp"]),
            b64decode(one["signature"] or "", validate=True),
        )
        for one in raw["signatures"]
    )
    return Commit(int(raw["height"]), int(raw["round"]), _block_id(raw["block_id"]), entries)


def _block_id(raw: Mapping[str, Any]) -> BlockID:
    parts = raw["parts"]
    return BlockID(
        bytes.fromhex(raw["hash"]),
        PartSetHeader(int(parts["total"]), bytes.fromhex(parts["hash"])),
    )


def _validator(raw: Mapping[str, Any]) -> Validator:
    key = b64decode(raw["pub_key"]["value"], validate=True)
    return Validator(KEY_PREFIX + key, int(raw["voting_power"]))


def parse_time(text: str) -> Timestamp:
    """Return the time that RFC 3339 spells, to the nanosecond.

    Raises:
        ValueError: It is no time in UTC.
    """
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no time")
    moment = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return Timestamp(delta.days * 86_400 + delta.seconds, int((match[2] or "").ljust(9, "0")))
