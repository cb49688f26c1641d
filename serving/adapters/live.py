"""Item changes in one server process: into the log, out of the log, into the searches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from graph_index.attributes import AttributeStore, OverlaidAttributes
from graph_index.live.items import LiveItems
from graph_index.live.states import Applied
from graph_index.retriever import GraphRetriever
from serving.adapters.catalogue import BundleCatalogue
from serving.adapters.item_log import apply_log, start_offset
from serving.adapters.live_catalogue import LiveCatalogue
from serving.core.protocols import Attributes, Engine
from vizsla.bundles import vector_space
from vizsla.contracts.events import ITEMS_TOPIC, EventLog, EventRecord, ItemChange
from vizsla.contracts.index import UpdatableScorer
from vizsla.errors import IncompatibleArtifactError, LogUnavailableError
from vizsla.telemetry.metrics import Metrics

__all__ = ["Accepted", "LiveEngine", "Resolve"]

Resolve = Callable[[LiveItems], ItemChange]
"""Makes the record of a change from the catalogue as it is; raises what the caller is told."""

_log = logging.getLogger("vizsla.serving")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A change that is in the log and in the searches of this process."""

    change: ItemChange
    offset: int
    existed: bool


class LiveEngine:
    """Keeps an engine up to date with the log; any thread may call it, one works at a time.

    Whoever answers a request takes the engine once and keeps it, so a request never sees two
    states.  Nothing here is on the way of a search.

    Args:
        engine: Of the bundle, without changes.
        log_file: For messages, and to see whether there is a log at all.
        open_log: Opens the log, and makes it if it is not there.
        show: Called with the engine after each change of it.
        metrics: Where counts go.

    Raises:
        IncompatibleArtifactError: The log ends before the changes that the bundle holds.
        LogUnavailableError: There is a log, and it cannot be read.
    """

    def __init__(
        self,
        engine: Engine,
        log_file: Path,
        open_log: Callable[[Path], EventLog],
        show: Callable[[Engine], None],
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._log_file = log_file
        self._open_log = open_log
        self._show = show
        self._metrics = metrics
        self._lock = threading.Lock()
        self._log: EventLog | None = None
        self._items: LiveItems | None = None
        self._scorer = engine.scorer

    def catch_up(self) -> None:
        """Apply what is new in the log; nothing to do while there is no log."""
        with self._lock:
            if self._items is not None or self._log_file.exists():
                self._catch_up(self._opened())

    def tend(self) -> None:
        """Apply what is new, then link the neighbours of removed items with each other."""
        with self._lock:
            if self._items is None and not self._log_file.exists():
                return
            items = self._opened()
            self._catch_up(items)
            if items.live.heal() + items.live.refresh_entries():
                self._publish(items)

    def accept(self, resolves: Sequence[Resolve]) -> list[Accepted | Exception]:
        """Take changes of different items: write them to the log, then apply the log.

        Returns:
            In order, what was accepted, or why a change was refused; those accepted survive
            a crash.

        Raises:
            LogUnavailableError: Nothing was accepted.
            IncompatibleArtifactError: The bundle cannot take changes.
        """
        with self._lock:
            items = self._opened()
            self._catch_up(items)
            made = [_made(resolve, items) for resolve in resolves]
            changes = [change for change in made if isinstance(change, ItemChange)]
            existed = {change.item_id: change.item_id in items for change in changes}
            offsets = iter(self._append(changes))
            self._catch_up(items)
        return [
            Accepted(change, next(offsets), existed[change.item_id])
            if isinstance(change, ItemChange)
            else change
            for change in made
        ]

    def close(self) -> None:
        """Let go of the log."""
        with self._lock:
            if self._log is not None:
                self._log.close()

    def _append(self, changes: list[ItemChange]) -> list[int]:
        assert self._log is not None
        return self._log.append(
            ITEMS_TOPIC,
            [
                EventRecord(change.item_id, change.event_id, change.model_dump_json().encode())
                for change in changes
            ],
        )

    def _opened(self) -> LiveItems:
        if self._items is None:
            retriever = self._engine.retriever
            if not _can_change(self._engine):
                raise IncompatibleArtifactError(
                    "this bundle cannot take changes of items: it has no graph; "
                    "run: vizsla index build"
                )
            if self._log is None:
                self._log = self._open_log(self._log_file)
            manifest = self._engine.manifest
            assert isinstance(retriever, GraphRetriever)
            self._items = LiveItems(
                self._engine.catalogue.vocabulary,
                retriever.graph,
                retriever.item_vectors,
                vector_space=vector_space(manifest),
                offset=start_offset(manifest, self._log, self._log_file),
                item_net=self._engine.item_net,
            )
        return self._items

    def _catch_up(self, items: LiveItems) -> None:
        try:
            self._apply_log(items)
        except LogUnavailableError:
            raise
        except Exception:
            # half applied: begin again from the bundle at the next call
            self._items, self._scorer = None, self._engine.scorer
            raise

    def _apply_log(self, items: LiveItems) -> None:
        assert self._log is not None
        before = items.offset
        for applied in apply_log(items, self._log):
            self._take(applied)
        if items.offset != before:
            self._publish(items)

    def _take(self, applied: Applied) -> None:
        if len(applied.nums):
            assert isinstance(self._scorer, UpdatableScorer)
            self._scorer = self._scorer.with_items(applied.nums, applied.vectors)
        self._metrics.count_item_changes("applied", applied.n_changes)
        self._metrics.count_item_changes("repeated", applied.n_repeated)
        self._metrics.count_item_changes("skipped", applied.n_skipped)

    def _publish(self, items: LiveItems) -> None:
        snapshot = items.publish()
        retriever, base = self._engine.retriever, self._engine.catalogue
        assert isinstance(retriever, GraphRetriever)
        assert isinstance(base, BundleCatalogue)
        catalogue = LiveCatalogue(base, snapshot)
        engine = replace(
            self._engine,
            catalogue=catalogue,
            attributes=self._attributes(catalogue, snapshot.graph.graph.n_items),
            scorer=self._scorer,
            retriever=retriever.over(snapshot.graph.graph, snapshot.graph.item_vectors),
        )
        self._metrics.show_live(
            n_items=items.live.n_present,
            n_unhealed=items.live.n_unhealed,
            offset=snapshot.offset,
        )
        self._show(engine)

    def _attributes(self, catalogue: LiveCatalogue, n_items: int) -> Attributes:
        base = self._engine.attributes
        assert isinstance(base, AttributeStore)
        return OverlaidAttributes(base, n_items, catalogue.changed_rows)


def _can_change(engine: Engine) -> bool:
    return isinstance(engine.retriever, GraphRetriever) and isinstance(
        engine.scorer, UpdatableScorer
    )


def _made(resolve: Resolve, items: LiveItems) -> ItemChange | Exception:
    try:
        return resolve(items)
    except LogUnavailableError:
        raise
    except Exception as error:  # noqa: BLE001 - told to the caller, record by record
        return error
