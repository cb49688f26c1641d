"""The pipeline: deadline, fallbacks, and what is reported."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving.core.job import Ask, Job
from serving.core.pipeline import RECOMMEND, RETRIEVE, Pipeline, build_pipeline
from serving.core.protocols import Engine
from vizsla.clock import FakeClock


class Step:
    """A stage that takes time, and fails when told to."""

    fallback = "less"

    def __init__(
        self, name: str, clock: FakeClock, takes_s: float = 0.0, *, needs_time: bool = True
    ) -> None:
        self.name = name  # type: ignore[misc]
        self.clock = clock
        self.takes_s = takes_s
        self.needs_time = needs_time
        self.remaining_s: list[float] = []
        self.error: Exception | None = None

    def run(self, job: Job, remaining_s: float) -> Job:
        self.remaining_s.append(remaining_s)
        self.clock.advance(self.takes_s)
        if self.error is not None:
            raise self.error
        return job

    def fall_back(self, job: Job) -> Job:
        return replace(job, k=1)


def run(job: Job, clock: FakeClock, *steps: Any) -> tuple[Job, list[tuple[str, Exception]]]:
    failures: list[tuple[str, Exception]] = []
    pipeline = Pipeline(steps, clock, lambda *failure: failures.append(failure))
    return pipeline.run(job), failures


def test_stages_get_the_remaining_time(job: Job) -> None:
    """Each stage is told how much of the deadline is left, and its own time is reported."""
    clock = FakeClock()
    first, second = Step("first", clock, 0.3), Step("second", clock, 0.1)
    done, _ = run(replace(job, deadline_s=1.0), clock, first, second)

    assert first.remaining_s == [1.0]
    assert second.remaining_s == [pytest.approx(0.7)]
    assert done.parts_us == {"first": 300_000, "second": 100_000}
    assert done.degraded == ()


def test_late_stage_falls_back(job: Job) -> None:
    """Once the deadline has passed, a stage that needs time is replaced by its fallback."""
    clock = FakeClock()
    slow, late = Step("slow", clock, 2.0), Step("late", clock)
    done, failures = run(replace(job, deadline_s=1.0), clock, slow, late)

    assert late.remaining_s == []
    assert done.k == 1
    assert [(d.stage, d.fallback, d.reason) for d in done.degraded] == [
        ("late", "less", "deadline")
    ]
    assert failures == []


def test_stage_that_needs_no_time_runs_late(job: Job) -> None:
    """A rule that must hold is applied though the deadline has passed, without being named."""
    clock = FakeClock(5.0)
    rule = Step("rule", clock, needs_time=False)
    done, _ = run(replace(job, deadline_s=1.0), clock, rule)

    assert rule.remaining_s == [-4.0]
    assert done.degraded == ()


def test_failed_stage_falls_back_and_is_told(job: Job) -> None:
    """An error in a stage is reported to the host, the caller gets the fallback."""
    clock = FakeClock()
    broken = Step("broken", clock)
    broken.error = ValueError("boom")
    done, failures = run(job, clock, broken)

    assert [(d.stage, d.reason) for d in done.degraded] == [("broken", "ValueError")]
    assert failures == [("broken", broken.error)]


@pytest.mark.parametrize("names", [RETRIEVE, RECOMMEND])
def test_registered_stages_answer(
    engine: Engine, users: Any, job: Job, names: tuple[str, ...]
) -> None:
    """The real stages find the items that the user met, first among equals."""
    pipeline = build_pipeline(names, engine, users, FakeClock(), lambda *_: None)
    done = pipeline.run(job)

    assert done.found[0].item_nums.tolist() == [0, 1, 2]
    assert tuple(done.parts_us) == names


def test_past_deadline_still_answers(engine: Engine, users: Any, job: Job) -> None:
    """A request that waited too long gets the popular list without its excluded items."""
    pipeline = build_pipeline(RECOMMEND, engine, users, FakeClock(10.0), lambda *_: None)
    asked = replace(job, asks=(Ask(user_id="anna", exclude=("a",)),), deadline_s=1.0)
    done = pipeline.run(asked)

    assert done.found[0].item_nums.tolist() == [1, 2, 3]
    assert [(d.stage, d.fallback) for d in done.degraded] == [("retrieve", "popular_list")]
