"""Diginetica: anonymous shopping sessions, the later ones held out for test."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from vizsla.datasets.base import DatasetSource, Tables
from vizsla.datasets.text import locate, read_sequences

__all__ = ["SOURCE"]


def parse(folder: Path) -> Tables:
    """Read one session per line; each is a user ``s<number>``, numbered through both files."""
    train = read_sequences(locate(folder, "train_sessions.txt"))
    test = read_sequences(locate(folder, "test_sessions.txt"))
    interactions = pl.concat([_clicks(train, "train", 1), _clicks(test, "test", 1 + train.height)])
    items = interactions.select("item_id").unique().sort(pl.col("item_id").cast(pl.Int64))
    return Tables(interactions, items.with_columns(pl.lit(None, pl.String).alias("title")))


def _clicks(sessions: pl.DataFrame, part: str, first: int) -> pl.DataFrame:
    position = pl.int_ranges(pl.col("ids").list.len()).alias("position")
    clicks = sessions.with_columns(position).explode("ids", "position", empty_as_null=False)
    return clicks.select(
        pl.format("s{}", pl.col("line") + first).alias("user_id"),
        pl.col("ids").alias("item_id"),
        pl.col("position").cast(pl.Float64).alias("event_timestamp"),
        pl.lit("click").alias("event_type"),
        pl.lit(part).alias("split"),
    )


SOURCE = DatasetSource(
    name="diginetica",
    title="Diginetica: 202,633 shopping sessions, 982,961 clicks on 43,097 products, later ones for test",
    origin="CIKM Cup 2016, sessions as prepared for SR-GNN and GCE-GNN",
    licence="Terms of the competition: research use, no redistribution",
    files=("train_sessions.txt", "test_sessions.txt"),
    parse=parse,
    order="position",
    given_split=True,
    repeats=True,
)
