"""Amazon Beauty, 5-core: review sequences with attributes of every product."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from vizsla.contracts.features import SideFeature
from vizsla.datasets.base import DatasetSource, Tables
from vizsla.datasets.text import locate, read_bytes, read_sequences

__all__ = ["SOURCE"]


def parse(folder: Path) -> Tables:
    """Read ``user item item ...`` lines, oldest first, and the attributes per item."""
    lines = read_sequences(locate(folder, "sequences.txt"))
    reviews = lines.select(
        pl.col("ids").list.first().alias("user_id"),
        pl.col("ids").list.slice(1).alias("item_id"),
        pl.int_ranges(pl.col("ids").list.len() - 1).alias("event_timestamp"),
    ).explode("item_id", "event_timestamp", empty_as_null=False)
    interactions = reviews.with_columns(
        pl.col("event_timestamp").cast(pl.Float64), pl.lit("review").alias("event_type")
    )
    return Tables(interactions, _items(folder))


def _items(folder: Path) -> pl.DataFrame:
    attributes = json.loads(read_bytes(locate(folder, "item2attributes.json")))
    frame = pl.DataFrame(
        {"item_id": list(attributes), "attributes": list(attributes.values())},
        schema={"item_id": pl.String, "attributes": pl.List(pl.Int64)},
    )
    return frame.select(
        "item_id",
        pl.lit(None, pl.String).alias("title"),
        pl.col("attributes").cast(pl.List(pl.String)),
    )


SOURCE = DatasetSource(
    name="amazon-beauty",
    title="Amazon Beauty 5-core: 198,502 reviews of 12,101 products by 22,363 users, in order",
    origin="McAuley, Amazon reviews 2014, as prepared for S3-Rec",
    licence="Research use; cite McAuley et al. 2015; no redistribution",
    files=("sequences.txt", "item2attributes.json"),
    parse=parse,
    order="position",
    item_features=(SideFeature(name="attributes", role="multi_valued"),),
)
