"""Attributes of items in columns, and filters over them compiled into bitmaps."""

from __future__ import annotations

from graph_index.attributes.overlay import OverlaidAttributes, fitting
from graph_index.attributes.store import AttributeStore

__all__ = ["AttributeStore", "OverlaidAttributes", "fitting"]
