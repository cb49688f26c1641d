"""What one server process holds: the bundle in use, and everything around it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from serving.adapters.healing import HealingSchedule
from serving.adapters.live import LiveEngine
from serving.core.admission import Admission
from serving.core.deadline import DeadlinePolicy
from serving.core.lifecycle import Lifecycle
from serving.core.limits import Limits
from serving.core.pipeline import RECOMMEND, RETRIEVE, Pipeline, build_pipeline
from serving.core.protocols import Catalogue, Engine, UserHistories
from vizsla.clock import Clock
from vizsla.config import LiveSettings, ServingSettings
from vizsla.contracts.events import EventLog
from vizsla.telemetry.metrics import Metrics

__all__ = ["Current", "Served", "server_timing"]

_log = logging.getLogger("vizsla.serving")


@dataclass(frozen=True, slots=True)
class Current:
    """An engine with its pipelines; replaced as a whole."""

    engine: Engine
    retrieve: Pipeline
    recommend: Pipeline

    @classmethod
    def of(cls, engine: Engine, histories: UserHistories, clock: Clock) -> Current:
        """Build the pipelines of an engine."""

        def built(names: Sequence[str]) -> Pipeline:
            return build_pipeline(names, engine, histories, clock, _stage_failed)

        return cls(engine, built(RETRIEVE), built(RECOMMEND))


@dataclass(slots=True)
class Served:
    """The state of a server process.

    Attributes:
        settings: Section ``serving`` of the settings.
        current: What answers now; a request takes it once, so it never sees two bundles.
        histories: Known users.
        clock: Time.
        pool: Searches run here, so that the event loop stays free for health checks.
        live_settings: Section ``live`` of the settings.
        changes: Changes of items are taken here, beside the searches.
        live: Keeps ``current`` up to date with the item log.
        base_catalogue: Items of the bundle itself.
    """

    settings: ServingSettings
    current: Current
    histories: UserHistories
    clock: Clock
    pool: ThreadPoolExecutor
    live_settings: LiveSettings = field(default_factory=LiveSettings)
    changes: ThreadPoolExecutor = field(init=False)
    live: LiveEngine = field(init=False)
    base_catalogue: Catalogue = field(init=False)
    metrics: Metrics = field(default_factory=Metrics)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    admission: Admission = field(init=False)
    deadlines: DeadlinePolicy = field(init=False)
    limits: Limits = field(init=False)

    def __post_init__(self) -> None:
        """Derive the policies from the settings."""
        settings = self.settings
        self.admission = Admission(settings.max_in_flight)
        self.deadlines = DeadlinePolicy(settings.default_deadline_ms, settings.max_deadline_ms)
        self.changes = ThreadPoolExecutor(1, thread_name_prefix="changes")
        self.base_catalogue = self.current.engine.catalogue
        self.limits = Limits(settings.max_k, settings.max_batch, settings.max_history)

    def open_live(self, log_file: Path, open_log: Callable[[Path], EventLog]) -> None:
        """Bring the engine to the state of the item log, if there is one.

        Raises:
            VizslaError: There is a log that cannot be used.
        """
        self.live = LiveEngine(
            self.current.engine,
            log_file,
            open_log,
            self._show_engine,
            self.metrics,
            HealingSchedule(self.clock, self.live_settings.heal_after_ms / 1000),
        )
        self.live.catch_up()

    def _show_engine(self, engine: Engine) -> None:
        self.current = Current.of(engine, self.histories, self.clock)


def _stage_failed(stage: str, error: Exception) -> None:
    _log.error("stage %s failed, its fallback answers", stage, exc_info=error)


def server_timing(parts_us: Mapping[str, int]) -> str:
    """Return a ``Server-Timing`` header of microseconds per stage.

    Example:
        >>> server_timing({"retrieve": 1500, "filter": 20})
        'retrieve;dur=1.5, filter;dur=0.02'
    """
    return ", ".join(f"{stage};dur={spent_us / 1000:g}" for stage, spent_us in parts_us.items())
