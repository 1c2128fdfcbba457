"""Real validators: one, and four of which one and then two are killed. Needs `make engine`."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cairn.engine.base import LOG_ENTRY_DECODER, Chain
from cairn.engine.comet.errors import BinaryMissingError
from cairn.engine.comet.opening import charter_validators
from cairn.engine.comet.process import find_binary
from cairn.engine.comet.record import DECIDED_BLOCK_DECODER, DecidedBlock
from cairn.ledger.charter import chain_id_of
from cairn.ledger.execution import Ledger
from cairn.ledger.memory import MemoryState
from cairn.node.replay import Replay, ReplayReport, apply_to
from cairn.primitives.encoding import Decoder, encode
from cairn.primitives.light import (
    FLAG_ABSENT,
    Commit,
    Header,
    Validator,
    commit_hash,
    header_hash,
    header_time_ms,
    results_hash,
    validator_set_of,
    verify_header,
)
from cairn.primitives.signatures import verify_many
from tests.engine.comet.toy_network import VALIDATOR_KEYS, charter, charter_file, toy_registry
from tests.engine.toy import USER_KEYS, Add, transaction
from tools.comet_testnet import Testnet, TestnetSettings

try:
    find_binary()
except BinaryMissingError as missing:
    pytest.skip(f"{missing}: {missing.hint}", allow_module_level=True)

SETTINGS = TestnetSettings(registry="tests.engine.comet.toy_network:toy_registry")
WAIT_SECONDS = 60.0


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose name leaves room for the sockets inside it."""
    with TemporaryDirectory(prefix="cairn-") as directory:
        yield Path(directory)


def add(count: int, first: int, number: int = 1, user: int = 0) -> list[bytes]:
    chain_id = chain_id_of(encode(charter(count)))
    return [
        transaction(Add(1), sequence=first + place, key=USER_KEYS[user], chain_id=chain_id)
        for place in range(number)
    ]


def signed_header(validator: Any, height: int) -> tuple[Header, Commit]:
    header, commit = validator.ask("signed_header", height)
    return Decoder(Header).decode(header), Decoder(Commit).decode(commit)


def decided(validator: Any, height: int) -> DecidedBlock:
    return DECIDED_BLOCK_DECODER.decode(validator.ask("block", height))


def check_headers(validator: Any, count: int, up_to: int) -> None:
    """Check every header and what it says about the blocks that the ledger has kept."""
    founding = charter(count)
    chain_id = chain_id_of(encode(founding))
    members = validator_set_of(Validator(one.key, one.power) for one in founding.validators)
    before: tuple[Header, Commit, DecidedBlock] | None = None
    for height in range(1, up_to + 1):
        header, commit = signed_header(validator, height)
        block = decided(validator, height)
        assert verify_header(chain_id, header, commit, members) == block.block_hash
        assert header_time_ms(header) == block.time_ms
        assert (header.data_hash, header.proposer_address) == (
            block.data_hash,
            block.proposer_address,
        )
        if before is not None:
            last_header, last_commit, last = before
            assert header.last_block_id.hash == header_hash(last_header)
            assert header.last_commit_hash == commit_hash(last_commit)
            assert header.app_hash == last.app_hash
            shown = last.results[: len(last.transactions)]
            assert header.last_results_hash == results_hash(
                (one.code, one.data, 0, one.cost) for one in shown
            )
            assert header_time_ms(header) > header_time_ms(last_header)
        before = header, commit, block


def replay(validator: Any, count: int, up_to: int) -> ReplayReport:
    """Execute the network's blocks anew as a node checks its own, signatures and headers too."""
    founding = charter(count)
    ledger, state = Ledger(toy_registry()), MemoryState()
    founded = ledger.found(founding, chain_id_of(encode(founding)), state)
    state.apply(founded.changes)
    head = founded.head
    anew = Replay(
        ledger,
        Chain(head.chain_id, None, None, (), head.app_hash, head.time_ms),
        head,
        validators=charter_validators(founding),
        check_signatures=verify_many,
        founded=founded,
    )
    entries = (
        LOG_ENTRY_DECODER.decode(validator.ask("entry", height)) for height in range(1, up_to + 1)
    )
    return anew.run(entries, lambda: state, apply_to(state.apply))


