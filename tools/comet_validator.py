"""One validator in a process of its own, told what to do over its standard input: for a testnet.

    python -m tools.comet_validator PLAN

PLAN is a JSON file that `tools.comet_testnet` writes. Requests and replies are frames of msgpack: a
request is `[number, name, arguments…]`, its reply `[number, value]`, in any order.
"""

import importlib
import json
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from cairn.engine.base import Outcome
from cairn.engine.comet.opening import NETWORK_MEMPOOL, CometLedger, Opening
from cairn.engine.comet.settings import CometSettings
from cairn.engine.embedded import SystemClock
from cairn.engine.signature_worker import read_frame, write_frame
from cairn.ledger.receipts import OK
from cairn.primitives.encoding import encode
from cairn.primitives.signatures import SigningKey


class Validator:
    """Answers requests about one running ledger."""

    def __init__(self, ledger: CometLedger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._calls: dict[str, Callable[..., Any]] = {
            "head": self._head,
            "signed_header": self._signed_header,
            "block": self._block,
            "entry": self._entry,
            "health": self._health,
            "advance": self._advance,
        }

    def serve(self) -> None:
        """Answer until the input ends or asks to stop."""
        while (frame := read_frame(sys.stdin.buffer)) is not None:
            number, name, *arguments = msgspec.msgpack.decode(frame)
            if name == "stop":
                return
            if name == "submit":
                self._submit(number, arguments[0])
                continue
            try:
                value = self._calls[name](*arguments)
            except Exception as error:  # noqa: BLE001 - the edge of the process: told to the caller
                value = {"error": f"{type(error).__name__}: {error}"}
            self._reply(number, value)

    def _submit(self, number: int, raws: list[bytes]) -> None:
        try:
            future = self._ledger.application.submit(raws)
        except Exception as error:  # noqa: BLE001 - the edge of the process: told to the caller
            self._reply(number, {"error": f"{type(error).__name__}: {error}"})
            return

        def done(answered: "Future[list[Outcome]]") -> None:
            error = answered.exception()
            if error is not None:
                self._reply(number, {"error": f"{type(error).__name__}: {error}"})
                return
            codes: dict[str, int] = {}
            for outcome in answered.result():
                codes[outcome.code] = codes.get(outcome.code, 0) + 1
            heights = [outcome.height for outcome in answered.result() if outcome.code == OK]
            self._reply(number, {"codes": codes, "height": max(heights, default=0)})

        future.add_done_callback(done)

    def _head(self) -> Any:
        head = self._ledger.application.head
        return {"height": head.height, "time_ms": head.time_ms, "app_hash": head.app_hash}

    def _signed_header(self, height: int) -> Any:
        header, commit = self._ledger.engine.signed_header(height, self._ledger.validators)
        return [encode(header), encode(commit)]

    def _block(self, height: int) -> bytes:
        return encode(self._ledger.keeper.block(height))

    def _entry(self, height: int) -> bytes:
        return encode(self._ledger.entry(height))

    def _health(self) -> Any:
        return msgspec.to_builtins(self._ledger.engine.health())

    def _advance(self, time_ms: int, timeout_seconds: float) -> bool:
        self._ledger.engine.advance(time_ms, timeout_seconds)
        return True

    def _reply(self, number: int, value: Any) -> None:
        with self._lock:
            write_frame(sys.stdout.buffer, msgspec.msgpack.encode([number, value]))


def main() -> None:
    """Run the validator that a plan describes."""
    plan = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    module, function = plan["registry"].split(":")
    registry = getattr(importlib.import_module(module), function)()
    directory = Path(plan["directory"])
    operations = plan.get("block_operations", NETWORK_MEMPOOL.block_operations)
    opening = Opening(
        registry=registry,
        clock=SystemClock(),
        comet=CometSettings(
            home=directory,
            p2p_address=plan["p2p_address"],
            peers=tuple(plan["peers"]),
            moniker=plan["moniker"],
        ),
        mempool=replace(NETWORK_MEMPOOL, block_operations=operations),
        signature_workers=plan.get("signature_workers", 0),
    )
    key = SigningKey.from_seed(bytes.fromhex(plan["seed"]))
    with CometLedger(directory, Path(plan["charter"]).read_bytes(), key, opening) as ledger:
        ledger.engine.on_fault = lambda: traceback.print_stack()
        ledger.engine.start()
        Validator(ledger).serve()


if __name__ == "__main__":
    main()
