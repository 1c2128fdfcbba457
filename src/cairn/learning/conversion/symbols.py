"""What each column that a model compares or weights is, as a function of one input.

A preprocessing step maps such functions to others. A scaler adds a step of arithmetic, an encoder
makes a table of values by category, an imputer says what stands for a missing value. Nothing is
simplified: `Numbers.values` does the source's own operations in the source's own order, so that a
threshold can be looked up through them exactly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cairn.learning.conversion.rows import Floats

Unary = Callable[[Floats], Floats]
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with a number, or the clipping to two numbers."""

    operation: Literal["add", "subtract", "multiply", "divide", "clip"]
    first: float
    second: float = 0.0

    def __call__(self, values: Floats) -> Floats:
        """Return the operation's results."""
        if self.operation == "clip":
            clipped: Floats = np.clip(values, self.first, self.second)
            return clipped
        result: Floats = getattr(np, self.operation)(values, self.first)
        return result


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number that went through steps, each rising or falling."""

    input: int
    steps: tuple[Step, ...] = ()
    missing: float | None = NAN
    """What a missing input becomes; NaN: it stays missing; None: the source refuses it."""
    narrow: bool = False
    """Whether the source computes in float32."""

    def values(self, values: Floats) -> Floats:
        """Return what inputs become, by the source's own operations."""
        for step in self.steps:
            values = step(values)
            if self.narrow:
                values = values.astype(np.float32).astype(np.float64)
        return values

    @property
    def falls(self) -> bool:
        """Return whether larger inputs become smaller values."""
        scales = (s.first for s in self.steps if s.operation in ("multiply", "divide"))
        return sum(scale < 0 for scale in scales) % 2 == 1

    def then(self, step: Unary) -> "Numbers":
        """Return the column after one more step."""
        assert isinstance(step, Step)
        return replace(self, steps=(*self.steps, step), missing=_of(step, self.missing))


@dataclass(frozen=True, slots=True)
class Text:
    """Text that no encoder has made into numbers yet."""

    input: int
    example: str
    """Where it stands, for errors."""
    fill: str | None = None
    """What a missing one becomes."""


@dataclass(frozen=True, slots=True)
class Labels:
    """One number per category of the input."""

    input: int
    values: Mapping[str, float]
    missing: float | None
    unknown: float | None
    """What a category outside the table becomes; None: the source refuses it."""

    def then(self, step: Unary) -> "Labels":
        """Return the column after one more step."""
        changed = {label: _float(step, value) for label, value in self.values.items()}
        return Labels(self.input, changed, _of(step, self.missing), _of(step, self.unknown))

    def value_of(self, label: str) -> float | None:
        """Return what a category becomes."""
        return self.values.get(label, self.unknown)


@dataclass(frozen=True, slots=True)
class Flag:
    """One number where the input is missing, another where it is not."""

    input: int
    present: float
    missing: float

    def then(self, step: Unary) -> "Flag":
        """Return the column after one more step."""
        return Flag(self.input, _float(step, self.present), _float(step, self.missing))


@dataclass(frozen=True, slots=True)
class Binned:
    """One number per bin; a value equal to an edge lies above it."""

    numbers: Numbers
    edges: tuple[float, ...]
    bins: tuple[float, ...]
    """One more than there are edges."""

    @property
    def input(self) -> int:
        """Return the input's place."""
        return self.numbers.input

    @property
    def missing(self) -> float | None:
        """Return what a missing input becomes."""
        if self.numbers.missing is None or np.isnan(self.numbers.missing):
            return None
        return self.bins[int(np.searchsorted(self.edges, self.numbers.missing, side="right"))]

    def then(self, step: Unary) -> "Binned":
        """Return the column after one more step."""
        return replace(self, bins=tuple(_float(step, value) for value in self.bins))


Symbol = Numbers | Labels | Flag | Binned
Encoded = Symbol | Text


def _float(step: Unary, value: float) -> float:
    with np.errstate(all="ignore"):
        return float(step(np.array([value], np.float64))[0])


def _of(step: Unary, value: float | None) -> float | None:
    return None if value is None else _float(step, value)
