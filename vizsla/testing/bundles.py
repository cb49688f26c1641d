"""A complete bundle of a few kilobytes, made without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from vizsla.bundles import Bundle, BundleParts, write
from vizsla.clock import FakeClock
from vizsla.contracts.bundle import DatasetRef, GateCheck, GoldenRequest, ModelRef
from vizsla.rng import numpy_generator

__all__ = ["tiny_bundle", "tiny_parts"]


def tiny_parts(n_items: int = 40, embedding_size: int = 8, seed: int = 0) -> BundleParts:
    """Make the parts of a bundle whose model is the dot product with the mean of the history.

    The model's name is ``dot`` and its scorer is ``vizsla.testing.scorers.DotScorer``;
    it is in no registry.  Items are named ``item-0`` and so on; item ``i`` has
    ``n_items - i`` interactions, a ``title`` and one of four values in ``genre``.
    """
    vectors = numpy_generator(seed, "tiny bundle").normal(size=(n_items, embedding_size))
    item_vectors = vectors.astype(np.float32)
    return BundleParts(
        model=ModelRef(name="dot", config={"embedding_size": embedding_size}),
        weights={"temperature": np.ones((), np.float32)},
        items=pa.table(
            {
                "item_num": np.arange(n_items),
                "item_id": [f"item-{num}" for num in range(n_items)],
                "n_interactions": n_items - np.arange(n_items),
                "title": [f"Title {num}" for num in range(n_items)],
                "genre": ["abcd"[num % 4] for num in range(n_items)],
            }
        ),
        item_vectors=item_vectors,
        golden=_golden(item_vectors),
        recipe="tiny",
        recipe_settings={"epochs": 0},
        seed=seed,
        dataset=DatasetRef(name="tiny", content_hash="0" * 64, split={"method": "time"}),
        metrics={"recall_at_20": 0.5},
        gate=[
            GateCheck(
                rival="popularity", metric="recall_at_20", value=0.5, rival_value=0.25, met=True
            )
        ],
        publishable=True,
    )


def tiny_bundle(parent: Path, n_items: int = 40, embedding_size: int = 8, seed: int = 0) -> Bundle:
    """Write ``tiny_parts`` below ``parent`` and open the bundle."""
    return write(parent, tiny_parts(n_items, embedding_size, seed), FakeClock(1_700_000_000.0))


def _golden(item_vectors: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> list[GoldenRequest]:
    """One request: the history is item 0, the answer the whole catalogue's best three."""
    scores = item_vectors @ item_vectors[0]
    best = np.argsort(-scores, kind="stable")[:3]
    return [
        GoldenRequest(
            history=["item-0"],
            item_ids=[f"item-{num}" for num in best],
            scores=[float(score) for score in scores[best]],
        )
    ]
