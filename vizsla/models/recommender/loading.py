"""Matchers to arrays and back: what goes into a bundle's weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from vizsla.contracts.tables import ItemTables
from vizsla.errors import IncompatibleArtifactError
from vizsla.models import MODELS
from vizsla.models.recommender.base import Matcher
from vizsla.models.recommender.component_scorer import MixtureScorer
from vizsla.models.recommender.mixture_of_logits import MixtureOfLogits
from vizsla.models.recommender.scorer import TorchScorer

__all__ = [
    "build_matcher",
    "load_matcher",
    "load_scorer",
    "load_weights",
    "matcher_scorer",
    "matcher_weights",
]


def build_matcher(name: str, config: Mapping[str, Any]) -> Matcher:
    """Build an untrained matcher by its registered name.

    Raises:
        UnknownNameError: No such model.
        IncompatibleArtifactError: The configuration is not one of this model.
    """
    target = MODELS.load(name)
    try:
        settings = target.Config.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "config"
        raise IncompatibleArtifactError(f"model {name!r}: {field}: {first['msg']}") from error
    matcher: Matcher = target(settings)
    return matcher


def matcher_weights(matcher: Matcher) -> dict[str, NDArray[Any]]:
    """Return copies of all parameters and buffers by name."""
    return {name: t.detach().cpu().numpy().copy() for name, t in matcher.state_dict().items()}


def load_weights(matcher: Matcher, weights: Mapping[str, NDArray[Any]]) -> None:
    """Put arrays into a matcher; buffers of side features take the size they come with.

    Raises:
        IncompatibleArtifactError: A tensor is missing, unknown, or of another shape.
    """
    own = matcher.state_dict()
    if own.keys() != weights.keys():
        odd = sorted(own.keys() ^ weights.keys())[0]
        raise IncompatibleArtifactError(f"weights do not belong to this model: tensor {odd!r}")
    buffers = dict(matcher.named_buffers())
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in weights.items()}
    for name, tensor in tensors.items():
        if name in buffers:
            buffers[name].resize_(tensor.shape)
        elif tensor.shape != own[name].shape:
            raise IncompatibleArtifactError(
                f"weights do not fit this model: tensor {name!r} is {tuple(tensor.shape)}, "
                f"expected {tuple(own[name].shape)}"
            )
    matcher.load_state_dict(tensors)


def load_matcher(
    name: str, config: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]
) -> Matcher:
    """Build a matcher and load its weights, in evaluation mode."""
    matcher = build_matcher(name, config)
    load_weights(matcher, weights)
    return matcher.eval()


def load_scorer(
    name: str,
    config: Mapping[str, Any],
    weights: Mapping[str, NDArray[Any]],
    tables: ItemTables | None = None,
) -> TorchScorer:
    """Build the scorer of a bundle; ``tables`` are the bundle's own, None computes them.

    Raises:
        IncompatibleArtifactError: Configuration or weights are not of this model.
    """
    return matcher_scorer(load_matcher(name, config, weights), tables)


def matcher_scorer(matcher: Matcher, tables: ItemTables | None = None) -> TorchScorer:
    """Return the scorer that offers all that a trained matcher has; tables as in ``load_scorer``."""
    if isinstance(matcher, MixtureOfLogits):
        return MixtureScorer(matcher, tables=tables)
    return TorchScorer(matcher, tables=tables)
