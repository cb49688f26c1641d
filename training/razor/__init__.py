"""i-Razor: which fields a ranker needs and how wide, found in one pass; and its rivals."""

from __future__ import annotations

from training.razor.prune import curve, prune
from training.razor.result import SearchResult
from training.razor.search import search
from training.razor.settings import PruneSettings, RazorSettings

__all__ = [
    "PruneSettings",
    "RazorSettings",
    "SearchResult",
    "curve",
    "prune",
    "search",
]
