"""Errors of the learning side: each says what is wrong with a file or a run, and what to do."""


class LearningError(Exception):
    """Root of what data sets, training and conversion refuse.

    Attributes:
        hint: What the user can do about it, one sentence.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        """Keep `message` as the text and `hint` beside it."""
        super().__init__(message)
        self.hint = hint


class DatasetError(LearningError):
    """A data file cannot be read as its schema says."""


class ManifestError(LearningError):
    """A manifest, its row commitments or its salt file are malformed or do not fit together."""


class ForgottenSubjectError(LearningError):
    """The subject's key was destroyed or never existed, so his fields cannot be opened any more."""


class ChangedDataError(LearningError):
    """The file is not the one that was committed; the message names the rows that differ."""


class TrainingError(LearningError):
    """A training run cannot start or its inputs do not fit together."""


class MissingExtraError(LearningError):
    """A package of the optional extra `learning` is not installed."""

    def __init__(self, package: str) -> None:
        """Name the missing `package`."""
        super().__init__(
            f"this needs the package {package!r}, which is not installed",
            "install the machine-learning extra: pip install 'cairn-ledger[learning]'",
        )
