"""Commands about models, their versions and deployments."""

from typing import Annotated

from msgspec import Meta

from cairn.ledger.errors import InvalidMessageError
from cairn.ledger.messages import Message
from cairn.ledger.records import (
    AccountIdField,
    DigestField,
    NameField,
    ObjectIdField,
    TextField,
)
from cairn.modules.models.records import CHUNK_COUNT_MAX, CHUNK_SIZE_BYTES_MAX

ChunkField = Annotated[bytes, Meta(min_length=1, max_length=CHUNK_SIZE_BYTES_MAX)]
IndexField = Annotated[int, Meta(ge=0, lt=CHUNK_COUNT_MAX)]
ChunkCountField = Annotated[int, Meta(ge=1, le=CHUNK_COUNT_MAX)]
SizeField = Annotated[int, Meta(ge=1, le=CHUNK_COUNT_MAX * CHUNK_SIZE_BYTES_MAX)]


class UploadChunk(Message, tag="models/upload_chunk"):
    """Hand in one piece of a model's bytes; pieces come in any order."""

    model_digest: DigestField
    index: IndexField
    chunk_count: ChunkCountField
    data: ChunkField

    def validate(self) -> None:
        """Check that the index is one of the chunks.

        Raises:
            InvalidMessageError: It is not.
        """
        if self.index >= self.chunk_count:
            raise InvalidMessageError("the index is not below the number of chunks")


class SealModel(Message, tag="models/seal_model"):
    """Declare an upload complete: its bytes are checked and never change again."""

    model_digest: DigestField
    size_bytes: SizeField
    """Size of the whole model, on which the cost depends."""


class DropUpload(Message, tag="models/drop_upload"):
    """Delete the chunks of an upload that was not sealed."""

    uploader: AccountIdField
    model_digest: DigestField


class RegisterVersion(Message, tag="models/register_version"):
    """Register a sealed model as the next version of a name."""

    name: NameField
    run: ObjectIdField
    model_digest: DigestField
    card_digest: DigestField


class RetireVersion(Message, tag="models/retire_version"):
    """Let a version never go live again."""

    version: ObjectIdField


class CreateDeployment(Message, tag="models/create_deployment"):
    """Make a place where versions go live, under a policy."""

    name: NameField
    policy: NameField
    purpose: TextField


class Promote(Message, tag="models/promote"):
    """Let an approved version go live from the next height on."""

    deployment: NameField
    version: ObjectIdField


class RollBack(Message, tag="models/roll_back"):
    """Let the version that was live before go live again from the next height on."""

    deployment: NameField
