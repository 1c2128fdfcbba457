"""Kill a real node, thousands of times, and see that nothing acknowledged is lost.

    python -m tools.crash_cycles --cycles 1000 --seed 1

In every cycle a process opens (or founds) a small bank and takes signed transactions, in process
or over its Unix socket, until it is killed with SIGKILL: at a chosen write point or at a random
moment. Then this process opens the directory and checks:

1. A replay from genesis comes to the application hash that the opened node has.
2. Every acknowledged transaction is there, with the same receipt at the same place.
3. No sequence number is lost: what the lane's count says is in a block.
4. Every invariant holds over all rows, and the state root covers them.
5. A transaction that was in a block is answered with that block's outcome when it is sent again.
6. The next block works.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import msgspec

from cairn.engine.base import Outcome
from cairn.engine.embedded import SystemClock
from cairn.ledger.errors import Fault
from cairn.node.directory import CHARTER_FILE as CHARTER_NAME
from cairn.node.node import Node, NodeOptions
from cairn.node.opening import replay_from_genesis
from cairn.node.replay import ReplayReport
from cairn.node.server import serve_node
from cairn.node.settings import load_settings
from cairn.primitives.encoding import Decoder
from cairn.primitives.hashes import sha256
from cairn.primitives.light import Header
from cairn.storage.disk import Disk
from tools.crash_bank import (
    CHARTER_FILE,
    CLERK_ACCOUNT,
    LANES,
    VALIDATOR,
    BankClock,
    id_of,
    transaction,
)
from tools.kill_points import KILLED, POINTS, RANDOM, KillSwitch, install

CYCLES_PER_BANK = 12
"""Kills of one directory before a new bank is founded: replays stay short."""
RUN_MS_MAX = 250
"""A process that reached its point later than this is killed where it is."""
SETTINGS = {
    "engine.interval_ms": 2,
    "engine.signature_workers": 0,
    "storage.checkpoint_blocks": 7,
    "server.port": 0,
}
WAIT_MS = 30_000
TIMES_MEAN = {
    "charter written": 0.1,
    "segment made": 0.4,
    "segment named": 0.4,
    "directory synced": 0.5,
    "checkpoint begun": 2,
    "checkpoint committed": 2,
    "truncated": 0.1,
}
"""How often a rare point is passed before the kill; others 10 times."""
_READY, _ACKNOWLEDGED = b"R", b"A"
_ACK_SIZE_BYTES = 76
_ACKS_PER_WRITE = 50
_headers: Decoder[Header] = Decoder(Header)
_outcomes = msgspec.msgpack.Decoder(list[Outcome])


@dataclass(frozen=True, slots=True)
class Plan:
    """One life of a node."""

    point: str
    number: int
    seed: int
    kill_after_ms: int
    over_socket: bool
    shift_ms: int
    """How wrong its clock goes."""


@dataclass(slots=True)
class Bank:
    """A directory, and what nodes on it have acknowledged."""

    directory: Path
    founded_ms: int
    acknowledged: dict[bytes, bytes] = field(default_factory=dict)
    """Transaction id to height, position and receipt hash."""
    checked: list[int] = field(default_factory=lambda: [1] * LANES)
    """For each lane the first sequence that was not looked up yet."""


@dataclass(slots=True)
class Totals:
    """What came of all cycles."""

    cycles: int = 0
    acknowledged: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def line(self, seed: int, seconds: float) -> str:
        """Return the summary."""
        kills = ", ".join(f"{point} {count}" for point, count in sorted(self.kills.items()))
        return (
            f"{self.cycles} cycles, seed {seed}, {seconds:.0f} s; kills: {kills}; "
            f"{self.acknowledged} acknowledged, lost or wrong {len(self.failures)}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run cycles as the command line says; the exit code is 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cycles", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", type=Path, help="where the banks are made; a temporary directory")
    given = parser.parse_args(arguments)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cairn-crash-", dir=given.dir) as directory:
        totals = run(Path(directory), given.cycles, given.seed)
    for failure in totals.failures:
        print(f"error: {failure}", file=sys.stderr)
    print(totals.line(given.seed, time.monotonic() - start))
    return 1 if totals.failures else 0


def run(directory: Path, cycles: int, seed: int) -> Totals:
    """Kill nodes in new directories under `directory`; return what came of it."""
    totals = Totals()
    draw = random.Random(seed)
    bank = Bank(directory / "bank-0", SystemClock().now_ms())
    for cycle in range(cycles):
        if cycle and cycle % CYCLES_PER_BANK == 0:
            bank = Bank(directory / f"bank-{cycle}", SystemClock().now_ms())
        plan = make_plan(draw, cycle)
        before = len(bank.acknowledged)
        try:
            if plan.point == "truncated":  # an open cuts what a kill before it has left
                live_and_die(bank, replace(plan, point="append in part", number=5))
            was_reached = live_and_die(bank, plan)
            totals.kills[plan.point if was_reached else RANDOM] += 1
            for problem in verify(bank, plan):
                totals.failures.append(f"cycle {cycle} {plan}: {problem}")
        except Exception:  # noqa: BLE001 - the summary is for every kind of failure
            totals.failures.append(f"cycle {cycle} {plan}: {traceback.format_exc()}")
            bank = Bank(directory / f"bank-after-{cycle}", SystemClock().now_ms())
        totals.cycles += 1
        totals.acknowledged += max(0, len(bank.acknowledged) - before)
        if cycle % 50 == 49:
            print(f"{cycle + 1} of {cycles}", file=sys.stderr)
    return totals


def make_plan(draw: random.Random, cycle: int) -> Plan:
    """Return how the node of a cycle is to die: each point in turn, and between them at random."""
    is_random = cycle % 3 == 2
    point = RANDOM if is_random else POINTS[(cycle - cycle // 3) % len(POINTS)]
    return Plan(
        point,
        1 + int(draw.expovariate(1 / TIMES_MEAN.get(point, 10))),
        draw.randrange(2**32),
        int(draw.choice((0, draw.uniform(0, 60), draw.uniform(0, RUN_MS_MAX))))
        if is_random
        else RUN_MS_MAX,
        draw.random() < 0.25,
        draw.choice((0, 0, -700, 700)),
    )


# The process that dies


def live_and_die(bank: Bank, plan: Plan) -> bool:
    """Run a node until it is killed; return whether the plan's point was reached."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _child(bank, plan, writing)
    os.close(writing)
    killer = threading.Timer(plan.kill_after_ms / 1000, _kill, (pid,))
    killer.start()
    try:
        reached = _listen(bank, reading, plan)
    finally:
        _, status = os.waitpid(pid, 0)
        killer.cancel()
        killer.join()
        os.close(reading)
    if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
        raise RuntimeError(f"the node ended by itself with status {status}")
    return reached


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _child(bank: Bank, plan: Plan, pipe: int) -> None:
    """Be the node; never return."""
    try:
        disk = install(KillSwitch(plan.point, plan.number, pipe, plan.seed))
        node = open_or_found(bank, plan.shift_ms, disk)
        os.write(pipe, _READY)
        if plan.over_socket:
            serve_node(node, node.settings.server, lambda: None)
        else:
            _submit_for_ever(node, pipe, random.Random(plan.seed))
    except BaseException:  # noqa: BLE001 - the process is a copy and must not run its parent's code
        traceback.print_exc()
    finally:
        os._exit(1)


