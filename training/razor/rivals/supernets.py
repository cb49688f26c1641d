"""Rivals that learn choices in a supernet, as the razor does: AutoField and AutoDim.

Both learn weights and choices from different rows, as their papers do. They are relaxed by a
softmax whose temperature falls, without Gumbel noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.razor.rivals.task import RivalTask, capped
from training.razor.rivals.trained import SELECTED_WIDTHS, by_rank
from training.razor.search import chosen, train_supernet
from training.razor.settings import RazorSettings
from vizsla.contracts.ranking import RankingSchema

__all__ = ["autodim", "autofield"]

WIDTHS = (2, 4, 8, 16, 30)
SETTINGS = RazorSettings(
    penalty=0, held_out=0.2, temperature=0.1, temperature_start=1.0, batch_size=256, warmup=0
)


def autofield(task: RivalTask) -> RankingSchema:
    """Keep the fields that a gate per field keeps likeliest, at a common width.

    Validation chooses the width, and with it how many fields fit.

    References:
        Wang et al., "AutoField: Automating Feature Selection in Deep Recommender Systems",
        WWW 2022.
    """
    masks = torch.stack([torch.zeros(task.full_width), torch.ones(task.full_width)])
    found = _learned(task, masks)
    order = sorted(found, key=lambda name: -found[name][1])
    schemas = [by_rank(task, "autofield", order, width) for width in _fitting(task, order)]
    return task.best(schemas)


def autodim(task: RivalTask) -> RankingSchema:
    """Give every field the likeliest of five widths; where that is too much, cut at a common cap.

    References:
        Zhao et al., "AutoDim: Field-aware Embedding Dimension Search in Recommender Systems",
        WWW 2021.
    """
    widths = [width for width in WIDTHS if width <= task.full_width]
    masks = torch.zeros(len(widths), task.full_width)
    for place, width in enumerate(widths):
        masks[place, :width] = 1
    found = _learned(task, masks)
    likeliest = {name: widths[_argmax(found[name])] for name in task.owners}
    return task.schema_of("autodim", capped(task, likeliest), uncut=likeliest)


def _learned(task: RivalTask, masks: Tensor) -> dict[str, tuple[float, ...]]:
    settings = SETTINGS.model_copy(update=dict(task.options))
    return chosen(train_supernet(task.schema, masks, task.rows, settings, task.seed))


def _fitting(task: RivalTask, order: list[str]) -> list[int]:
    codes = {one.spec.name: one.n_codes for one in task.schema.fields}
    fitting = [width for width in SELECTED_WIDTHS if codes[order[0]] * width <= task.budget]
    return fitting or [1]


def _argmax(values: tuple[float, ...]) -> int:
    return max(range(len(values)), key=values.__getitem__)
