"""From a recipe and a dataset to an untrained matcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import EncodedFeatures, Ragged, Split
from training.recipe import Recipe
from vizsla.contracts.features import Order
from vizsla.models import MODELS
from vizsla.models.recommender.base import Matcher
from vizsla.models.recommender.loading import build_matcher

__all__ = ["data_kinds", "model_config", "new_matcher"]

LARGE_ITEMS = 10_000
"""Catalogues above this size count as large."""


@runtime_checkable
class ReadsItemFeatures(Protocol):
    """A matcher whose item net reads side features."""

    def set_item_features(self, codes: NDArray[np.int64], multi: Sequence[Ragged] = ()) -> None:
        """Take the items' codes: ``(N, F)``, and one ragged column per multi-valued one."""


def data_kinds(order: Order, n_items: int) -> tuple[str, ...]:
    """Name what the data is like; recipes have variants by these names.

    Example:
        >>> data_kinds("none", 1_000)
        ('unordered', 'small')
    """
    return (
        "unordered" if order == "none" else "ordered",
        "large" if n_items > LARGE_ITEMS else "small",
    )


def model_config(recipe: Recipe, split: Split) -> dict[str, Any]:
    """Return the model's configuration: what the data decide, then what the recipe says.

    Only what the model's own ``Config`` knows is taken from the data; a setting of the
    recipe that it does not know is an error when the model is built.
    """
    config = MODELS.load(recipe.model).Config
    decided = {
        key: value for key, value in _decided(recipe, split).items() if key in config.model_fields
    }
    return decided | recipe.model_settings


def new_matcher(recipe: Recipe, split: Split, generator: torch.Generator) -> Matcher:
    """Build a matcher with fresh weights from one generator and its items' side features."""
    matcher = build_matcher(recipe.model, model_config(recipe, split))
    matcher.reset_parameters(generator)
    features = split.item_features
    if features is not None and isinstance(matcher, ReadsItemFeatures):
        matcher.set_item_features(features.codes, features.multi)
    return matcher


def _decided(recipe: Recipe, split: Split) -> dict[str, Any]:
    single, multi = _sizes(split.item_features)
    return {
        "n_items": split.n_items,
        "ordered": split.order != "none",
        "max_history": recipe.max_history,
        "item_feature_sizes": single,
        "item_multi_sizes": multi,
        "user_feature_sizes": _sizes(split.user_features)[0],
    }


def _sizes(features: EncodedFeatures | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if features is None:
        return (), ()
    single = tuple(len(features.values[name]) for name in features.names)
    return single, tuple(len(features.values[name]) for name in features.multi_names)
