"""From a recipe and a dataset to an untrained matcher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from training.data import EncodedFeatures, Ragged, Split
from training.item_init import svd_embeddings
from training.losses import LOSSES
from training.objective import sampler_settings
from training.recipe import Recipe, StageSettings, validated_settings
from training.samplers import SAMPLERS
from vizsla.contracts.features import DatasetManifest
from vizsla.errors import ConfigError
from vizsla.models import MODELS
from vizsla.models.recommender.base import Matcher
from vizsla.models.recommender.loading import build_matcher
from vizsla.rng import numpy_generator, torch_generator

__all__ = ["ReadsItemFeatures", "check_recipe", "data_kinds", "model_config", "new_matcher"]

MANY_INTERACTIONS = 300_000
"""Logs above this size count as many."""

MANY_USERS = 100_000
"""Above this number users count as many."""

LARGE_ITEMS = 10_000
"""Catalogues above this size count as large."""


@runtime_checkable
class ReadsItemFeatures(Protocol):
    """A matcher whose item net reads side features."""

    def set_item_features(self, codes: NDArray[np.int64], multi: Sequence[Ragged] = ()) -> None:
        """Take the items' codes: ``(N, F)``, and one ragged column per multi-valued one."""


HUGE_ITEMS = 300_000
"""Catalogues above this size whose items have columns count as huge: no log covers them."""


def data_kinds(data: DatasetManifest) -> tuple[str, ...]:
    """Name what the data is like; recipes have variants by these names."""
    return (
        "unordered" if data.order == "none" else "ordered",
        "many" if data.n_interactions > MANY_INTERACTIONS else "few",
        "large" if data.n_items > LARGE_ITEMS else "small",
        "many_users" if data.n_users > MANY_USERS else "few_users",
        *(["huge"] if data.n_items > HUGE_ITEMS and data.item_features else []),
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


@runtime_checkable
class TakesItemEmbeddings(Protocol):
    """A matcher whose item embeddings can start from given ones."""

    def set_item_embeddings(self, embeddings: NDArray[np.float32]) -> None:
        """Take ``(N, D)`` float32 embeddings."""


def new_matcher(recipe: Recipe, split: Split, seed: int) -> Matcher:
    """Build a matcher with fresh weights from one seed and its items' side features."""
    matcher = build_matcher(recipe.model, model_config(recipe, split))
    matcher.reset_parameters(torch_generator(seed, "weights"))
    if recipe.item_init == "svd" and isinstance(matcher, TakesItemEmbeddings):
        size = matcher.all_item_vectors().shape[1]
        generator = numpy_generator(seed, "item embeddings")
        matcher.set_item_embeddings(
            svd_embeddings(split.train, split.n_items, size, recipe.svd_power, generator)
        )
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


def check_recipe(recipe: Recipe, split: Split) -> None:
    """Refuse what a recipe names but the model, the samplers or the losses do not know.

    Raises:
        UnknownNameError: No such model, sampler or loss.
        ConfigError: A setting that it does not have.
    """
    validated_settings(
        "model_settings", MODELS.load(recipe.model).Config, model_config(recipe, split)
    )
    for number, stage in enumerate(recipe.stages, start=1):
        name = f"stage{number}"
        LOSSES.load(stage.loss)
        _check_trained(name, stage, recipe, split)
        if stage.epochs and stage.split_ratio and split.order != "none":
            raise ConfigError(f"{name}.split_ratio needs data without an order; set it to 0")
        if stage.epochs and not stage.negatives.n_negatives + stage.hard.n_negatives:
            raise ConfigError(f"{name} has no negatives: set {name}.negatives.n_negatives")
        for source, own in (("negatives", stage.negatives), ("hard", stage.hard)):
            sampler_settings(f"{name}.{source}", own)
            if recipe.shards and own.n_negatives and SAMPLERS.load(own.sampler).remembers:
                raise ConfigError(
                    f"{name}.{source}.sampler: {own.sampler!r} remembers what it has drawn, so "
                    "batches cannot be cut into shards: set shards to 0 or choose another one"
                )


def _check_trained(name: str, stage: StageSettings, recipe: Recipe, split: Split) -> None:
    """Refuse a prefix that no weight has: a typing error would freeze what was to learn."""
    if not stage.trained or not stage.epochs:
        return
    matcher = build_matcher(recipe.model, model_config(recipe, split))
    names = [weight for weight, _ in matcher.named_parameters()]
    for prefix in stage.trained:
        if not any(weight.startswith(prefix) for weight in names):
            known = ", ".join(sorted({weight.partition(".")[0] for weight in names}))
            raise ConfigError(f"{name}.trained: no weight begins with {prefix!r}: known: {known}")