def open_or_found(bank: Bank, shift_ms: int = 0, disk: Disk | None = None) -> Node:
    """Open the bank's node; found it if nothing was founded before."""
    options = NodeOptions(
        settings=load_settings(bank.directory, flags=SETTINGS),
        clock=BankClock(bank.founded_ms, shift_ms),
        disk=disk,
    )
    if (bank.directory / CHARTER_NAME).exists():
        return Node.open(bank.directory, VALIDATOR, options)
    return Node.create(bank.directory, CHARTER_FILE, VALIDATOR, options)


def _submit_for_ever(node: Node, pipe: int, draw: random.Random) -> None:
    """Submit on all lanes, some submissions at once on each, and tell the pipe of every answer."""
    nexts = [node.next_sequence(CLERK_ACCOUNT, lane) for lane in range(LANES)]
    room = threading.Semaphore(LANES)

    def answered(future: "Future[list[Outcome]]") -> None:
        room.release()
        acks = [_ack(outcome) for outcome in future.result()]
        for start in range(0, len(acks), _ACKS_PER_WRITE):
            os.write(pipe, b"".join(acks[start : start + _ACKS_PER_WRITE]))

    while True:
        lane, count = draw.randrange(LANES), draw.choice((1, 1, 2, 6))
        raws = [transaction(lane, nexts[lane] + place) for place in range(count)]
        nexts[lane] += count
        room.acquire()
        node.submit_later(raws).add_done_callback(answered)


def _ack(outcome: Outcome) -> bytes:
    return _ACKNOWLEDGED + outcome.transaction_id + place_of(outcome)


def place_of(outcome: Outcome) -> bytes:
    """Return what must be the same ever after."""
    place = outcome.height.to_bytes(8, "big") + outcome.position.to_bytes(4, "big")
    return place + sha256(outcome.receipt)


# Its surroundings


def _listen(bank: Bank, reading: int, plan: Plan) -> bool:
    """Take down what the node acknowledges until it is dead; return whether it killed itself."""
    raw = b""
    is_ready = False
    while part := os.read(reading, 65_536):
        raw += part
        if raw.startswith(_READY) and not is_ready:
            is_ready = True
            if plan.over_socket:
                _submit_over_socket(bank, random.Random(plan.seed))
    return _take_down(bank, raw)


