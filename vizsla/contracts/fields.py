"""Fields: the columns that a ranker reads, and how their values become codes.

Declared once, beside the data (``features.TrainingFrame``), and read by training, by the bundle
and by the server.  After encoding every field is categorical: a value is an integer *code*, and
a code is a row of the field's embedding table.

==================  ==========================================================
code 0 (MISSING)    no value: null, NaN, an empty string or list, field not sent
code 1 (UNKNOWN)    a value that training did not see, or too seldom
code 2 and above    known values, hash buckets or number buckets
==================  ==========================================================
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "FIRST_KNOWN",
    "MISSING",
    "UNKNOWN",
    "BucketEncoding",
    "Encoding",
    "FieldKind",
    "FieldOwner",
    "FieldSpec",
    "HashEncoding",
    "LogEncoding",
    "VocabularyEncoding",
    "check_fields",
]

MISSING = 0
UNKNOWN = 1
FIRST_KNOWN = 2

FieldKind = Literal["categorical", "numeric", "multi_valued", "sequence"]
"""``multi_valued`` is a set of values, ``sequence`` an ordered list, oldest first."""

FieldOwner = Literal["user", "item", "context"]
"""Whose the value is: it says what is the same for all candidates of a request."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VocabularyEncoding(_Frozen):
    """One code per value that occurs often enough in training data.

    Attributes:
        min_count: Rarer values are ``UNKNOWN``.
        max_values: The most frequent so many, ties by value; the others are ``UNKNOWN``.
    """

    type: Literal["vocabulary"] = "vocabulary"
    min_count: int = Field(default=1, ge=1)
    max_values: int = Field(default=10_000_000, ge=1)


class HashEncoding(_Frozen):
    """A value's hash modulo ``n_buckets``; nothing is stored, nothing is unknown."""

    type: Literal["hash"] = "hash"
    n_buckets: int = Field(ge=2, le=100_000_000)
    seed: int = Field(default=0, ge=0)


class BucketEncoding(_Frozen):
    """Numbers cut at quantiles of the training data, at most ``n_buckets`` of them."""

    type: Literal["buckets"] = "buckets"
    n_buckets: int = Field(default=32, ge=2, le=100_000)


class LogEncoding(_Frozen):
    """Numbers by their size: ``floor(steps * log(1 + |x|))`` with the sign of x, cut at ``n_buckets``."""

    type: Literal["log"] = "log"
    steps: float = Field(default=2.0, gt=0)
    n_buckets: int = Field(default=64, ge=2, le=100_000)


Encoding = Annotated[
    VocabularyEncoding | HashEncoding | BucketEncoding | LogEncoding, Field(discriminator="type")
]

_OF_NUMBERS = ("buckets", "log")


class FieldSpec(_Frozen):
    """One field.

    Attributes:
        name: The column's name, in the frame and in requests.
        kind: What a value is.
        owner: Whose it is.
        encoding: How it becomes codes; ``buckets`` and ``log`` for ``numeric`` alone.
        shares: Another field whose values and embedding table it uses, as behaviours use
            those of ``item_id``; its own encoding then means nothing.
        max_length: Of a ``multi_valued`` or ``sequence`` field: the first, or the last, so many count.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.:+-]{1,128}$")
    kind: FieldKind = "categorical"
    owner: FieldOwner = "context"
    encoding: Encoding = VocabularyEncoding()
    shares: str | None = None
    max_length: int = Field(default=50, ge=1, le=10_000)

    @property
    def is_list(self) -> bool:
        """Whether a row has any number of values."""
        return self.kind in ("multi_valued", "sequence")

    @model_validator(mode="after")
    def _encoding_fits(self) -> FieldSpec:
        of_numbers = self.encoding.type in _OF_NUMBERS
        if of_numbers and self.kind != "numeric":
            raise ValueError(f"{self.name}: encoding {self.encoding.type} is for numeric fields")
        if self.kind == "numeric" and not of_numbers:
            raise ValueError(f"{self.name}: a numeric field takes encoding buckets or log")
        return self


def check_fields(fields: list[FieldSpec]) -> list[FieldSpec]:
    """Return fields whose names differ and whose ``shares`` name another field with a table.

    Raises:
        ValueError: Names the field.
    """
    by_name = {field.name: field for field in fields}
    if len(by_name) < len(fields):
        names = [field.name for field in fields]
        raise ValueError(f"field {next(n for n in names if names.count(n) > 1)!r} occurs twice")
    for field in fields:
        if field.shares is None:
            continue
        other = by_name.get(field.shares)
        if other is None or other.shares is not None or other.kind == "numeric":
            raise ValueError(f"{field.name}: shares {field.shares!r}, which has no table of values")
    return fields
