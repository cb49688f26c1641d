"""Ratings of films as labelled rows: who, what, when, and what was liked before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from vizsla.contracts.features import FrameSplit, TrainingFrame
from vizsla.contracts.fields import BucketEncoding, FieldSpec, LogEncoding
from vizsla.datasets.base import DatasetSource, Tables
from vizsla.datasets.frames.base import FrameOptions, by_position, by_random
from vizsla.datasets.frames.storage import GROUP_ROWS, SPLITS, FrameDraft

__all__ = ["CONTEXT_FIELDS", "FILM_FIELDS", "draft"]

LIKED_FROM = 4
MAX_HISTORY = 50
ZIP_DIGITS = 3

FILM_FIELDS = (
    FieldSpec(name="user_id", owner="user"),
    FieldSpec(name="item_id", owner="item"),
    FieldSpec(name="gender", owner="user"),
    FieldSpec(name="occupation", owner="user"),
    FieldSpec(name="zip", owner="user"),
    FieldSpec(name="genres", kind="multi_valued", owner="item"),
    FieldSpec(name="release_year", kind="numeric", owner="item", encoding=BucketEncoding()),
    FieldSpec(name="user_events", kind="numeric", owner="user", encoding=LogEncoding()),
    FieldSpec(
        name="history", kind="sequence", owner="user", shares="item_id", max_length=MAX_HISTORY
    ),
)
CONTEXT_FIELDS = (
    FieldSpec(name="hour"),
    FieldSpec(name="weekday"),
    FieldSpec(name="item_events", kind="numeric", owner="item", encoding=LogEncoding()),
)
"""What only events with a time have."""


@dataclass(frozen=True, slots=True)
class _History:
    """What each user liked, as rows of the sorted events.

    Attributes:
        liked: ``(P,)`` item ids, user by user in order of time.
        starts: ``(E,)`` where the user's own begin.
        ends: ``(E,)`` where those before the event end.
    """

    liked: pl.Series
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


def draft(
    name: str,
    info: DatasetSource,
    tables: Tables,
    fields: Sequence[FieldSpec],
    options: FrameOptions,
) -> FrameDraft:
    """Return the frame of rated films, label ``rating >= 4``.

    Args:
        name: Of the frame.
        info: The dataset that it is made of.
        tables: Its tables.
        fields: Columns to give it.
        options: Split by time is by the user's own order where no more is known.
    """
    rows = _labelled(tables, timed=info.order == "time")
    rows = rows.with_columns(_split(rows, options, timed=info.order == "time"))
    history = _history(rows, train_only=options.split == "random")
    manifest = TrainingFrame(
        name=name,
        source=f"{info.origin}; split by {options.split}, seed {options.seed}",
        licence=info.licence,
        label_rule=f"rating >= {LIKED_FROM}",
        fields=list(fields),
        splits={},
        content_hash="",
    )
    columns = ["label", "event_timestamp", *(field.name for field in fields)]
    return FrameDraft(manifest, _portions(rows, history, columns), rows.height)


def _labelled(tables: Tables, *, timed: bool) -> pl.DataFrame:
    """Return events in order of user and time, with their columns and counts of what was before."""
    assert tables.users is not None
    events = tables.interactions.sort("user_id", "event_timestamp", maintain_order=True)
    time = pl.from_epoch(pl.col("event_timestamp").cast(pl.Int64))
    before = pl.col("event_timestamp").rank("min") - 1
    return (
        events.join(tables.users, on="user_id", how="left", maintain_order="left")
        .join(tables.items, on="item_id", how="left", maintain_order="left")
        .with_columns(
            (pl.col("rating") >= LIKED_FROM).cast(pl.Float32).alias("label"),
            pl.col("zip_code").str.slice(0, ZIP_DIGITS).alias("zip"),
            before.over("user_id").alias("user_events"),
            *(
                [
                    before.over("item_id").alias("item_events"),
                    time.dt.hour().cast(pl.String).alias("hour"),
                    time.dt.weekday().cast(pl.String).alias("weekday"),
                ]
                if timed
                else []
            ),
        )
    )


def _split(rows: pl.DataFrame, options: FrameOptions, *, timed: bool) -> pl.Series:
    if options.split == "random":
        return by_random(rows.height, options.seed)
    if timed:
        places = rows["event_timestamp"].rank("ordinal") - 1
        return by_position(places, rows.height)
    lengths = rows.select(pl.len().over("user_id"))["len"]
    return by_position(rows["user_events"], lengths)


def _history(rows: pl.DataFrame, *, train_only: bool) -> _History:
    """Find what was liked strictly before each event.

    With a random split a held-out label may be older than a training row; so that none is seen
    by any row, only what was liked in training rows is a history.
    """
    liked = (rows["label"] == 1).to_numpy().copy()
    if train_only:
        liked &= (rows["split"] == "train").to_numpy()
    before = np.cumsum(liked) - liked
    place = pl.col("place").min()
    firsts = rows.with_row_index("place").select(
        place.over("user_id").alias("of_user"),
        # events of the same second are not before one another
        place.over("user_id", "event_timestamp").alias("of_time"),
    )
    return _History(
        rows["item_id"].filter(pl.Series(liked)),
        before[firsts["of_user"].to_numpy()],
        before[firsts["of_time"].to_numpy()],
    )


def _portions(
    rows: pl.DataFrame, history: _History, columns: list[str]
) -> Iterator[tuple[FrameSplit, pl.DataFrame]]:
    """Yield the rows a row group at a time: histories are long."""
    for start in range(0, rows.height, GROUP_ROWS):
        part = rows.slice(start, GROUP_ROWS)
        places = slice(start, start + part.height)
        whole = part.with_columns(_lists(history, places))
        for split in SPLITS:
            yield split, whole.filter(pl.col("split") == split).select(columns)


def _lists(history: _History, places: slice) -> pl.Series:
    ends = history.ends[places]
    lengths = np.minimum(ends - history.starts[places], MAX_HISTORY)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.arange(offsets[-1]) + np.repeat(ends - offsets[1:], lengths)
    values = history.liked.gather(rows).to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.Series("history", pa.LargeListArray.from_arrays(pa.array(offsets), values))
