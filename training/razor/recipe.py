"""Recipes of kind ``razor``: a ranker's settings, and how its input is searched and cut."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from training.ctr.settings import RankerSettings
from training.razor.settings import PruneSettings, RazorSettings

__all__ = ["RazorOptions", "RazorRecipe"]


class RazorOptions(RazorSettings, PruneSettings):
    """Everything under ``razor.`` in a recipe."""

    @property
    def search(self) -> RazorSettings:
        """The part that decides the search."""
        return RazorSettings(**self.model_dump(include=set(RazorSettings.model_fields)))

    @property
    def cut(self) -> PruneSettings:
        """The part that decides how it is pruned."""
        names = set(PruneSettings.model_fields)
        return PruneSettings(**self.model_dump(include=names, exclude_unset=True))


class RazorRecipe(RankerSettings):
    """A whole run, except data, seed and place.

    Attributes:
        name: Of the recipe.
        variants: Names of the variants that were applied; a model has its own.
        razor: Of the search and the cut.
        compare: Whether the full model is trained too, to say what pruning cost or gained.
        golden_rows: Validation rows that are exported with their probabilities.
    """

    name: str = "razor"
    variants: tuple[str, ...] = ()
    razor: RazorOptions = RazorOptions()
    compare: bool = True
    golden_rows: int = Field(default=32, ge=1, le=10_000)

    def ranker(self, **changes: Any) -> dict[str, Any]:
        """Return the settings of a run of kind ``ranker``, by name."""
        kept = self.model_dump(include={*RankerSettings.model_fields, "golden_rows"})
        return kept | changes
