"""How a ranker's scores become probabilities, and how far those can be trusted."""

from __future__ import annotations

from training.ctr.calibration.choose import Candidate, Choice, choose
from training.ctr.calibration.reliability import Bin, Reliability, reliability
from training.ctr.calibration.segments import Segment, cold_segments, decile_segments, segments

__all__ = [
    "Bin",
    "Candidate",
    "Choice",
    "Reliability",
    "Segment",
    "choose",
    "cold_segments",
    "decile_segments",
    "reliability",
    "segments",
]
