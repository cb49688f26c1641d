"""Interactions read by Ray Data and streamed to the workers, in the order of the source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow.parquet as pq

from training.data import Split
from training.splits import SplitSpec, split
from vizsla.datasets import read

if TYPE_CHECKING:
    import ray.data

__all__ = ["COLUMNS", "data_config", "interactions", "split_of"]

COLUMNS = ("user_id", "item_id", "event_timestamp", "event_type", "split")
"""What a split is made from; further columns are never decoded."""


def interactions(dataset_dir: Path) -> ray.data.Dataset:
    """Read the needed columns of a dataset's interactions into Ray's object store.

    Files are decoded in parallel on all free cores of the cluster, once for all workers; do
    this before the workers take the cores.
    """
    import ray.data

    path = dataset_dir / "interactions.parquet"
    there = pq.ParquetDataset(path).schema.names
    # events of the same second stand in the order of the source
    ray.data.DataContext.get_current().execution_options.preserve_order = True
    columns = [name for name in COLUMNS if name in there]
    return ray.data.read_parquet(str(path), columns=columns).materialize()


def data_config() -> Any:
    """Return Ray Train's settings: every worker gets all rows, in order."""
    from ray.data import ExecutionOptions
    from ray.train import DataConfig

    options = ExecutionOptions(preserve_order=True)
    return DataConfig(datasets_to_split=[], execution_options=options)


def split_of(dataset_dir: Path, spec: SplitSpec, shard: ray.data.DataIterator) -> Split:
    """Collect a stream of interactions and cut the dataset, as ``training.splits`` does.

    Args:
        dataset_dir: Where the small tables are read from.
        spec: How to cut.
        shard: Batches of interactions.

    Raises:
        UsageError: The data lacks what the method needs.
        DataError: Nothing is left to train on.
    """
    batches = shard.iter_batches(batch_size=None, batch_format="pyarrow")
    frame = pl.concat([pl.DataFrame(batch) for batch in batches])
    return split(read(dataset_dir, interactions=frame), spec)
