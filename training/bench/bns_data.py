"""The data of ``vizsla bench training --preset bns``, as the papers cut it.

Shapes: **U** users, **N** items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data import Ragged, Split
from training.seen_items import SeenItems
from training.splits import SplitSpec, split as cut
from vizsla.datasets import Dataset, read
from vizsla.registry import look_up

__all__ = ["PROTOCOLS", "Protocol", "StudyData", "study_data"]

VALIDATION_RATIO = 0.1

LIKED, DISLIKED = 4.0, 2.0
"""Ratings from 4 up are likes, those down to 2 certified dislikes."""

RANDOM = "random_exposure"


@dataclass(frozen=True, slots=True)
class StudyData:
    """One dataset, cut twice.

    Attributes:
        full: Everything but test is for training: what is reported.
        selection: A tenth of that is validation: what epochs and variants are chosen on.
        certified: Pairs that are dislikes for certain, where the data has any.
        user_codes: User feature to ``(U,)`` int64 codes, for the prior that reads one.
    """

    full: Split
    selection: Split
    certified: SeenItems | None = None
    user_codes: Mapping[str, Tensor] = field(default_factory=dict)

    def hidden(self, split: Split) -> SeenItems:
        """Return the held-out positives of a split: its validation and test targets."""
        parts = (split.test, split.validation)
        users = np.concatenate([np.repeat(p.user_nums, p.targets.lengths) for p in parts])
        items = np.concatenate([p.targets.values for p in parts])
        return _pair_set(users, items, split)


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a dataset becomes the data of the study.

    Attributes:
        dataset: Name of the dataset.
        prepare: Changes its tables before they are cut.
        spec: How it is cut, apart from validation.
        certified: Whether low ratings of random items are certified dislikes.
        users_of: Dataset of the same people, with the features that a prior may read; here they
            are numbered in the order in which they first appear there.
    """

    dataset: str
    spec: SplitSpec
    prepare: Callable[[Dataset], Dataset] = lambda data: data
    certified: bool = False
    users_of: str | None = None


def _rated_at_random(data: Dataset) -> pl.DataFrame:
    """Return the interactions of users who were also shown random items."""
    events = data.interactions
    users = events.filter(pl.col("event_type") == RANDOM)["user_id"].unique()
    return events.filter(pl.col("user_id").is_in(users.implode()))


def _union(data: Dataset) -> Dataset:
    """Count every rating, chosen or random, high or low, as the paper does."""
    return replace(data, interactions=_rated_at_random(data))


def _random_test(data: Dataset) -> Dataset:
    """Train on likes among chosen ratings and test on likes among random ones."""
    chosen = pl.col("event_type") != RANDOM
    events = _rated_at_random(data).filter(pl.col("rating") >= LIKED)
    part = pl.when(chosen).then(pl.lit("train")).otherwise(pl.lit("test")).alias("split")
    manifest = data.manifest.model_copy(update={"given_split": True})
    return replace(data, manifest=manifest, interactions=events.with_columns(part))


def _unordered(data: Dataset) -> Dataset:
    """Forget when things happened: a random split has no before and after."""
    return replace(data, manifest=data.manifest.model_copy(update={"order": "none"}))


_RANDOM_80_20 = SplitSpec(method="user_ratio", test_ratio=0.2)
_BOTH = ("rating", RANDOM)

PROTOCOLS: Mapping[str, Protocol] = {
    "ml-100k": Protocol("bns-ml100k", SplitSpec(method="given"), users_of="ml-100k"),
    "yahoo-r3": Protocol(
        "yahoo-r3", _RANDOM_80_20.model_copy(update={"event_types": _BOTH}), _union
    ),
    "yahoo-r3-random": Protocol(
        "yahoo-r3", SplitSpec(method="given", event_types=_BOTH), _random_test, certified=True
    ),
    "ml-1m": Protocol("ml-1m", _RANDOM_80_20, _unordered),
}
"""Name of a table to its data."""


Resolve = Callable[[str], Path]


def study_data(name: str, resolve: Resolve) -> StudyData:
    """Read and cut a dataset.

    Args:
        name: Name in ``PROTOCOLS``.
        resolve: Maps a dataset's name to its directory.

    Raises:
        UnknownNameError: No such protocol.
        NotFoundError: The dataset has not been fetched.
    """
    protocol = look_up("dataset of this bench", name, PROTOCOLS)
    data = read(resolve(protocol.dataset))
    prepared = protocol.prepare(data)
    full, selection = (
        cut(prepared, protocol.spec.model_copy(update={"validation_ratio": ratio}))
        for ratio in (0.0, VALIDATION_RATIO)
    )
    certified = _dislikes(data, full) if protocol.certified else None
    return StudyData(full, selection, certified, _user_codes(protocol, full, resolve))


def _dislikes(data: Dataset, split: Split) -> SeenItems:
    low = data.interactions.filter(
        (pl.col("event_type") == RANDOM) & (pl.col("rating") <= DISLIKED)
    )
    users = split.users.nums(low["user_id"].to_list())
    items = split.items.nums(low["item_id"].to_list())
    known = (users >= 0) & (items >= 0)
    return _pair_set(users[known], items[known], split)


def _pair_set(users: NDArray[np.int64], items: NDArray[np.int64], split: Split) -> SeenItems:
    order = np.argsort(users, kind="stable")
    rows = Ragged.from_groups(users[order], items[order], len(split.users))
    return SeenItems(rows, split.n_items)


def _user_codes(protocol: Protocol, split: Split, resolve: Resolve) -> dict[str, Tensor]:
    """Return the codes, from 1, of the user features that are known under another dataset's ids."""
    if protocol.users_of is None:
        return {}
    source = read(resolve(protocol.users_of))
    if source.users is None:
        return {}
    names = [c for c, kind in source.users.schema.items() if kind == pl.String and c != "user_id"]
    appeared = source.interactions["user_id"].unique(maintain_order=True).to_list()
    number_of = {user: str(number) for number, user in enumerate(appeared)}
    numbered = source.users.with_columns(pl.col("user_id").replace(number_of))
    own = pl.DataFrame({"user_id": split.users.ids()}).join(numbered, on="user_id", how="left")
    return {
        name: torch.tensor(own[name].rank("dense").fill_null(0).cast(pl.Int64).to_list())
        for name in names
    }
