"""Which fields a ranker lives on: a table, a picture and a file for the console."""

from __future__ import annotations

from training.ctr.report.importance import describe, importance, write_importance
from training.ctr.report.permutation import Shuffled, shuffle_fields

__all__ = ["Shuffled", "describe", "importance", "shuffle_fields", "write_importance"]
