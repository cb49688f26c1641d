"""How a backbone's user side and item side are computed and brought together.

Shapes: **C** candidates, **W** columns kept per item, **D** units of the last hidden layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vizsla.contracts.ranking import RankerField, RankingSchema
from vizsla.errors import IncompatibleArtifactError
from vizsla.fields import EncodedRows
from vizsla.fields.rows import join
from vizsla.models.ranker.base import Backbone
from vizsla.models.ranker.crossed import Hashes
from vizsla.models.ranker.embeddings import Embedded, Sequence as Behaviours
from vizsla.models.ranker.packed import Found
from vizsla.models.ranker.split import SplitForm, last_hidden

__all__ = [
    "NOT_CROSSED",
    "Form",
    "ItemSide",
    "Scored",
    "Split",
    "UserSide",
    "Whole",
    "item_fields",
    "user_fields",
]

Floats = NDArray[np.float32]

NOT_CROSSED = EncodedRows({})
"""Of any number of items, where no cross reads both sides."""

_KEPT: ContextVar[list[Tensor] | None] = ContextVar("kept", default=None)
"""Where a forward of this thread leaves what the last layer read; searches share the modules."""


@dataclass(frozen=True, slots=True)
class ItemSide:
    """What is known of C items before any request.

    Attributes:
        columns: ``(C, W)`` what meets the user side.
        rest: ``(C,)`` what is added to the logit as it is.
        codes: ``(C,)`` int32 which item each is to the ranker; None where nobody asks.
        crossed: Codes of the fields that are crossed with the user's; without any, empty.
    """

    columns: Floats
    rest: Floats
    codes: NDArray[np.int32] | None = None
    crossed: EncodedRows = NOT_CROSSED

    def replaced(self, places: Sequence[int], other: ItemSide) -> ItemSide:
        """Return a copy with some rows taken from another side, in its order."""
        columns, rest = self.columns.copy(), self.rest.copy()
        columns[places], rest[places] = other.columns, other.rest
        order = np.arange(len(rest))
        order[places] = len(rest) + np.arange(len(places))
        crossed = join([self.crossed, other.crossed]).take(order)
        if self.codes is None or other.codes is None:
            return ItemSide(columns, rest, crossed=crossed)
        return ItemSide(columns, rest, np.concatenate([self.codes, other.codes])[order], crossed)


@dataclass(frozen=True, slots=True)
class Scored:
    """What C candidates got.

    Attributes:
        logits: ``(C,)`` raw.
        hidden: ``(C, D)`` what the last layer of the perceptron read; None without a hidden layer.
    """

    logits: Floats
    hidden: Floats | None


@dataclass(frozen=True, slots=True)
class UserSide:
    """What is computed of one user and context.

    Attributes:
        sums: ``(H + K,)`` the first layer without the items, bias included, then the sum of the
            FM's factors.
        rest: What is added to the logit as it is.
        found: What the lookup gave.
        hashes: What meets the items' codes where fields are crossed.
    """

    sums: Floats
    rest: float
    found: Found
    hashes: Hashes = ()


class Form(Protocol):
    """How a backbone's two sides are computed and brought together."""

    def items(self, found: Found) -> ItemSide:
        """Compute the side of C items."""
        ...

    def user(self, found: Found) -> UserSide:
        """Compute the side of one user and context."""
        ...

    def score(self, user: UserSide, items: ItemSide) -> Scored:
        """Bring both together."""
        ...


def item_fields(schema: RankingSchema) -> list[RankerField]:
    """Return the kept fields that are the item's."""
    return [one for one in schema.kept if one.spec.owner == "item"]


def user_fields(schema: RankingSchema) -> list[RankerField]:
    """Return the kept fields that are the same for all candidates of a request."""
    return [one for one in schema.kept if one.spec.owner != "item"]


class Split:
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
        """Compute the side of C items."""
        sums, rest = self._side(found)
        return ItemSide(sums if self._product is None else found.flat, rest)

    def user(self, found: Found) -> UserSide:
        """Compute the side of one user and context."""
        sums, rest = self._side(found)
        if self._form.layers:
            sums[:, : self._form.n_hidden] += self._form.layers[0].bias
        return UserSide(sums[0], float(rest[0]) + self._form.bias, found)

    def score(self, user: UserSide, items: ItemSide) -> Scored:
        """Bring both together."""
        logits, hidden = items.rest + np.float32(user.rest), None
        n_hidden, layers = self._form.n_hidden, self._form.layers
        sums = items.columns if self._product is None else items.columns @ self._product
        if self._form.n_factors:
            logits += sums[:, n_hidden:] @ user.sums[n_hidden:]
        if len(layers) > 1:
            hidden = last_hidden(layers, sums[:, :n_hidden] + user.sums[:n_hidden])
            logits += hidden @ layers[-1].weight[0] + layers[-1].bias
        elif layers:
            logits += sums[:, 0] + user.sums[0]
        return Scored(logits, hidden)

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


class Whole:
    """The backbone as it is, over vectors that were looked up once."""

    def __init__(self, schema: RankingSchema, backbone: Backbone) -> None:
        self._names = [one.spec.name for one in schema.kept]
        self._widths = {one.spec.name: one.dim for one in item_fields(schema)}
        self._backbone = backbone
        last = backbone.last_layer()
        if last is not None:
            last.register_forward_pre_hook(_keep)
        lists = [one.spec.name for one in item_fields(schema) if one.spec.kind == "sequence"]
        if lists:
            raise IncompatibleArtifactError(
                f"{lists[0]}: a sequence that belongs to items is served by no backbone of "
                "this kind; declare it multi_valued"
            )

    def items(self, found: Found) -> ItemSide:
        """Compute the side of C items."""
        return ItemSide(found.flat, found.linear)

    def user(self, found: Found) -> UserSide:
        """Compute the side of one user and context."""
        return UserSide(np.empty(0, np.float32), float(found.linear[0]), found)

    @torch.inference_mode()
    def score(self, user: UserSide, items: ItemSide) -> Scored:
        """Bring both together."""
        if not len(items.rest):
            return Scored(np.empty(0, np.float32), None)
        kept: list[Tensor] = []
        token = _KEPT.set(kept)
        try:
            logits: Tensor = self._backbone(self._embedded(user, items))
        finally:
            _KEPT.reset(token)
        return Scored(logits.numpy(), kept[0].numpy() if kept else None)

    def _embedded(self, user: UserSide, items: ItemSide) -> Embedded:
        count = len(items.rest)
        ends = np.cumsum(list(self._widths.values()))[:-1]
        parts = np.split(items.columns, ends, axis=1) if self._widths else []
        vectors = {n: torch.from_numpy(p) for n, p in zip(self._widths, parts, strict=True)}
        for name, one in user.found.vectors.items():
            vectors[name] = torch.from_numpy(one).expand(count, -1)
        return Embedded(
            {name: vectors[name] for name in self._names},
            torch.from_numpy(items.rest + np.float32(user.rest)),
            {name: _repeated(one, count) for name, one in user.found.sequences.items()},
        )


def _keep(_: nn.Module, given: tuple[Tensor]) -> None:
    kept = _KEPT.get()
    if kept is not None:
        kept.append(given[0])


def _repeated(values: Floats, count: int) -> Behaviours:
    vectors = torch.from_numpy(values).expand(count, -1, -1)
    return Behaviours(vectors, torch.ones(count, len(values), dtype=torch.bool))


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
