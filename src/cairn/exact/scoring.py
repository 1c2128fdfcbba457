"""Scores rows by an exact model: compiled with Numba, or with NumPy; the bits are the same.

`reference` specifies the arithmetic. Which kernel runs is the caller's explicit choice and never
changes a result.
"""

from collections.abc import Sequence
from functools import cache, partial
from importlib.util import find_spec
from typing import Literal

import numpy as np

from cairn.exact import walks
from cairn.exact.errors import KernelUnavailableError, ModelInputError
from cairn.exact.layouts import Int64s, PerfectTrees, SparseTrees, lay_out
from cairn.exact.models import ExactModel, Linear, Scorecard
from cairn.exact.reference import RAW_ONE, ReferenceScorer, score_of_raw
from cairn.primitives.fixed import PPM, RAW_BITS, SIGMOID_LIMIT, SIGMOID_TABLE

Kernel = Literal["auto", "numba", "numpy"]

_FRACTION_BITS = 24
"""Bits of a raw output behind the step of the sigmoid's table; its values have as many."""

_SIGMOID_TABLE = np.array(SIGMOID_TABLE, np.int64)


@cache
def has_numba() -> bool:
    """Return whether the compiled kernels can be used here."""
    return find_spec("numba") is not None


class LinearScorer:
    """Scores rows by a linear model or a scorecard."""

    kernel = "numpy"


class Scorer:
    """Scores rows by one model whose form is checked."""

    def __init__(self, model: ExactModel, *, kernel: Kernel = "auto") -> None:
        """Unpack the model; `auto` compiles where Numba is installed.

        Raises:
            KernelUnavailableError: `numba` was asked for and is not installed.
        """
        if kernel == "numba" and not has_numba():
            raise KernelUnavailableError("Numba is not installed; choose the kernel 'numpy'")
        self.model = model
        self.kernel: Literal["numba", "numpy"] = "numpy"
        if kernel != "numpy" and has_numba():
            self.kernel = "numba"
        self._feature_count = len(model.features)
        body = model.body
        if isinstance(body, Scorecard):
            card = body
            self._raw_many = partial(_scorecard_raw, card)
        elif isinstance(body, Linear):
            self._raw_many = partial(_linear_raw, body)
        else:
            self._raw_many = None
