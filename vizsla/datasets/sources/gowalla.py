"""Gowalla check-ins with the split that graph recommenders are compared on (LightGCN)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vizsla.datasets.base import DatasetSource, Progress, Tables
from vizsla.datasets.download import fetch_archive, first_that_works
from vizsla.datasets.text import locate, read_sequences
from vizsla.errors import DataError

__all__ = ["SOURCE"]

BASE_URL = "https://raw.githubusercontent.com/gusye1234/LightGCN-PyTorch/master/data/gowalla/"
N_INTERACTIONS = 1_027_370


def parse(folder: Path) -> Tables:
    """Read ``user item item ...`` lines of both files."""
    train = _checkins(locate(folder, "train.txt"), "train")
    test = _checkins(locate(folder, "test.txt"), "test")
    interactions = pl.concat([train, test])
    items = interactions.select("item_id").unique().sort(pl.col("item_id").cast(pl.Int64))
    return Tables(interactions, items.with_columns(pl.lit(None, pl.String).alias("title")))


def _checkins(path: Path, part: str) -> pl.DataFrame:
    lines = read_sequences(path).select(
        pl.col("ids").list.first().alias("user_id"),
        pl.col("ids").list.slice(1).alias("item_id"),
    )
    return (
        lines.explode("item_id", empty_as_null=False)
        .filter(pl.col("item_id") != "")
        .select(
            "user_id",
            "item_id",
            pl.lit(0.0).alias("event_timestamp"),
            pl.lit("checkin").alias("event_type"),
            pl.lit(part).alias("split"),
        )
    )


def download(folder: Path, progress: Progress) -> None:
    """Take both files out of the repository of LightGCN, and count what they hold."""

    def from_repository() -> None:
        for name in ("train.txt", "test.txt"):
            fetch_archive(BASE_URL + name, folder, progress)
        found = parse(folder).interactions.height
        if found != N_INTERACTIONS:
            raise DataError(f"{BASE_URL}: {found} interactions, not {N_INTERACTIONS}: not used")

    hint = "give a folder with train.txt and test.txt: vizsla data fetch gowalla --from DIR"
    first_that_works([from_repository], hint=hint)


SOURCE = DatasetSource(
    name="gowalla",
    title="Gowalla: 1,027,370 check-ins of 29,858 users at 40,981 places, split given, no order",
    origin=f"SNAP loc-gowalla, split of LightGCN ({BASE_URL})",
    licence=(
        "SNAP: cite Cho, Myers and Leskovec 2011; the repository with the split states no "
        "licence; research use, no redistribution"
    ),
    files=("train.txt", "test.txt"),
    parse=parse,
    order="none",
    given_split=True,
    download=download,
)
