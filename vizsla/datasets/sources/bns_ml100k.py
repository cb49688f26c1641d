"""MovieLens-100K in the split of the Bayesian-negative-sampling paper's code."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vizsla.datasets.base import DatasetSource, Tables
from vizsla.datasets.text import locate, read_delimited

__all__ = ["SOURCE"]


def parse(folder: Path) -> Tables:
    """Read ``user,item,rating`` lines; every rating counts as positive, as in the paper."""
    interactions = pl.concat(
        [
            _ratings(locate(folder, "100k_train.csv"), "train"),
            _ratings(locate(folder, "100k_test.csv"), "test"),
        ]
    )
    items = interactions.select("item_id").unique().sort(pl.col("item_id").cast(pl.Int64))
    return Tables(interactions, items.with_columns(pl.lit(None, pl.String).alias("title")))


def _ratings(path: Path, part: str) -> pl.DataFrame:
    return read_delimited(path, ["user", "item", "rating"], ",", skip_rows=1).select(
        pl.col("user").cast(pl.String).alias("user_id"),
        pl.col("item").cast(pl.String).alias("item_id"),
        pl.lit(0.0).alias("event_timestamp"),
        pl.lit("rating").alias("event_type"),
        pl.col("rating").cast(pl.Float64),
        pl.lit(part).alias("split"),
    )


SOURCE = DatasetSource(
    name="bns-ml100k",
    title="MovieLens-100K, 80,000/20,000 split of the Bayesian-negative-sampling paper, no order",
    origin="github.com/liubin06/BNS, folder BNS_MF",
    licence=(
        "GroupLens: research use, acknowledge (Harper and Konstan 2015), no redistribution, "
        "no commercial use without permission"
    ),
    files=("100k_train.csv", "100k_test.csv"),
    parse=parse,
    order="none",
    given_split=True,
)
