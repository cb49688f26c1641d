"""Planted clusters: users wander from cluster to cluster, so an order and side features help.

Every user starts in a home cluster; each step moves on to the next cluster with a
small probability, and picks an item there by popularity.  A model that sees the
latest items knows the cluster; one that only counts items does not.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vizsla.contracts.features import SideFeature
from vizsla.datasets.base import DatasetSource, Tables
from vizsla.errors import UsageError
from vizsla.rng import numpy_generator

__all__ = ["SOURCE", "SyntheticOptions", "generate", "numbered_ids"]

START_S = 1_700_000_000
STEP_S = 600
MOVE_PROBABILITY = 0.15
FEATURE_NOISE = 0.1
N_SEGMENTS = 8
TAGS_PER_CLUSTER = 5


class SyntheticOptions(BaseModel):
    """Size and seed of a synthetic dataset; the same options give the same bytes.

    Attributes:
        users: Number of users, each with three interactions or more.
        items: Number of items, all in the items table.
        clusters: Number of planted clusters.
        interactions: Number of interactions in all.
        seed: Of every random choice.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: int = Field(default=2_000, ge=1, le=100_000_000)
    items: int = Field(default=1_000, ge=1, le=100_000_000)
    clusters: int = Field(default=20, ge=1)
    interactions: int = Field(default=60_000, ge=1, le=2_000_000_000)
    seed: int = Field(default=0, ge=0)

    def describe(self) -> str:
        """Return the settings as the manifest's ``source``."""
        return f"synthetic, {' '.join(f'{k}={v}' for k, v in self.model_dump().items())}"


def generate(options: SyntheticOptions) -> Tables:
    """Draw the three tables.

    Raises:
        UsageError: Fewer than three interactions per user, or more clusters than items.

    Example:
        >>> tables = generate(SyntheticOptions(users=3, items=6, clusters=2, interactions=12))
        >>> tables.interactions.height, tables.items.height, tables.users.height
        (12, 6, 3)
    """
    if options.interactions < 3 * options.users:
        raise UsageError("synthetic: interactions must be at least three times users")
    if options.clusters > options.items:
        raise UsageError("synthetic: clusters must not be more than items")
    home = numpy_generator(options.seed, "synthetic", "home").integers(
        options.clusters, size=options.users
    )
    return Tables(_interactions(options, home), _items(options), _users(options, home))


def _interactions(options: SyntheticOptions, home: NDArray[np.int64]) -> pl.DataFrame:
    rng = numpy_generator(options.seed, "synthetic", "interactions")
    extra = rng.integers(options.users, size=options.interactions - 3 * options.users)
    lengths = 3 + np.bincount(extra, minlength=options.users)
    user = np.repeat(np.arange(options.users), lengths)
    starts = np.cumsum(lengths) - lengths
    step = np.arange(options.interactions) - starts[user]
    cluster = _clusters_visited(rng, home, user, starts, options.clusters)
    item = _popular_in_cluster(rng, cluster, options)
    joined = rng.integers(0, 30 * 86_400, size=options.users)
    return pl.DataFrame(
        {
            "user_id": numbered_ids("u", user),
            "item_id": numbered_ids("i", item),
            "event_timestamp": (START_S + joined[user] + STEP_S * step).astype(np.float64),
            "event_type": pl.Series(["click"]).new_from_index(0, options.interactions),
        }
    )


def _clusters_visited(
    rng: np.random.Generator,
    home: NDArray[np.int64],
    user: NDArray[np.int64],
    starts: NDArray[np.int64],
    n_clusters: int,
) -> NDArray[np.int64]:
    moves: NDArray[np.int64] = np.cumsum(rng.random(len(user)) < MOVE_PROBABILITY)
    at_start = moves[starts]
    return (home[user] + moves - at_start[user]) % n_clusters


def _popular_in_cluster(
    rng: np.random.Generator, cluster: NDArray[np.int64], options: SyntheticOptions
) -> NDArray[np.int64]:
    """Cluster ``c`` holds the items ``c, c + C, c + 2C, ...``; low ranks are popular."""
    sizes = (options.items - cluster + options.clusters - 1) // options.clusters
    rank = np.floor(sizes * rng.random(len(cluster)) ** 2).astype(np.int64)
    return np.asarray(cluster + options.clusters * np.minimum(rank, sizes - 1), np.int64)


def _items(options: SyntheticOptions) -> pl.DataFrame:
    rng = numpy_generator(options.seed, "synthetic", "items")
    num = np.arange(options.items)
    told = _noisy(rng, num % options.clusters, options.clusters)
    tags = told[:, None] * TAGS_PER_CLUSTER + rng.integers(TAGS_PER_CLUSTER, size=(len(num), 2))
    price = np.round(np.exp(rng.normal(2 + 0.1 * (num % options.clusters), 0.5)), 2)
    return pl.DataFrame(
        {
            "item_id": numbered_ids("i", num),
            "title": numbered_ids("Item ", num),
            "category": numbered_ids("c", told),
            "price": price,
            "tag_a": numbered_ids("t", tags[:, 0]),
            "tag_b": numbered_ids("t", tags[:, 1]),
        }
    ).select(
        "item_id", "title", "category", "price", pl.concat_list("tag_a", "tag_b").alias("tags")
    )


def _users(options: SyntheticOptions, home: NDArray[np.int64]) -> pl.DataFrame:
    rng = numpy_generator(options.seed, "synthetic", "users")
    segment = _noisy(rng, home % N_SEGMENTS, N_SEGMENTS)
    return pl.DataFrame(
        {
            "user_id": numbered_ids("u", np.arange(options.users)),
            "segment": numbered_ids("s", segment),
            "age": rng.integers(16, 80, size=options.users),
        }
    )


def _noisy(rng: np.random.Generator, values: NDArray[np.int64], n_values: int) -> NDArray[np.int64]:
    wrong = rng.random(len(values)) < FEATURE_NOISE
    return np.where(wrong, rng.integers(n_values, size=len(values)), values)


def numbered_ids(prefix: str, nums: NDArray[np.int64]) -> pl.Series:
    """Return identifiers: the prefix and the number, such as ``i42``."""
    return pl.select(pl.format(prefix + "{}", pl.Series(nums))).to_series()


def _with_defaults(_folder: Path) -> Tables:
    return generate(SyntheticOptions())


SOURCE = DatasetSource(
    name="synthetic",
    title="Synthetic: planted clusters of any size, seeded, with order and side features",
    origin="synthetic",
    licence="None needed: generated",
    files=(),
    parse=_with_defaults,
    order="time",
    item_features=(
        SideFeature(name="category", role="categorical"),
        SideFeature(name="price", role="numeric"),
        SideFeature(name="tags", role="multi_valued"),
    ),
    user_features=(
        SideFeature(name="segment", role="categorical"),
        SideFeature(name="age", role="numeric"),
    ),
)