def test_one_validator_orders_survives_and_its_headers_verify(short_path: Path) -> None:
    net = Testnet(short_path, charter_file(1), VALIDATOR_KEYS[:1], SETTINGS)
    [validator] = net.validators
    with net:
        net.start()
        answer = validator.ask("submit", [*add(1, 1, 50), b"noise"])
        assert answer["codes"] == {"ok": 50, "ledger/malformed_transaction": 1}
        assert validator.ask("advance", 0, 20.0)
        validator.kill()
        validator.start()
        answer = validator.ask("submit", add(1, 51, 50))
        assert answer["codes"] == {"ok": 50}
        assert validator.ask("advance", 0, 20.0)
        validator.stop()
        validator.start()
        answer = validator.ask("submit", add(1, 101, 1))
        assert answer["codes"] == {"ok": 1}
        check_headers(validator, 1, answer["height"])
        health = validator.ask("health")
        assert health["process"]["is_running"]


def test_cometbft_or_the_ledger_alone_may_die(short_path: Path) -> None:
    net = Testnet(short_path, charter_file(1), VALIDATOR_KEYS[:1], SETTINGS)
    [validator] = net.validators
    with net:
        net.start()
        assert validator.ask("submit", add(1, 1))["codes"] == {"ok": 1}
        os.kill(validator.ask("health")["process"]["pid"], signal.SIGKILL)
        answer = validator.ask("submit", add(1, 2))
        assert answer["codes"] == {"ok": 1}
        health = validator.ask("health")["process"]
        assert (health["restarts"], health["last_exit"]) == (1, "signal 9")
        # The ledger dies alone: its CometBFT finds the socket closed and ends, too.
        orphan = health["pid"]
        validator.kill_ledger()
        validator.start()
        assert validator.ask("submit", add(1, 3))["codes"] == {"ok": 1}
        assert not _is_alive(orphan)
        check_headers(validator, 1, answer["height"])


def _is_alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_four_validators_agree_go_on_without_one_and_stop_without_two(short_path: Path) -> None:
    net = Testnet(short_path, charter_file(4), VALIDATOR_KEYS, SETTINGS)
    with net:
        net.start()
        net.wait_height(1, WAIT_SECONDS)
        futures = [
            net.validators[user].ask_later("submit", add(4, 1, 100, user)) for user in range(3)
        ]
        answers = [future.result(WAIT_SECONDS) for future in futures]
        assert [answer["codes"] for answer in answers] == [{"ok": 100}] * 3
        height = max(answer["height"] for answer in answers)
        net.wait_height(height + 1, WAIT_SECONDS)
        assert len({validator.ask("block", height) for validator in net.validators}) == 1

        net.validators[3].kill()
        answer = net.validators[0].ask("submit", add(4, 101, 10))
        assert answer["codes"] == {"ok": 10}
        net.wait_height(answer["height"], WAIT_SECONDS, of=(0, 1, 2))
        _, commit = signed_header(net.validators[0], answer["height"])
        assert [one.block_id_flag for one in commit.signatures].count(FLAG_ABSENT) <= 1

        net.validators[2].kill()
        stuck = net.validators[0].ask_later("submit", add(4, 111, 1))
        with pytest.raises(TimeoutError):
            stuck.result(6)
        at = [validator.height() for validator in net.validators[:2]]

        net.validators[3].start()
        assert stuck.result(WAIT_SECONDS)["codes"] == {"ok": 1}
        net.validators[2].start()
        newest = max(at) + 1
        net.wait_height(newest, WAIT_SECONDS)
        assert len({validator.ask("block", newest) for validator in net.validators}) == 1
        check_headers(net.validators[2], 4, newest - 1)
        report = replay(net.validators[3], 4, newest - 1)
        assert report.transactions == 310
        assert report.app_hash == decided(net.validators[1], newest - 1).app_hash