def _take_down(bank: Bank, raw: bytes) -> bool:
    """Parse what came through the pipe; a last answer may be cut off."""
    position = 0
    while position < len(raw):
        kind = raw[position : position + 1]
        position += 1
        if kind == KILLED:
            return True
        if kind == _ACKNOWLEDGED and position + _ACK_SIZE_BYTES <= len(raw):
            ack = raw[position : position + _ACK_SIZE_BYTES]
            bank.acknowledged[ack[:32]] = ack[32:]
            position += _ACK_SIZE_BYTES
        elif kind != _READY:
            break
    return False


def _submit_over_socket(bank: Bank, draw: random.Random) -> None:
    """Be the client of a node that serves, until it is dead."""
    path = bank.directory / "node.sock"
    transport = httpx.HTTPTransport(uds=str(path), verify=False)  # plain HTTP
    headers = {"accept": "application/msgpack"}
    with httpx.Client(transport=transport, base_url="http://localhost", headers=headers) as client:
        try:
            _wait_for_server(client)
            nexts = [_next_sequence(client, lane) for lane in range(LANES)]
            while True:
                lane, count = draw.randrange(LANES), draw.choice((1, 3, 8))
                raws = [transaction(lane, nexts[lane] + place) for place in range(count)]
                nexts[lane] += count
                answer = client.post("/v1/transactions", content=msgspec.msgpack.encode(raws))
                answer.raise_for_status()
                for outcome in _outcomes.decode(answer.content):
                    bank.acknowledged[outcome.transaction_id] = place_of(outcome)
        except httpx.TransportError:
            return  # the node is dead


def _wait_for_server(client: httpx.Client) -> None:
    deadline = time.monotonic() + RUN_MS_MAX / 1000
    while time.monotonic() < deadline:
        try:
            client.get("/v1/head")
        except httpx.ConnectError:
            time.sleep(0.001)
        else:
            return


def _next_sequence(client: httpx.Client, lane: int) -> int:
    path = f"/v1/sequences/{CLERK_ACCOUNT.hex()}/{lane}"
    sequence: int = msgspec.msgpack.decode(client.get(path).content)[0]
    return sequence


# What must hold afterwards


def verify(bank: Bank, plan: Plan) -> list[str]:
    """Return what is wrong after a kill, having let the ledger go on by some transactions."""
    problems: list[str] = []
    replayed: ReplayReport | None = None
    if (bank.directory / CHARTER_NAME).exists() and (bank.directory / "ledger").exists():
        replayed = replay_from_genesis(bank.directory)
    with open_or_found(bank) as node:
        if replayed is not None and _app_hash_after(node, replayed.height) != replayed.app_hash:
            problems.append("the replay from genesis comes to another application hash")
        problems += _missing(node, bank)
        problems += _lost_sequences(node, bank)
        try:
            node.check()
        except Fault as fault:
            problems.append(f"check: {fault}")
        problems += _goes_on(node, random.Random(plan.seed))
    return problems


def _app_hash_after(node: Node, height: int) -> bytes:
    """Return the application hash after a height, above which the node may have made blocks."""
    head = node.head()
    if head.height == height:
        return head.app_hash
    return _headers.decode(node.block(height + 1).header).app_hash


def _missing(node: Node, bank: Bank) -> list[str]:
    problems = []
    for identifier, place in bank.acknowledged.items():
        outcome = node.receipt(identifier)
        if outcome is None:
            problems.append(f"acknowledged and lost: {identifier.hex()}")
        elif place_of(outcome) != place:
            problems.append(f"another receipt or place: {identifier.hex()}")
    return problems


def _lost_sequences(node: Node, bank: Bank) -> list[str]:
    problems = []
    for lane in range(LANES):
        end = node.next_sequence(CLERK_ACCOUNT, lane)
        for sequence in range(bank.checked[lane], end):
            if node.receipt(id_of(transaction(lane, sequence))) is None:
                problems.append(f"lane {lane} says {end - 1}, but {sequence} is in no block")
        bank.checked[lane] = end
    return problems


def _goes_on(node: Node, draw: random.Random) -> list[str]:
    """Send a transaction again that was in a block, and the lane's next."""
    lane = draw.randrange(LANES)
    end = node.next_sequence(CLERK_ACCOUNT, lane)
    problems = []
    if end > 1:
        raw = transaction(lane, end - 1)
        (again,) = node.submit([raw], wait_ms=WAIT_MS)
        if again != node.receipt(id_of(raw)):
            problems.append(f"sent again, {end - 1} of lane {lane} is answered with {again.code}")
    (outcome,) = node.submit([transaction(lane, end)], wait_ms=WAIT_MS)
    if outcome.code != "ok" or not outcome.height:
        problems.append(f"the next transaction is answered with {outcome.code}")
    return problems


if __name__ == "__main__":
    sys.exit(main())
