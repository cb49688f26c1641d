"""A customer's labelled rows: every column explained, every bad row kept with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from vizsla.contracts.fields import FieldSpec, HashEncoding, LogEncoding, VocabularyEncoding
from vizsla.datasets.frames import (
    FrameImport,
    FrameImportSummary,
    FrameSchema,
    columns,
    import_frame,
    load_frame_schema,
    read_frame,
)
from vizsla.errors import ConfigError, DataError, UsageError
from vizsla.fields import FieldEncoders

ROWS = [
    {
        "clicked": place % 3 == 0,
        "user_id": 1000 + place % 7,
        "price": place / 10,
        "tags": ["a", "b"][: place % 3],
        "day": ["mon", "tue"][place % 2],
        "session": f"s{place}",
        "empty": None,
        "note": "x" * 70,
        "event_timestamp": 1_700_000_000 + place,
    }
    for place in range(1_200)
]


def parquet_of(tmp_path: Path, rows: list[dict[str, object]] | None = None) -> Path:
    path = tmp_path / "rows.parquet"
    pl.DataFrame(rows or ROWS, schema_overrides={"empty": pl.String}).write_parquet(path)
    return path


def imported(tmp_path: Path, text: str, **options: object) -> tuple[Path, FrameImportSummary]:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    request = FrameImport("mine", path, **{"label": "y", **options})  # type: ignore[arg-type]
    return import_frame(request, tmp_path, force=True)


def test_columns_become_fields_with_a_reason(tmp_path: Path) -> None:
    """Numbers to buckets, ids and short text to vocabularies, lists to sets; the rest is left out."""
    _, summary = import_frame(FrameImport("mine", parquet_of(tmp_path), "clicked"), tmp_path)

    found = {
        one.name: one.field and (one.field.kind, one.field.encoding.type) for one in summary.columns
    }
    assert found == {
        "user_id": ("categorical", "vocabulary"),
        "price": ("numeric", "buckets"),
        "tags": ("multi_valued", "vocabulary"),
        "day": ("categorical", "vocabulary"),
        "session": None,
        "empty": None,
        "note": None,
    }
    reasons = {one.name: one.reason for one in summary.columns}
    assert reasons["session"] == "another value in every row"
    assert reasons["empty"] == "no value in any row"
    assert reasons["note"] == "text of up to 70 characters"


def test_one_file_in_three_forms_is_one_frame(tmp_path: Path) -> None:
    """Parquet and JSON Lines give the same rows; the pinned fields give the same frame again."""
    first, _ = import_frame(FrameImport("a", parquet_of(tmp_path), "clicked"), tmp_path)
    lines = tmp_path / "rows.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    second, _ = import_frame(FrameImport("b", lines, "clicked"), tmp_path)
    schema = load_frame_schema(first / "fields.toml")
    third, summary = import_frame(FrameImport("c", lines, "clicked", schema), tmp_path)

    hashes = [read_frame(one).manifest.content_hash for one in (first, second, third)]
    assert hashes[1] == hashes[2]
    assert [one.reason for one in summary.columns] == ["pinned"] * 4
    tables = [read_frame(one).table("train") for one in (first, second)]
    assert tables[0].equals(tables[1].select(tables[0].columns).cast(tables[0].schema))  # type: ignore[arg-type]


def test_a_column_of_very_many_values_is_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the number of values as the reason."""
    monkeypatch.setattr(columns, "MOST_KNOWN", 5)
    _, summary = import_frame(FrameImport("mine", parquet_of(tmp_path), "clicked"), tmp_path)

    user = summary.columns[0]
    assert user.field is not None
    assert isinstance(user.field.encoding, HashEncoding)
    assert user.reason == "7 values in 1,200 rows, too many to keep a vocabulary"


def test_bad_rows_are_kept_with_line_and_reason(tmp_path: Path) -> None:
    """A label that is neither 0 nor 1, a number that is none; the others become the frame."""
    schema = FrameSchema(
        fields=[
            FieldSpec(name="p", kind="numeric", encoding=LogEncoding()),
            FieldSpec(name="t", kind="multi_valued"),
        ]
    )
    text = 'y,p,t\n1,1,a|b\n0,x,a\n2,1,a\n,1,a\nTrue,,[1\n0,3,"[1, ""b""]"\n' + "0,1,\n1,1,\n" * 20
    directory, summary = imported(tmp_path, text, schema=schema)

    assert summary.reasons == {
        "p is no number": 1,
        "label y is not 0 or 1": 1,
        "label y is missing": 1,
        "t is no list of plain values": 1,
    }
    kept = [json.loads(line) for line in (directory / "quarantine.jsonl").read_text().splitlines()]
    assert [one["line"] for one in kept] == [3, 4, 5, 6]
    assert (summary.n_rows, summary.n_quarantined) == (46, 4)
    frame = read_frame(directory)
    lists = pl.concat([frame.table(s)["t"] for s in ("train", "valid", "test")])
    assert ["a", "b"] in lists.to_list()
    assert ["1", "b"] in lists.to_list()


