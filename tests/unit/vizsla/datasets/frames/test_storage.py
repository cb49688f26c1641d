"""Frames on disk: whole or absent, streamed, and the same however rows arrive."""

from __future__ import annotations

import itertools
from pathlib import Path

import polars as pl
import pytest

from vizsla.contracts.features import FrameSplit, TrainingFrame
from vizsla.contracts.fields import FieldSpec
from vizsla.datasets.frames import (
    FrameDraft,
    read_frame,
    resolve_frame,
    storage,
    with_noise,
    write_frame,
)
from vizsla.errors import (
    ContractError,
    CorruptArtifactError,
    DataError,
    IncompatibleArtifactError,
    NotFoundError,
    UsageError,
)

Rows = list[tuple[FrameSplit, pl.DataFrame]]


def manifest_of(*fields: str) -> TrainingFrame:
    return TrainingFrame(
        name="f",
        source="s",
        licence="l",
        label_rule="r",
        fields=[FieldSpec(name=name) for name in fields or ("x",)],
        splits={},
        content_hash="",
    )


def table_of(n_rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"label": [n % 2 for n in range(n_rows)], "x": [str(n) for n in range(n_rows)]}
    )


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "GROUP_ROWS", 10)
    monkeypatch.setattr(storage, "GROUPS_PER_FILE", 2)


def test_rows_come_back_in_order_by_row_group(tmp_path: Path) -> None:
    """47 rows are five groups in three files; columns can be chosen."""
    table = table_of(47)
    write_frame(tmp_path / "f", FrameDraft(manifest_of(), [("train", table), ("test", table[:3])]))
    frame = read_frame(tmp_path / "f")

    assert [one.height for one in frame.tables("train")] == [10, 10, 10, 10, 7]
    assert len(list((tmp_path / "f" / "train").iterdir())) == 3
    assert frame.table("train")["x"].to_list() == table["x"].to_list()
    assert frame.table("test", ["x"]).columns == ["x"]
    assert frame.table("valid").shape == (0, 2)
    assert frame.manifest.splits["train"].n_positive == 23


@pytest.mark.parametrize("cuts", [[], [5], [9, 10, 31], list(range(1, 47))])
def test_portions_do_not_matter(tmp_path: Path, cuts: list[int]) -> None:
    """The same rows in other portions are the same frame."""
    table, edges = table_of(47), [0, *cuts, 47]
    rows: Rows = [("train", table[a:b]) for a, b in itertools.pairwise(edges)]
    parts = write_frame(tmp_path / "parts", FrameDraft(manifest_of(), rows))
    whole = write_frame(tmp_path / "whole", FrameDraft(manifest_of(), [("train", table)]))

    assert parts == whole


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (pl.DataFrame({"label": [0, 2], "x": ["a", "b"]}), DataError, "'label' holds 2.0"),
        (pl.DataFrame({"label": [0, None], "x": ["a", "b"]}), DataError, "'label' holds None"),
        (pl.DataFrame({"label": ["0"], "x": ["a"]}), DataError, "'label' holds String"),
        (pl.DataFrame({"label": [0, 0], "x": ["a", "b"]}), DataError, "every training row is 0"),
        (pl.DataFrame({"label": [0, 1]}), ContractError, "lack the column 'x'"),
    ],
)
def test_what_is_no_frame_leaves_nothing(
    tmp_path: Path, table: pl.DataFrame, error: type[Exception], message: str
) -> None:
    """No half directory stays behind."""
    with pytest.raises(error, match=message):
        write_frame(tmp_path / "f", FrameDraft(manifest_of(), [("train", table)]))
    assert list(tmp_path.iterdir()) == []


def test_a_field_cannot_be_called_label(tmp_path: Path) -> None:
    """The names of the other columns are taken."""
    with pytest.raises(ContractError, match="'weight'"):
        write_frame(tmp_path / "f", FrameDraft(manifest_of("weight"), []))


def test_broken_frames_are_refused(tmp_path: Path) -> None:
    """A missing part, a broken file, another version; each names the file."""
    directory = tmp_path / "f"
    with pytest.raises(NotFoundError, match=r"frame\.json is missing"):
        read_frame(directory)
    with pytest.raises(NotFoundError, match="run 'vizsla data fetch f'"):
        resolve_frame("f", tmp_path)
    write_frame(directory, FrameDraft(manifest_of(), [("train", table_of(47))]))
    assert resolve_frame(str(directory), tmp_path) == directory
    with pytest.raises(UsageError, match="no column 'colour'; it has: label, x"):
        read_frame(directory).table("train", ["colour"])
    last = directory / "train" / "part-00002.parquet"
    last.unlink()
    with pytest.raises(CorruptArtifactError, match=r"40 rows, but frame\.json says 47"):
        read_frame(directory).table("train")
    last.write_bytes(b"no parquet")
    with pytest.raises(CorruptArtifactError, match=r"part-00002\.parquet: cannot be read"):
        read_frame(directory).table("train")
    text = (directory / "frame.json").read_text()
    (directory / "frame.json").write_text(
        text.replace('"format_version": 1', '"format_version": 7')
    )
    with pytest.raises(IncompatibleArtifactError, match="version 7"):
        read_frame(directory)


def test_noise_is_beside_every_row_and_planted_as_useless(tmp_path: Path) -> None:
    """Every split has it, values are within their number, the same seed gives the same."""
    rows: Rows = [("train", table_of(40)), ("valid", table_of(20)), ("test", table_of(20))]
    write_frame(tmp_path / "f", FrameDraft(manifest_of(), rows))
    frame = read_frame(tmp_path / "f")
    made = write_frame(tmp_path / "n", with_noise(frame, [3, 1000], 1, "n"))
    again = write_frame(tmp_path / "m", with_noise(frame, [3, 1000], 1, "n"))
    other = write_frame(tmp_path / "o", with_noise(frame, [3, 1000], 2, "n"))

    assert made.planted == {"noise_3": 0, "noise_1000": 0}
    assert made == again
    assert made.content_hash != other.content_hash
    table = read_frame(tmp_path / "n").table("valid")
    assert table.select("label", "x").equals(frame.table("valid"))
    assert set(table["noise_3"]) == {0, 1, 2}
    assert table["noise_1000"].max() < 1000  # type: ignore[operator]


@pytest.mark.parametrize("sizes", [[], [1], [5, 5], [10**9]])
def test_numbers_of_noise_values_that_cannot_be(tmp_path: Path, sizes: list[int]) -> None:
    """None, one value, twice the same, too many."""
    write_frame(tmp_path / "f", FrameDraft(manifest_of(), [("train", table_of(40))]))
    with pytest.raises(UsageError, match="--fields"):
        with_noise(read_frame(tmp_path / "f"), sizes, 0, "n")
