"""Evidence files, and their verification in a process that has nothing else."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cairn
from cairn.evidence.bundle import Claim, DecisionClaim, PaymentClaim, PeriodClaim
from cairn.evidence.trust import dump_trust
from cairn.packs.payments.demo.bank import DemoBank
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.folder import DemoFolder
from cairn.packs.payments.demo.model import MODEL
from cairn.packs.payments.demo.stream import Stream
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import prove

VERIFY_SECONDS_MAX = 300


@dataclass(frozen=True, slots=True)
class Proved:
    """An evidence file that was written."""

    path: Path
    size_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Verified:
    """What the separate process said about one file."""

    arguments: tuple[str, ...]
    text: str
    seconds: float

    @property
    def assurance(self) -> str:
        """The assurance's word."""
        last = self.text.rstrip().rpartition("assurance")[2]
        return last.partition(":")[0].strip()


def write_evidence(bank: DemoBank, stream: Stream) -> tuple[Proved, ...]:
    """Write what proves a payment, a decision and the period, and the verifiers' trust file."""
    story = stream.story
    assert story is not None
    source = ConnectionSource(bank.connection)
    until_ms = bank.connection.head().time_ms + 1
    payment = _write(bank.folder.payment, source, PaymentClaim(story.transaction_id, 0))
    overridden = DecisionClaim(stream.rail.overridden.decision)
    decision = _write(bank.folder.decision, source, overridden)
    claim = PeriodClaim(stream.started_ms, until_ms, (MODEL,))
    period = _write(bank.folder.period, source, claim)
    bank.folder.trust.write_text(dump_trust(bank.trust), encoding="utf-8")
    return payment, decision, period


def _write(path: Path, source: ConnectionSource, claim: Claim) -> Proved:
    started = time.monotonic()
    raw = prove(source, claim)
    seconds = time.monotonic() - started
    path.write_bytes(raw)
    return Proved(path, len(raw), seconds)


def verify_apart(folder: DemoFolder, bundle: Path) -> Verified:
    """Verify a file in a process of its own, in a folder with that file and the trust file alone.

    Raises:
        DemoError: The verifier refuses the file, or takes too long.
    """
    shutil.rmtree(folder.verifier, ignore_errors=True)
    folder.verifier.mkdir()
    for path in (bundle, folder.trust):
        shutil.copy(path, folder.verifier / path.name)
    arguments = (bundle.name, "--trust", folder.trust.name, "--replay")
    # The verifier gets the program's place and nothing else of this process's environment.
    place = {"PYTHONPATH": str(Path(cairn.__file__).parents[1]), "PATH": os.defpath}
    started = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and names that the demo chose
            [sys.executable, "-m", "cairn.evidence.cli", *arguments],
            cwd=folder.verifier,
            env=place,
            capture_output=True,
            text=True,
            timeout=VERIFY_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DemoError(f"verifying {bundle.name} took over {VERIFY_SECONDS_MAX} s") from error
    finally:
        shutil.rmtree(folder.verifier, ignore_errors=True)
    if done.returncode:
        raise DemoError(f"{bundle.name} was refused: {done.stderr.strip()}")
    return Verified(arguments, done.stdout, time.monotonic() - started)
