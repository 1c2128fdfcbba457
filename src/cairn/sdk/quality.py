"""The quality of a workspace's data sets: reports beside the manifests, figures on the ledger.

The report of `NAME@VERSION` stands under `data/` as `NAME@VERSION.quality.json`. What the ledger
gets is its figures and a commitment to it under a salt that is derived from that of the file, so
that it falls with it when somebody is forgotten.
"""

import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cairn.learning.commitments import SubjectKeys
from cairn.learning.datasets import Manifest
from cairn.learning.quality.report import QualityReport, report_commitment, report_from_json
from cairn.learning.quality.text import percent
from cairn.modules.data.api import QUALITY_FIGURES, broken_bounds
from cairn.modules.data.messages import SetQualityPolicy
from cairn.modules.data.records import QUALITY_POLICIES, Quality, QualityPolicy
from cairn.modules.identity.records import ACCOUNTS
from cairn.sdk.client import Client
from cairn.sdk.errors import NotFoundError, RejectedError, UsageError
from cairn.sdk.reading import Reader
from cairn.sdk.workspace import Workspace

REPORT_SUFFIX = ".quality.json"
REFUSED = "data/quality_refused"
PPM = 1_000_000
_LABEL = b"cairn/quality-salt"

FIGURE_WORDS = {
    "missing_ppm": "missing cells",
    "type_errors_ppm": "cells of the wrong type",
    "junk_columns_ppm": "junk columns",
    "duplicates_ppm": "duplicates",
    "near_duplicates_ppm": "near duplicates",
    "outliers_ppm": "outliers",
    "leaks": "columns that give the label away",
}


def stated_quality(report: QualityReport, manifest: Manifest, keys: SubjectKeys) -> Quality:
    """Return what the registration of a committed file states about its quality.

    Raises:
        UsageError: The salt of the file is gone, because somebody was forgotten since.
    """
    salt = keys.file_salt(manifest.context)
    if salt is None:
        raise UsageError(
            f"the salt of {manifest.name} is gone, so its report cannot be committed to",
            "commit the file again under another version",
        )
    return report.quality(_report_salt(salt))


def is_recorded(
    quality: Quality, report: QualityReport, manifest: Manifest, keys: SubjectKeys
) -> bool | None:
    """Return whether a report is the one that was registered; None if its salt is gone."""
    salt = keys.file_salt(manifest.context)
    if salt is None:
        return None
    return quality.report_commitment == report_commitment(_report_salt(salt), report.digest)


def _report_salt(file_salt: bytes) -> bytes:
    return hmac.digest(file_salt, _LABEL, "sha256")


def report_file(workspace: Workspace, label: object) -> Path:
    """Return where the report of a data set stands."""
    return workspace.data_directory / f"{label}{REPORT_SUFFIX}"


def save_report(path: Path, report: QualityReport) -> None:
    """Write a report as JSON."""
    path.write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")


def open_report(path: Path) -> QualityReport:
    """Return the report in a file.

    Raises:
        NotFoundError: There is none.
        ReportError: It was changed.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"there is no quality report {path.name} here",
            "the data set was registered without one; `cairn data quality FILE` makes one",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not a quality report: {error}") from error
    return report_from_json(document)


def organisation_of(reader: Reader, account: bytes) -> bytes:
    """Return the organisation of an account."""
    return reader.require(ACCOUNTS, account).organisation


def find_policy(reader: Reader, organisation: bytes) -> QualityPolicy | None:
    """Return how good an organisation's data sets must be, or None if it let that open."""
    return reader.get(QUALITY_POLICIES, organisation)


def changed_policy(
    policy: QualityPolicy | None, changes: Mapping[str, int | bool | None]
) -> SetQualityPolicy:
    """Return the message that changes a policy, or sets the first one.

    What `changes` does not name stays as it is; a first policy lets it through.
    """
    before: dict[str, int | bool | None] = {"required": False}
    before |= {f"{name}_max": PPM for name in QUALITY_FIGURES}
    before["leaks_max"] = None
    if policy is not None:
        before = {name: getattr(policy, name) for name in before}
    values: dict[str, Any] = {**before, **changes}
    return SetQualityPolicy(**values)


def figures_words(quality: Quality) -> dict[str, str]:
    """Return the figures of a data set as people read them."""
    return {
        FIGURE_WORDS[name]: figure_words(name, getattr(quality, name)) for name in QUALITY_FIGURES
    }


def figure_words(name: str, value: int | None) -> str:
    """Return one figure as people read it; leaks are None if nobody looked for them."""
    if value is None:
        return "not judged"
    return str(value) if name == "leaks" else percent(value)


def explain_refusal(client: Client, error: RejectedError, quality: Quality | None) -> RejectedError:
    """Return a refusal with the figures that broke the policy, if that is why it was refused."""
    if error.code != REFUSED or quality is None:
        return error
    policy = find_policy(client, organisation_of(client, client.account))
    if policy is None:
        return error
    broken = [
        f"{FIGURE_WORDS[name]} {figure_words(name, stated)}, at most {figure_words(name, bound)}"
        for name, stated, bound in broken_bounds(policy, quality)
    ]
    return RejectedError(error.code, f"{error}: {'; '.join(broken)}", error.hint)
