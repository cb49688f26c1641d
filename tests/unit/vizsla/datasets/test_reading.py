"""Customers' files in batches: numbering, quoting, encodings, and lines that are no rows."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from vizsla.datasets import csv_files, jsonl_files
from vizsla.datasets.base import LINE
from vizsla.datasets.table_files import open_table
from vizsla.errors import DataError, NotFoundError, UsageError


def read(path: Path) -> tuple[pl.DataFrame, list[tuple[int, str, str]]]:
    bad: list[tuple[int, str, str]] = []
    frames = list(open_table(path).batches(lambda *line: bad.append(line)))
    return pl.concat(frames), bad


def test_csv_rows_carry_the_number_of_their_line(tmp_path: Path) -> None:
    """The header is line 1; blank lines and refused lines are counted, not returned."""
    path = tmp_path / "f.csv"
    path.write_text('a,b\n1,x\n\n2\n3,"y,z"\n4,w,5\n6,v\n')

    frame, bad = read(path)

    assert frame.rows() == [(2, "1", "x"), (5, "3", "y,z"), (7, "6", "v")]
    assert [(line, raw) for line, _, raw in bad] == [(4, "2"), (6, "4,w,5")]
    assert bad[0][1] == "1 fields, but the header has 2"


def test_csv_numbers_are_right_across_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused lines shift the numbers of all later rows, in whichever block they are read."""
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 64)
    path = tmp_path / "f.csv"
    path.write_text("a,b\n" + "".join(f"{n},x\n" if n % 7 else f"{n}\n" for n in range(2, 60)))

    frame, bad = read(path)

    assert frame[LINE].cast(pl.String).to_list() == frame["a"].to_list()
    assert [line for line, _, _ in bad] == [n for n in range(2, 60) if n % 7 == 0]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiter_is_taken_from_the_header(tmp_path: Path, delimiter: str) -> None:
    """Whatever stands in the header most often separates fields."""
    path = tmp_path / "f.csv"
    path.write_text(delimiter.join("abc") + "\n" + delimiter.join("123") + "\n")

    frame, _ = read(path)

    assert frame.rows() == [(2, "1", "2", "3")]


def test_csv_with_bom_crlf_and_gzip(tmp_path: Path) -> None:
    """A file as spreadsheets write it, packed."""
    path = tmp_path / "f.csv.gz"
    path.write_bytes(gzip.compress("\ufeffa,b\r\n1,é\r\n".encode()))

    frame, _ = read(path)

    assert frame.rows() == [(2, "1", "é")]


def test_csv_field_in_another_encoding_becomes_null(tmp_path: Path) -> None:
    """One line in Latin-1 does not end the file."""
    path = tmp_path / "f.csv"
    path.write_bytes(b"a,b\n1,\xe9\n2,x\n")

    frame, _ = read(path)

    assert frame.rows() == [(2, "1", None), (3, "2", "x")]


def test_csv_quote_that_swallows_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quote that is open over more than a block is said to be that."""
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 64)
    path = tmp_path / "f.csv"
    path.write_text('a,b\n1,2\n3,"4\n' + "5,6\n" * 50)

    with pytest.raises(DataError, match="opened at line 3 or later is not closed"):
        read(path)


def test_json_lines_come_as_text_with_their_numbers(tmp_path: Path) -> None:
    """Numbers and arrays become their text; broken lines are reported; blank ones skipped."""
    path = tmp_path / "f.jsonl"
    path.write_text('{"a": 1, "b": ["x"]}\n\n{"a": \n[1]\n{"a": NaN}\n{"b": null, "a": "q"}')

    frame, bad = read(path)

    assert frame["a"].to_list() == ["1", "q"]
    assert [json.loads(v) if v else v for v in frame["b"].to_list()] == [["x"], None]
    assert frame[LINE].to_list() == [1, 6]
    assert [line for line, _, _ in bad] == [3, 4, 5]


def test_json_lines_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks end at line ends, and only a block with a broken line is read slowly."""
    monkeypatch.setattr(jsonl_files, "BLOCK_BYTES", 50)
    path = tmp_path / "f.jsonl"
    path.write_text("".join(f'{{"a": {n}}}\n' if n % 9 else "broken\n" for n in range(1, 50)))

    frame, bad = read(path)

    assert frame[LINE].cast(pl.String).to_list() == frame["a"].to_list()
    assert [line for line, _, _ in bad] == [9, 18, 27, 36, 45]


def test_parquet_keeps_plain_types(tmp_path: Path) -> None:
    """Categories become text; numbers, times and lists stay."""
    path = tmp_path / "f.parquet"
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", "y"], "c": [["p"], []]})
    frame.with_columns(pl.col("b").cast(pl.Categorical)).write_parquet(path)

    found, _ = read(path)

    assert found.columns == [LINE, "a", "b", "c"]
    assert found.drop(LINE).equals(frame)
    assert found[LINE].to_list() == [1, 2]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("f.csv", b"PK\x03\x04\x00\x00", "binary content"),
        ("f.csv", gzip.compress(b"a,b\n1,2\n"), "binary content"),
        ("f.csv", b"", "empty"),
        ("f.csv", b"a,a\n1,2\n", "'a' twice"),
        ("f.csv", b"\xff\xfe\n", "line 1 is not UTF-8"),
        ("f.csv.gz", b"a,b\n", "cannot be read"),
        ("f.csv", b"a,b", "there is no row"),
        ("f.csv", b'a,b\n1,2\n3,"4\n' + b"5,6\n" * 50, "quote .* opened at line 3 is not closed"),
        ("f.jsonl", b"\x00\x01", "binary content"),
        ("f.jsonl", b"one\ntwo\n", "no JSON object"),
        ("f.jsonl.gz", b"{}", "cannot be read"),
        ("f.parquet", b"PAR1 nothing", "cannot be read as Parquet"),
    ],
)
def test_unreadable_files_end_in_one_line(
    tmp_path: Path, name: str, content: bytes, part: str
) -> None:
    """The message is one line, names the file, and says what is wrong."""
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(DataError, match=part) as caught:
        read(path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_suffix_and_missing_file(tmp_path: Path) -> None:
    """The suffix decides how a file is read; the message lists the known ones."""
    (tmp_path / "f.xlsx").write_bytes(b"x")

    with pytest.raises(UsageError, match=r"unknown suffix; known: \.parquet, \.csv"):
        open_table(tmp_path / "f.xlsx")
    with pytest.raises(NotFoundError, match="no such file"):
        open_table(tmp_path / "f.csv")
