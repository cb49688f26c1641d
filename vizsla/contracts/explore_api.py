"""Seam 5', how a request says that its answer should try what the ranker is unsure of."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

__all__ = ["MAX_N_STD", "Explore"]

MAX_N_STD = 10.0


class Explore(BaseModel):
    """Order by what the probability of a click may be, rather than by what it probably is."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    method: Literal["ucb", "thompson"] = Field(
        description="`ucb`: by the logit plus `n_std` of its deviations. `thompson`: by the logits "
        "of one model drawn from those that the data allow; the request id is the seed."
    )
    n_std: float | None = Field(
        default=None, ge=0, le=MAX_N_STD, description="Of `ucb` alone; 1 if absent."
    )

    @model_validator(mode="after")
    def _n_std_is_of_ucb(self) -> Self:
        if self.method == "thompson" and self.n_std is not None:
            found = {"detail": "thompson takes no n_std", "fields": ["n_std"]}
            raise PydanticCustomError("fields_together", "{detail}", found)
        return self
