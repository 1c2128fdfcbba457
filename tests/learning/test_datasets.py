"""Committing, checking and disclosing: what a data set's commitment promises."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.evidence import rows as evidence_rows
from cairn.evidence.rows import (
    DatasetCommitment,
    OpenField,
    RowDisclosure,
    RowDisclosureError,
    decode_disclosure,
    render_value,
    verify_row,
)
from cairn.learning.commitments import (
    RowCommitter,
    SubjectKeys,
    load_subject_keys,
    row_salts,
)
from cairn.learning.datasets import (
    Manifest,
    canonical_rows,
    check_file,
    commit_file,
    disclose_row,
    load_manifest,
    manifest_path,
    read_committed,
    row_subject,
    rows_path,
    salts_path,
)
from cairn.learning.errors import (
    ChangedDataError,
    DatasetError,
    ForgottenSubjectError,
    ManifestError,
)
from cairn.learning.schemas import Column, Kind, Schema, schema_from_mapping
from cairn.learning.tables import Table, Value, read_table, write_table
from cairn.primitives.encoding import Decoder, encode
from cairn.primitives.errors import NonCanonicalError, ProofError
from cairn.primitives.merkle import leaf_hash, root_of

SCHEMA = Schema(
    (
        Column("id", Kind.INTEGER),
        Column("at", Kind.TIMESTAMP),
        Column("who", Kind.TEXT),
        Column("amount", Kind.DECIMAL, 2),
        Column("ok", Kind.BOOLEAN, nullable=True),
        Column("ratio", Kind.FLOAT64, nullable=True),
    ),
    subject="who",
)
ROW_COUNT = 40
ROOT_OF_THREE_ROWS = "0e8bdaef5acc51a7b4f21e669196f15d8e949d51992bf299fbe24f5fa2a5c00e"
DIGEST_OF_SCHEMA = "5021bff4ca814eed90cbd868b065c40e8a0a59dffd0408a89e54e3bf79907015"


def make_table(count: int = ROW_COUNT, schema: Schema = SCHEMA) -> Table:
    columns: tuple[list[Value], ...] = (
        list(range(count)),
        [1_700_000_000_000 + 1_001 * row for row in range(count)],
        [f"Zoë {row % 7}" for row in range(count)],
        [row * 333 - 1_000 for row in range(count)],
        [(True, False, None)[row % 3] for row in range(count)],
        [None if row % 5 == 0 else row / 3 for row in range(count)],
    )
    return Table(schema, columns, count)


def committed(
    folder: Path, name: str = "data.parquet", schema: Schema = SCHEMA
) -> tuple[Path, Manifest, SubjectKeys]:
    path = folder / name
    write_table(path, make_table(schema=schema))
    keys = SubjectKeys()
    return path, commit_file(path, schema, keys), keys


def commitment_of(manifest: Manifest) -> DatasetCommitment:
    return DatasetCommitment(*manifest.commitment)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_what_was_committed_is_found_the_same(tmp_path: Path, name: str) -> None:
    path, manifest, keys = committed(tmp_path, name)
    assert check_file(path, manifest, keys).is_same
    assert read_committed(path, manifest, keys) == make_table()


def test_manifest_and_salts_survive_the_disk(tmp_path: Path) -> None:
    path, manifest, keys = committed(tmp_path)
    manifest.save(manifest_path(path))
    keys.save(salts_path(path))
    loaded = load_subject_keys(salts_path(path))
    assert load_manifest(manifest_path(path)) == manifest
    assert check_file(path, manifest, loaded).is_same
    assert salts_path(path).stat().st_mode & 0o077 == 0
    text = manifest_path(path).read_text()
    assert all(keys.key(encode(f"Zoë {n}")).hex() not in text for n in range(7))


def test_two_commitments_to_one_file_have_nothing_in_common(tmp_path: Path) -> None:
    path, manifest, keys = committed(tmp_path)
    again = commit_file(path, SCHEMA, keys)
    assert set(again.rows).isdisjoint(manifest.rows)
    assert again.file_commitment != manifest.file_commitment


def test_the_manifest_digest_is_the_one_of_the_verifier(tmp_path: Path) -> None:
    _, manifest, _ = committed(tmp_path)
    assert evidence_rows.dataset_digest(commitment_of(manifest)) == manifest.digest


def rewrite(path: Path, columns: list[list[Value]]) -> None:
    write_table(path, Table(SCHEMA, tuple(columns), len(columns[0])))


def test_changed_missing_and_added_rows_are_named(tmp_path: Path) -> None:
    path, manifest, keys = committed(tmp_path, "data.csv")
    columns = [list(column) for column in make_table().columns]
    columns[3][4] = 7
    for column in columns:
        del column[10:12]
        column.insert(30, column[0])
    rewrite(path, columns)
    found = check_file(path, manifest, keys)
    assert (found.changed, found.missing, found.added) == ((4,), (10, 11), (30,))
    assert found.differing == [4, 10, 11, 30]
    with pytest.raises(ChangedDataError, match=r"1 changed \(4\); 2 missing \(10, 11\); 1 added"):
        read_committed(path, manifest, keys)


@pytest.mark.parametrize("row", [0, ROW_COUNT - 1])
def test_a_change_at_either_end_is_named(tmp_path: Path, row: int) -> None:
    path, manifest, keys = committed(tmp_path)
    columns = [list(column) for column in make_table().columns]
    columns[0][row] = 999
    rewrite(path, columns)
    assert check_file(path, manifest, keys).changed == (row,)


def test_swapped_rows_are_both_changed(tmp_path: Path) -> None:
    path, manifest, keys = committed(tmp_path)
    columns = [list(column) for column in make_table().columns]
    for column in columns:
        column[20], column[21] = column[21], column[20]
    rewrite(path, columns)
    assert check_file(path, manifest, keys).differing == [20, 21]


def test_the_first_rows_are_named_and_all_are_counted(tmp_path: Path) -> None:
    path, manifest, keys = committed(tmp_path)
    columns = [list(column) for column in make_table().columns]
    columns[0] = [value + 1000 for value in range(ROW_COUNT)]
    rewrite(path, columns)
    found = check_file(path, manifest, keys)
    assert len(found.changed) == ROW_COUNT
    assert found.describe() == "rows 40 changed (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …)"


def test_same_rows_in_other_bytes_are_refused_and_said_to_be_so(tmp_path: Path) -> None:
    path, manifest, keys = committed(tmp_path, "data.csv")
    path.write_text(path.read_text().replace("Zoë 1", '"Zoë 1"'))
    with pytest.raises(ChangedDataError, match="all rows are the same, but the bytes"):
        read_committed(path, manifest, keys)


class TestForgetting:
    def test_a_forgotten_subject_cannot_be_opened_and_others_can(self, tmp_path: Path) -> None:
        path, manifest, keys = committed(tmp_path)
        table = read_table(path, SCHEMA)
        assert keys.forget(encode("Zoë 3"))
        assert not keys.forget(encode("Zoë 3"))
        with pytest.raises(ForgottenSubjectError):
            disclose_row(table, manifest, keys, 3)
        row = verify_row(
            decode_disclosure(disclose_row(table, manifest, keys, 4)), commitment_of(manifest)
        )
        assert row.values["who"] == "Zoë 4"

    def test_the_key_is_gone_from_the_disk(self, tmp_path: Path) -> None:
        _, _, keys = committed(tmp_path)
        path = tmp_path / "x.salts"
        secret = keys.key(encode("Zoë 3"))
        keys.save(path)
        assert secret in path.read_bytes()
        keys.forget(encode("Zoë 3"))
        keys.save(path)
        assert secret not in path.read_bytes()
        assert encode("Zoë 3") not in load_subject_keys(path)

    def test_no_digest_of_the_whole_file_can_be_opened_afterwards(self, tmp_path: Path) -> None:
        path, manifest, keys = committed(tmp_path)
        assert keys.file_salt(manifest.context) is not None
        keys.forget(encode("Zoë 3"))
        assert keys.file_salt(manifest.context) is None
        changed = check_file(path, manifest, keys).changed
        assert changed == tuple(row for row in range(ROW_COUNT) if row % 7 == 3)

    def test_the_file_without_his_rows_lacks_only_them(self, tmp_path: Path) -> None:
        path, manifest, keys = committed(tmp_path)
        keys.forget(encode("Zoë 3"))
        keep = [row for row in range(ROW_COUNT) if row % 7 != 3]
        rewrite(path, [[column[row] for row in keep] for column in make_table().columns])
        found = check_file(path, manifest, keys)
        assert found.missing == tuple(row for row in range(ROW_COUNT) if row % 7 == 3)
        assert not found.changed
        assert not found.added

    def test_without_a_subject_column_a_row_is_forgotten_alone(self, tmp_path: Path) -> None:
        schema = Schema(SCHEMA.columns)
        path, manifest, keys = committed(tmp_path, schema=schema)
        assert len(keys) == ROW_COUNT
        keys.forget(row_subject(manifest.context, 5))
        assert check_file(path, manifest, keys).changed == (5,)


class TestDisclosure:
    def test_only_the_named_columns_are_opened(self, tmp_path: Path) -> None:
        path, manifest, keys = committed(tmp_path)
        table = read_table(path, SCHEMA)
        raw = disclose_row(table, manifest, keys, 8, ["amount", "at"])
        row = verify_row(decode_disclosure(raw), commitment_of(manifest))
        assert row.index == 8
        assert dict(row.values) == {"at": 1_700_000_008_008, "amount": 1_664}
        assert row.closed == ("id", "who", "ok", "ratio")
        assert "Zoë".encode() not in raw
        assert render_value(row.schema.columns[3], row.values["amount"]) == "16.64"

    @pytest.mark.parametrize("index", [0, 1, 31, 32, ROW_COUNT - 1])
    def test_every_row_can_be_disclosed_whole(self, tmp_path: Path, index: int) -> None:
        path, manifest, keys = committed(tmp_path)
        table = read_table(path, SCHEMA)
        raw = disclose_row(table, manifest, keys, index)
        row = verify_row(decode_disclosure(raw), commitment_of(manifest))
        assert row.values["id"] == index
        assert not row.closed

    def test_rows_and_columns_that_do_not_exist_are_refused(self, tmp_path: Path) -> None:
        path, manifest, keys = committed(tmp_path)
        table = read_table(path, SCHEMA)
        for index in (-1, ROW_COUNT):
            with pytest.raises(DatasetError, match="no row"):
                disclose_row(table, manifest, keys, index)
        with pytest.raises(DatasetError, match="no column 'nobody'"):
            disclose_row(table, manifest, keys, 0, ["nobody"])

    def test_a_row_that_is_not_the_committed_one_is_refused(self, tmp_path: Path) -> None:
        _, manifest, keys = committed(tmp_path)
        table = make_table()
        table.columns[3][6] = 5
        with pytest.raises(DatasetError, match="row 6 is not the committed one"):
            disclose_row(table, manifest, keys, 6)


class TestForgedDisclosures:
    """Every way to present a row that was not committed is refused by name."""

    @pytest.fixture
    def honest(self, tmp_path: Path) -> tuple[RowDisclosure, DatasetCommitment]:
        path, manifest, keys = committed(tmp_path)
        raw = disclose_row(read_table(path, SCHEMA), manifest, keys, 8, ["amount", "ratio", "ok"])
        return decode_disclosure(raw), commitment_of(manifest)

    def forge(self, disclosure: RowDisclosure, **changes: object) -> RowDisclosure:
        content = {name: getattr(disclosure, name) for name in RowDisclosure.__annotations__}
        return RowDisclosure(**{**content, **changes})

    def test_another_value(self, honest: tuple[RowDisclosure, DatasetCommitment]) -> None:
        disclosure, commitment = honest
        fields = list(disclosure.fields)
        assert isinstance(fields[3], OpenField)
        fields[3] = OpenField(fields[3].salt, encode(1_665))
        with pytest.raises(ProofError):
            verify_row(self.forge(disclosure, fields=tuple(fields)), commitment)

    def test_another_row_number(self, honest: tuple[RowDisclosure, DatasetCommitment]) -> None:
        disclosure, commitment = honest
        with pytest.raises(ProofError):
            verify_row(self.forge(disclosure, index=9), commitment)
        with pytest.raises(RowDisclosureError, match="row 40 of 40"):
            verify_row(self.forge(disclosure, index=ROW_COUNT), commitment)

    def test_renamed_columns(self, honest: tuple[RowDisclosure, DatasetCommitment]) -> None:
        disclosure, commitment = honest
        other = Schema((Column("identity", Kind.INTEGER), *SCHEMA.columns[1:]), "who")
        schema = Decoder[evidence_rows.RowSchema](evidence_rows.RowSchema).decode(
            encode(other.canonical())
        )
        with pytest.raises(RowDisclosureError, match="schema is not the one"):
            verify_row(self.forge(disclosure, schema=schema), commitment)

    @pytest.mark.parametrize(
        ("column", "value", "message"),
        [
            (3, "12", "column 'amount'"),
            (3, True, "column 'amount'"),
            (3, None, "'amount' cannot be null"),
            (4, 1, "column 'ok'"),
            (5, b"1234567", "does not hold 8 bytes"),
            (3, 2**63, "column 'amount'"),
        ],
    )
    def test_values_of_another_kind(
        self,
        honest: tuple[RowDisclosure, DatasetCommitment],
        column: int,
        value: Value,
        message: str,
    ) -> None:
        disclosure, commitment = honest
        fields = list(disclosure.fields)
        fields[column] = OpenField(b"s" * 16, encode(value))
        with pytest.raises(RowDisclosureError, match=message):
            verify_row(self.forge(disclosure, fields=tuple(fields)), commitment)

    def test_a_short_salt(self, honest: tuple[RowDisclosure, DatasetCommitment]) -> None:
        disclosure, commitment = honest
        fields = list(disclosure.fields)
        fields[3] = OpenField(b"s" * 15, encode(1))
        with pytest.raises(RowDisclosureError, match="too short"):
            verify_row(self.forge(disclosure, fields=tuple(fields)), commitment)

    def test_fields_too_few_or_of_a_wrong_size(
        self, honest: tuple[RowDisclosure, DatasetCommitment]
    ) -> None:
        disclosure, commitment = honest
        with pytest.raises(RowDisclosureError, match="5 fields for 6 columns"):
            verify_row(self.forge(disclosure, fields=disclosure.fields[:-1]), commitment)
        with pytest.raises(RowDisclosureError, match="wrong size"):
            verify_row(
                self.forge(disclosure, fields=(b"short", *disclosure.fields[1:])), commitment
            )

    def test_another_version(self, honest: tuple[RowDisclosure, DatasetCommitment]) -> None:
        disclosure, commitment = honest
        with pytest.raises(RowDisclosureError, match="format"):
            verify_row(self.forge(disclosure, version=2), commitment)

    def test_bytes_that_are_no_disclosure(self) -> None:
        for raw in (b"", b"\x90", b"\x95\x01", b"\xc1"):
            with pytest.raises(NonCanonicalError):
                decode_disclosure(raw)


class TestFastPath:
    """The committer writes the hashes out; the verifier's formulas are the specification."""

    @settings(max_examples=60, deadline=None)
    @given(
        values=st.lists(
            st.one_of(st.integers(-(2**63), 2**63 - 1), st.text(max_size=300), st.none()),
            min_size=1,
            max_size=20,
        ),
        row=st.integers(0, 2**40),
    )
    def test_equals_the_formulas(self, values: list[Value], row: int) -> None:
        key, context = b"k" * 32, b"c" * 16
        fields = [encode(value) for value in values]
        salts = row_salts(key, context, row, len(fields))
        assert len(set(salts)) == len(salts)
        expected = tuple(
            evidence_rows.field_commitment(salt, column, field)
            for column, (salt, field) in enumerate(zip(salts, fields, strict=True))
        )
        committer = RowCommitter(context, len(fields))
        assert tuple(committer.fields(key, row, fields)) == expected
        assert committer.row(key, row, fields) == evidence_rows.row_commitment(expected)

    def test_the_bytes_of_the_format_do_not_move(self) -> None:
        committer = RowCommitter(b"c" * 16, 3)
        rows = [
            committer.row(b"k" * 32, row, [encode(row), encode("Zoë"), encode(None)])
            for row in range(3)
        ]
        assert root_of(leaf_hash(row) for row in rows).hex() == ROOT_OF_THREE_ROWS
        assert SCHEMA.digest.hex() == DIGEST_OF_SCHEMA

    def test_salts_depend_on_key_context_and_row(self) -> None:
        base = row_salts(b"k" * 32, b"c" * 16, 1, 3)
        assert all(len(salt) == 16 for salt in base)
        for other in (
            row_salts(b"l" * 32, b"c" * 16, 1, 3),
            row_salts(b"k" * 32, b"d" * 16, 1, 3),
            row_salts(b"k" * 32, b"c" * 16, 2, 3),
        ):
            assert set(base).isdisjoint(other)
        assert row_salts(b"k" * 32, b"c" * 16, 1, 2) == base[:2]

    def test_floats_are_their_bits(self) -> None:
        schema = Schema((Column("x", Kind.FLOAT64),))
        rows = canonical_rows(Table(schema, ([1.0, -0.0],), 2))
        assert rows == [(encode(b"\x3f\xf0" + b"\0" * 6),), (encode(b"\x80" + b"\0" * 7),)]


