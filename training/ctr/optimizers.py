"""Optimisers of a ranker: Adam for its layers, and one that looks at few rows for large tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from training.checkpoint import flatten_optimizer, restore_optimizer
from training.ctr.settings import RankerSettings
from vizsla.contracts.ranking import RankingSchema
from vizsla.models.ranker import Ranker

__all__ = ["Optimizers", "RowwiseAdagrad", "SparseAdam", "is_sparse"]

LARGE_ROWS = 100_000
"""Tables of more rows cost more to update whole than to sort what a batch has looked up.

Measured with 8 fields of width 16 and batches of 1,024 on one core: about equal at 100,000 rows, six
times the speed at a million.
"""


def is_sparse(schema: RankingSchema, settings: RankerSettings) -> bool:
    """Tell whether the tables of a ranker get sparse gradients."""
    if settings.table_optimizer != "auto":
        return settings.table_optimizer != "adam"
    return schema.n_table_rows > LARGE_ROWS


class SparseAdam(torch.optim.Optimizer):
    """Adam for sparse gradients: rows that a batch has not looked up keep weight and moments.

    What torch's own does, on plain rows instead of sparse tensors, and with a step count that
    goes through a checkpoint unchanged.
    """

    def __init__(
        self, parameters: list[Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": 1e-8})
        for parameter in parameters:
            state = self.state[parameter]
            state["step"] = torch.zeros(())
            state["mean"], state["square"] = (
                torch.zeros_like(parameter),
                torch.zeros_like(parameter),
            )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the rows that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None
        rows, values = _summed(parameter.grad)
        state, (beta1, beta2) = self.state[parameter], group["betas"]
        state["step"] += 1
        step = state["step"].item()
        mean = state["mean"][rows].lerp_(values, 1 - beta1)
        square = state["square"][rows].mul_(beta2).addcmul_(values, values, value=1 - beta2)
        state["mean"].index_copy_(0, rows, mean)
        state["square"].index_copy_(0, rows, square)
        divisor = square.sqrt_().add_(group["eps"])
        rate = group["lr"] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
        parameter.index_add_(0, rows, mean.div_(divisor), alpha=-rate)


def _summed(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(R,)`` different rows of a sparse gradient, rising, and ``(R, W)`` their sums.

    For tables that are not huge a mark per row is twice as fast as torch's sort.
    """
    if gradient.is_coalesced() or len(gradient) > LARGE_ROWS:
        gradient = gradient.coalesce()
        return gradient.indices()[0], gradient.values()
    wanted, values = gradient._indices()[0], gradient._values()
    places = torch.zeros(len(gradient), dtype=torch.int64)
    places[wanted] = 1
    rows = places.nonzero()[:, 0]
    places[rows] = torch.arange(len(rows))
    sums = values.new_zeros(len(rows), values.shape[1])
    return rows, sums.index_add_(0, places[wanted], values)


class RowwiseAdagrad(torch.optim.Optimizer):
    """Adagrad with one sum of squares per row of a table, of sparse gradients.

    Rows that a batch has not looked up are left alone, and cost nothing.
    """

    def __init__(self, parameters: list[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})
        for parameter in parameters:
            self.state[parameter]["sum"] = torch.zeros(len(parameter))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update the rows that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                rows, values = _summed(parameter.grad)
                sums = self.state[parameter]["sum"]
                now = sums[rows] + values.square().mean(1)
                sums[rows] = now
                values = values / (now.sqrt() + 1e-10)[:, None]
                parameter.index_add_(0, rows, values, alpha=-group["lr"])


class Optimizers:
    """One for tables and one for the rest, as if they were one."""

    def __init__(self, ranker: Ranker, settings: RankerSettings) -> None:
        tables = list(ranker.embeddings.parameters())
        rest = list(ranker.backbone.parameters())
        rate = settings.table_learning_rate or settings.learning_rate
        self._all: dict[str, torch.optim.Optimizer] = {}
        if tables:
            self._all["tables"] = _of_tables(ranker, tables, rate, settings)
        if rest:
            self._all["rest"] = torch.optim.Adam(rest, lr=settings.learning_rate, fused=True)

    def zero_grad(self) -> None:
        """Forget gradients."""
        for one in self._all.values():
            one.zero_grad()

    def step(self) -> None:
        """Update all weights."""
        for one in self._all.values():
            one.step()

    def state(self) -> dict[str, Tensor]:
        """Return everything that a checkpoint needs, by name."""
        return {
            f"{name}/{key}": tensor
            for name, one in self._all.items()
            for key, tensor in flatten_optimizer(one).items()
        }

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Put back what ``state`` returned."""
        for name, one in self._all.items():
            start = f"{name}/"
            own = {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
            restore_optimizer(one, own)


def _of_tables(
    ranker: Ranker, tables: list[nn.Parameter], rate: float, settings: RankerSettings
) -> torch.optim.Optimizer:
    if not is_sparse(ranker.schema, settings):
        return torch.optim.Adam(tables, lr=rate, fused=True)
    kind = RowwiseAdagrad if settings.table_optimizer == "rowwise_adagrad" else SparseAdam
    return kind(list(tables), rate)
