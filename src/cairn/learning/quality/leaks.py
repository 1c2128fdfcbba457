"""Columns that give the label away: they alone predict it, or were known only after it.

A column leaks if one of these holds.

1. It alone predicts the label: a one-column model's area under the ROC curve is at least 0.98. The
   model is the best of these: the order of the values as they are, and the label's rate for each
   value, missing being one (of numbers with more than 1,024 values also: for each of 256 quantile
   bins), learned on one random half of the rows and measured on the other.
2. Whether its cell is missing predicts the label: of at least 30 rows where it is missing (or is
   there) 98 % have one label, and of the other rows at most 80 % have that label.
3. Only rows with a label have it: at least 98 % of those, and at most 2 % of at least 30 others.
4. It is a time later than the one at which a row is decided, in more than 1 % of the rows.
5. Somebody says that it is known only after the label.

A label of 3 to 20 classes is judged class by class; one of more values as "above its median". Each
class needs 10 rows. Of more than a million rows every k-th is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cairn.learning.extras import Untyped
from cairn.learning.quality.profile import Profile
from cairn.learning.schemas import Kind
from cairn.learning.staging import Stage

AUC_PPM_MIN = 980_000
PURE_PPM_MIN = 980_000
MIXED_PPM_MAX = 800_000
GROUP_ROWS_MIN = 30
CLASS_ROWS_MIN = 10
CLASSES_MAX = 20
VALUES_MAX = 1_024
BINS = 256
ROWS_MAX = 1_000_000
LATER_PPM_MAX = 10_000
_PPM = 1_000_000

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Target:
    """The label of the rows that are looked at."""

    classes: tuple[str, ...]
    """What each class is called in a message."""
    codes: Codes
    """Class of each row with a label."""
    known: NDArray[np.bool_]
    """Whether a row has a label, for each row looked at."""
    folds: Codes
    """0 or 1 for each row with a label."""
    where: str
    """Which rows of `t` are looked at."""
    judged: tuple[int, ...]
    """Classes that are told from all others."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What the check says of one column."""

    auc_ppm: int
    reason: str
    """Why the column leaks, or nothing."""