def test_split_by_time_and_by_a_column(tmp_path: Path) -> None:
    """Later rows are held out, equal times together; or the file says which are."""
    by_time, _ = import_frame(
        FrameImport("t", parquet_of(tmp_path), "clicked", split_by="time"), tmp_path
    )
    frame = read_frame(by_time)
    assert [frame.table(s).height for s in ("train", "valid", "test")] == [960, 120, 120]
    assert (
        frame.table("train")["event_timestamp"].max()
        < frame.table("valid")["event_timestamp"].min()
    )  # type: ignore[operator]
    text = "y,f,part\n1,a,train\n0,a,train\n1,a,validation\n0,a,test\n0,a,other\n"
    directory, summary = imported(tmp_path, text, split_by="part")

    assert [one.name for one in summary.columns] == ["f"]
    assert [read_frame(directory).table(s).height for s in ("train", "valid", "test")] == [2, 1, 1]
    assert summary.reasons == {"part is not one of train, valid, validation, test": 1}
    assert summary.remarks[0].startswith("valid: 1 of 1 rows are positive")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("y,f\n1,a\n1,b\n1,a\n1,b\n1,a\n", {}, "every training row is 1; both are needed"),
        ("y,f\n2,a\n3,b\n", {}, r"no usable row of 2: label y is not 0 or 1 \(line 2\)"),
        ("z,f\n1,a\n", {}, r"column 'y' is missing \(it has: z, f\)"),
        ("y,f\n1,\n0,\n", {}, "no column of it can be a field"),
        ("y,f\n1,a\n0,b\n", {"split_by": "time"}, "column 'event_timestamp' is missing"),
        ("y,f\n1,a\n0,b\n", {"split_by": "part"}, "no column 'part' to split by"),
        (
            "y,f\n1,a\n0,b\n",
            {"schema": FrameSchema(fields=[FieldSpec(name="g")])},
            "the schema has field 'g'; columns are: y, f",
        ),
    ],
)
def test_files_that_cannot_be_used(
    tmp_path: Path, text: str, options: dict[str, object], message: str
) -> None:
    """One line that says what and where; nothing is written."""
    with pytest.raises(DataError, match=message):
        imported(tmp_path, text, **options)
    assert not (tmp_path / "data" / "mine").exists()


def test_a_column_of_another_kind_than_pinned(tmp_path: Path) -> None:
    """A list where text is needed, text where a list is."""
    path = parquet_of(tmp_path)
    for field in (FieldSpec(name="tags"), FieldSpec(name="price", kind="sequence")):
        request = FrameImport("mine", path, "clicked", FrameSchema(fields=[field]))
        with pytest.raises(DataError, match=f"'{field.name}' holds .* needed"):
            import_frame(request, tmp_path)


def test_names_that_cannot_be_used(tmp_path: Path) -> None:
    """A public frame's name, one that is taken, a reserved field."""
    path = parquet_of(tmp_path)
    with pytest.raises(UsageError, match="'frappe' is the name of a public dataset"):
        import_frame(FrameImport("frappe", path, "clicked"), tmp_path)
    import_frame(FrameImport("mine", path, "clicked"), tmp_path)
    with pytest.raises(UsageError, match="is there already"):
        import_frame(FrameImport("mine", path, "clicked"), tmp_path)
    pinned = tmp_path / "fields.toml"
    pinned.write_text('[[fields]]\nname = "label"\n')
    with pytest.raises(ConfigError, match="label is a column of its own"):
        load_frame_schema(pinned)
    pinned.write_text('[[fields]]\nname = "a"\nkind = "numeric"\n')
    with pytest.raises(ConfigError, match=r"fields\.0.*a numeric field takes"):
        load_frame_schema(pinned)


def test_a_pinned_column_without_a_value_is_missing_everywhere(tmp_path: Path) -> None:
    """It has two codes, and the ranker still trains."""
    schema = FrameSchema(fields=[FieldSpec(name="empty", encoding=VocabularyEncoding())])
    path = parquet_of(tmp_path)
    directory, _ = import_frame(FrameImport("mine", path, "clicked", schema), tmp_path)
    frame = read_frame(directory)
    encoders = FieldEncoders.fit(frame.manifest.fields, frame.tables("train"))

    assert encoders.n_codes("empty") == 2
    assert set(encoders.encode(frame.table("test")).single["empty"].tolist()) == {0}
