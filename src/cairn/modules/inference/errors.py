"""Refusals about predictions."""

from cairn.ledger.errors import Rejection


class BadFeaturesError(Rejection):
    """The features do not fit the input schema of the live version."""

    code = "inference/bad_features"


class VersionNotInServiceError(Rejection):
    """The version is not, and was not lately, live in the deployment."""

    code = "inference/version_not_in_service"