def read_target(stage: Stage, profile: Profile) -> Target | str:
    """Return the label column as classes, or why it cannot be told apart."""
    step = -(-stage.row_count // ROWS_MAX)
    where = "" if step == 1 else f"WHERE r % {step} = 0"
    value = profile.value
    text = profile.column.kind is Kind.TEXT
    groups = stage.rows(
        f"SELECT DISTINCT {value} FROM t WHERE {value} IS NOT NULL LIMIT {CLASSES_MAX + 1}"
    )
    if len(groups) > CLASSES_MAX:
        if text:
            return f"the label {profile.column.name} has more than {CLASSES_MAX} different texts"
        middle = f"(SELECT quantile_disc({value}, 0.5) FROM t)"
        raw = stage.arrays(f"SELECT ({value} > {middle})::BIGINT AS v FROM t {where}")["v"]
        names: tuple[str, ...] = ("at most the median", f"above the median {profile.median}")
    else:
        groups.sort()
        whens = " ".join(
            f"WHEN {value} = {_quoted(one)} THEN {at}" for at, (one,) in enumerate(groups)
        )
        if len(groups) < 2:
            return f"the label {profile.column.name} has only one value"
        raw = stage.arrays(f"SELECT (CASE {whens} END)::BIGINT AS v FROM t {where}")["v"]
        names = tuple(str(one) for (one,) in groups)
    known = ~np.ma.getmaskarray(raw)
    codes = np.asarray(np.ma.getdata(raw)[known], dtype=np.int64)
    counts = np.bincount(codes, minlength=len(names))
    big = tuple(at for at, count in enumerate(counts) if count >= CLASS_ROWS_MIN)
    if len(big) < 2:
        return f"the label {profile.column.name} has fewer than {CLASS_ROWS_MIN} rows of a class"
    # Two classes are told apart once.
    judged = big[-1:] if len(names) == 2 else big
    rows = np.arange(known.size, dtype=np.uint64)[known]
    folds = (_mixed(rows) >> np.uint64(63)).astype(np.int64)
    return Target(names, codes, known, folds, where, judged)


def judge_column(stage: Stage, profile: Profile, target: Target) -> Leak:
    """Return how well a column tells the label, and whether it gives it away."""
    raw = _read(stage, profile, target)
    missing = np.ma.getmaskarray(raw)
    reason = _missing_reason(missing, target)
    codes, ordered = _coded(np.ma.getdata(raw)[target.known], missing[target.known], profile)
    bins = _binned(codes) if ordered else codes
    best, told = 0, ""
    for one in target.judged:
        positive = target.codes == one
        auc = _out_of_fold_ppm(codes, positive, target.folds)
        if bins is not codes:
            auc = max(auc, _out_of_fold_ppm(bins, positive, target.folds))
        if ordered:
            in_order = _auc_ppm(codes[codes > 0], positive[codes > 0])
            full = int((codes > 0).sum()) == codes.size
            auc = max(auc, in_order, _PPM - in_order) if full else auc
        if auc > best:
            best, told = auc, target.classes[one]
    if best >= AUC_PPM_MIN:
        of = "the label" if len(target.classes) == 2 else f"the label {told!r}"
        return Leak(best, f"it alone predicts {of} with an AUC of {best / _PPM:.3f}")
    return Leak(best, reason)


def is_later(stage: Stage, profile: Profile, known_at: Profile) -> str:
    """Return why a time column was known only after the row was decided, or nothing."""
    if profile.column.kind is not Kind.TIMESTAMP or profile is known_at:
        return ""
    later, both = stage.one(
        f"SELECT count(*) FILTER ({profile.value} > {known_at.value}), "
        f"count({profile.value} + {known_at.value}) FROM t"
    )
    if later * _PPM <= both * LATER_PPM_MAX:
        return ""
    return f"it is later than {known_at.column.name} in {later:,} of {both:,} rows"


def _quoted(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"{value!r}::DOUBLE" if isinstance(value, float) else str(value)


def _read(stage: Stage, profile: Profile, target: Target) -> Untyped:
    """Return the values of a column as numbers; texts as hashes."""
    value = profile.value
    if profile.column.kind is Kind.TEXT:
        shown = f"CASE WHEN {value} IS NOT NULL THEN hash({value}) END"
    else:
        shown = f"{value}::DOUBLE"
    return stage.arrays(f"SELECT {shown} AS v FROM t {target.where}")["v"]


def _coded(values: Untyped, missing: Untyped, profile: Profile) -> tuple[Codes, bool]:
    """Return values as small integers, 0 for missing, and whether their order means something."""
    codes = np.zeros(values.size, dtype=np.int64)
    there = ~missing
    if not there.any():
        return codes, False
    _, inverse = np.unique(values[there], return_inverse=True)
    codes[there] = inverse + 1
    return codes, profile.column.kind is not Kind.TEXT


def _binned(codes: Codes) -> Codes:
    """Return at most 256 bins of about as many rows for codes of many values."""
    if codes.size == 0 or int(codes.max()) <= VALUES_MAX:
        return codes
    counts = np.bincount(codes)
    counts[0] = 0
    before = np.cumsum(counts) - counts
    bins = before * BINS // max(1, int(counts.sum())) + 1
    bins[0] = 0
    found: Codes = bins[codes]
    return found


def _out_of_fold_ppm(codes: Codes, positive: NDArray[np.bool_], folds: Codes) -> int:
    """Return the AUC of the label's rate for each value, learned on the other half of the rows."""
    values = int(codes.max()) + 1
    cell = codes * 2 + folds
    rows = np.bincount(cell, minlength=2 * values).reshape(values, 2)
    hits = np.bincount(cell[positive], minlength=2 * values).reshape(values, 2)
    base = float(positive.mean())
    # One row of the base rate stands for what is not known of a value.
    rates = (hits[:, ::-1] + base) / (rows[:, ::-1] + 1.0)
    return _auc_of(rates.ravel(), hits.ravel(), (rows - hits).ravel())


def _auc_ppm(codes: Codes, positive: NDArray[np.bool_]) -> int:
    """Return the AUC of the values in their order."""
    if not codes.size or positive.all() or not positive.any():
        return _PPM // 2
    hits = np.bincount(codes[positive], minlength=int(codes.max()) + 1)
    rows = np.bincount(codes, minlength=hits.size)
    return _auc_of(np.arange(hits.size, dtype=np.float64), hits, rows - hits)


def _auc_of(scores: NDArray[np.float64], positives: Codes, negatives: Codes) -> int:
    """Return the AUC of groups of rows with equal scores, in parts per million."""
    _, group = np.unique(scores, return_inverse=True)
    high = np.bincount(group, weights=positives).astype(np.int64)
    low = np.bincount(group, weights=negatives).astype(np.int64)
    below = np.cumsum(low) - low
    # Pairs in the right order count two, ties one; a million rows squared fit 64 bits.
    right = int((high * (2 * below + low)).sum())
    pairs = 2 * int(high.sum()) * int(low.sum())
    return right * _PPM // pairs if pairs else _PPM // 2


def _missing_reason(missing: NDArray[np.bool_], target: Target) -> str:
    """Return what the missing cells of a column say about the label, or nothing."""
    labelled = missing[target.known]
    others = missing[~target.known]
    if others.size >= GROUP_ROWS_MIN and labelled.size:
        has, has_not = 1 - labelled.mean(), 1 - others.mean()
        if has * _PPM >= PURE_PPM_MIN and has_not * _PPM <= _PPM - PURE_PPM_MIN:
            return "only rows with a label have it"
    for group, word in ((labelled, "missing"), (~labelled, "there")):
        reason = _pure(group, target, word)
        if reason:
            return reason
    return ""


def _pure(group: NDArray[np.bool_], target: Target, word: str) -> str:
    """Return that the rows of a group have one label and the others have not, or nothing."""
    inside, outside = int(group.sum()), int((~group).sum())
    if inside < GROUP_ROWS_MIN or not outside:
        return ""
    counts = np.bincount(target.codes[group], minlength=len(target.classes))
    one = int(counts.argmax())
    same = int(counts[one])
    elsewhere = int((target.codes == one).sum()) - same
    if same * _PPM < PURE_PPM_MIN * inside or elsewhere * _PPM > MIXED_PPM_MAX * outside:
        return ""
    return (
        f"where it is {word} the label is {target.classes[one]!r} in {same:,} of {inside:,} rows, "
        f"elsewhere in {elsewhere:,} of {outside:,}"
    )


def _mixed(rows: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return well-mixed bits for each row number.

    Source: the finalizer of SplitMix64, https://prng.di.unimi.it/splitmix64.c
    """
    z = rows * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def leak_columns(profiles: Sequence[Profile], label: str) -> list[Profile]:
    """Return the columns that are judged: all but the label and empty ones."""
    return [one for one in profiles if one.column.name != label and one.distinct]
