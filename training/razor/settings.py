"""What decides a search and how it is pruned."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["WIDTHS", "CutRule", "PruneSettings", "RazorSettings"]

WIDTHS = (0, 1, 2, 4, 8, 16, 30)
"""Sizes of the paper: region k holds the columns between two neighbours."""


CutRule = Literal["cumulative", "expected"]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RazorSettings(_Settings):
    """A search for the width of every field.

    Attributes:
        widths: Rising from 0; the last is the width of the full model. Columns between two
            neighbours are a region, and the first region is having no columns at all.
        temperature: Of the softmax over a field's regions, at the end of the search.
        temperature_start: At its beginning; falls geometrically. Unset: the same all the time.
        warmup: Share of the steps before importances learn too: vectors that know nothing yet
            are noise, which a field is better without.
        penalty: Weight of the expected widths in the loss; 0.01 of it per column.
        penalty_by: Whether a column costs the same in every ``field``, or by the field's share
            of the ``vocabulary`` (mean 1 over fields).
        learning_rate: Of Adam, for weights and importances alike.
        batch_size: Rows per step.
        passes: Over the rows; more than one memorises noise of many values.
        held_out: Share of the rows that only importances learn from; 0 learns both from all.
        gate_first_order: Whether a field's first-order term fades as the field does.
        batch_norm: Of vectors before the mask: over each ``field``, ``shared`` by all, or ``off``.
        backbone: Model that reads the faded vectors.
        hidden: Layers of its perceptron.
        layer_norm: Whether they are normalised.
    """

    widths: tuple[int, ...] = WIDTHS
    temperature: float = Field(default=0.05, gt=0)
    temperature_start: float | None = Field(default=None, gt=0)
    warmup: float = Field(default=0.3, ge=0, lt=1)
    penalty: float = Field(default=1e-4, ge=0)
    penalty_by: Literal["field", "vocabulary"] = "field"
    learning_rate: float = Field(default=0.01, gt=0)
    batch_size: int = Field(default=512, ge=2)
    passes: int = Field(default=1, ge=1)
    held_out: float = Field(default=0.0, ge=0, lt=1)
    gate_first_order: bool = True
    batch_norm: Literal["field", "shared", "off"] = "field"
    backbone: Literal["dnn", "fm", "deepfm", "dcnv2"] = "dnn"
    hidden: tuple[int, ...] = (128, 64)
    layer_norm: bool = False

    @field_validator("widths")
    @classmethod
    def _rising(cls, widths: tuple[int, ...]) -> tuple[int, ...]:
        if len(widths) < 2 or widths[0] != 0 or list(widths) != sorted(set(widths)):
            raise ValueError(f"razor.widths must rise from 0, not {widths}")
        return widths


class PruneSettings(_Settings):
    """Where to cut what a search found.

    Attributes:
        rule: ``cumulative``, the paper's: regions of a field are kept, likeliest first, until
            their probabilities together exceed the threshold.  ``expected``: a field is dropped
            where having no columns is likelier than the threshold, and gets its expected number
            of columns otherwise; for searches that end undecided, as those over many rows do.
        threshold: See ``rule``; a larger one keeps more.
        budget: Entries that all tables together may have.  Alone it finds the threshold; with
            one, the fields that the threshold keeps are made narrower until they fit.
        max_width: No field is wider.
    """

    rule: CutRule = "cumulative"
    threshold: float = Field(default=0.3, gt=0, lt=1)
    budget: int | None = Field(default=None, ge=1)
    max_width: int | None = Field(default=None, ge=1)

    @property
    def threshold_given(self) -> bool:
        """Whether the threshold is somebody's choice, which a budget then leaves alone."""
        return "threshold" in self.model_fields_set
