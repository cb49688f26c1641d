"""Interactions as sorted arrays of row numbers: what every split starts from.

Shapes: **E** events, **U** users, **N** items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.data import Ragged
from training.splits.spec import NOT_POSITIVE, SplitSpec
from vizsla.contracts.features import DatasetManifest
from vizsla.datasets import Dataset
from vizsla.errors import DataError
from vizsla.vocabulary import Vocabulary

__all__ = ["PART_OF_NAME", "TEST", "TRAIN", "VALIDATION", "EventLog", "build_log"]

TRAIN, VALIDATION, TEST = 0, 1, 2
PART_OF_NAME = {"train": TRAIN, "valid": VALIDATION, "validation": VALIDATION, "test": TEST}
_FIELDS = ("user", "item", "event_timestamp", "part")


@dataclass(frozen=True, slots=True)
class EventLog:
    """Positive events, grouped by user and oldest first within a user.

    Attributes:
        items: Vocabulary of items, identifiers ascending.
        users: Vocabulary of users, identifiers ascending.
        user_nums: ``(E,)`` int64 ascending.
        item_nums: ``(E,)`` int64.
        times: ``(E,)`` float64; equal times stand in the order of the source.
        given: ``(E,)`` int8 part by the column ``split``, or None where there is none.
        ordered: Whether the order within a user means anything.
    """

    items: Vocabulary
    users: Vocabulary
    user_nums: NDArray[np.int64]
    item_nums: NDArray[np.int64]
    times: NDArray[np.float64]
    given: NDArray[np.int8] | None
    ordered: bool = True

    @property
    def counts(self) -> NDArray[np.int64]:
        """``(U,)`` int64 events of each user."""
        return np.bincount(self.user_nums, minlength=len(self.users))

    def rows(self, keep: NDArray[np.bool_]) -> Ragged:
        """Return the items of the chosen events, one row per user, oldest first."""
        return Ragged.from_groups(self.user_nums[keep], self.item_nums[keep], len(self.users))


def build_log(dataset: Dataset, spec: SplitSpec) -> EventLog:
    """Select the positives, number users and items, and sort.

    Raises:
        DataError: Nothing is left to train on, or ``split`` holds an unknown word.
    """
    events = _frequent(_positives(dataset, spec), spec)
    if events.is_empty():
        raise DataError(
            f"{dataset.manifest.name}: no positive interaction is left to split "
            f"(event types: {', '.join(_event_types(dataset))})"
        )
    items = _sorted_ids(dataset.items["item_id"], events["item_id"])
    users = _sorted_ids(events["user_id"])
    numbered = events.select(
        _nums("user_id", users).alias("user"),
        _nums("item_id", items).alias("item"),
        "event_timestamp",
        _part(events, dataset.manifest).alias("part"),
    )
    arranged = numbered.sort(_sort_keys(dataset.manifest), maintain_order=True)
    if not dataset.manifest.repeats:
        arranged = arranged.unique(["user", "item"], keep="first", maintain_order=True)
    return _to_arrays(arranged, items, users, ordered=dataset.manifest.order != "none")


def _event_types(dataset: Dataset) -> list[str]:
    return dataset.interactions["event_type"].unique().sort().to_list()


def _positives(dataset: Dataset, spec: SplitSpec) -> pl.DataFrame:
    kind = pl.col("event_type")
    wanted = kind.is_in(spec.event_types) if spec.event_types else ~kind.is_in(list(NOT_POSITIVE))
    return dataset.interactions.filter(wanted)


def _frequent(events: pl.DataFrame, spec: SplitSpec) -> pl.DataFrame:
    for column, least in (
        ("item_id", spec.min_item_interactions),
        ("user_id", spec.min_user_interactions),
    ):
        if least > 1:
            events = events.filter(pl.len().over(column) >= least)
    return events


def _sorted_ids(*columns: pl.Series) -> pl.Series:
    return pl.concat([column.alias("id") for column in columns]).unique().sort()


def _nums(column: str, ids: pl.Series) -> pl.Expr:
    return pl.col(column).cast(pl.Enum(ids)).to_physical().cast(pl.Int64)


def _part(events: pl.DataFrame, manifest: DatasetManifest) -> pl.Expr:
    if "split" not in events.columns:
        return pl.lit(None, pl.Int8)
    unknown = events.filter(~pl.col("split").is_in(list(PART_OF_NAME)).fill_null(value=False))
    if unknown.height:
        raise DataError(
            f"{manifest.name}: column split holds {unknown['split'][0]!r} in {unknown.height} rows; "
            f"allowed: {', '.join(PART_OF_NAME)}"
        )
    return pl.col("split").replace_strict(PART_OF_NAME, return_dtype=pl.Int8)


def _sort_keys(manifest: DatasetManifest) -> list[str]:
    """Without an order the parts go one after the other, so that the first of a pair is training."""
    return ["user", "part"] if manifest.order == "none" else ["user", "event_timestamp"]


def _to_arrays(
    events: pl.DataFrame, items: pl.Series, users: pl.Series, *, ordered: bool
) -> EventLog:
    user, item, times, part = (events[name] for name in _FIELDS)
    return EventLog(
        Vocabulary(items.to_list()),
        Vocabulary(users.to_list()),
        user.to_numpy(),
        item.to_numpy(),
        times.to_numpy(),
        None if part.null_count() else part.to_numpy(),
        ordered,
    )
