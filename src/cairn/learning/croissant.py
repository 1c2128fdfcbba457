"""A data set as a Croissant manifest (JSON-LD), and a Croissant manifest as a schema and a file.

Beside what Croissant defines, the manifest says under `cairn:` what the ledger binds (row root,
digests, quality figures) and, for each column, the exact kind, so that reading it back gives the
schema that was written. What may be done with the data stands as an ODRL offer: one permission for
each consent. `sha256` identifies the file for whoever has it: think before you publish it of
personal data. The same input gives the same bytes.

Source: Croissant Format Specification 1.1, https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cairn.learning.datasets import SALT_SCHEME, Manifest
from cairn.learning.errors import DatasetError
from cairn.learning.schemas import Column, Kind, Schema, schema_from_mapping
from cairn.modules.data.records import Quality

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
VOCABULARY = "urn:cairn:vocabulary:"
RECORDS = "rows"
_CONFORMS = ("http://mlcommons.org/croissant/1.", "https://mlcommons.org/croissant/1.")
_DATA_TYPES = {
    Kind.INTEGER: "sc:Integer",
    Kind.DECIMAL: "sc:Float",
    Kind.FLOAT64: "sc:Float",
    Kind.TEXT: "sc:Text",
    Kind.BOOLEAN: "sc:Boolean",
    Kind.TIMESTAMP: "sc:DateTime",
}
_FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".ndjson": "application/jsonlines",
    ".jsonl": "application/jsonlines",
    ".parquet": "application/x-parquet",
    ".pq": "application/x-parquet",
}
_TERMS = (
    *("citeAs", "column", "containedIn", "extract", "field", "fileObject", "fileProperty"),
    *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
    *("recordSet", "references", "regex", "repeated", "replace", "sdVersion", "separator"),
    *("source", "subField", "transform"),
)


@dataclass(frozen=True, slots=True)
class Permission:
    """Leave to use the data for one purpose until some time."""

    assignee: str
    purpose: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class Registration:
    """What the ledger says of a data set."""

    name: str
    version: int
    description: str
    owner: str
    registered_ms: int
    dataset: bytes
    chain_id: str
    quality: Quality | None = None
    permissions: tuple[Permission, ...] = ()


@dataclass(frozen=True, slots=True)
class CroissantFile:
    """What a Croissant manifest says of the one file that it describes."""

    file: Path
    schema: Schema | None
    """None if it names no exact kinds: they are found in the file then."""
    name: str
    licence: str


def croissant(manifest: Manifest, registration: Registration, file: Path) -> dict[str, Any]:
    """Return the Croissant manifest of a registered data set, whose committed file is `file`."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    suffix = file.suffix.lower()
    published = datetime.fromtimestamp(registration.registered_ms // 1000, UTC)
    return {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": registration.name,
        "description": registration.description,
        "version": f"{registration.version}.0.0",
        "url": f"urn:cairn:dataset:{manifest.digest.hex()}",
        "license": manifest.licence or "not stated",
        "creator": {"@type": "sc:Organization", "name": registration.owner},
        "datePublished": published.date().isoformat(),
        "isLiveDataset": False,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file.name,
                "name": file.name,
                "contentUrl": file.name,
                "contentSize": f"{file.stat().st_size} B",
                "encodingFormat": _FORMATS.get(suffix, "application/octet-stream"),
                "sha256": digest,
            }
        ],
        "recordSet": [_record_set(manifest.schema, file.name, manifest.row_count)],
        "usageInfo": _usage(registration),
        "prov:wasAttributedTo": {"@type": "prov:Organization", "name": registration.owner},
        "cairn:commitment": _commitment(manifest, registration),
        **({"cairn:quality": _quality(registration.quality)} if registration.quality else {}),
    }


def write_croissant(path: Path, document: Mapping[str, Any]) -> None:
    """Write a manifest."""
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _context() -> dict[str, Any]:
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "dct": "http://purl.org/dc/terms/",
        "odrl": "http://www.w3.org/ns/odrl/2/",
        "prov": "http://www.w3.org/ns/prov#",
        "cairn": VOCABULARY,
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        **{term: f"cr:{term}" for term in _TERMS},
    }


def _record_set(schema: Schema, file: str, row_count: int) -> dict[str, Any]:
    records: dict[str, Any] = {
        "@type": "cr:RecordSet",
        "@id": RECORDS,
        "name": RECORDS,
        "cairn:rowCount": row_count,
        "field": [_field(number, one, file) for number, one in enumerate(schema.columns)],
    }
    if schema.subject is not None:
        records["cairn:subject"] = schema.subject
    return records


def _field(number: int, column: Column, file: str) -> dict[str, Any]:
    # An id is an IRI: names of columns may hold anything, so the number is part of it.
    return {
        "@type": "cr:Field",
        "@id": f"{RECORDS}/{number}",
        "name": column.name,
        "dataType": _DATA_TYPES[column.kind],
        "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
        "cairn:kind": column.kind.value,
        "cairn:scale": column.scale,
        "cairn:nullable": column.nullable,
    }


