"""How workers sum their gradients: what was touched everywhere whole, the rest by its rows.

Shapes: **G** gradients, **R** rows of one, **D** its width, **W** workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor

from training.team import TeamCost
from vizsla.clock import Clock

__all__ = ["Exchange"]

_ABSENT = -1
_ROW_NUMBER_BYTES = 8

Gradients = Sequence[Tensor | None]


class Exchange:
    """Sums over the workers of the current process group, with bytes and seconds counted.

    Bytes are the payload that one worker sends, as rings send it: a gathered tensor once to
    each of the others, and twice ``(W - 1) / W`` of a summed one.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self.rank, self.n_workers = dist.get_rank(), dist.get_world_size()
        self._clock = clock
        self._dense_bytes = self._sparse_bytes = 0.0
        self._seconds = 0.0

    def sum(self, gradients: Gradients, weights: Sequence[Tensor]) -> list[Tensor | None]:
        """Sum gradients over the workers.

        A matrix travels as the rows that are not all zero (an embedding table of which a
        batch touches little), if that is fewer bytes than the whole; all else goes in one
        message.

        Args:
            gradients: G of this worker, float32; None where it has none.
            weights: G tensors of the gradients' shapes.

        Returns:
            G sums; None where no worker has any.
        """
        with self._timed():
            touched = [_touched_rows(own) for own in gradients]
            counts = self._counts(gradients, touched)
            own = [
                torch.zeros_like(weight) if gradient is None else gradient
                for gradient, weight in zip(gradients, weights, strict=True)
            ]
            sparse = [self._is_sparse(*pair) for pair in zip(own, counts, strict=True)]
            present = [place for place, count in enumerate(counts) if count != _ABSENT]
            whole = [place for place in present if not sparse[place]]
            found = dict(zip(whole, self._sum_whole([own[place] for place in whole]), strict=True))
            for place in present:
                if sparse[place]:
                    found[place] = self._sum_rows(own[place], touched[place], counts[place])
            return [found.get(place) for place in range(len(own))]

    def largest(self, value: float) -> float:
        """Return the largest of the workers' values."""
        with self._timed():
            found = torch.tensor([value], dtype=torch.float64)
            dist.all_reduce(found, dist.ReduceOp.MAX)
            return float(found)

    def from_first(self, tensor: Tensor) -> None:
        """Overwrite a tensor with the first worker's."""
        dist.broadcast(tensor, src=0)

    def text_from(self, source: int, text: str) -> str:
        """Return the text of one worker; the others' is not looked at."""
        content = torch.tensor(list(text.encode()), dtype=torch.uint8)
        size = torch.tensor([len(content)])
        dist.broadcast(size, src=source)
        if self.rank != source:
            content = torch.empty(int(size), dtype=torch.uint8)
        dist.broadcast(content, src=source)
        return bytes(content.tolist()).decode()

    def cost(self) -> TeamCost:
        """Return the cost since the last call."""
        found = TeamCost(round(self._dense_bytes), round(self._sparse_bytes), self._seconds)
        self._dense_bytes = self._sparse_bytes = self._seconds = 0.0
        return found

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started_s = self._clock.monotonic_s()
        yield
        self._seconds += self._clock.monotonic_s() - started_s

    def _counts(self, gradients: Gradients, touched: Sequence[Tensor]) -> list[int]:
        """Return for each gradient the most rows that any worker has, or that none has it."""
        own = [
            _ABSENT if gradient is None else len(rows)
            for gradient, rows in zip(gradients, touched, strict=True)
        ]
        counts: list[int] = self._gather(torch.tensor(own)).max(dim=0).values.tolist()
        return counts

    def _is_sparse(self, gradient: Tensor, n_rows: int) -> bool:
        if gradient.dim() != 2 or n_rows == _ABSENT:
            return False
        row_bytes = _ROW_NUMBER_BYTES + gradient.element_size() * gradient.shape[1]
        return (self.n_workers - 1) * n_rows * row_bytes < self._reduce_bytes(gradient)

    def _reduce_bytes(self, tensor: Tensor) -> float:
        return 2 * (self.n_workers - 1) / self.n_workers * tensor.numel() * tensor.element_size()

    def _sum_whole(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        if not tensors:
            return ()
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        self._dense_bytes += self._reduce_bytes(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        return [part.view_as(own) for part, own in zip(parts, tensors, strict=True)]

    def _sum_rows(self, gradient: Tensor, rows: Tensor, n_most: int) -> Tensor:
        """Gather the touched rows of all workers and add them in the workers' order."""
        padded_rows = rows.new_zeros(n_most)
        padded_rows[: len(rows)] = rows
        padded_values = gradient.new_zeros(n_most, gradient.shape[1])
        padded_values[: len(rows)] = gradient[rows]
        all_rows, all_values = self._gather(padded_rows), self._gather(padded_values)
        total = torch.zeros_like(gradient)
        for worker in range(self.n_workers):
            # padding adds zeros to row 0, which changes nothing
            total.index_add_(0, all_rows[worker], all_values[worker])
        return total

    def _gather(self, own: Tensor) -> Tensor:
        """Return ``(W, ...)``: every worker's tensor, all of one shape."""
        found = [torch.empty_like(own) for _ in range(self.n_workers)]
        dist.all_gather(found, own.contiguous())
        self._sparse_bytes += (self.n_workers - 1) * own.numel() * own.element_size()
        return torch.stack(found)


def _touched_rows(gradient: Tensor | None) -> Tensor:
    """Return the int64 numbers of a matrix's rows that are not all zero; of all else, none."""
    if gradient is None or gradient.dim() != 2:
        return torch.empty(0, dtype=torch.int64)
    return gradient.any(dim=1).nonzero()[:, 0]
