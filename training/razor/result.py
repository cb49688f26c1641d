"""What a search leaves behind: how likely each region of each field is."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from training.razor.settings import RazorSettings
from vizsla.contracts.ranking import RankingSchema
from vizsla.errors import CorruptArtifactError, NotFoundError
from vizsla.files import write_text

__all__ = ["SearchResult"]


class SearchResult(BaseModel):
    """A finished search; any number of schemas can be cut from it.

    Attributes:
        schema_full: What was searched: every field at full width, in the frame's order.
        probabilities: Field to that of each region; the first is that of having no columns.
        settings: Of the search.
        seed: Of the search.
        n_steps: Steps that it took.
        n_rows: Rows that it read, each as often as it read it.
        losses: Mean training loss of each tenth of the search.
        search_s: Seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_full: RankingSchema
    probabilities: dict[str, tuple[float, ...]]
    settings: RazorSettings
    seed: int
    n_steps: int
    n_rows: int
    losses: tuple[float, ...]
    search_s: float

    @model_validator(mode="after")
    def _every_field(self) -> SearchResult:
        names = {field.spec.name for field in self.schema_full.fields}
        n_regions = len(self.settings.widths)
        if names != set(self.probabilities) or any(
            len(one) != n_regions for one in self.probabilities.values()
        ):
            raise ValueError(f"needs {n_regions} probabilities of each field of the schema")
        return self

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> SearchResult:
        """Read what ``save`` wrote.

        Raises:
            NotFoundError: There is no such file.
            CorruptArtifactError: It is not a search.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError(f"no search in {path}") from error
        except ValidationError as error:
            reason = str(error).splitlines()[0]
            raise CorruptArtifactError(f"{path}: {reason}; search again") from error
