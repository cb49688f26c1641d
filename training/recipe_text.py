"""A recipe as the text of a TOML file that ``--recipe`` takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from training.recipe import Recipe

__all__ = ["recipe_text"]


def recipe_text(recipe: Recipe, comment: str = "") -> str:
    """Write all settings of a recipe; read again, they give the same recipe for any data.

    Args:
        recipe: With its variants and settings applied; its name is the file's own.
        comment: Lines for the top.

    Example:
        >>> text = recipe_text(Recipe(name="mine", max_history=7), "Found by hand.")
        >>> text.splitlines()[0], "max_history = 7" in text, "[stage1.negatives]" in text
        ('# Found by hand.', True, True)
    """
    table = recipe.model_dump(mode="json", exclude={"name", "variants"})
    head = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*head, *_lines(table, ())]) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Write plain values first, as TOML wants, then the tables; None is a setting left unset."""
    lines = [
        f"{json.dumps(key) if not key.replace('_', '').isalnum() else key} = {_value(value)}"
        for key, value in table.items()
        if not isinstance(value, dict) and value is not None
    ]
    for key, value in table.items():
        if isinstance(value, dict) and value:
            lines += ["", f"[{'.'.join([*path, key])}]", *_lines(value, (*path, key))]
    return lines


def _value(value: Any) -> str:
    # JSON's strings, numbers, booleans and lists are TOML's too
    return json.dumps(value, ensure_ascii=False)
