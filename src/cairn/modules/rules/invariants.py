"""Laws that the rows of rules keep."""

from cairn.ledger.changes import StateReader
from cairn.ledger.errors import InvariantError
from cairn.ledger.records import split_key
from cairn.modules.rules.records import LIVE, NAMES, RULES, SHADOWS, STAGES


def check_live(reader: StateReader) -> None:
    """Check that rules that are live or in shadow are stored, and that versions are counted.

    A version is in shadow if its stage says since when, and it is not live at the same time.

    Raises:
        InvariantError: One is not, or they are not.
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
    _check_shadows(reader)


def _check_shadows(reader: StateReader) -> None:
    watching: dict[bytes, None] = {}
    for key, raw in reader.scan(SHADOWS.prefix):
        name = split_key(key)[2].decode()
        row = SHADOWS.decoder.decode_trusted(raw)
        for version in (row.version, row.previous_version):
            if version and reader.get(RULES.key(name, version)) is None:
                raise InvariantError(f"version {version} of the rule {name} in shadow is missing")
        if row.version:
            watching[STAGES.key(name, row.version)] = None
            live = reader.get(LIVE.key(name))
            if live is not None and LIVE.decoder.decode_trusted(live).version == row.version:
                raise InvariantError(f"version {row.version} of {name} is live and in shadow")
    for key, raw in reader.scan(STAGES.prefix):
        if bool(STAGES.decoder.decode_trusted(raw).shadow_since_ms) != (key in watching):
            raise InvariantError(f"the stage of {split_key(key)[2].decode()} is not what it does")
