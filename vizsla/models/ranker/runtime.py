"""A finished ranker as the server runs it: one request, hundreds of candidates, one forward.

What belongs to the items is computed when the ranker is opened and kept in one table, what
belongs to the user and the context once per request.  Nothing is looked up or encoded per
candidate but one row of that table.

Shapes: **N** items, **C** candidates, **W** columns kept per item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vizsla.contracts.ranking import RankingSchema
from vizsla.contracts.tables import ItemTables, TableDtype, tables_of
from vizsla.errors import IncompatibleArtifactError
from vizsla.fields import EncodedRows
from vizsla.fields.rows import join
from vizsla.models.ranker import RANKERS
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.crossed import CrossedSides
from vizsla.models.ranker.packed import PackedTables
from vizsla.models.ranker.sides import (
    NOT_CROSSED,
    Floats,
    Form,
    ItemSide,
    Scored,
    Split,
    UserSide,
    Whole,
    item_fields,
    user_fields,
)

__all__ = ["ItemStore", "RankerRuntime"]

_BACKBONE = "backbone."


class ItemStore:
    """The item side of N items, in one table.

    Args:
        columns: ``(N, W)`` as it is stored.
        rest: ``(N,)``.
        codes: ``(N,)`` as in ``ItemSide``.
        crossed: N rows, as in ``ItemSide``.
    """

    def __init__(
        self,
        columns: ItemTables,
        rest: Floats,
        codes: NDArray[np.int32] | None = None,
        crossed: EncodedRows = NOT_CROSSED,
    ) -> None:
        self._columns = columns
        self._rest = rest
        self._codes = codes
        self._crossed = crossed

    def __len__(self) -> int:
        return len(self._rest)

    @property
    def dtype(self) -> TableDtype:
        """How the table is stored."""
        return self._columns.dtype

    @property
    def n_bytes(self) -> int:
        """Bytes of the table, and of codes beside it."""
        codes = 0 if self._codes is None else self._codes.nbytes
        codes += sum(one.nbytes for one in self._crossed.single.values())
        lists = self._crossed.lists.values()
        codes += sum(one.values.nbytes + one.offsets.nbytes for one in lists)
        return self._columns.n_bytes + self._rest.nbytes + codes

    def take(self, item_nums: NDArray[np.int64]) -> ItemSide:
        """Gather rows."""
        codes = None if self._codes is None else self._codes[item_nums]
        columns, crossed = self._columns.rows(0, item_nums), self._crossed.take(item_nums)
        return ItemSide(columns, self._rest[item_nums], codes, crossed)


class RankerRuntime:
    """Scores candidates as ``Ranker`` does, the user's side once.

    Args:
        schema: Kept fields and widths.
        name: Registered name of the backbone.
        config: Its settings.
        weights: The ranker's tensors by name; tables may be stored narrow.
        item_field: A kept item field whose codes are kept beside the items, to tell them apart.

    Raises:
        IncompatibleArtifactError: Weights, settings and schema do not belong together.
    """

    def __init__(
        self,
        schema: RankingSchema,
        name: str,
        config: Mapping[str, Any],
        weights: Mapping[str, NDArray[Any]],
        item_field: str | None = None,
    ) -> None:
        self.schema = schema
        self._item_field = item_field
        backbone = _backbone(schema, name, config, weights)
        last = backbone.last_layer()
        self.n_hidden = 0 if last is None else last.in_features
        self.tables = PackedTables(schema, weights, vectors=backbone.reads_vectors)
        form = backbone.split()
        self.is_split = form is not None
        self._item_fields, self._user_fields = item_fields(schema), user_fields(schema)
        self._form: Form = Split(schema, form) if form else Whole(schema, backbone)
        self._crosses = CrossedSides(schema, form.wide if form else None)

    def items(self, rows: EncodedRows) -> ItemSide:
        """Compute the side of C items from their fields."""
        side = self._form.items(self.tables.find(rows, self._item_fields))
        codes = rows.single[self._item_field] if self._item_field else None
        rest, crossed = self._crosses.items(rows)
        return ItemSide(side.columns, side.rest + rest, codes, crossed)

    def store(self, pieces: Iterable[EncodedRows], dtype: TableDtype = "float32") -> ItemStore:
        """Compute the side of all items, piece by piece, and keep it as a type."""
        sides = []
        for piece in pieces:
            side = self.items(piece)
            table = tables_of([side.columns], dtype)
            sides.append((table, side.rest, side.codes, side.crossed))
        columns, rests, codes, crossed = zip(*sides, strict=True)
        own = None if self._item_field is None else np.concatenate(codes)
        return ItemStore(_joined(columns), np.concatenate(rests), own, join(crossed))

    def user(self, rows: EncodedRows) -> UserSide:
        """Compute the side of one user and context: a single row of their fields."""
        side = self._form.user(self.tables.find(rows, self._user_fields))
        rest, hashes = self._crosses.user(rows)
        return replace(side, rest=side.rest + rest, hashes=hashes)

    def logits(self, user: UserSide, items: ItemSide) -> Floats:
        """Return ``(C,)`` logits."""
        return self.score(user, items).logits

    def score(self, user: UserSide, items: ItemSide) -> Scored:
        """Return logits and what the last layer read."""
        scored = self._form.score(user, items)
        if not user.hashes:
            return scored
        wide = self._crosses.logits(user.hashes, items.crossed)
        return replace(scored, logits=scored.logits + wide)


def _backbone(
    schema: RankingSchema, name: str, config: Mapping[str, Any], weights: Mapping[str, Any]
) -> Backbone:
    kind: type[Backbone] = RANKERS.load(name)
    own = {
        key.removeprefix(_BACKBONE): torch.from_numpy(np.array(array))
        for key, array in weights.items()
        if key.startswith(_BACKBONE)
    }
    try:
        backbone = kind(schema, kind.config_class.model_validate(config))
        backbone.load_state_dict(own)
    except (RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())[:300]
        raise IncompatibleArtifactError(
            f"the weights are not those of this {name}: {why}"
        ) from None
    return backbone.eval()


def _joined(pieces: Sequence[ItemTables]) -> ItemTables:
    if len(pieces) == 1:
        return pieces[0]
    arrays = np.concatenate([piece.arrays[0] for piece in pieces])
    scales = np.concatenate([piece.scales[0] for piece in pieces])
    return ItemTables((arrays,), (scales,), pieces[0].dtype)
