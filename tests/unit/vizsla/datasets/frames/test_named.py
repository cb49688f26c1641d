"""Named frames: tiny copies in the layout of their sources, and the real ones where they are."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from vizsla.datasets.frames import FRAMES, FrameOptions, FrameSource, fetch_frame, read_frame
from vizsla.errors import DataError, UsageError

CONTEXT = "morning\tsunday\tweekend\tunknown\tfree\tsunny\tSpain\t0"
HEADER = "user\titem\tcnt\tdaytime\tweekday\tisweekend\thomework\tcost\tweather\tcountry\tcity\n"


@pytest.mark.parametrize("name", FRAMES)
def test_registered_frames_are_their_own(name: str) -> None:
    """The registry's name is the source's, and one line describes it."""
    info: FrameSource = FRAMES.load(name)

    assert info.name == name
    assert "\n" not in info.title + info.licence
    assert info.options().model_dump()


def frappe_of(tmp_path: Path, pairs: list[tuple[int, int]]) -> Path:
    lines = "".join(f"{user}\t{item}\t1\t{CONTEXT}\n" for user, item in pairs)
    (tmp_path / "frappe.csv").write_text(HEADER + lines)
    return tmp_path


def test_frappe_negatives_are_apps_without_a_log_in_the_same_context(tmp_path: Path) -> None:
    """Two for each log, redrawn until the user has none there."""
    pairs = [(user, item) for user in range(20) for item in range(10) if (user + item) % 3]
    directory = fetch_frame("frappe", tmp_path, frappe_of(tmp_path, pairs))
    frame = read_frame(directory)
    rows = pl.concat([frame.table(split) for split in ("train", "valid", "test")])

    assert rows.height == 3 * len(pairs)
    assert rows["label"].sum() == len(pairs)
    negatives = rows.filter(pl.col("label") == 0).select("user", "item").cast(pl.Int64)
    assert all((user + item) % 3 == 0 for user, item in negatives.iter_rows())
    shares = [frame.manifest.splits[s].n_rows / rows.height for s in ("train", "valid", "test")]
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.01)


def test_frappe_without_any_app_left(tmp_path: Path) -> None:
    """A user with logs of all apps in one context has no negatives: said, not looped for ever."""
    folder = frappe_of(tmp_path, [(0, 0), (0, 1)])
    with pytest.raises(DataError, match="no negative is left"):
        fetch_frame("frappe", tmp_path, folder)


def test_frappe_cannot_be_split_by_time(tmp_path: Path) -> None:
    """Its logs have none."""
    with pytest.raises(UsageError, match="--split time: frappe has random"):
        fetch_frame("frappe", tmp_path, tmp_path, options=FrameOptions(split="time"))


def test_criteo_has_numbers_and_categories_that_may_be_missing(tmp_path: Path) -> None:
    """13 and 26 of them, the three files are the three parts."""
    numbers, words = ["-1", "", *["3"] * 11], ["68fd1e64", "", *["0012"] * 24]
    rows = ["\t".join([label, *numbers, *words]) for label in ("0", "1")]
    for part in ("train", "dev", "test"):
        (tmp_path / f"wideresdnn.{part}.tsv").write_text("\n".join(rows) + "\n")
    frame = read_frame(fetch_frame("criteo-sample", tmp_path, tmp_path))

    first = frame.table("valid").row(0, named=True)
    assert (first["I1"], first["I2"], first["C1"], first["C2"]) == (-1.0, None, "68fd1e64", None)
    assert [one.kind for one in frame.manifest.fields].count("numeric") == 13
    assert len(frame.manifest.fields) == 39


def test_avazu_hours_become_hour_and_days(tmp_path: Path) -> None:
    """2014-10-21 was a Tuesday; only the first file has a header line."""
    names = "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,"
    names += "app_category,device_id,device_ip,device_model,device_type,device_conn_type,"
    names += "C14,C15,C16,C17,C18,C19,C20,C21\n"
    row = "{},{},14102113,1005,0," + ",".join(["ab12"] * 9) + ",1,0," + ",".join("12345678") + "\n"
    rows = row.format(1, 0) + row.format(2, 1)
    for part, header in (("train", names), ("dev", ""), ("test", "")):
        (tmp_path / f"wideresdnn.{part}.csv").write_text(header + rows)
    frame = read_frame(fetch_frame("avazu-sample", tmp_path, tmp_path))

    first = frame.table("test").row(0, named=True)
    assert (first["hour"], first["wday"], first["mday"]) == ("13", "2", "21")
    assert len(frame.manifest.fields) == 24


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "folder", "counts"),
    [
        ("ml-100k-ctr", "ml-100k", {"train": 80_000, "valid": 10_000, "test": 10_000}),
        ("frappe", "frappe", {"train": 202_026, "valid": 57_722, "test": 28_861}),
        ("criteo-sample", "criteo-sample", {"train": 7_200, "valid": 409, "test": 391}),
        ("avazu-sample", "avazu-sample", {"train": 8_087, "valid": 480, "test": 432}),
        pytest.param(
            "ml-1m-ctr",
            "ml-1m",
            {"train": 799_689, "valid": 99_961, "test": 99_961},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_real_frames(
    tmp_path: Path, data_dir: Path, name: str, folder: str, counts: dict[str, int]
) -> None:
    """Rows of each part, as the sources' own descriptions give them."""
    frame = read_frame(fetch_frame(name, tmp_path, data_dir / folder))

    assert {split: one.n_rows for split, one in frame.manifest.splits.items()} == counts
    assert sum(table.height for table in frame.tables("train")) == counts["train"]
