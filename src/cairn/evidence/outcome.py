"""What a claim's check concludes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """The claim in words, what the facts show, what was checked, and what stays open."""

    claim: str
    findings: tuple[str, ...]
    """A sentence each; every one follows from proved facts."""
    checked: tuple[str, ...]
    not_shown: tuple[str, ...] = ()
    """What a reader might think was shown, and was not."""
