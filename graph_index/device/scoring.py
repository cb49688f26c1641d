"""The scorer as a search on a device sees it: one batch's state, keys of scores, counted time.

Shapes: **B** queries, **C** candidates, **D** vector size, **N** items.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from graph_index.device.keys import EMPTY, joined, packed
from graph_index.device.protocols import DeviceScorer
from graph_index.scoring import check_histories
from graph_index.timed import Timed
from vizsla.clock import Clock
from vizsla.contracts.index import Query, Scorer
from vizsla.errors import ContractError, UsageError

__all__ = ["DeviceScoring"]

_SCANNED_AT_ONCE = 65_536


class DeviceScoring(Timed):
    """One batch of queries under a scorer, on a device.

    What the scorer answers is checked on the device, and looked at when the search
    waits for the device anyway, see ``check``.

    Args:
        scorer: A ``DeviceScorer``.
        queries: The batch of B queries; their state is computed here, once.
        clock: For deadlines and times.  The parts count the time of handing work to the device;
            on a GPU most of it is spent where the search waits, and so is bookkeeping.
        n_items: Items of the index; the scorer must have as many.
        device: Where.

    Attributes:
        n_queries: B.
        n_proxy_scored: Dot products computed per query so far.
        unsound: Scalar bool tensor: some answer was NaN or infinite.

    Raises:
        UsageError: The scorer cannot be asked on a device.
        ContractError: It was made for another number of items.
    """

    def __init__(
        self,
        scorer: Scorer,
        queries: Sequence[Query],
        clock: Clock,
        n_items: int,
        device: torch.device,
    ) -> None:
        if not isinstance(scorer, DeviceScorer):
            raise UsageError(
                f"a {type(scorer).__name__} cannot be asked on device '{device}': it has no "
                "on_device; choose the backend graph, or device=cpu in the server"
            )
        if scorer.n_items != n_items:
            raise ContractError(f"the scorer has {scorer.n_items} items, the index {n_items}")
        check_histories(queries, n_items)
        super().__init__(clock)
        self.device = device
        self.n_items = n_items
        self.n_queries = len(queries)
        self.n_proxy_scored = 0
        self.unsound = torch.zeros((), dtype=torch.bool, device=device)
        self._scores = scorer.on_device(str(device))
        with self._timed("state"):
            self._state = self._scores.user_state(queries)

    def keys(self, item_nums: Tensor) -> Tensor:
        """Score candidates in one call.

        Args:
            item_nums: ``(B, C)`` int64 in [0, N], N for no item.

        Returns:
            ``(B, C)`` int64 keys, ``EMPTY`` for no item.

        Raises:
            ContractError: The scorer returned another shape.
        """
        with self._timed("score"):
            scores = self._scores.scores(self._state, item_nums)
        if scores.shape != item_nums.shape:
            raise ContractError(
                f"the scorer returned {tuple(scores.shape)} for {tuple(item_nums.shape)} candidates"
            )
        is_item = item_nums < self.n_items
        self.unsound |= (~torch.isfinite(scores) & is_item).any()
        return packed(scores, item_nums).masked_fill(~is_item, EMPTY)

    def proxy_best(self, wanted: Tensor, width: int) -> Tensor | None:
        """Scan the proxy over the catalogue, a block of items at a time.

        Args:
            wanted: ``(B, N + 1)`` bool, the items that count.
            width: Items kept per query.

        Returns:
            ``(B, width)`` keys of the largest dot products, fewer columns in a smaller catalogue,
            ``EMPTY`` where fewer items count; None where the scorer has no proxy.

        Raises:
            ContractError: The proxy has a wrong shape.
        """
        users = self._scores.proxy(self._state)
        if users is None:
            return None
        self.n_proxy_scored = self.n_items
        found = torch.empty((self.n_queries, 0), dtype=torch.int64, device=self.device)
        with self._timed("seed"):
            self.unsound |= ~torch.isfinite(users).all()
            for start in range(0, self.n_items, _SCANNED_AT_ONCE):
                found = joined(found, self._scanned(users, wanted, start), width)
        return found

    def _scanned(self, users: Tensor, wanted: Tensor, start: int) -> Tensor:
        stop = min(start + _SCANNED_AT_ONCE, self.n_items)
        vectors = self._scores.item_vectors(start, stop)
        if users.shape != (self.n_queries, vectors.shape[1]):
            expected = (self.n_queries, vectors.shape[1])
            raise ContractError(f"the proxy must be {expected}, it is {tuple(users.shape)}")
        item_nums = torch.arange(start, stop, device=self.device)
        keys = packed(users @ vectors.T, item_nums)
        return keys.masked_fill(~wanted[:, start:stop], EMPTY)

    def check(self, *, unsound: bool) -> None:
        """Refuse what the scorer answered.

        Raises:
            ContractError: ``unsound`` was seen to be true.
        """
        if unsound:
            raise ContractError("the scorer returned NaN or infinity")
