"""Several validators on this machine, each two processes: what tests and benchmarks drive."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from cairn.engine.comet.files import node_id_of
from cairn.engine.signature_worker import read_frame, write_frame
from cairn.primitives.signatures import SigningKey

ANSWER_SECONDS = 60.0


def free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback address that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass(frozen=True)
class TestnetSettings:
    """What all validators of a testnet share."""

    __test__ = False

    registry: str
    """`module:function` that gives the modules."""
    signature_workers: int = 0
    block_operations: int = 10_000
    nice: int = 0
    search_path: tuple[str, ...] = field(default=())


class ValidatorProcess:
    """One validator, seen from outside."""

    def __init__(self, plan: Path, directory: Path, settings: TestnetSettings) -> None:
        self.plan = plan
        self.directory = directory
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._pending: dict[int, Future[Any]] = {}
        self._number = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start both processes; they may not be ready yet."""
        assert self._process is None, "it runs already"
        root = str(Path(__file__).resolve().parent.parent)
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([root, *sys.path]))
        log = (self.directory.parent / f"{self.directory.name}.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tools.comet_validator", str(self.plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,
            cwd=root,
        )
        log.close()
        if self._settings.nice:
            os.setpriority(os.PRIO_PGRP, self._process.pid, self._settings.nice)
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    @property
    def is_running(self) -> bool:
        """Whether it was started and not ended."""
        return self._process is not None and self._process.poll() is None

    def ask_later(self, name: str, *arguments: Any) -> "Future[Any]":
        """Return a future of the answer to a request."""
        assert self._process is not None, "it does not run"
        with self._lock:
            self._number += 1
            number = self._number
            future = self._pending[number] = Future()
            frame = msgspec.msgpack.encode([number, name, *arguments])
            write_frame(cast("BinaryIO", self._process.stdin), frame)
        return future

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return the answer to a request."""
        value = self.ask_later(name, *arguments).result(ANSWER_SECONDS)
        if isinstance(value, dict) and "error" in value:
            raise RuntimeError(value["error"])
        return value

    def height(self) -> int:
        """Return the height of the last block that it has executed and kept."""
        return int(self.ask("head")["height"])

    def kill(self) -> None:
        """End both processes at once, with nothing written."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._forget()

    def kill_ledger(self) -> None:
        """End the ledger's process alone, with nothing written."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def stop(self) -> None:
        """End both in good order."""
        if self._process is None:
            return
        if self.is_running:
            self.ask_later("stop")
            try:
                self._process.wait(ANSWER_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._forget()

    def _forget(self) -> None:
        assert self._process is not None
        cast("BinaryIO", self._process.stdin).close()
        self._process = None

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        stream = cast("BinaryIO", process.stdout)
        while (frame := read_frame(stream)) is not None:
            number, value = msgspec.msgpack.decode(frame)
            with self._lock:
                future = self._pending.pop(number, None)
            if future is not None:
                future.set_result(value)
        stream.close()
        with self._lock:
            left, self._pending = list(self._pending.values()), {}
        for future in left:
            future.set_exception(RuntimeError("the validator ended"))


class Testnet:
    """Validators that know each other."""

    __test__ = False

    def __init__(
        self,
        directory: Path,
        charter_file: bytes,
        keys: Sequence[SigningKey],
        settings: TestnetSettings,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "charter.cairn").write_bytes(charter_file)
        ports = free_ports(len(keys))
        addresses = [f"127.0.0.1:{port}" for port in ports]
        self.validators: list[ValidatorProcess] = []
        for index, key in enumerate(keys):
            home = directory / f"v{index}"
            plan = directory / f"v{index}.json"
            peers = [
                f"{node_id_of(other)}@{addresses[place]}"
                for place, other in enumerate(keys)
                if place != index
            ]
            plan.write_text(
                json.dumps(
                    {
                        "directory": str(home),
                        "charter": str(directory / "charter.cairn"),
                        "seed": key.seed.hex(),
                        "p2p_address": addresses[index],
                        "peers": peers,
                        "moniker": f"v{index}",
                        "registry": settings.registry,
                        "signature_workers": settings.signature_workers,
                        "block_operations": settings.block_operations,
                    }
                ),
                encoding="utf-8",
            )
            self.validators.append(ValidatorProcess(plan, home, settings))

    def start(self) -> None:
        """Start all validators."""
        for validator in self.validators:
            validator.start()

    def stop(self) -> None:
        """End all that run, in good order."""
        for validator in self.validators:
            if validator.is_running:
                validator.ask_later("stop")
        for validator in self.validators:
            validator.stop()

    def wait_height(self, height: int, seconds: float, *, of: Sequence[int] = ()) -> None:
        """Return when the validators named (all, if none is) have reached a height."""
        deadline = time.monotonic() + seconds
        chosen = [self.validators[index] for index in of] or self.validators
        while True:
            heights = [validator.height() for validator in chosen]
            if min(heights) >= height:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"heights {heights}, not {height}")
            time.sleep(0.05)

    def __enter__(self) -> "Testnet":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
