"""A user's side features as the codes that a model reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["code_of", "encode_features"]

_BUCKET = re.compile(r"\[(.+), (.+)\)")


def encode_features(
    columns: Mapping[str, list[str]], features: Mapping[str, str]
) -> NDArray[np.int64] | None:
    """Return ``(F,)`` codes of a user's side features, 0 = unknown; None without any columns.

    A number is looked up in the buckets of a numeric column.

    Example:
        >>> encode_features({"sex": ["F", "M"], "job": ["cook"]}, {"sex": "M"}).tolist()
        [2, 0]
        >>> encode_features({"age": ["[-inf, 19)", "[19, inf)"]}, {"age": "24"}).tolist()
        [2]
    """
    if not columns:
        return None
    codes = [code_of(values, features.get(column)) for column, values in columns.items()]
    return np.array(codes, np.int64)


def code_of(values: list[str], value: str | None) -> int:
    """Return the code of one value of a column, from 1; 0 where it is missing or unknown."""
    if value is None:
        return 0
    matches = (code for code, known in enumerate(values, start=1) if _is_in(value, known))
    return values.index(value) + 1 if value in values else next(matches, 0)


def _is_in(value: str, bucket: str) -> bool:
    """Whether a number lies in a bucket of a numeric column, written ``[19, 21)``."""
    bounds = _BUCKET.fullmatch(bucket)
    try:
        return bounds is not None and float(bounds[1]) <= float(value) < float(bounds[2])
    except ValueError:
        return False
