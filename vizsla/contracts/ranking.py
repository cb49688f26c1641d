"""What a ranker is made of: the fields that are left of a frame, and their sizes.

A ``RankingSchema`` says which fields a ranker reads and how wide each embedding is.  The razor
writes a pruned one; training, bundle and server build from it, so that a dropped field is
neither fetched, nor stored, nor shipped.  Figures are of the embedding tables alone: ``n_codes``
rows (``MISSING`` and ``UNKNOWN`` among them) times ``dim`` columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vizsla.contracts.fields import FieldSpec, check_fields

__all__ = ["RankerField", "RankingSchema", "SearchRecord", "region_sizes"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RankerField(_Frozen):
    """One field of a ranker.

    Attributes:
        spec: Its declaration.
        n_codes: Rows of its table; those of the shared one where it shares.
        dim: Columns of its table; 0 for a field that is dropped.
        probabilities: Of each region of columns, as the search left them; empty without one.
    """

    spec: FieldSpec
    n_codes: int = Field(ge=2)
    dim: int = Field(ge=0, le=4096)
    probabilities: tuple[float, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether the ranker reads the field."""
        return self.dim > 0

    @property
    def n_parameters(self) -> int:
        """Entries of its own table; none where it shares another's."""
        return 0 if self.spec.shares else self.n_codes * self.dim


class SearchRecord(_Frozen):
    """How the sizes were found.

    Attributes:
        method: ``uniform``, ``razor`` or the name of a rival.
        settings: Of the method, JSON-able.
        seed: Of the search.
        parent: ``schema_id`` of the schema that was pruned.
        metrics: Validation figures of the search, or of the retrained model.
    """

    method: str = "uniform"
    settings: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    parent: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)


class RankingSchema(_Frozen):
    """Which fields a ranker reads, how wide each is, and what that was derived from.

    Attributes:
        frame: Name of the training frame.
        frame_hash: Its ``content_hash``.
        vocabulary_hash: Of all encoders, so that codes always mean the same values.
        fields: All declared fields, the dropped ones too, in the frame's order.
    """

    format_version: int = 1
    frame: str
    frame_hash: str
    vocabulary_hash: str
    fields: tuple[RankerField, ...]
    search: SearchRecord = SearchRecord()

    @model_validator(mode="after")
    def _sharers_agree(self) -> RankingSchema:
        check_fields([field.spec for field in self.fields])
        by_name = {field.spec.name: field for field in self.fields}
        for field in self.fields:
            owner = by_name.get(field.spec.shares or "")
            if owner is not None and field.kept and field.dim != owner.dim:
                raise ValueError(
                    f"{field.spec.name}: {field.dim} columns, but it shares the table of "
                    f"{owner.spec.name}, which has {owner.dim}"
                )
        return self

    @property
    def kept(self) -> tuple[RankerField, ...]:
        """The fields that are read, in order."""
        return tuple(field for field in self.fields if field.kept)

    @property
    def n_parameters(self) -> int:
        """Entries of all embedding tables."""
        return sum(field.n_parameters for field in self.fields)

    @property
    def n_table_rows(self) -> int:
        """Rows of the kept tables that are not another field's."""
        return sum(field.n_codes for field in self.kept if not field.spec.shares)

    @property
    def input_width(self) -> int:
        """Columns of all kept fields together: the width of the first layer's input."""
        return sum(field.dim for field in self.fields)

    @property
    def schema_id(self) -> str:
        """Hash over everything but the metrics of the search."""
        fields = self.model_dump(mode="json", exclude={"search": {"metrics"}})
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def region_sizes(widths: Sequence[int]) -> tuple[int, ...]:
    """Return the columns of each region of a search; the first region has none.

    Args:
        widths: Sizes that were searched, rising from 0; a region lies between two neighbours.

    Example:
        >>> region_sizes((0, 1, 2, 4, 8))
        (0, 1, 1, 2, 4)
    """
    return (0, *(after - before for before, after in pairwise(widths)))
