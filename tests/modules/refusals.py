"""Tables of refusals: a case for every row of a module's README, in its order of precedence."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.ledger.messages import Message
from cairn.ledger.records import HISTORY
from tests.modules.harness import Harness

MODULES = Path(__file__).parent.parent.parent / "src" / "cairn" / "modules"
_CODE = re.compile(r"`([a-z]+/[a-z_]+)`")


@dataclass(frozen=True, slots=True)
class Case:
    """One refusal: `prepare` brings a ledger there and returns who sends what.

    What `prepare` submits without executing stands before the message in the same block.
    """

    tag: str
    code: str
    prepare: Callable[[Harness], tuple[str, Message]]

    def __str__(self) -> str:
        return f"{self.tag} {self.code}"


def check_refusal(case: Case, found: Callable[[], Harness]) -> None:
    """Check that the case is refused with its code, and changes nothing but a sequence number."""
    ledger, twin = found(), found()
    sender, message = case.prepare(ledger)
    case.prepare(twin)
    assert type(message).__struct_config__.tag == case.tag  # type: ignore[attr-defined]
    ledger.submit(sender, message)
    outcome = ledger.block()[-1]
    twin.block()
    assert outcome.codes == (case.code,)
    assert outcome.events == ()
    assert ledger.rows_but_sequences() == twin.rows_but_sequences()
    assert _entries(ledger) == _entries(twin)
    assert ledger.head.state_root != twin.head.state_root, "the sequence number was not consumed"


def _entries(ledger: Harness) -> dict[bytes, bytes]:
    """Return the entries of all series."""
    leaves = ledger.state.leaves
    return {key: leaf for key, leaf in leaves.items() if not key.startswith(HISTORY)}


def readme_refusals(module: str) -> dict[str, list[str]]:
    """Return the refusals of each message as the README lists them."""
    text = (MODULES / module / "README.md").read_text(encoding="utf-8")
    table = text.split("## Messages")[1].split("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    return {_CODE.findall(row[1])[0]: _CODE.findall(row[3]) for row in rows}


def table_refusals(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Return the refusals of each message as the cases list them."""
    listed: dict[str, list[str]] = {}
    for case in cases:
        listed.setdefault(case.tag, []).append(case.code)
    return listed
