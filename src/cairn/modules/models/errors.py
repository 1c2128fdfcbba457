"""Refusals about models."""

from cairn.ledger.errors import Rejection


class AlreadySealedError(Rejection):
    """The model's bytes are on the ledger already."""

    code = "models/already_sealed"


class TooManyUploadsError(Rejection):
    """The account has as many open uploads as an account may."""

    code = "models/too_many_uploads"


class ChunkCountDiffersError(Rejection):
    """An earlier chunk of this upload named another number of chunks."""

    code = "models/chunk_count_differs"


class ChunkExistsError(Rejection):
    """This chunk of the upload is there already."""

    code = "models/chunk_exists"


class ModelTooBigError(Rejection):
    """The model would have more bytes than the parameter allows."""

    code = "models/model_too_big"


class UploadNotFoundError(Rejection):
    """The account has no open upload of this digest."""

    code = "models/upload_not_found"


class ChunkMissingError(Rejection):
    """Not every chunk of the upload is there."""

    code = "models/chunk_missing"


class SizeDiffersError(Rejection):
    """The chunks have another size than stated."""

    code = "models/size_differs"


class DigestMismatchError(Rejection):
    """The bytes do not have the digest they were uploaded under."""

    code = "models/digest_mismatch"


class MalformedModelError(Rejection):
    """The bytes are no exact model, or break a rule of its form."""

    code = "models/malformed_model"


class UploadNotExpiredError(Rejection):
    """Somebody else's upload can be dropped only when it has been open for too long."""

    code = "models/upload_not_expired"


class NameTakenError(Rejection):
    """Another organisation registers versions under this name."""

    code = "models/name_taken"


class ModelNotSealedError(Rejection):
    """No sealed model has this digest."""

    code = "models/model_not_sealed"


class RunMismatchError(Rejection):
    """The training run states another model."""

    code = "models/run_mismatch"


class VersionNotFoundError(Rejection):
    """There is no version of this id."""

    code = "models/version_not_found"


class NotOwnerError(Rejection):
    """The version or deployment belongs to another organisation than the sender's."""

    code = "models/not_owner"


class VersionRetiredError(Rejection):
    """The version was retired."""

    code = "models/version_retired"


class VersionLiveError(Rejection):
    """The version is live in a deployment."""

    code = "models/version_live"


class DeploymentExistsError(Rejection):
    """There is a deployment of this name."""

    code = "models/deployment_exists"


class UnknownPolicyError(Rejection):
    """No policy has this name."""

    code = "models/unknown_policy"


class DeploymentNotFoundError(Rejection):
    """There is no deployment of this name."""

    code = "models/deployment_not_found"


class InputMismatchError(Rejection):
    """The version takes another input than the deployment's earlier ones."""

    code = "models/input_mismatch"


class NoEarlierVersionError(Rejection):
    """No earlier version that is not retired can take over."""

    code = "models/no_earlier_version"


class NoLiveVersionError(Rejection):
    """No version is live in the deployment at this height."""

    code = "models/no_live_version"
