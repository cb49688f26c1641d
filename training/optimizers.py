"""Optimisers from settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from training.loop_settings import LoopSettings

__all__ = ["build_optimizer"]


def build_optimizer(
    model: nn.Module, settings: LoopSettings, ratio_of: Callable[[str], float] = lambda _name: 1.0
) -> torch.optim.Optimizer:
    """Build the optimiser of the trainable weights.

    Only matrices decay: a bias, the gain of a normalisation or the temperature is not
    larger than it should be because it is large.

    Args:
        model: Whose weights; those outside ``settings.frozen_but`` stay as they are.
        settings: Which optimiser.
        ratio_of: Maps a weight's name to its rate relative to the rest; 0 leaves it as it is.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        ratio = ratio_of(name)
        if ratio and parameter.requires_grad and name.startswith(settings.frozen_but or ""):
            groups.setdefault((ratio, parameter.dim() > 1), []).append(parameter)
    return _optimizer(
        [
            {
                "params": parameters,
                "ratio": ratio,
                "weight_decay": settings.reg if decays else 0.0,
            }
            for (ratio, decays), parameters in groups.items()
        ],
        settings,
    )


def _optimizer(groups: list[dict[str, Any]], settings: LoopSettings) -> torch.optim.Optimizer:
    rate = settings.learning_rate
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, fused=True)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=rate, betas=(0.9, settings.beta2), fused=True)
