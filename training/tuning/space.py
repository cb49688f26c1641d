"""What a search may change: recipe settings and where their values are drawn from."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.recipe import setting_names
from vizsla.errors import ConfigError, NotFoundError
from vizsla.rng import numpy_generator

__all__ = ["KINDS", "Space", "draw", "parse_space", "read_space"]

Space = dict[str, dict[str, list[Any]]]
"""Dotted recipe setting to a kind and its bounds, or its choices."""

KINDS = ("uniform", "log", "int", "log_int", "choice")


def read_space(path: Path) -> Space:
    """Read a space from a TOML file; see ``parse_space``.

    Raises:
        NotFoundError: No such file.
        ConfigError: Not TOML, or no space.
    """
    if not path.is_file():
        raise NotFoundError(f"no such file: {path}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return parse_space(_flat(table))


def parse_space(table: Mapping[str, Any]) -> Space:
    """Check a table of setting to range: a list of choices, or one of ``KINDS`` with its values.

    Raises:
        ConfigError: An unknown setting, or a range that makes no sense.

    Example:
        >>> parse_space({"stage1.learning_rate": {"log": [1e-4, 1e-2]}, "max_history": [20, 50]})
        {'stage1.learning_rate': {'log': [0.0001, 0.01]}, 'max_history': {'choice': [20, 50]}}
    """
    return {name: _range(name, value) for name, value in table.items()}


def draw(space: Space, seed: int, trial: int) -> dict[str, Any]:
    """Draw a trial's settings, each from a generator of its own; the first trial changes nothing.

    Args:
        space: What to draw from.
        seed: Of the search.
        trial: Number from 0; its settings do not depend on how many trials there are.

    Example:
        >>> draw({"max_history": {"choice": [20, 50]}}, seed=0, trial=0)
        {}
    """
    if not trial:
        return {}
    return {
        name: _value(*next(iter(own.items())), numpy_generator(seed, "tune", trial, name))
        for name, own in space.items()
    }


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join the keys of nested tables with dots; a range is where the nesting ends."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict) and not set(value) & set(KINDS):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _range(name: str, value: Any) -> dict[str, list[Any]]:
    _check_name(name)
    found = {"choice": value} if isinstance(value, list) else value
    if not isinstance(found, dict) or len(found) != 1 or not set(found) <= set(KINDS):
        raise ConfigError(
            f"range of {name}: expected a list of choices, or one of "
            f"{', '.join(KINDS)} with two bounds, for instance {{ log = [1e-4, 1e-2] }}"
        )
    ((kind, values),) = found.items()
    if not isinstance(values, list) or not values:
        raise ConfigError(f"range of {name}: {kind} needs a list of values")
    if kind != "choice":
        _check_bounds(name, kind, values)
    return {kind: list(values)}


def _check_name(name: str) -> None:
    free = ("model_settings.", ".options.")
    if any(part in name for part in free):
        return
    known = setting_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"unknown recipe setting {name!r}{hint}")


def _check_bounds(name: str, kind: str, values: list[Any]) -> None:
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if len(values) != 2 or not is_number or not values[0] < values[1]:
        raise ConfigError(f"range of {name}: {kind} needs two numbers, the smaller one first")
    if kind.startswith("log") and values[0] <= 0:
        raise ConfigError(f"range of {name}: {kind} needs numbers above 0")
    if kind.endswith("int") and not all(isinstance(v, int) for v in values):
        raise ConfigError(f"range of {name}: {kind} needs whole numbers")


def _value(kind: str, values: list[Any], generator: np.random.Generator) -> Any:
    if kind == "choice":
        return values[generator.integers(len(values))]
    low, high = values
    if kind == "uniform":
        return float(generator.uniform(low, high))
    if kind == "log":
        return float(math.exp(generator.uniform(math.log(low), math.log(high))))
    if kind == "int":
        return int(generator.integers(low, high + 1))
    drawn = math.exp(generator.uniform(math.log(low), math.log(high + 1)))
    return min(int(drawn), high)
