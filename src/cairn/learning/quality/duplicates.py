"""Rows that stand twice: exactly, or but for case and the digits after the third.

Two rows are near duplicates if they are equal after texts are folded to small letters and numbers
rounded to three significant digits (1,234.5 is 1.23e3). A column that only numbers the rows stays
out of that, because with it no two rows would ever be equal. Rows are compared by 64-bit hashes.
"""

from collections.abc import Sequence

from cairn.learning.quality.profile import NUMERIC, Profile
from cairn.learning.schemas import Kind
from cairn.learning.staging import EXAMPLES_MAX, Stage

Pairs = list[tuple[int, int]]


def find_duplicates(stage: Stage) -> tuple[int, Pairs]:
    """Return how many rows repeat an earlier one, and examples of (first, repeated)."""
    cells = ", ".join(f"c{number}" for number in range(len(stage.shapes)))
    return _repeated(stage, f"SELECT r, hash({cells}) AS h FROM raw")


def find_near_duplicates(stage: Stage, profiles: Sequence[Profile]) -> tuple[int, Pairs]:
    """Return how many rows repeat an earlier one at least nearly, and examples."""
    compared = [one for one in profiles if not one.numbers_rows]
    if not compared:
        return 0, []
    values = ", ".join(_folded(profile) for profile in compared)
    return _repeated(stage, f"SELECT r, hash({values}) AS h FROM t")


def _folded(profile: Profile) -> str:
    if profile.column.kind in NUMERIC:
        # Adding 0 turns -0 into 0.
        return f"printf('%.2e', {profile.value}::DOUBLE + 0)"
    return f"lower({profile.value})" if profile.column.kind is Kind.TEXT else profile.value


def _repeated(stage: Stage, hashes: str) -> tuple[int, Pairs]:
    stage.run(f"CREATE OR REPLACE TEMP TABLE hashes AS {hashes}")
    rows, different = stage.one("SELECT count(*), count(DISTINCT h) FROM hashes")
    pairs: Pairs = []
    if rows > different:
        pairs = [
            (first, last)
            for first, last in stage.rows(
                "SELECT min(r), max(r) FROM hashes GROUP BY h HAVING count(*) > 1 "
                f"ORDER BY 1 LIMIT {EXAMPLES_MAX}"
            )
        ]
    stage.run("DROP TABLE hashes")
    return rows - different, pairs
