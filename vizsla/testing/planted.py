"""Interactions whose right answer is known: users keep to the items of their own cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vizsla.rng import numpy_generator

__all__ = ["PlantedData", "planted"]


@dataclass(frozen=True, slots=True)
class PlantedData:
    """Interactions with the clusters that made them; shapes: **I** interactions, **U**, **N**.

    Attributes:
        user_nums: ``(I,)`` int64, ascending.
        item_nums: ``(I,)`` int64; no item twice for one user.
        times_s: ``(I,)`` float64 Unix seconds, ascending within a user.
        user_clusters: ``(U,)`` int64 cluster of each user.
        item_clusters: ``(N,)`` int64 cluster of each item.
    """

    user_nums: NDArray[np.int64]
    item_nums: NDArray[np.int64]
    times_s: NDArray[np.float64]
    user_clusters: NDArray[np.int64]
    item_clusters: NDArray[np.int64]

    def histories(self) -> list[NDArray[np.int64]]:
        """Return U arrays of item numbers, oldest first."""
        return [self.item_nums[self.user_nums == num] for num in range(len(self.user_clusters))]

    def vectors(self, noise: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
        """Return ``(N, n_clusters)`` item vectors: the cluster's axis plus noise."""
        axes = np.eye(int(self.item_clusters.max()) + 1)[self.item_clusters]
        noisy = axes + noise * numpy_generator(seed, "planted vectors").normal(size=axes.shape)
        return noisy.astype(np.float32)


def planted(
    n_users: int = 40, n_items: int = 60, n_clusters: int = 4, per_user: int = 10, seed: int = 0
) -> PlantedData:
    """Draw interactions in which user ``u`` likes only items of cluster ``u % n_clusters``.

    A model that learned anything ranks the rest of the user's cluster first;
    popularity cannot, since all items are equally likely within their cluster.

    Args:
        n_users: U.
        n_items: N; item ``i`` is in cluster ``i % n_clusters``.
        n_clusters: Number of clusters.
        per_user: Interactions of each user, at most ``n_items // n_clusters``.
        seed: Of all draws.

    Example:
        >>> data = planted()
        >>> liked = data.item_clusters[data.item_nums] == data.user_clusters[data.user_nums]
        >>> len(data.item_nums), bool(liked.all())
        (400, True)
    """
    rng = numpy_generator(seed, "planted")
    users = np.arange(n_users) % n_clusters
    items = np.arange(n_items) % n_clusters
    liked = [
        rng.choice(np.flatnonzero(items == cluster), per_user, replace=False) for cluster in users
    ]
    times = np.tile(np.arange(per_user, dtype=np.float64), n_users)
    return PlantedData(
        user_nums=np.repeat(np.arange(n_users), per_user),
        item_nums=np.concatenate(liked),
        times_s=1_700_000_000.0 + 3600.0 * times,
        user_clusters=users,
        item_clusters=items,
    )
