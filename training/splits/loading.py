"""From a dataset directory to a ``Split``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import Split
from training.splits import labels
from training.splits.cases import cases_of_held_out_users, cases_of_part
from training.splits.features import columns_of, encode_features
from training.splits.log import TEST, TRAIN, VALIDATION, EventLog, build_log
from training.splits.spec import SplitSpec, default_spec
from vizsla.contracts.features import DatasetManifest
from vizsla.datasets import Dataset, read
from vizsla.errors import UsageError

__all__ = ["load_split", "split"]

Rule = Callable[[EventLog, SplitSpec], NDArray[np.int8]]
RULES: Mapping[str, Rule] = {
    "leave_last_out": labels.leave_last_out,
    "user_ratio": labels.user_ratio,
    "time": labels.time,
    "given": labels.given,
}
_NEEDS = {"leave_last_out": ("time", "position"), "time": ("time",)}


def load_split(dataset_dir: Path, spec: SplitSpec | None = None) -> Split:
    """Read a dataset directory and cut it.

    Args:
        dataset_dir: What ``vizsla.datasets.fetch`` returned.
        spec: How to cut; None for ``default_spec`` of the dataset.

    Raises:
        UsageError: The data lacks what the method needs (an order, a column).
        DataError: Nothing is left to train on.
    """
    return split(read(dataset_dir), spec)


def split(dataset: Dataset, spec: SplitSpec | None = None) -> Split:
    """Cut a dataset in memory; see ``load_split``."""
    manifest = dataset.manifest
    spec = spec or default_spec(manifest)
    _check(manifest, spec)
    log = build_log(dataset, spec)
    part = RULES[spec.method](log, spec)
    if spec.refit:
        part[part == VALIDATION] = TRAIN
    whole_users = spec.method == "given" and spec.held_out == "users"
    cases = cases_of_held_out_users if whole_users else cases_of_part
    return Split(
        name=manifest.name,
        content_hash=manifest.content_hash,
        spec=spec.model_dump(mode="json"),
        order=manifest.order,
        items=log.items,
        users=log.users,
        train=log.rows(part == TRAIN),
        validation=cases(log, part, VALIDATION, manifest, spec),
        test=cases(log, part, TEST, manifest, spec),
        item_features=encode_features(dataset.items, "item_id", log.items, manifest.item_features),
        user_features=encode_features(dataset.users, "user_id", log.users, manifest.user_features),
        item_columns=columns_of(dataset.items, log.items),
    )


def _check(manifest: DatasetManifest, spec: SplitSpec) -> None:
    orders = _NEEDS.get(spec.method)
    if orders and manifest.order not in orders:
        raise UsageError(
            f"{manifest.name}: split method {spec.method} needs timestamps that order "
            f"{'all events' if spec.method == 'time' else 'each user'}, "
            f"but the order of this dataset is {manifest.order!r}; use user_ratio or given"
        )
