"""Take a request through its stages.

::

    parse -> admit -> features -> retrieve -> filter -> rank -> respond

Parsing, admission and the response are the host's; what lies between is here.  A
stage is given the remaining deadline and knows its fallback.  When it is out of
time or fails, the fallback's answer goes on and is named in ``degraded``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Protocol

from serving.core.job import Job
from serving.core.protocols import Engine, UserHistories
from serving.core.stages import STAGES
from vizsla.clock import Clock
from vizsla.contracts.api import Degradation
from vizsla.errors import DeadlineError

__all__ = ["RECOMMEND", "RETRIEVE", "Pipeline", "Stage", "build_pipeline"]

RETRIEVE = ("features", "retrieve", "filter")
RECOMMEND = ("features", "retrieve", "filter", "rank")


class Stage(Protocol):
    """One step: ``run`` with the time that is left, or ``fall_back`` without any.

    Attributes:
        name: As registered.
        fallback: What ``fall_back`` is called in answers.
        needs_time: Whether being out of time is a reason to fall back; False where the
            work is too small to be worth leaving out.
    """

    name: ClassVar[str]
    fallback: ClassVar[str]
    needs_time: bool

    def __init__(self, engine: Engine, histories: UserHistories) -> None: ...

    def run(self, job: Job, remaining_s: float) -> Job:
        """Do the stage's work; it may name a partial result in ``degraded`` itself."""
        ...

    def fall_back(self, job: Job) -> Job:
        """Answer with less, at once."""
        ...


class Pipeline:
    """Runs stages in order; holds one engine, so an answer never mixes bundles.

    Args:
        stages: In order.
        clock: Measures stages and remaining time.
        on_failure: Told of an unexpected error in a stage, for the log; the request goes on.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        clock: Clock,
        on_failure: Callable[[str, Exception], None],
    ) -> None:
        self._stages = tuple(stages)
        self._clock = clock
        self._on_failure = on_failure

    def run(self, job: Job) -> Job:
        """Take a job through all stages; it always comes back with an answer."""
        for stage in self._stages:
            started_s = self._clock.monotonic_s()
            done = self._step(stage, job, job.deadline_s - started_s)
            spent_us = round((self._clock.monotonic_s() - started_s) * 1e6)
            job = replace(done, parts_us={**done.parts_us, stage.name: spent_us})
        return job

    def _step(self, stage: Stage, job: Job, remaining_s: float) -> Job:
        if stage.needs_time and remaining_s <= 0:
            return _degrade(stage, job, "deadline")
        try:
            return stage.run(job, remaining_s)
        except DeadlineError:
            return _degrade(stage, job, "deadline")
        except Exception as error:  # noqa: BLE001 - whatever broke, the caller gets the fallback
            self._on_failure(stage.name, error)
            return _degrade(stage, job, type(error).__name__)


def build_pipeline(
    names: Sequence[str],
    engine: Engine,
    histories: UserHistories,
    clock: Clock,
    on_failure: Callable[[str, Exception], None],
) -> Pipeline:
    """Make the pipeline of registered stages for one engine."""
    stages = [STAGES.load(name)(engine, histories) for name in names]
    return Pipeline(stages, clock, on_failure)


def _degrade(stage: Stage, job: Job, reason: str) -> Job:
    named = Degradation(stage=stage.name, fallback=stage.fallback, reason=reason)
    done = stage.fall_back(job)
    return replace(done, degraded=(*done.degraded, named))
