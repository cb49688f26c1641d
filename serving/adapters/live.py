"""Item changes in one server process: into the log, out of the log, into the searches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from graph_index.attributes import AttributeStore, OverlaidAttributes
from graph_index.check import problems
from graph_index.live.check import live_problems
from graph_index.live.healing import Healed, Healing
from graph_index.live.items import LiveItems
from graph_index.live.states import Applied
from graph_index.retriever import GraphRetriever
from serving.adapters.catalogue import BundleCatalogue
from serving.adapters.changeable import can_change, why_not
from serving.adapters.healing import HealingSchedule
from serving.adapters.item_changes import UNWRITTEN, Accepted, Wanted, resolved, reused
from serving.adapters.item_log import apply_log, decoded, start_offset
from serving.adapters.live_catalogue import LiveCatalogue
from serving.core.protocols import Engine
from vizsla.bundles import vector_space
from vizsla.contracts.events import ITEMS_TOPIC, EventLog, EventRecord
from vizsla.contracts.index import UpdatableScorer
from vizsla.errors import (
    IncompatibleArtifactError,
    LogMovedError,
    LogUnavailableError,
    NotFoundError,
)
from vizsla.telemetry.metrics import Metrics

__all__ = ["LiveEngine"]

_TRIES = 8
"""How often a change is made anew because others wrote to the log first."""

_log = logging.getLogger("vizsla.serving")


class LiveEngine:
    """Keeps an engine up to date with the log; any thread may call it, one works at a time.

    Whoever answers a request takes the engine once and keeps it, so a request never sees two
    states.  A search never waits for anything here; the first one after a change compiles its
    filters anew where changed rows are concerned.

    Args:
        engine: Of the bundle, without changes.
        log_file: For messages, and to see whether there is a log at all.
        open_log: Opens the log, and makes it if it is not there.
        show: Called with the engine after each change of it.
        metrics: Where counts go.
        healing: When the graph is led around removed items.

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
        healing: HealingSchedule,
    ) -> None:
        self._engine = engine
        self._log_file = log_file
        self._open_log = open_log
        self._show = show
        self._metrics = metrics
        self._healing = healing
        self._lock = threading.Lock()
        self._log: EventLog | None = None
        self._items: LiveItems | None = None

    def catch_up(self) -> None:
        """Apply what is new in the log; nothing to do while there is no log."""
        with self._lock:
            if self._items is not None or self._log_file.exists():
                self._catch_up(self._opened())

    def tend(self) -> None:
        """Apply what is new, and now and then look for entries and link removed items' neighbours.

        Both are slow, the latter a pass over the whole graph.  They are computed beside further
        changes; only when inserts have outdated a pass some times in a row do changes wait for it.
        """
        with self._lock:
            if self._items is None and not self._log_file.exists():
                return
            items = self._opened()
            self._catch_up(items)
            growth = items.live.entry_growth()
        found = None if growth is None else growth.run()
        with self._lock:
            if self._items is not items:  # it begins again from the bundle
                return
            if found is not None and items.live.add_entries(found):
                self._publish(items)
            healing = items.live.healing() if self._healing.is_due(items.live) else None
            if healing is None:
                return
            if self._healing.has_to_be_now:
                self._finish(items, healing, healing.run())
                return
        healed = healing.run()
        with self._lock:
            if self._items is items:
                self._finish(items, healing, healed)

    def accept(self, wanted: Sequence[Wanted]) -> list[Accepted | Exception]:
        """Take changes of different items: write them to the log, then apply the log.

        A record says the whole state of its item, so it must not be written after one that
        it does not know: where another process was first, its changes are read and the
        records made anew.

        Returns:
            In order, what was accepted, or why a change was refused; those accepted survive
            a crash.

        Raises:
            LogUnavailableError: None of them was written now.
            IncompatibleArtifactError: The bundle cannot take changes.
        """
        with self._lock:
            items = self._opened()
            for _ in range(_TRIES):
                self._catch_up(items)
                try:
                    outcomes = self._append(self._made(wanted, items), items.offset)
                except LogMovedError:
                    continue
                self._catch_up(items)
                return outcomes
        raise LogUnavailableError("other processes write to the item log all the time; retry")

    def problems(self) -> list[str]:
        """Check the graph that searches walk now; empty when it is sound.

        A pass over the whole graph, beside searches and changes.

        Raises:
            NotFoundError: The bundle is searched without a graph in this process.
        """
        with self._lock:
            state = None if self._items is None else self._items.live.state()
        if state is not None:
            return live_problems(state)
        if not isinstance(self._engine.retriever, GraphRetriever):
            raise NotFoundError("this bundle is searched without a graph in this process")
        return problems(self._engine.retriever.graph)

    def close(self) -> None:
        """Let go of the log."""
        with self._lock:
            if self._log is not None:
                self._log.close()

    def _finish(self, items: LiveItems, healing: Healing, healed: Healed) -> None:
        n_healed = items.live.finish(healing, healed)
        self._healing.note(n_healed)
        if n_healed:
            self._publish(items)

    def _made(self, wanted: Sequence[Wanted], items: LiveItems) -> list[Accepted | Exception]:
        """Return what is to be written, what was written before, and what is refused."""
        outcomes: list[Accepted | Exception] = []
        given: set[str] = set()
        for one in wanted:
            outcome = self._sent_before(one, given) or resolved(one, items)
            outcomes.append(outcome)
            if one.event_id is not None and isinstance(outcome, Accepted):
                given.add(one.event_id)
        return outcomes

    def _sent_before(self, wanted: Wanted, given: set[str]) -> Accepted | Exception | None:
        """Look a change up by its event: it was taken already, or another one has its id."""
        if wanted.event_id is None:
            return None
        assert self._log is not None
        known = self._log.find(ITEMS_TOPIC, wanted.event_id)
        if known is None and wanted.event_id not in given:
            return None
        change = decoded(known) if known else None
        if not known or not change or change.item_id != wanted.item_id:
            return reused("another item's change has this event_id")
        if not wanted.is_told_by(change):
            return reused("another change of this item has this event_id")
        return Accepted(change, known.offset, existed=True)

    def _append(
        self, outcomes: Sequence[Accepted | Exception], end: int
    ) -> list[Accepted | Exception]:
        """Write what is new, all or nothing, and return the outcomes with its offsets."""
        assert self._log is not None
        new = [
            outcome.change
            for outcome in outcomes
            if isinstance(outcome, Accepted) and outcome.offset == UNWRITTEN
        ]
        records = [
            EventRecord(change.item_id, change.event_id, change.model_dump_json().encode())
            for change in new
        ]
        places = iter(self._log.append(ITEMS_TOPIC, records, expected_end=end) if records else [])
        return [
            replace(outcome, offset=next(places).offset)
            if isinstance(outcome, Accepted) and outcome.offset == UNWRITTEN
            else outcome
            for outcome in outcomes
        ]

    def _opened(self) -> LiveItems:
        if self._items is None:
            retriever = self._engine.retriever
            if not can_change(self._engine):
                raise IncompatibleArtifactError(why_not(self._engine))
            if self._log is None:
                self._log = self._open_log(self._log_file)
            manifest = self._engine.manifest
            assert isinstance(retriever, GraphRetriever)
            assert isinstance(self._engine.attributes, AttributeStore)
            self._attributes = OverlaidAttributes(
                self._engine.attributes, self._engine.attributes.n_items
            )
            self._scorer, self._changed = self._engine.scorer, set[str]()
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
            self._items = None
            raise

    def _apply_log(self, items: LiveItems) -> None:
        assert self._log is not None
        try:
            for applied in apply_log(items, self._log):
                self._take(applied)
        except LogUnavailableError:
            # what was read before the log failed is acknowledged the next time it is sent
            if not items.is_settled:
                self._items = None
            elif items.offset != items.snapshot().offset:
                self._publish(items)
            raise
        if items.offset != items.snapshot().offset:
            self._publish(items)

    def _take(self, applied: Applied) -> None:
        if len(applied.nums):
            assert isinstance(self._scorer, UpdatableScorer)
            self._scorer = self._scorer.with_items(applied.nums, applied.vectors)
        self._changed |= applied.item_ids
        self._metrics.count_item_changes("applied", applied.n_changes)
        self._metrics.count_item_changes("repeated", applied.n_repeated)
        self._metrics.count_item_changes("skipped", applied.n_skipped)

    def _publish(self, items: LiveItems) -> None:
        snapshot = items.publish()
        retriever, base = self._engine.retriever, self._engine.catalogue
        assert isinstance(retriever, GraphRetriever)
        assert isinstance(base, BundleCatalogue)
        catalogue = LiveCatalogue(base, snapshot)
        rows = catalogue.rows(self._changed)
        self._attributes = self._attributes.changed(snapshot.graph.graph.n_items, rows)
        if self._engine.ranker is not None:
            self._engine.ranker.note_changes(dict(rows.values()))
        self._changed = set()
        engine = replace(
            self._engine,
            catalogue=catalogue,
            attributes=self._attributes,
            scorer=self._scorer,
            retriever=retriever.over(snapshot.graph.graph, snapshot.graph.item_vectors),
        )
        self._metrics.show_live(
            n_items=items.live.n_present,
            n_unhealed=items.live.n_unhealed,
            offset=snapshot.offset,
        )
        self._show(engine)
