"""Recipes of kind ``ranker``: everything that decides how a ranker is trained, in one file."""

from __future__ import annotations

from pydantic import Field

from training.ctr.settings import RankerSettings

__all__ = ["RankerRecipe"]


class RankerRecipe(RankerSettings):
    """A whole training run, except data, seed and place.

    Attributes:
        name: Of the recipe.
        variants: Names of the variants that were applied; a model has its own.
        dim: Width of every field's embedding, where there is no ``schema_file``.
        schema_file: A ``schema.json`` with the kept fields and their widths, such as the razor
            writes; empty takes all fields.
        golden_rows: Validation rows that are exported with their probabilities.
    """

    name: str = "ranker"
    variants: tuple[str, ...] = ()
    dim: int = Field(default=16, ge=1, le=4096)
    schema_file: str = ""
    golden_rows: int = Field(default=32, ge=1, le=10_000)
