"""Rated films as labelled rows: nothing of the future, nothing of a held-out label."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from vizsla.datasets.frames import FrameOptions, fetch_frame, read_frame
from vizsla.errors import UsageError

USERS = "1|24|M|technician|85711\n2|53|F|other|T8H1N\n"
FILMS = [(10, "01-Jan-1995"), (20, "01-Jan-1990"), (30, ""), (40, "01-Jan-1999")]
RATINGS = [
    (1, 10, 5, 100), (1, 20, 2, 100), (1, 30, 4, 200), (1, 40, 4, 300),
    (2, 40, 5, 250), (2, 10, 1, 400), (2, 30, 5, 400), (2, 20, 4, 500),
]  # fmt: skip


def folder_of(tmp_path: Path, ratings: list[tuple[int, int, int, int]]) -> Path:
    folder = tmp_path / "from"
    folder.mkdir()
    lines = ["\t".join(map(str, one)) for one in ratings]
    (folder / "u.data").write_text("\n".join(lines) + "\n")
    films = [f"{n}|film {n}|{date}||http://x" + "|0" * 18 + "|1" for n, date in FILMS]
    (folder / "u.item").write_text("\n".join(films) + "\n")
    (folder / "u.user").write_text(USERS)
    return folder


def rows_of(tmp_path: Path, options: FrameOptions) -> pl.DataFrame:
    folder = folder_of(tmp_path, RATINGS)
    frame = read_frame(fetch_frame("ml-100k-ctr", tmp_path, folder, options=options))
    tables = [
        frame.table(split).with_columns(split=pl.lit(split)) for split in ("train", "valid", "test")
    ]
    return pl.concat(tables).sort("user_id", "event_timestamp", "item_id")


def test_rows_have_the_declared_columns(tmp_path: Path) -> None:
    """A film without a date has no year; a zip is its first three characters; times are UTC."""
    rows = rows_of(tmp_path, FrameOptions())

    first = rows.row(0, named=True)
    assert (first["label"], first["age"], first["zip"], first["genres"]) == (
        1,
        24,
        "857",
        ["Western"],
    )
    assert (first["hour"], first["weekday"]) == ("0", "4")  # 1970-01-01 was a Thursday
    assert rows.filter(pl.col("item_id") == "30")["release_year"].to_list() == [None, None]


def test_a_history_is_what_was_liked_strictly_before(tmp_path: Path) -> None:
    """Two ratings of one second are not before one another; what was not liked is left out."""
    rows = rows_of(tmp_path, FrameOptions(split="time"))

    found = {(r["user_id"], r["item_id"]): r["history"] for r in rows.iter_rows(named=True)}
    assert found["1", "10"] == found["1", "20"] == []
    assert found["1", "30"] == ["10"]
    assert found["1", "40"] == ["10", "30"]
    assert found["2", "10"] == found["2", "30"] == ["40"]
    assert found["2", "20"] == ["40", "30"]


def test_counts_are_of_events_before(tmp_path: Path) -> None:
    """How much a user has rated, and how often a film was rated, by then."""
    rows = rows_of(tmp_path, FrameOptions())

    found = {(r["user_id"], r["item_id"]): r for r in rows.iter_rows(named=True)}
    assert [found["2", i]["user_events"] for i in ("40", "10", "30", "20")] == [0, 1, 1, 3]
    assert [found[u, "40"]["item_events"] for u in ("2", "1")] == [0, 1]


def test_with_a_random_split_no_row_sees_a_held_out_label(tmp_path: Path) -> None:
    """What is liked in validation or test is in no history."""
    for seed in range(6):
        (tmp_path / str(seed)).mkdir()
        rows = rows_of(tmp_path / str(seed), FrameOptions(seed=seed))
        held_out = rows.filter((pl.col("split") != "train") & (pl.col("label") == 1))
        pairs = set(held_out.select("user_id", "item_id").iter_rows())
        seen = rows.select("user_id", "history").explode("history").iter_rows()

        assert pairs.isdisjoint(seen)


def test_split_by_time_holds_out_the_latest(tmp_path: Path) -> None:
    """No training row is later than a validation row, none of those later than a test row."""
    rows = rows_of(tmp_path, FrameOptions(split="time"))

    latest = {
        split: rows.filter(pl.col("split") == split)["event_timestamp"]
        for split in ("train", "valid", "test")
    }
    assert latest["train"].max() <= latest["valid"].min() <= latest["test"].min()  # type: ignore[operator]


def test_a_frame_that_is_there_stays(tmp_path: Path) -> None:
    """Only --force makes another one; a name that does not exist is a mistake."""
    folder = folder_of(tmp_path, RATINGS)
    first = read_frame(fetch_frame("ml-100k-ctr", tmp_path, folder)).manifest
    other = FrameOptions(seed=1)

    assert read_frame(fetch_frame("ml-100k-ctr", tmp_path)).manifest == first
    with pytest.raises(UsageError, match=r"holds another one .*seed 0"):
        fetch_frame("ml-100k-ctr", tmp_path, folder, options=other)
    forced = fetch_frame("ml-100k-ctr", tmp_path, folder, options=other, force=True)
    assert read_frame(forced).manifest.content_hash != first.content_hash
    with pytest.raises(UsageError, match="ml-100k-ctr"):
        fetch_frame("ml-100k-ct", tmp_path)
