"""Errors of converting trained models to exact ones."""

from cairn.learning.errors import LearningError


class ConversionError(LearningError):
    """The conversion cannot be done; `hint` says what to change."""


class UnsupportedModelError(ConversionError):
    """Exact arithmetic has no form for this kind of model or for one of its settings."""
