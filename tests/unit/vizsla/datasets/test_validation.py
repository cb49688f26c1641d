"""Which rows can be used, and that none is lost."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from vizsla.datasets.base import silent
from vizsla.datasets.checked import CheckedFile, check_entities, check_events
from vizsla.datasets.table_files import open_table
from vizsla.datasets.validation import time_seconds
from vizsla.errors import DataError

NOW_S = 1_800_000_000.0
GOOD = ["u1,i1,1700000000,click"] * 100


def events(path: Path, lines: list[str], header: str | None = None) -> CheckedFile:
    header = header or "user_id,item_id,event_timestamp,event_type"
    path.write_text("\n".join([header, *lines]) + "\n")
    return check_events(open_table(path), {}, "time", NOW_S, silent)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (",i1,1700000000,click", "user_id is empty"),
        ("u1, ,1700000000,click", "item_id is empty"),
        (f"{'u' * 257},i1,1700000000,click", "user_id is longer than 256 bytes"),
        ("u\x07,i1,1700000000,click", "user_id holds a control character"),
        ("u1,i1,,click", "event_timestamp is empty"),
        ("u1,i1,soon,click", "event_timestamp is neither a number nor ISO 8601"),
        ("u1,i1,nan,click", "event_timestamp is not finite"),
        ("u1,i1,inf,click", "event_timestamp is not finite"),
        ("u1,i1,-1,click", "event_timestamp is negative"),
        ("u1,i1,1700000000000,click", "event_timestamp looks like milliseconds"),
        ("u1,i1,1800086401,click", "event_timestamp is in the future"),
        ("u1,i1,1700000000,", "event_type is empty"),
        ("u1,i1,1700000000", "3 fields, but the header has 4"),
    ],
)
def test_a_bad_row_is_quarantined_with_line_and_reason(
    tmp_path: Path, line: str, reason: str
) -> None:
    """Only the row is refused; its line number and its text are kept."""
    checked = events(tmp_path / "e.csv", [*GOOD, line])

    assert checked.good.height == 100
    assert checked.quarantine["line"].to_list() == [102]
    assert checked.quarantine["reason"][0].startswith(reason)
    assert checked.n_rows == 101


def test_the_raw_row_can_be_read_again(tmp_path: Path) -> None:
    """What the file said stands in the quarantine as JSON."""
    checked = events(tmp_path / "e.csv", [*GOOD, "u1,i1,soon,click"])

    assert json.loads(checked.quarantine["raw"][0]) == {
        "user_id": "u1",
        "item_id": "i1",
        "event_timestamp": "soon",
        "event_type": "click",
    }


def test_a_day_of_clock_skew_is_allowed(tmp_path: Path) -> None:
    """Clocks of clients are never exact."""
    assert events(tmp_path / "e.csv", ["u1,i1,1800086400,click"]).good.height == 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", 1_700_000_000.0),
        ("1.7e9", 1_700_000_000.0),
        ("1970-01-02", 86_400.0),
        ("1970-01-01T00:01", 60.0),
        ("1970-01-01 00:00:01.5", 1.5),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01T01:00:00+0100", 0.0),
        ("1970-01-01t00:00:05z", 5.0),
        ("1970-13-01", None),
        ("01/02/1970", None),
    ],
)
def test_times_as_text(text: str, seconds: float | None) -> None:
    """Numbers are seconds; ISO 8601 without a zone is UTC; anything else is nothing."""
    frame = pl.DataFrame({"t": [text]}).select(time_seconds("t", pl.String()))

    assert frame["t"][0] == seconds


def test_times_of_parquet_types() -> None:
    """Dates and datetimes become Unix seconds."""
    frame = pl.DataFrame({"t": ["1970-01-02"]}).with_columns(pl.col("t").str.to_date())
    zoned = frame.with_columns(pl.col("t").cast(pl.Datetime("ms", "Europe/Berlin")))

    for table in (frame, zoned):
        assert table.select(time_seconds("t", table.schema["t"]))["t"][0] == 86_400.0


def test_mixed_kinds_of_time_end_the_import(tmp_path: Path) -> None:
    """Half numbers, half ISO 8601 is one clear line that names a line of each kind."""
    lines = ["u1,i1,1700000000,click", "u1,i1,2023-11-14T22:13:20Z,click"]

    with pytest.raises(
        DataError, match=r"mixes numbers and ISO 8601 .line 2 and line 3."
    ) as caught:
        events(tmp_path / "e.csv", lines)

    assert "\n" not in str(caught.value)


def test_one_time_of_another_kind_is_only_a_bad_row(tmp_path: Path) -> None:
    """Below one percent it is a bad row like others."""
    checked = events(tmp_path / "e.csv", [*GOOD, "u1,i1,2023-11-14T22:13:20Z,click"])

    assert checked.n_rows == 101
    assert checked.quarantine.height == 1


def test_no_usable_row_names_the_most_frequent_reason(tmp_path: Path) -> None:
    """A file in milliseconds says so."""
    with pytest.raises(DataError, match=r"no usable row of 2: .*milliseconds.*2 rows.*line 2"):
        events(tmp_path / "e.csv", ["u,i,1700000000000,click", "u,i,1700000000001,click"])


def test_only_a_header_is_no_row(tmp_path: Path) -> None:
    """A header without rows is said to be that."""
    with pytest.raises(DataError, match="there is no row in it"):
        events(tmp_path / "e.csv", [])


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    """The message lists what the file has and suggests a rename."""
    with pytest.raises(DataError, match=r"'user_id' is missing \(it has: userid, .*'userid'"):
        events(tmp_path / "e.csv", ["u,i,1"], "userid,item_id,event_timestamp")


def test_split_names_are_checked(tmp_path: Path) -> None:
    """A column split may only hold the known parts."""
    header = "user_id,item_id,event_timestamp,split"
    checked = events(tmp_path / "e.csv", ["u,i,1,train", "u,i,2,dev"], header)

    assert checked.reasons() == {"split is not one of train, valid, validation, test": 1}


@pytest.mark.parametrize("dtype", [pl.List(pl.String), pl.Boolean, pl.Date])
def test_parquet_identifiers_of_a_wrong_type(tmp_path: Path, dtype: pl.DataType) -> None:
    """Lists, booleans and dates are no identifiers."""
    path = tmp_path / "e.parquet"
    ids = pl.Series("user_id", [None], dtype=dtype)
    pl.DataFrame([ids]).with_columns(item_id=1, event_timestamp=1).write_parquet(path)

    with pytest.raises(DataError, match="column 'user_id' holds"):
        check_events(open_table(path), {}, "time", NOW_S, silent)


def test_parquet_identifiers_as_numbers(tmp_path: Path) -> None:
    """Integers become text, and so do the whole floats that pandas makes of them."""
    path = tmp_path / "e.parquet"
    frame = {"user_id": [7.0, 7.5, None], "item_id": [1, 2, 3], "event_timestamp": [1, 2, 3]}
    pl.DataFrame(frame).write_parquet(path)

    checked = check_events(open_table(path), {}, "time", NOW_S, silent)

    assert checked.good["user_id"].to_list() == ["7"]
    assert checked.good["item_id"].to_list() == ["1"]
    assert checked.quarantine["line"].to_list() == [2, 3]


def test_the_first_row_of_an_item_counts(tmp_path: Path) -> None:
    """Later rows of the same identifier are refused."""
    path = tmp_path / "i.csv"
    path.write_text("item_id,title\na,One\nb,Two\na,Three\n")

    checked = check_entities(open_table(path), "item_id", {}, silent)

    assert checked.good["title"].to_list() == ["One", "Two"]
    assert checked.quarantine.select("line", "reason").rows() == [
        (4, "item_id occurs in an earlier row")
    ]


field = st.sampled_from(["u1", "i1", "", " ", "1700000000", "-5", "nan", "x", "click", "a,b", "é"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(field, min_size=1, max_size=6), min_size=1, max_size=30))
def test_no_row_is_ever_lost(tmp_path: Path, rows: list[list[str]]) -> None:
    """Usable and quarantined rows together are all the lines of the file, each once."""
    lines = [*GOOD[:30], *(",".join(row) for row in rows)]
    filled = [n for n, line in enumerate(lines, 2) if line.replace(",", "").strip()]

    checked = events(tmp_path / "e.csv", lines)

    numbers = checked.good["__line"].to_list() + checked.quarantine["line"].to_list()
    assert set(numbers) >= set(filled)
    assert len(numbers) == len(set(numbers)) == checked.n_rows
