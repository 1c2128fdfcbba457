"""An attempt to tamper, and what found it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from cairn.evidence.errors import EvidenceError
from cairn.learning.errors import LearningError
from cairn.packs.payments.demo.errors import DemoError
from cairn.sdk.errors import CairnError, RejectedError

VERIFIER, NODE, CHECK, TRAINING, WITNESS = (
    "cairn verify",
    "the node",
    "cairn debug check",
    "training",
    "the witness",
)
ACCEPTED = "accepted"
ID_DIGITS = 12
_ID = re.compile(r"[0-9a-f]{20,}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt with what came of it."""

    what: str
    finder: str
    expected: str
    """Code under which it has to be found."""
    code: str
    """Code under which it was found, or `accepted`."""
    words: str
    """What the finder said."""

    @property
    def short_words(self) -> str:
        """What the finder said, with the first digits of ids alone."""
        return _ID.sub(lambda found: found[0][:ID_DIGITS] + "…", self.words)

    @property
    def is_caught(self) -> bool:
        """Whether it came out as it has to."""
        return self.code == self.expected


def attempt(what: str, finder: str, expected: str, act: Callable[[], object]) -> Attempt:
    """Return what came of `act`, which has to be refused under the code `expected`.

    A node's faults have no code; the name of their class stands for it.
    """
    code, words = ACCEPTED, "nobody noticed"
    try:
        act()
    except EvidenceError as error:
        code, words = error.code, str(error)
    except RejectedError as error:
        code = error.code
        words = str(error).removeprefix("refused: ").removesuffix(f" ({code})")
    except LearningError as error:
        code, words = type(error).__name__, str(error)
    except CairnError as error:
        code = type(error.__cause__ or error).__name__
        words = str(error).removeprefix("the node has stopped: ")
    return Attempt(what, finder, expected, code, words)


def check_all_caught(attempts: list[Attempt]) -> None:
    """Check that every attempt came out as it has to.

    Raises:
        DemoError: One did not; the message names it.
    """
    for one in attempts:
        if not one.is_caught:
            raise DemoError(
                f"{one.what}: {one.finder} said {one.code}, not {one.expected}",
                "this is a defect of Cairn: please report it with the demo's folder",
            )