class TestManifestFiles:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        path, manifest, _ = committed(tmp_path)
        manifest.save(manifest_path(path))
        return manifest_path(path)

    def change(self, path: Path, **changes: object) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    @pytest.mark.parametrize("key", ["row_root", "schema_digest", "dataset_digest"])
    def test_a_stated_digest_must_be_right(self, saved: Path, key: str) -> None:
        self.change(saved, **{key: "00" * 32})
        with pytest.raises(ManifestError, match=key):
            load_manifest(saved)

    def test_the_row_commitments_must_be_the_committed_ones(self, saved: Path) -> None:
        rows = rows_path(saved)
        rows.write_bytes(rows.read_bytes()[:-32])
        with pytest.raises(ManifestError, match="row_count"):
            load_manifest(saved)
        rows.write_bytes(b"x" * 33)
        with pytest.raises(ManifestError, match="whole row commitments"):
            load_manifest(saved)
        rows.unlink()
        with pytest.raises(ManifestError, match="cannot be read"):
            load_manifest(saved)

    @pytest.mark.parametrize(
        "changes",
        [
            {"other": 1},
            {"version": 2},
            {"format": "x"},
            {"schema": {"columns": []}},
            {"schema": 3},
            {"context": "xx"},
            {"size_bytes": "1"},
            {"synthetic": 1},
        ],
    )
    def test_other_content_is_refused(self, saved: Path, changes: dict[str, object]) -> None:
        self.change(saved, **changes)
        with pytest.raises(ManifestError):
            load_manifest(saved)

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "a": 2}', "\xff"])
    def test_text_that_is_no_manifest_is_refused(self, saved: Path, text: str) -> None:
        saved.write_text(text, encoding="latin-1")
        with pytest.raises(ManifestError):
            load_manifest(saved)

    @pytest.mark.parametrize(
        "content", [b"", b"\x93\x02\x90\x90", b"\x93\x01\x91\x92\xc4\x00\xc4\x00\x90"]
    )
    def test_a_damaged_salt_file_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "x.salts"
        path.write_bytes(content)
        with pytest.raises(ManifestError):
            load_subject_keys(path)

    def test_a_missing_salt_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="cannot be read"):
            load_subject_keys(tmp_path / "none.salts")


