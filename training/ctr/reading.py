"""Batches of encoded rows: shuffled in memory, or through a buffer where rows are on disk.

An epoch visits every row once.  Rows are taken in runs of neighbours, runs in random order, and
shuffled within a buffer of several runs; rows that fit into one buffer are shuffled freely.  The
order depends on the seed and the epoch alone, so an epoch can be taken up in its middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vizsla.contracts.ranking import RankingSchema
from vizsla.fields import EncodedRows, Ragged
from vizsla.models.ranker import FieldInputs
from vizsla.models.ranker.inputs import list_fields, single_fields
from vizsla.rng import numpy_generator

__all__ = ["Batch", "PackedRows", "Reader"]

_RUNS = 16
"""Runs of neighbouring rows in a buffer."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows with their labels.

    Attributes:
        inputs: Codes.
        labels: ``(B,)`` float32.
        weights: ``(B,)`` float32, or None.
    """

    inputs: FieldInputs
    labels: Tensor
    weights: Tensor | None


class PackedRows:
    """Rows in memory in the form in which a batch is cut from them with one copy.

    Args:
        schema: Whose kept fields are taken.
        rows: With labels; None of them is kept.
    """

    def __init__(self, schema: RankingSchema, rows: EncodedRows) -> None:
        assert rows.labels is not None
        columns = [rows.single[one.spec.name] for one in single_fields(schema)]
        packed = np.empty((len(rows), len(columns)), np.int32)
        for place, column in enumerate(columns):
            packed[:, place] = column
        self._single = torch.from_numpy(packed)
        self._lists = [_in_memory(rows.lists[one.spec.name]) for one in list_fields(schema)]
        self._labels = torch.from_numpy(np.array(rows.labels, np.float32))
        weights = rows.weights
        self._weights = None if weights is None else torch.from_numpy(np.array(weights, np.float32))

    def __len__(self) -> int:
        return len(self._labels)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """Return some rows, in the order asked for."""
        places = torch.from_numpy(rows)
        lists = [ragged.take(rows) for ragged in self._lists]
        inputs = FieldInputs(
            self._single[places],
            tuple(torch.from_numpy(ragged.values).long() for ragged in lists),
            tuple(torch.from_numpy(ragged.offsets) for ragged in lists),
        )
        weights = None if self._weights is None else self._weights[places]
        return Batch(inputs, self._labels[places], weights)


class Reader:
    """Cuts epochs into batches.

    Args:
        schema: Whose kept fields are read.
        rows: Any size; their arrays may be maps of files.
        batch_size: Rows of a batch; a buffer's last one has what is left.
        buffer_rows: Rows in memory at once, where there are more than these.
        seed: Of the order.
    """

    def __init__(
        self,
        schema: RankingSchema,
        rows: EncodedRows,
        batch_size: int,
        buffer_rows: int,
        seed: int,
    ) -> None:
        self._schema, self._rows, self._batch_size = schema, rows, batch_size
        self._seed = seed
        fits = len(rows) <= buffer_rows
        self._whole = PackedRows(schema, rows) if fits else None
        self._run_rows = max(1, len(rows) if fits else buffer_rows // _RUNS)

    @property
    def n_batches(self) -> int:
        """Batches of an epoch; each epoch of the same rows has as many or one more or less."""
        sizes = [sum(stop - start for start, stop in runs) for runs in self._buffers(0)]
        return sum(-(-size // self._batch_size) for size in sizes)

    def batches(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch, without the first ``skip``."""
        rng = numpy_generator(self._seed, "order", epoch)
        for runs in self._buffers(epoch):
            order = rng.permutation(sum(stop - start for start, stop in runs))
            n_batches = -(-len(order) // self._batch_size)
            skipped, skip = min(skip, n_batches), max(0, skip - n_batches)
            if skipped == n_batches:
                continue
            held = self._whole or PackedRows(self._schema, self._taken(runs))
            for first in range(skipped * self._batch_size, len(order), self._batch_size):
                yield held.batch(order[first : first + self._batch_size])

    def _buffers(self, epoch: int) -> list[list[tuple[int, int]]]:
        """Return each buffer's runs as first row and the one after the last."""
        n_rows = len(self._rows)
        starts = np.arange(0, n_rows, self._run_rows)
        starts = numpy_generator(self._seed, "runs", epoch).permutation(starts)
        runs = [(int(start), min(int(start) + self._run_rows, n_rows)) for start in starts]
        return [runs[first : first + _RUNS] for first in range(0, len(runs), _RUNS)]

    def _taken(self, runs: list[tuple[int, int]]) -> EncodedRows:
        rows = np.concatenate([np.arange(start, stop) for start, stop in sorted(runs)])
        return self._rows.take(rows)


def _in_memory(ragged: Ragged) -> Ragged:
    return Ragged(np.array(ragged.values, np.int32), np.array(ragged.offsets, np.int64))