def _usage(registration: Registration) -> dict[str, Any]:
    """Return who may use the data for what, as an ODRL offer; the owner's people always may."""
    permissions = [
        {
            "@type": "odrl:Permission",
            "odrl:assignee": one.assignee,
            "odrl:action": {"@id": "odrl:use"},
            "odrl:constraint": [
                _constraint("purpose", "eq", one.purpose),
                _constraint("dateTime", "lt", _iso(one.until_ms)),
            ],
        }
        for one in registration.permissions
    ]
    return {
        "@type": ["CreativeWork", "odrl:Offer"],
        "name": "Consents on record; nobody else may use the data, but its owner's people",
        "odrl:permission": permissions,
    }


def _constraint(left: str, operator: str, right: str) -> dict[str, Any]:
    return {
        "@type": "odrl:Constraint",
        "odrl:leftOperand": {"@id": f"odrl:{left}"},
        "odrl:operator": {"@id": f"odrl:{operator}"},
        "odrl:rightOperand": right,
    }


def _iso(time_ms: int) -> str:
    try:
        moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "9999-12-31T23:59:59Z"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _commitment(manifest: Manifest, registration: Registration) -> dict[str, Any]:
    return {
        "cairn:chain": registration.chain_id,
        "cairn:dataset": registration.dataset.hex(),
        "cairn:datasetDigest": manifest.digest.hex(),
        "cairn:rowRoot": manifest.row_root.hex(),
        "cairn:schemaDigest": manifest.schema.digest.hex(),
        "cairn:fileCommitment": manifest.file_commitment.hex(),
        "cairn:saltScheme": SALT_SCHEME,
        "cairn:synthetic": manifest.synthetic,
    }


def _quality(quality: Quality) -> dict[str, Any]:
    fields = quality.__struct_fields__  # type: ignore[attr-defined]
    values = {name: getattr(quality, name) for name in fields}
    return {
        f"cairn:{name}": value.hex() if isinstance(value, bytes) else value
        for name, value in values.items()
    }


# --- reading -------------------------------------------------------------------------------------


def read_croissant(path: Path) -> CroissantFile:
    """Return the file and the schema that a Croissant manifest describes.

    The file has to lie beside the manifest; nothing is downloaded.

    Raises:
        DatasetError: It is no Croissant manifest of version 1, describes no or several files or
            record sets, a file that is elsewhere, or one with another SHA-256.
    """
    document = _read_json(path)
    conforms = document.get("conformsTo", document.get("dct:conformsTo", ""))
    stated = conforms if isinstance(conforms, list) else [conforms]
    if not any(str(one).startswith(_CONFORMS) for one in stated):
        raise DatasetError(
            f"{path.name} does not say that it conforms to Croissant 1", f"as in {CONFORMS_TO}"
        )
    file_object = _only(path, document, "distribution", "FileObject")
    file = _local_file(path, file_object)
    records = _only(path, document, "recordSet", "RecordSet")
    licence = document.get("license", "")
    return CroissantFile(
        file=file,
        schema=_schema(path, records),
        name=str(document.get("name", "")),
        licence=licence[:256] if isinstance(licence, str) else "",
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{path.name} is no Croissant manifest", "it is one JSON object")
    return document


def _only(path: Path, document: dict[str, Any], key: str, kind: str) -> dict[str, Any]:
    """Return the one part of a manifest of a kind."""
    parts = document.get(key, [])
    if isinstance(parts, dict):
        parts = [parts]
    if not isinstance(parts, list):
        parts = []
    found = [
        part
        for part in parts
        if isinstance(part, dict) and str(part.get("@type", "")).rpartition(":")[2] == kind
    ]
    if len(found) != 1:
        raise DatasetError(
            f"{path.name} describes {len(found)} parts of the type {kind}",
            "a data set here is one file of rows: give FILE, and --schema if it needs one",
        )
    return found[0]


def _local_file(path: Path, file_object: dict[str, Any]) -> Path:
    """Return the file beside the manifest that it describes, after checking its SHA-256."""
    url = file_object.get("contentUrl", "")
    if not isinstance(url, str) or not url:
        raise DatasetError(f"{path.name} names no file (contentUrl)")
    if urlsplit(url).scheme or url.startswith(("/", "\\")) or ".." in Path(url).parts:
        raise DatasetError(
            f"{path.name} describes a file that is elsewhere: {url[:200]}",
            "fetch it, and put it beside the manifest under the name that contentUrl has then",
        )
    file = path.parent / url
    if not file.is_file():
        raise DatasetError(f"{path.name} describes {url}, which does not lie beside it")
    stated = file_object.get("sha256")
    if stated is not None:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if not isinstance(stated, str) or digest != stated.lower():
            raise DatasetError(
                f"{url} is not the file that {path.name} describes: its SHA-256 differs",
                "fetch the file again",
            )
    return file


def _schema(path: Path, records: dict[str, Any]) -> Schema | None:
    """Return the schema if each field states its exact kind."""
    fields = records.get("field", [])
    if not isinstance(fields, list) or not all(isinstance(one, dict) for one in fields):
        raise DatasetError(f"{path.name}: the fields of its record set are not a list of objects")
    if not fields or not all("cairn:kind" in one for one in fields):
        return None
    columns = [
        {
            "name": one.get("name"),
            "kind": one["cairn:kind"],
            "scale": one.get("cairn:scale", 0),
            "nullable": one.get("cairn:nullable", False),
        }
        for one in fields
    ]
    return schema_from_mapping({"columns": columns, "subject": records.get("cairn:subject")})
