"""Which values of a field deserve a vector: OptEmbed's learnable thresholds.

A value is kept where the L1 norm of its vector exceeds the threshold of its field.  The step from
0 to 1 has no gradient, so that of a longer-tailed function stands in for it (section 3.2).  Values
that are not kept become ``UNKNOWN``, as those that training never saw; ``MISSING`` and ``UNKNOWN``
themselves are always kept.  A schema names the kept values under ``search.settings["values"]``,
and is trained on rows that ``cut_rows`` has given the codes of what is left.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.razor.supernet import RazorEmbeddings
from vizsla.contracts.fields import FIRST_KNOWN, UNKNOWN
from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.fields import EncodedRows, Ragged

__all__ = ["ThresholdTable", "cut_rows", "cut_schema", "packed", "stepped"]

Kept = Mapping[str, NDArray[np.bool_]]
"""Field with a table of its own to ``(n_codes,)``: whether each code keeps a row."""


def stepped(x: Tensor) -> Tensor:
    """Return 1 where positive, else 0, with the gradient of the long-tailed estimator.

    That is ``2 - 4|x|`` up to 0.4, then 0.4 up to 1, then 0 (arXiv 2208.04482, equation 9).
    """
    far = x.abs().clamp(max=1)
    near = far.clamp(max=0.4)
    smooth = x.sign() * (2 * near - 2 * near.square() + 0.4 * (far - near))
    return (x > 0).float() + (smooth - smooth.detach())


class ThresholdTable(nn.Module):
    """A supernet's table whose rows are nothing where they are too small.

    Args:
        embeddings: Whose table is put behind thresholds; the last column counts as none of a
            row's vector.

    Attributes:
        thresholds: ``(O,)``, of the fields with a table of their own.
    """

    _owners: Tensor

    def __init__(self, embeddings: RazorEmbeddings, schema: RankingSchema) -> None:
        super().__init__()
        self.table = embeddings.table
        own = [field for field in schema.fields if not field.spec.shares]
        self._rows = {field.spec.name: embeddings.rows(field) for field in own}
        self.thresholds = nn.Parameter(torch.zeros(len(own)))
        owners = torch.zeros(self.table.num_embeddings, dtype=torch.int64)
        special = torch.zeros(self.table.num_embeddings, dtype=torch.bool)
        for place, rows in enumerate(self._rows.values()):
            owners[rows] = place
            special[rows.start : rows.start + FIRST_KNOWN] = True
        self.register_buffer("_owners", owners)
        self.register_buffer("_special", special)

    def forward(self, rows: Tensor) -> Tensor:
        """Look up ``(V,)`` rows."""
        found: Tensor = self.table(rows)
        above = found[:, :-1].abs().sum(1) - self.thresholds[self._owners[rows]]
        kept = torch.where(self._special[rows], 1.0, stepped(above))  # type: ignore[index]
        return found * kept[:, None]

    def penalty(self) -> Tensor:
        """Return what falls as thresholds rise, the sum of ``exp(-t)``."""
        return torch.exp(-self.thresholds).sum()

    @torch.no_grad()
    def kept(self) -> dict[str, NDArray[np.bool_]]:
        """Return which codes of each field are kept."""
        norms = self.table.weight[:, :-1].abs().sum(1)
        above = (norms > self.thresholds[self._owners]) | self._special  # type: ignore[operator]
        return {name: above[rows].numpy() for name, rows in self._rows.items()}


def cut_schema(schema: RankingSchema, kept: Kept) -> RankingSchema:
    """Return a schema whose tables have rows for the kept codes alone."""
    return schema.model_copy(update={"fields": tuple(_cut(one, kept) for one in schema.fields)})


def _cut(one: RankerField, kept: Kept) -> RankerField:
    count = int(kept[one.spec.shares or one.spec.name].sum())
    return one.model_copy(update={"n_codes": count})


def packed(kept: Kept) -> dict[str, str]:
    """Return which codes are kept as a schema holds it: a bit per code, in base64."""
    bits = {name: np.packbits(one).tobytes() for name, one in kept.items()}
    return {name: base64.b64encode(one).decode("ascii") for name, one in bits.items()}


def cut_rows(schema: RankingSchema, rows: EncodedRows) -> EncodedRows:
    """Return rows in the codes of a schema; the same rows where it keeps every value."""
    values: Mapping[str, str] = schema.search.settings.get("values", {})
    if not values:
        return rows
    codes = {name: _codes(text) for name, text in values.items()}
    own = {one.spec.name: codes[one.spec.shares or one.spec.name] for one in schema.fields}
    single = {name: own[name][found] for name, found in rows.single.items()}
    lists = {
        name: Ragged(own[name][found.values], found.offsets) for name, found in rows.lists.items()
    }
    return replace(rows, single=single, lists=lists)


def _codes(text: str) -> NDArray[np.int32]:
    """Return the new code of every old one; bits beyond the last code are never read."""
    kept = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8)).astype(bool)
    return np.where(kept, np.cumsum(kept) - 1, UNKNOWN).astype(np.int32)
