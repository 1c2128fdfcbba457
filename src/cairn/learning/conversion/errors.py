"""Errors of converting trained models to exact ones."""

from cairn.learning.errors import LearningError


class ConversionError(LearningError):
    """The conversion cannot be done; `hint` says what to change."""


class UnsupportedModelError(ConversionError):
    """Exact arithmetic has no form for this kind of model, for a step of it or for a setting."""


class DifferenceError(ConversionError):
    """The exact model was made, and scores a row further from its source than the bound allows."""
