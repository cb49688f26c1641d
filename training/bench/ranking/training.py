"""Train as ``vizsla train --recipe ranker`` does, within a step of a bench."""

from __future__ import annotations

from dataclasses import replace

from training.ctr.pipeline import RankerRun, train_on_frame
from training.ctr.request import FrameRequest
from training.determinism import StopFlag, stop_on_interrupt
from vizsla.errors import TrainingError

__all__ = ["trained_run"]


def trained_run(request: FrameRequest) -> RankerRun:
    """Train what is asked for, on one thread, or go on with it; Ctrl-C leaves a checkpoint.

    Raises:
        TrainingError: It was stopped.
    """
    flag = StopFlag()
    request = replace(request, threads=1, resume=True, should_stop=flag)
    with stop_on_interrupt(flag):
        done = train_on_frame(request)
    if done is None:
        raise TrainingError(f"{request.out}: stopped; run the same command to go on")
    return done
