"""A finished ranker as the server runs it: one request, hundreds of candidates, one forward.

What belongs to the items is computed when the ranker is opened and kept in one table, what
belongs to the user and the context once per request.  Nothing is looked up or encoded per
candidate but one row of that table.

Shapes: **N** items, **C** candidates, **W** columns kept per item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.contracts.tables import ItemTables, TableDtype, tables_of
from vizsla.errors import IncompatibleArtifactError
from vizsla.fields import EncodedRows
from vizsla.models.ranker import RANKERS
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.embeddings import Embedded, Sequence
from vizsla.models.ranker.packed import Found, PackedTables
from vizsla.models.ranker.split import SplitForm, after_first

__all__ = ["ItemSide", "ItemStore", "RankerRuntime", "UserSide", "item_fields", "user_fields"]

Floats = NDArray[np.float32]

_BACKBONE = "backbone."


@dataclass(frozen=True, slots=True)
class ItemSide:
    """What is known of C items before any request.

    Attributes:
        columns: ``(C, W)`` what meets the user side.
        rest: ``(C,)`` what is added to the logit as it is.
    """

    columns: Floats
    rest: Floats


@dataclass(frozen=True, slots=True)
class UserSide:
    """What is computed of one user and context.

    Attributes:
        sums: ``(H + K,)`` the first layer without the items, bias included, then the sum of the
            FM's factors.
        rest: What is added to the logit as it is.
        found: What the lookup gave.
    """

    sums: Floats
    rest: float
    found: Found


class _Form(Protocol):
    """How a backbone's two sides are computed and brought together."""

    def items(self, found: Found) -> ItemSide: ...

    def user(self, found: Found) -> UserSide: ...

    def logits(self, user: UserSide, items: ItemSide) -> Floats: ...


class ItemStore:
    """The item side of N items, in one table.

    Args:
        columns: ``(N, W)`` as it is stored.
        rest: ``(N,)``.
    """

    def __init__(self, columns: ItemTables, rest: Floats) -> None:
        self._columns = columns
        self._rest = rest

    def __len__(self) -> int:
        return len(self._rest)

    @property
    def dtype(self) -> TableDtype:
        """How the table is stored."""
        return self._columns.dtype

    @property
    def n_bytes(self) -> int:
        """Bytes of the table."""
        return self._columns.n_bytes + self._rest.nbytes

    def take(self, item_nums: NDArray[np.int64]) -> ItemSide:
        """Gather rows."""
        return ItemSide(self._columns.rows(0, item_nums), self._rest[item_nums])


class RankerRuntime:
    """Scores candidates as ``Ranker`` does, the user's side once.

    Args:
        schema: Kept fields and widths.
        name: Registered name of the backbone.
        config: Its settings.
        weights: The ranker's tensors by name; tables may be stored narrow.

    Raises:
        IncompatibleArtifactError: Weights, settings and schema do not belong together.
    """

    def __init__(
        self,
        schema: RankingSchema,
        name: str,
        config: Mapping[str, Any],
        weights: Mapping[str, NDArray[Any]],
    ) -> None:
        self.schema = schema
        backbone = _backbone(schema, name, config, weights)
        self.tables = PackedTables(schema, weights, vectors=backbone.reads_vectors)
        form = backbone.split()
        self.is_split = form is not None
        self._item_fields, self._user_fields = item_fields(schema), user_fields(schema)
        self._form: _Form = _Split(schema, form) if form else _Whole(schema, backbone)

    def items(self, rows: EncodedRows) -> ItemSide:
        """Compute the side of C items from their fields."""
        return self._form.items(self.tables.find(rows, self._item_fields))

    def store(self, pieces: Iterable[EncodedRows], dtype: TableDtype = "float32") -> ItemStore:
        """Compute the side of all items, piece by piece, and keep it as a type."""
        sides = []
        for piece in pieces:
            side = self.items(piece)
            sides.append((tables_of([side.columns], dtype), side.rest))
        return ItemStore(_joined([columns for columns, _ in sides]), _stacked(sides))

    def user(self, rows: EncodedRows) -> UserSide:
        """Compute the side of one user and context: a single row of their fields."""
        return self._form.user(self.tables.find(rows, self._user_fields))

    def logits(self, user: UserSide, items: ItemSide) -> Floats:
        """Return ``(C,)`` logits."""
        return self._form.logits(user, items)


def item_fields(schema: RankingSchema) -> list[RankerField]:
    """Return the kept fields that are the item's."""
    return [one for one in schema.kept if one.spec.owner == "item"]


def user_fields(schema: RankingSchema) -> list[RankerField]:
    """Return the kept fields that are the same for all candidates of a request."""
    return [one for one in schema.kept if one.spec.owner != "item"]


