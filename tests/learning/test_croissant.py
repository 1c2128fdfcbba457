"""Croissant manifests: as the specification has them, the same every time, and read back."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from cairn.learning.commitments import SubjectKeys
from cairn.learning.croissant import (
    CONFORMS_TO,
    Permission,
    Registration,
    croissant,
    read_croissant,
    write_croissant,
)
from cairn.learning.datasets import commit_file
from cairn.learning.errors import DatasetError
from cairn.learning.quality.measure import measure_quality
from cairn.learning.schema_inference import infer_schema

TEXT = "who,amount,at\na,1.50,2026-01-02\nb,,2026-01-03\n"
REQUIRED = (
    *("@context", "@type", "conformsTo", "description", "license", "name", "url", "creator"),
    *("datePublished", "distribution"),
)
"""Properties that the specification requires of a data set."""


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "data.csv"
    path.write_text(TEXT)
    schema = infer_schema(path, subject="who")
    manifest = commit_file(path, schema, SubjectKeys(), licence="CC-BY-4.0")
    registration = Registration(
        name="cards",
        version=2,
        description="two rows",
        owner="alpha",
        registered_ms=1_767_312_000_123,
        dataset=b"\1" * 20,
        chain_id="chain",
        quality=measure_quality(path, schema).quality(b"salt"),
        permissions=(Permission("beta/dirk", "training", 1_800_000_000_000),),
    )
    found = croissant(manifest, registration, path)
    assert found == croissant(manifest, registration, path)
    write_croissant(tmp_path / "croissant.json", found)
    return found


def test_it_has_what_the_specification_requires(document: dict[str, Any]) -> None:
    assert all(document[name] for name in REQUIRED)
    assert (document["@type"], document["conformsTo"]) == ("sc:Dataset", CONFORMS_TO)
    assert (document["version"], document["datePublished"]) == ("2.0.0", "2026-01-02")
    (file,) = document["distribution"]
    assert file["@type"] == "cr:FileObject"
    assert file["encodingFormat"] == "text/csv"
    assert file["sha256"] == hashlib.sha256(TEXT.encode()).hexdigest()
    assert file["contentSize"] == f"{len(TEXT)} B"
    (records,) = document["recordSet"]
    types = [(one["name"], one["dataType"]) for one in records["field"]]
    assert types == [("who", "sc:Text"), ("amount", "sc:Float"), ("at", "sc:DateTime")]
    for field in records["field"]:
        assert field["@type"] == "cr:Field"
        assert field["source"]["fileObject"] == {"@id": file["@id"]}
        assert field["source"]["extract"] == {"column": field["name"]}
    ids = [file["@id"], records["@id"], *(one["@id"] for one in records["field"])]
    assert len({*ids}) == len(ids)


def test_every_prefix_is_declared(document: dict[str, Any]) -> None:
    prefixes = {name for name in document["@context"] if not name.startswith("@")}

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, below in value.items():
                if ":" in key:
                    assert key.partition(":")[0] in prefixes
                walk(below)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk({name: value for name, value in document.items() if name != "@context"})


def test_use_quality_and_commitment_stand_in_it(document: dict[str, Any]) -> None:
    (permission,) = document["usageInfo"]["odrl:permission"]
    assert permission["odrl:assignee"] == "beta/dirk"
    rights = [one["odrl:rightOperand"] for one in permission["odrl:constraint"]]
    assert rights == ["training", "2027-01-15T08:00:00Z"]
    assert document["cairn:quality"]["cairn:missing_ppm"] == 166_667
    assert document["cairn:commitment"]["cairn:dataset"] == "01" * 20


def test_it_is_read_back(tmp_path: Path, document: dict[str, Any]) -> None:
    found = read_croissant(tmp_path / "croissant.json")
    assert found.file == tmp_path / "data.csv"
    assert found.schema == infer_schema(found.file, subject="who")
    assert (found.name, found.licence) == ("cards", "CC-BY-4.0")


def test_one_of_others_names_the_file_alone(tmp_path: Path, document: dict[str, Any]) -> None:
    for field in document["recordSet"][0]["field"]:
        del field["cairn:kind"]
    document["conformsTo"] = "http://mlcommons.org/croissant/1.0"
    write_croissant(tmp_path / "other.json", document)
    assert read_croissant(tmp_path / "other.json").schema is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("conformsTo", "http://schema.org/", "conforms to Croissant 1"),
        ("distribution", [], "0 parts of the type FileObject"),
        ("distribution", 7, "0 parts"),
        ("recordSet", [{"@type": "cr:RecordSet"}] * 2, "2 parts of the type RecordSet"),
        ("recordSet", {"@type": "cr:RecordSet", "field": 3}, "not a list of objects"),
        ("contentUrl", "https://example.org/data.csv", "a file that is elsewhere"),
        ("contentUrl", "../data.csv", "a file that is elsewhere"),
        ("contentUrl", "/etc/passwd", "a file that is elsewhere"),
        ("contentUrl", "none.csv", "does not lie beside it"),
        ("contentUrl", None, "names no file"),
        ("sha256", "00", "its SHA-256 differs"),
        ("sha256", 5, "its SHA-256 differs"),
    ],
)
def test_what_cannot_be_used_says_why(
    tmp_path: Path, document: dict[str, Any], key: str, value: Any, message: str
) -> None:
    target = document["distribution"][0] if key in ("contentUrl", "sha256") else document
    target[key] = value
    write_croissant(tmp_path / "broken.json", document)
    with pytest.raises(DatasetError, match=message):
        read_croissant(tmp_path / "broken.json")


@pytest.mark.parametrize("text", ["", "[", "[]", "3", "[" * 100_000, "\ufeff{}"])
def test_what_is_no_manifest_at_all(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DatasetError):
        read_croissant(tmp_path / "x.json")
