"""Laws that the rows of data keep."""

from cairn.ledger.changes import StateReader
from cairn.ledger.errors import InvariantError
from cairn.ledger.records import split_key
from cairn.modules.data.records import DATASETS, NAMES


def check_names(reader: StateReader) -> None:
    """Check that every dataset has the one name under which its owner registered it.

    Raises:
        InvariantError: A name leads to another dataset or none, or a dataset has no name.
    """
    named: dict[bytes, tuple[bytes, bytes, bytes]] = {}
    for key, raw in reader.scan(NAMES.prefix):
        owner, name, version = split_key(key)[2:]
        named[NAMES.decoder.decode_trusted(raw).dataset] = (owner, name, version)
    for key, raw in reader.scan(DATASETS.prefix):
        row = DATASETS.decoder.decode_trusted(raw)
        expected = (row.owner, row.name.encode(), row.version.to_bytes(8, "big"))
        if named.pop(split_key(key)[2], None) != expected:
            raise InvariantError(f"the dataset {row.name} is not found under its name")
    if named:
        raise InvariantError("a name leads to a dataset that does not exist")
