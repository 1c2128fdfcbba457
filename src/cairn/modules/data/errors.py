"""Refusals about datasets."""

from cairn.ledger.errors import Rejection


class DatasetExistsError(Rejection):
    """The organisation already has a dataset of this name and version."""

    code = "data/dataset_exists"


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
