"""From a request about an item to the record that the log gets, or to what is wrong with it."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graph_index.live.items import LiveItems, mean_vector
from serving.core.protocols import Catalogue
from vizsla.contracts.api import ItemPut
from vizsla.contracts.events import ItemChange
from vizsla.errors import FieldProblem, InvalidRequestError, NotFoundError
from vizsla.vocabulary import UNKNOWN

__all__ = ["put_change", "put_is_told_by", "remove_change"]

_LENGTH_RATIO = 2.0


def put_change(
    item_id: str, put: ItemPut, items: LiveItems, base: Catalogue, now_s: float
) -> ItemChange:
    """Complete a change, so that its record alone says what the item is to be.

    Args:
        item_id: Whose change.
        put: As it was sent.
        items: The catalogue now.
        base: Items of the bundle.
        now_s: Unix seconds.

    Raises:
        InvalidRequestError: The vector does not fit, or nothing says where a new item lies.
    """
    similar: Sequence[str] | None = put.similar_items
    vector = _vector(put, items)
    if vector is None:
        vector, similar = _placed_now(item_id, put, items, base)
    given = put.attributes
    return ItemChange(
        event_id=put.event_id or secrets.token_hex(16),
        event_timestamp=now_s,
        item_id=item_id,
        active=_active_now(item_id, items) if put.active is None else put.active,
        vector=None if vector is None else tuple(vector.tolist()),
        vector_space=None if vector is None else items.vector_space,
        similar_items=None if similar is None else tuple(similar),
        attributes=_attributes_now(item_id, items, base) if given is None else dict(given),
    )


def remove_change(item_id: str, event_id: str | None, items: LiveItems, now_s: float) -> ItemChange:
    """Make the record that takes an item out.

    Raises:
        NotFoundError: There is no such item.
    """
    if items.num(item_id) == UNKNOWN:
        raise NotFoundError(f"no item {item_id!r} in the catalogue")
    return ItemChange(
        event_id=event_id or secrets.token_hex(16),
        event_timestamp=now_s,
        item_id=item_id,
        action="remove",
    )


def put_is_told_by(put: ItemPut, change: ItemChange) -> bool:
    """Return whether a record says what a change asks for; what is absent may be anything."""
    vector = None if put.vector is None else tuple(np.array(put.vector, np.float32).tolist())
    similar = None if put.similar_items is None else tuple(put.similar_items)
    return change.action == "put" and all(
        wanted is None or wanted == told
        for wanted, told in (
            (put.active, change.active),
            (vector, change.vector),
            (similar, change.similar_items),
            (put.attributes, change.attributes),
        )
    )


def _vector(put: ItemPut, items: LiveItems) -> NDArray[np.float32] | None:
    if put.vector is not None:
        return _fitting(np.array(put.vector, np.float64), items)
    if put.similar_items is None:
        return None
    unknown = [i for i, id_ in enumerate(put.similar_items) if items.num(id_) == UNKNOWN]
    if unknown:
        raise _refused(f"/similar_items/{unknown[0]}", "no such item in the catalogue")
    return mean_vector(items, put.similar_items)


def _fitting(vector: NDArray[np.float64], items: LiveItems) -> NDArray[np.float32]:
    """A vector of another size or scale would win or lose every comparison."""
    size = items.live.embedding_size
    if len(vector) != size:
        raise _refused("/vector", f"{len(vector)} values; the bundle's vectors have {size}")
    length, usual = math.hypot(*vector.tolist()), items.usual_length
    if not usual / _LENGTH_RATIO <= length <= usual * _LENGTH_RATIO:
        raise _refused(
            "/vector", f"its length is {length:.4g}; the bundle's vectors are {usual:.4g} long"
        )
    return vector.astype(np.float32)


def _placed_now(
    item_id: str, put: ItemPut, items: LiveItems, base: Catalogue
) -> tuple[NDArray[np.float32] | None, Sequence[str] | None]:
    """Return the vector and similar items that the record must hold: None where the bundle has it.

    An item that was placed by similar items goes on with them: after another training they
    say where it lies, and the vector does not.
    """
    if items.num(item_id) == UNKNOWN:
        return _vector_of_new(item_id, put.attributes, items), None
    moved = None if put.attributes is None else _moved(item_id, put.attributes, items, base)
    if moved is not None:
        return moved, None
    similar = items.similar_items(item_id)
    given = items.has_own_vector(item_id) or similar is not None
    return items.vector_of(item_id) if given else None, similar


def _vector_of_new(
    item_id: str, attributes: Mapping[str, Any] | None, items: LiveItems
) -> NDArray[np.float32]:
    """Ask the item net, which places what it was trained to read.

    Raises:
        InvalidRequestError: It reads no columns, or knows none of these.
    """
    if items.item_net is None:
        raise _refused("/vector", "a new item needs vector or similar_items")
    found = items.vector_by_columns(item_id, attributes or {})
    if found is None:
        names = ", ".join(items.item_net.names)
        raise _refused(
            "/attributes",
            f"a new item needs a value that the item net knows (it reads {names}), "
            "or vector or similar_items",
        )
    return found


def _moved(
    item_id: str, attributes: Mapping[str, Any], items: LiveItems, base: Catalogue
) -> NDArray[np.float32] | None:
    """Return where changed columns place an item that its columns had placed; None: it stays.

    An item that lies elsewhere was placed by ``vector`` or ``similar_items``, which goes on.
    """
    net, now = items.item_net, items.vector_of(item_id)
    before = _attributes_now(item_id, items, base)
    if before is None:
        before = base.attributes(base.vocabulary.num(item_id))
    if net is None or now is None or net.reads_same(before, attributes):
        return None
    placed = items.vector_by_columns(item_id, before)
    if placed is None or not np.array_equal(placed, now):
        return None
    return items.vector_by_columns(item_id, attributes)


def _active_now(item_id: str, items: LiveItems) -> bool:
    return item_id not in items or items.is_active(item_id)


def _attributes_now(item_id: str, items: LiveItems, base: Catalogue) -> dict[str, object] | None:
    """Return what changes say of an item, None where the bundle's own columns hold."""
    num = items.num(item_id)
    if num == UNKNOWN:
        return {}
    known = items.attributes_at(num)
    if known is not None:
        return dict(known)
    return None if item_id in base.vocabulary else {}


def _refused(pointer: str, detail: str) -> InvalidRequestError:
    return InvalidRequestError(f"{pointer}: {detail}", (FieldProblem(pointer, detail),))
