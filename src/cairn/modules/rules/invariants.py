"""Laws that the rows of rules keep."""

from cairn.ledger.changes import StateReader
from cairn.ledger.errors import InvariantError
from cairn.ledger.records import split_key
from cairn.modules.rules.records import FREEZES, LIVE, NAMES, RULES


def check_live(reader: StateReader) -> None:
    """Check that live rules are stored, that versions are counted, and that no freeze waits.

    Raises:
        InvariantError: One is not, they are not, or one does.
    """
    for key, raw in reader.scan(LIVE.prefix):
        name = split_key(key)[2].decode()
        row = LIVE.decoder.decode_trusted(raw)
        for version in (row.version, row.previous_version):
            if version and reader.get(RULES.key(name, version)) is None:
                raise InvariantError(f"version {version} of the live rule {name} is missing")
    for key, raw in reader.scan(NAMES.prefix):
        name = split_key(key)[2].decode()
        count = NAMES.decoder.decode_trusted(raw).version_count
        if sum(1 for _ in reader.scan(RULES.key(name))) != count:
            raise InvariantError(f"the versions of the rule {name} are counted wrongly")
    if any(True for _ in reader.scan(FREEZES.prefix)):
        raise InvariantError("a freeze that a rule ordered was not carried out")
