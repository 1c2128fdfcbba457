"""Refusals about datasets."""

from cairn.ledger.errors import Rejection


class DatasetExistsError(Rejection):
    """The organisation already has a dataset of this name and version."""

    code = "data/dataset_exists"


class QualityRequiredError(Rejection):
    """The organisation's policy asks for a quality report, and the registration states none."""

    code = "data/quality_required"


class QualityRefusedError(Rejection):
    """A quality figure of the dataset is worse than the organisation's policy lets through."""

    code = "data/quality_refused"


class DatasetNotFoundError(Rejection):
    """There is no dataset of this id."""

    code = "data/dataset_not_found"


class NotOwnerError(Rejection):
    """The dataset belongs to another organisation than the sender's."""

    code = "data/not_owner"


class DatasetWithdrawnError(Rejection):
    """The dataset was withdrawn."""

    code = "data/dataset_withdrawn"


class ConsentInPastError(Rejection):
    """The consent would end before it began."""

    code = "data/consent_in_past"


class ConsentNotFoundError(Rejection):
    """There is no such consent, or it was revoked already."""

    code = "data/consent_not_found"


class UseNotAllowedError(Rejection):
    """The account has no consent for this purpose, or it ended or was revoked."""

    code = "data/use_not_allowed"
