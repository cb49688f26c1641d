"""A customer's files into a dataset directory, and what stops that."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from vizsla.clock import FakeClock
from vizsla.datasets import ImportRequest, ImportSchema, import_files, load_schema, read
from vizsla.errors import ConfigError, DataError, NotFoundError, UsageError

CLOCK = FakeClock(1_800_000_000.0)
EVENTS = """user_id,item_id,event_timestamp,price
u1,i1,10,1.5
u1,i2,20,2
u2,i1,15,
u2,i1,15,
u2,new,30,3
,i1,30,3
"""
ITEMS = """item_id,title,genres,year,blurb
i1,One,Action|Comedy,1990,a long and unique description of the first of them
i2,Two,Drama,,another text about the second of them
i3,Three,,1992,a third text
"""
USERS = """user_id,gender,zip
u1,F,01234
u2,M,11234
"""


@pytest.fixture
def request_(tmp_path: Path) -> ImportRequest:
    paths = {name: tmp_path / f"{name}.csv" for name in ("events", "items", "users")}
    for (_, path), text in zip(paths.items(), (EVENTS, ITEMS, USERS), strict=True):
        path.write_text(text)
    return ImportRequest(name="mine", **paths)


def test_import_writes_a_dataset(tmp_path: Path, request_: ImportRequest) -> None:
    """Tables, manifest, quarantine and summary lie in home/data/NAME."""
    directory, summary = import_files(request_, tmp_path, CLOCK)

    found = read(directory, verify=True)
    assert directory == tmp_path / "data" / "mine"
    assert found.manifest.n_interactions == 5
    assert found.manifest.n_users == 2
    assert found.manifest.n_items == 4
    assert found.manifest.n_quarantined == 1
    assert found.interactions.columns[:4] == [
        "user_id",
        "item_id",
        "event_timestamp",
        "event_type",
    ]
    assert found.interactions["event_type"].unique().to_list() == ["interaction"]
    assert found.interactions["price"].to_list() == [1.5, 2.0, None, None, 3.0]
    assert found.users is not None
    assert summary.event_type_missing
    assert summary.n_duplicates == 1
    assert summary.n_events_of_unknown_items == 1
    assert summary.first_event == "1970-01-01T00:00:10+00:00"


def test_items_that_only_events_know_are_added(tmp_path: Path, request_: ImportRequest) -> None:
    """They come last and have no features."""
    directory, _ = import_files(request_, tmp_path, CLOCK)

    items = read(directory).items
    assert items["item_id"].to_list() == ["i1", "i2", "i3", "new"]
    assert items.row(3) == ("new", None, None, None, None)


def test_roles_are_inferred(tmp_path: Path, request_: ImportRequest) -> None:
    """Lists, numbers, short repeated text and long text are told apart."""
    directory, _ = import_files(request_, tmp_path, CLOCK)

    manifest = read(directory).manifest
    roles = {f.name: f.role for f in [*manifest.item_features, *manifest.user_features]}
    assert roles["genres"] == "multi_valued"
    assert roles["year"] == "numeric"
    assert roles["blurb"] == "text"
    assert roles["zip"] != "numeric"


def test_roles_and_names_can_be_pinned(tmp_path: Path, request_: ImportRequest) -> None:
    """What the schema says goes before what the values suggest."""
    schema = tmp_path / "schema.toml"
    schema.write_text('[items.columns]\nyear = "categorical"\n[items.rename]\nblurb = "text"\n')
    pinned = ImportRequest(
        name="mine", events=request_.events, items=request_.items, schema=load_schema(schema)
    )

    directory, _ = import_files(pinned, tmp_path, CLOCK)

    items = read(directory).items
    assert items["year"].to_list() == ["1990", None, "1992", None]
    assert "text" in items.columns


def test_quarantine_is_json_lines(tmp_path: Path, request_: ImportRequest) -> None:
    """One object per refused row: file, line, reason, raw."""
    directory, _ = import_files(request_, tmp_path, CLOCK)

    lines = (directory / "quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in lines] == [7]
    assert set(json.loads(lines[0])) == {"file", "line", "reason", "raw"}


def test_the_same_rows_in_three_formats_are_the_same_dataset(tmp_path: Path) -> None:
    """CSV, JSON Lines and Parquet of one table give one content hash."""
    frame = pl.DataFrame(
        {"user_id": ["a", "b"], "item_id": ["x", "y"], "event_timestamp": [1.5, 2.0]}
    )
    frame.write_csv(tmp_path / "e.csv")
    frame.write_ndjson(tmp_path / "e.jsonl")
    frame.write_parquet(tmp_path / "e.parquet")

    hashes = set()
    for suffix in ("csv", "jsonl", "parquet"):
        request = ImportRequest(name=suffix, events=tmp_path / f"e.{suffix}")
        hashes.add(read(import_files(request, tmp_path, CLOCK)[0]).manifest.content_hash)
    assert len(hashes) == 1


def test_json_arrays_are_multi_valued(tmp_path: Path, request_: ImportRequest) -> None:
    """An array in JSON Lines becomes a list of strings."""
    items = tmp_path / "i.jsonl"
    items.write_text('{"item_id": 1, "tags": ["a", "b"]}\n{"item_id": 2, "tags": []}\n')

    request = ImportRequest(name="mine", events=request_.events, items=items)
    directory, _ = import_files(request, tmp_path, CLOCK)

    assert read(directory).items["tags"].to_list()[:2] == [["a", "b"], []]


def test_without_an_order_no_time_is_needed(tmp_path: Path) -> None:
    """A file of user and item is enough when --order none is given."""
    events = tmp_path / "e.csv"
    events.write_text("user_id,item_id\na,x\n")

    directory, _ = import_files(
        ImportRequest(name="mine", events=events, order="none"), tmp_path, CLOCK
    )

    assert read(directory).interactions["event_timestamp"].to_list() == [0.0]


def test_a_split_column_makes_a_given_split(tmp_path: Path) -> None:
    """The manifest says that the source brings its own split."""
    events = tmp_path / "e.csv"
    events.write_text("user_id,item_id,event_timestamp,split\na,x,1,train\na,y,2,test\n")

    directory, _ = import_files(ImportRequest(name="mine", events=events), tmp_path, CLOCK)

    assert read(directory).manifest.given_split


@pytest.mark.parametrize(
    ("name", "error", "part"),
    [
        ("No", UsageError, "cannot name a dataset"),
        ("../x", UsageError, "cannot name a dataset"),
        ("ml-100k", UsageError, "public dataset"),
    ],
)
def test_names_that_cannot_be_used(
    tmp_path: Path, request_: ImportRequest, name: str, error: type[Exception], part: str
) -> None:
    """A name is a folder; it must not leave home or hide a public dataset."""
    with pytest.raises(error, match=part):
        import_files(ImportRequest(name=name, events=request_.events), tmp_path, CLOCK)


def test_a_taken_name_needs_force(tmp_path: Path, request_: ImportRequest) -> None:
    """Nothing is overwritten by accident; with force the new one takes the place."""
    import_files(request_, tmp_path, CLOCK)

    with pytest.raises(UsageError, match="--force"):
        import_files(request_, tmp_path, CLOCK)
    request_.events.write_text("user_id,item_id,event_timestamp\nu,i,1\n")
    directory, _ = import_files(request_, tmp_path, CLOCK, force=True)
    assert read(directory, verify=True).manifest.n_interactions == 1


def test_nothing_is_written_when_it_fails(tmp_path: Path, request_: ImportRequest) -> None:
    """A bad items file leaves no trace of the good events."""
    assert request_.items is not None
    request_.items.write_text("title\nOne\n")

    with pytest.raises(DataError, match="'item_id' is missing"):
        import_files(request_, tmp_path, CLOCK)
    assert not (tmp_path / "data").exists()


def test_a_failed_replacement_keeps_the_old_dataset(
    tmp_path: Path, request_: ImportRequest
) -> None:
    """Force replaces a dataset only by a whole one."""
    directory, _ = import_files(request_, tmp_path, CLOCK)
    before = read(directory).manifest
    request_.events.write_text("user_id,item_id,event_timestamp\nu,i,soon\n")

    with pytest.raises(DataError):
        import_files(request_, tmp_path, CLOCK, force=True)
    assert read(directory, verify=True).manifest == before


def test_numbers_mixed_with_text_end_in_one_line(tmp_path: Path, request_: ImportRequest) -> None:
    """A column of numbers with one word in it names column, line and word."""
    lines = ["item_id,price", *(f"i{n},{n}" for n in range(1, 30)), "i40,cheap"]
    assert request_.items is not None
    request_.items.write_text("\n".join(lines))

    with pytest.raises(
        DataError, match=r"column 'price' mixes numbers and text \(line 31: 'cheap'\)"
    ):
        import_files(request_, tmp_path, CLOCK)


@pytest.mark.parametrize(
    ("text", "error", "part"),
    [
        ("[item.columns]\n", ConfigError, "item: unknown key"),
        ('[items.columns]\nyear = "number"\n', ConfigError, r"items\.columns\.year"),
        ("[items", ConfigError, "is not TOML"),
    ],
)
def test_a_wrong_schema_is_refused(
    tmp_path: Path, text: str, error: type[Exception], part: str
) -> None:
    """The message names the file and the key."""
    path = tmp_path / "schema.toml"
    path.write_text(text)

    with pytest.raises(error, match=part) as caught:
        load_schema(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_schema_must_fit_the_file(tmp_path: Path, request_: ImportRequest) -> None:
    """Pinned columns and renamed columns must be there."""
    pinned = ImportSchema.model_validate({"items": {"columns": {"colour": "categorical"}}})
    renamed = ImportSchema.model_validate({"events": {"rename": {"uid": "user_id"}}})

    for schema, part in ((pinned, "'colour'"), (renamed, "'uid'")):
        request = ImportRequest(
            name="mine", events=request_.events, items=request_.items, schema=schema
        )
        with pytest.raises(DataError, match=part):
            import_files(request, tmp_path, CLOCK)


def test_missing_files_are_named(tmp_path: Path) -> None:
    """A path that does not exist is said to be that, for data and for schema."""
    with pytest.raises(NotFoundError, match="no such file"):
        import_files(ImportRequest(name="x", events=tmp_path / "e.csv"), tmp_path, CLOCK)
    with pytest.raises(NotFoundError, match="no such file"):
        load_schema(tmp_path / "s.toml")
