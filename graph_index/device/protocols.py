"""What a scorer must offer to be asked on a torch device.

Shapes: **B** queries, **C** candidates, **D** vector size, **N** items, **R** rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vizsla.contracts.index import Query, Scorer

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DeviceScorer", "DeviceScores"]


class DeviceScores(Protocol):
    """A scorer's tables and weights on one device; takes and gives tensors that are there."""

    def user_state(self, queries: Sequence[Query]) -> Any:
        """Fold everything that does not depend on the item, once per batch of B queries."""
        ...

    def scores(self, state: Any, item_nums: Tensor) -> Tensor:
        """Score the same number of candidates of each query.

        Args:
            state: What ``user_state`` returned for B queries.
            item_nums: ``(B, C)`` int64 in [0, N]; N stands for no item.

        Returns:
            ``(B, C)`` float32, finite where there is an item; anything where there is none.
        """
        ...

    def proxy(self, state: Any) -> Tensor | None:
        """Return ``(B, D)`` float32 whose dot product with an item vector is near its score."""
        ...

    def item_vectors(self, start: int, stop: int) -> Tensor:
        """Return ``(R, D)`` float32 vectors of the items from ``start`` to ``stop``."""
        ...


@runtime_checkable
class DeviceScorer(Scorer, Protocol):
    """A scorer that can move to a torch device."""

    def on_device(self, device: str) -> DeviceScores:
        """Return the scorer as it is there; made at the first call and kept."""
        ...
