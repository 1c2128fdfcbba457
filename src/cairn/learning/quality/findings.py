"""What a report says in words: each finding names what was found and what to do about it."""

from cairn.learning.quality.duplicates import Pairs
from cairn.learning.quality.leaks import Leak
from cairn.learning.quality.profile import EMPTY_PPM, OUTLIER_MADS, Profile
from cairn.learning.quality.report import PPM, Finding, Severity

MISSING_WARN_PPM = 50_000
_ORDER = ("bad", "warn", "note")


class Findings:
    """Collects findings about one file."""

    def __init__(self, row_count: int) -> None:
        """Begin with none, for a file of `row_count` rows."""
        self._rows = row_count
        self._found: list[Finding] = []

    def sorted(self) -> tuple[Finding, ...]:
        """Return the findings, the worst first, else in the order of the columns."""
        return tuple(sorted(self._found, key=lambda one: _ORDER.index(one.severity)))

    def note(self, code: str, column: str, text: str) -> None:
        """Add what was not judged."""
        self._add("note", code, column, text)

    def names(self, names: list[str], look_like_data: bool) -> None:
        """Add what is wrong with the names of the columns."""
        if look_like_data:
            self._add(
                "bad",
                "no_header",
                "",
                "the first line looks like a row, not like names; write a line of names above it",
            )
        for number, name in enumerate(names):
            if not name.strip():
                text = f"column {number + 1} has no name; name it, or leave it out"
                self._add("bad", "unnamed_column", f"column {number + 1}", text)
            elif names.index(name) < number:
                self._add("bad", "repeated_name", name, "the name stands twice; rename one column")

    def column(self, profile: Profile, leak: Leak) -> None:
        """Add what is to be said about one column."""
        name = profile.column.name
        self._wrong(profile)
        if leak.reason:
            text = f"{leak.reason}; leave it out, or train a model that only repeats the label"
            self._add("bad", "leak", name, text)
        if profile.junk == "constant":
            text = "every row has the same value; leave it out"
            self._add("warn", "junk_column", name, text)
        elif profile.junk == "empty":
            text = f"more than {EMPTY_PPM // 10_000} % of the cells are missing; leave it out"
            self._add("warn", "junk_column", name, text)
        elif profile.missing * PPM > self._rows * MISSING_WARN_PPM:
            text = f"{self._share(profile.missing)} of the cells are missing; find out why"
            self._add("warn", "missing", name, text)
        self._far(profile)

    def duplicates(self, exact: int, exact_pairs: Pairs, near: int, near_pairs: Pairs) -> None:
        """Add what is to be said about rows that stand twice."""
        if exact:
            text = f"{exact:,} rows repeat an earlier one ({_pairs(exact_pairs)}); keep one of each"
            self._add("warn", "duplicates", "", text)
        if near:
            text = (
                f"{near:,} more rows repeat an earlier one but for case and digits after the third "
                f"({_pairs(near_pairs)}); look whether they are the same case"
            )
            self._add("warn", "near_duplicates", "", text)

    def _wrong(self, profile: Profile) -> None:
        count = profile.type_errors.count
        if not count:
            return
        cells = ", ".join(f"row {row}: {text!r}" for row, text in profile.type_errors.examples)
        advice = "mend them, or make the column text in a schema"
        if profile.marked * 2 > count:
            advice = "write a missing value as an empty cell (in JSON as null)"
        text = f"{count:,} cells are no {profile.column.kind.value} ({cells}); {advice}"
        self._add("bad", "type_errors", profile.column.name, text)

    def _far(self, profile: Profile) -> None:
        name, count = profile.column.name, profile.outliers.count
        if profile.mad == "0" and profile.distinct > 2:
            text = (
                f"outliers were not judged: at least half of the values are {profile.median}, "
                "so the MAD is 0"
            )
            self.note("mad_is_zero", name, text)
        elif count:
            rows = ", ".join(f"row {row}: {text}" for row, text in profile.outliers.examples)
            text = (
                f"{self._share(count)} of the rows lie more than {OUTLIER_MADS} MAD from the "
                f"median {profile.median} ({rows}); look whether they can be true"
            )
            self._add("note", "outliers", name, text)

    def _share(self, count: int) -> str:
        """Return a count of rows with its share."""
        return f"{count:,} ({count * 100 / self._rows:.2f} %)"

    def _add(self, severity: Severity, code: str, column: str, text: str) -> None:
        self._found.append(Finding(severity, code, column, text))


def _pairs(pairs: Pairs) -> str:
    return ", ".join(f"row {later} as row {first}" for first, later in pairs)