class _Split:
    """Linear part, FM and first layer computed for each side alone.

    Of items either their fields side by side are kept, or what the first layer and the FM make
    of them, whichever is narrower: the product of the former takes a tenth of a millisecond.
    """

    def __init__(self, schema: RankingSchema, form: SplitForm) -> None:
        self._form = form
        self._maps = _maps(schema, form)
        own = [self._maps[one.spec.name] for one in item_fields(schema)]
        width = form.n_hidden + form.n_factors
        both = np.concatenate([np.empty((0, width), np.float32), *own])
        self._product = both if len(both) < width else None

    def items(self, found: Found) -> ItemSide:
        sums, rest = self._side(found)
        return ItemSide(sums if self._product is None else found.flat, rest)

    def user(self, found: Found) -> UserSide:
        sums, rest = self._side(found)
        if self._form.layers:
            sums[:, : self._form.n_hidden] += self._form.layers[0].bias
        return UserSide(sums[0], float(rest[0]) + self._form.bias, found)

    def logits(self, user: UserSide, items: ItemSide) -> Floats:
        logits = items.rest + np.float32(user.rest)
        n_hidden = self._form.n_hidden
        sums = items.columns if self._product is None else items.columns @ self._product
        if self._form.n_factors:
            logits += sums[:, n_hidden:] @ user.sums[n_hidden:]
        if n_hidden:
            hidden = sums[:, :n_hidden] + user.sums[:n_hidden]
            logits += after_first(self._form.layers, hidden)
        return logits

    def _side(self, found: Found) -> tuple[Floats, Floats]:
        """Return ``(B, H + K)``, first layer beside factors, and ``(B,)`` of the rest."""
        rest = found.linear if self._form.linear else np.zeros_like(found.linear)
        n_hidden = self._form.n_hidden
        sums = np.zeros((len(rest), n_hidden + self._form.n_factors), np.float32)
        squares = np.zeros(len(rest), np.float32)
        for name, vectors in found.vectors.items() if sums.shape[1] else ():
            own = vectors @ self._maps[name]
            sums += own
            squares += np.square(own[:, n_hidden:]).sum(axis=1)
        within = (np.square(sums[:, n_hidden:]).sum(axis=1) - squares) / 2
        return sums, rest + within


class _Whole:
    """The backbone as it is, over vectors that were looked up once."""

    def __init__(self, schema: RankingSchema, backbone: Backbone) -> None:
        self._names = [one.spec.name for one in schema.kept]
        self._widths = {one.spec.name: one.dim for one in item_fields(schema)}
        self._backbone = backbone
        lists = [one.spec.name for one in item_fields(schema) if one.spec.kind == "sequence"]
        if lists:
            raise IncompatibleArtifactError(
                f"{lists[0]}: a sequence that belongs to items is served by no backbone of "
                "this kind; declare it multi_valued"
            )

    def items(self, found: Found) -> ItemSide:
        return ItemSide(found.flat, found.linear)

    def user(self, found: Found) -> UserSide:
        return UserSide(np.empty(0, np.float32), float(found.linear[0]), found)

    @torch.inference_mode()
    def logits(self, user: UserSide, items: ItemSide) -> Floats:
        count = len(items.rest)
        if not count:
            return np.empty(0, np.float32)
        ends = np.cumsum(list(self._widths.values()))[:-1]
        parts = np.split(items.columns, ends, axis=1) if self._widths else []
        vectors = {n: torch.from_numpy(p) for n, p in zip(self._widths, parts, strict=True)}
        for name, one in user.found.vectors.items():
            vectors[name] = torch.from_numpy(one).expand(count, -1)
        embedded = Embedded(
            {name: vectors[name] for name in self._names},
            torch.from_numpy(items.rest + np.float32(user.rest)),
            {name: _repeated(one, count) for name, one in user.found.sequences.items()},
        )
        logits: Floats = self._backbone(embedded).numpy()
        return logits


def _repeated(values: Floats, count: int) -> Sequence:
    vectors = torch.from_numpy(values).expand(count, -1, -1)
    return Sequence(vectors, torch.ones(count, len(values), dtype=torch.bool))


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


def _maps(schema: RankingSchema, form: SplitForm) -> dict[str, Floats]:
    """Return each kept field's ``(d_f, H + K)``: onto the first layer, and onto the factors."""
    maps, end = {}, 0
    for one in schema.kept:
        hidden = np.empty((one.dim, 0), np.float32)
        if form.layers:
            hidden = form.layers[0].weight[:, end : end + one.dim].T
        factors = np.empty((one.dim, 0), np.float32)
        if form.factors is not None:
            factors = form.factors[one.spec.name].T
        maps[one.spec.name] = np.ascontiguousarray(np.concatenate([hidden, factors], axis=1))
        end += one.dim
    return maps


def _joined(pieces: list[ItemTables]) -> ItemTables:
    if len(pieces) == 1:
        return pieces[0]
    arrays = np.concatenate([piece.arrays[0] for piece in pieces])
    scales = np.concatenate([piece.scales[0] for piece in pieces])
    return ItemTables((arrays,), (scales,), pieces[0].dtype)


def _stacked(sides: list[tuple[ItemTables, Floats]]) -> Floats:
    return np.concatenate([rest for _, rest in sides])
