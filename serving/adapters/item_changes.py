"""Changes that are asked for, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from graph_index.live.items import LiveItems
from vizsla.contracts.events import ItemChange
from vizsla.errors import EventReusedError, FieldProblem, LogUnavailableError

__all__ = ["UNWRITTEN", "Accepted", "Wanted", "resolved", "reused"]

UNWRITTEN = -1
"""Offset of a change that is not in the log yet."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change that somebody asks for.

    Attributes:
        item_id: Whose change.
        event_id: As it was sent; None where the server makes one.
        resolve: Makes the record from the catalogue as it is; raises what the caller is told.
        is_told_by: Whether a record of the log tells this very change.
    """

    item_id: str
    event_id: str | None
    resolve: Callable[[LiveItems], ItemChange]
    is_told_by: Callable[[ItemChange], bool]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A change that is in the log and in the searches of this process."""

    change: ItemChange
    offset: int
    existed: bool


def resolved(wanted: Wanted, items: LiveItems) -> Accepted | Exception:
    """Make the record of a change, or say why there is none."""
    existed = wanted.item_id in items
    try:
        return Accepted(wanted.resolve(items), UNWRITTEN, existed)
    except LogUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 - told to the caller, record by record
        return error


def reused(detail: str) -> EventReusedError:
    """Refuse a change whose event is known as another one."""
    return EventReusedError(f"/event_id: {detail}", (FieldProblem("/event_id", detail),))
