"""Recipes: named sets of training settings, one TOML file and one line each."""

from __future__ import annotations

__all__ = ["RECIPES"]

RECIPES = {
    "matcher": "matcher.toml",
    "ranker": "ranker.toml",
    "razor": "razor.toml",
}
