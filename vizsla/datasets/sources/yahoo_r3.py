"""Yahoo! R3: songs people rated by choice, and ratings of songs drawn at random."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vizsla.datasets.base import DatasetSource, Tables
from vizsla.datasets.text import locate, read_delimited

__all__ = ["SOURCE"]


def parse(folder: Path) -> Tables:
    """Read chosen ratings as positives and random ones as ``random_exposure``."""
    interactions = pl.concat(
        [
            _ratings(locate(folder, "user.txt"), "rating"),
            _ratings(locate(folder, "random.txt"), "random_exposure"),
        ]
    )
    items = interactions.select("item_id").unique().sort(pl.col("item_id").cast(pl.Int64))
    return Tables(interactions, items.with_columns(pl.lit(None, pl.String).alias("title")))


def _ratings(path: Path, event_type: str) -> pl.DataFrame:
    return read_delimited(path, ["user", "item", "rating"], ",").select(
        pl.col("user").cast(pl.String).alias("user_id"),
        pl.col("item").cast(pl.String).alias("item_id"),
        pl.lit(0.0).alias("event_timestamp"),
        pl.lit(event_type).alias("event_type"),
        pl.col("rating").cast(pl.Float64),
    )


SOURCE = DatasetSource(
    name="yahoo-r3",
    title="Yahoo! R3: 311,704 chosen and 54,000 random ratings of 1,000 songs by 15,400 users",
    origin="Yahoo! Webscope R3, user.txt and random.txt as in the AutoDebias repository",
    licence="Yahoo! Webscope: non-commercial research under agreement, no redistribution",
    files=("user.txt", "random.txt"),
    parse=parse,
    order="none",
)
