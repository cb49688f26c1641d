"""Item tables as tensors of one device, in the type they are stored in.

Shapes: **C** rows asked for, **N** items.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from vizsla.contracts.tables import ItemTables

__all__ = ["ResidentTables"]


class ResidentTables:
    """The tables of ``ItemTables``; on the processor they share its memory.

    Args:
        tables: As a bundle stores them.
        device: Where they go.

    Example:
        >>> import numpy as np
        >>> from vizsla.contracts.tables import tables_of
        >>> stored = tables_of([np.array([[1.0], [0.5]], np.float32)], "bfloat16")
        >>> resident = ResidentTables(stored, torch.device("cpu"))
        >>> resident.gathered(torch.tensor([[1, 0]]))[0].tolist()
        [[[0.5], [1.0]]]
    """

    def __init__(self, tables: ItemTables, device: torch.device) -> None:
        made = [_shared(array) for array in tables.arrays]
        if tables.dtype == "bfloat16":
            made = [tensor.view(torch.bfloat16) for tensor in made]
        self._arrays = [tensor.to(device) for tensor in made]
        self._scales = [_shared(scale).to(device) for scale in tables.scales]

    def gathered(self, item_nums: Tensor) -> tuple[Tensor, ...]:
        """Return the items' rows of every table, each ``(*item_nums.shape, ...)`` float32."""
        flat = item_nums.reshape(-1)
        rows = (self._rows(number, flat) for number in range(len(self._arrays)))
        return tuple(found.view(*item_nums.shape, *found.shape[1:]) for found in rows)

    def block(self, start: int, stop: int) -> Tensor:
        """Return float32 item vectors from ``start`` to ``stop``."""
        found = self._arrays[0][start:stop].float()
        scale = self._scales[0]
        return found * scale[start:stop, None] if len(scale) else found

    def _rows(self, number: int, flat: Tensor) -> Tensor:
        found = self._arrays[number].index_select(0, flat).float()
        scale = self._scales[number]
        if not len(scale):
            return found
        return found * scale[flat].view(-1, *[1] * (found.dim() - 1))


def _shared(array: NDArray[Any]) -> Tensor:
    with warnings.catch_warnings():
        # torch cannot mark a tensor read-only, and warns; nothing here writes
        warnings.filterwarnings("ignore", message="The given NumPy array is not writ")
        return torch.from_numpy(array)