class TestSchemas:
    def test_a_schema_survives_its_mapping(self) -> None:
        assert schema_from_mapping(SCHEMA.to_mapping()) == SCHEMA

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ({}, "no 'columns'"),
            ({"columns": []}, "1 to 1024 columns"),
            ({"columns": "x"}, "not a list"),
            ({"columns": [3]}, "column 0 of the schema is not a mapping"),
            ({"columns": [{"name": "a"}]}, "no 'kind'"),
            ({"columns": [{"name": "a", "kind": "money"}]}, "unknown kind 'money'"),
            ({"columns": [{"name": "a", "kind": "text", "x": 1}]}, "unknown key 'x'"),
            ({"columns": [{"name": "", "kind": "text"}]}, "empty or repeated"),
            ({"columns": [{"name": "a", "kind": "text"}] * 2}, "empty or repeated"),
            ({"columns": [{"name": "a", "kind": "text", "scale": 1}]}, "has the scale 1"),
            ({"columns": [{"name": "a", "kind": "decimal", "scale": 19}]}, "has the scale 19"),
            ({"columns": [{"name": "a", "kind": "decimal", "scale": True}]}, "scale an integer"),
            ({"columns": [{"name": "a", "kind": "text"}], "subject": "b"}, "not a column"),
            (
                {"columns": [{"name": "a", "kind": "text", "nullable": True}], "subject": "a"},
                "cannot be nullable",
            ),
        ],
    )
    def test_a_bad_schema_is_refused(self, mapping: dict[str, object], message: str) -> None:
        with pytest.raises(DatasetError, match=message):
            schema_from_mapping(mapping)
