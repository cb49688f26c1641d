"""Which fields of a ranker survived a search, how wide, and why: ``importance.json`` of a run.

Written by training, read by people (beside it lie a Markdown page and a picture) and by the
operators' console.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vizsla.contracts.fields import FieldKind, FieldOwner
from vizsla.contracts.ranking import RankerField

__all__ = ["Effect", "FieldImportance", "ImportanceReport"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Effect(_Frozen):
    """A mean over repeats with its 95 % interval."""

    mean: float
    low: float
    high: float


class FieldImportance(_Frozen):
    """One field.

    Attributes:
        name: As declared.
        owner: Whose value it is.
        kind: What a value is.
        shares: The field whose table it uses.
        n_codes: Rows of its table.
        dim: Columns that it keeps; 0 where it is dropped.
        n_parameters: Entries of its own table.
        parameter_ratio: Their share of all tables.
        probabilities: Of each region, as the search left them; empty without a search.
        reason: Why it is as wide as it is, in words.
        auc_drop: How much AUC falls when its values are shuffled among the rows; None where it
            was not measured, as for a dropped field.
        log_loss_rise: How much the log loss rises then, in nats.
    """

    name: str
    owner: FieldOwner
    kind: FieldKind
    shares: str | None = None
    n_codes: int = Field(ge=2)
    dim: int = Field(ge=0)
    n_parameters: int = Field(ge=0)
    parameter_ratio: float = Field(ge=0, le=1)
    probabilities: tuple[float, ...] = ()
    reason: str
    auc_drop: Effect | None = None
    log_loss_rise: Effect | None = None

    @classmethod
    def of(
        cls,
        field: RankerField,
        n_parameters: int,
        reason: str,
        auc_drop: Effect | None = None,
        log_loss_rise: Effect | None = None,
    ) -> FieldImportance:
        """Take what a schema with so many entries says of a field, and what else is known."""
        return cls(
            name=field.spec.name,
            owner=field.spec.owner,
            kind=field.spec.kind,
            shares=field.spec.shares,
            n_codes=field.n_codes,
            dim=field.dim,
            n_parameters=field.n_parameters,
            parameter_ratio=field.n_parameters / max(n_parameters, 1),
            probabilities=field.probabilities,
            reason=reason,
            auc_drop=auc_drop,
            log_loss_rise=log_loss_rise,
        )


class ImportanceReport(_Frozen):
    """All fields of a ranker.

    Attributes:
        frame: Name of the training frame.
        schema_id: Of the schema described.
        method: What found the widths.
        regions: Columns of each region of the search, in the order of ``probabilities``.
        n_parameters: Entries of all tables.
        n_parameters_before: Of the model that was searched, where known.
        n_rows: Validation rows that were shuffled; 0 where nothing was measured.
        n_repeats: How often each field was.
        auc: On these rows with nothing shuffled; None where they have one label only.
        log_loss: The same, in nats; None where nothing was measured.
        fields: All declared ones, the most important first.
    """

    format_version: int = 1
    frame: str
    schema_id: str
    method: str
    regions: tuple[int, ...] = ()
    n_parameters: int
    n_parameters_before: int | None = None
    n_rows: int = 0
    n_repeats: int = 0
    auc: float | None = None
    log_loss: float | None = None
    fields: tuple[FieldImportance, ...]
