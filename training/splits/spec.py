"""How a dataset is cut, as settings."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vizsla.contracts.features import DatasetManifest

__all__ = ["NOT_POSITIVE", "SplitSpec", "default_spec"]

NOT_POSITIVE = frozenset({"impression", "exposure", "random_exposure"})
"""Event types that say what was shown, not what was liked; left out unless asked for."""


class SplitSpec(BaseModel):
    """Settings of a split; the same settings and data give the same split.

    Attributes:
        method: ``leave_last_out`` holds out each user's last item (test) and the one before
            (validation); ``user_ratio`` a random share of each user's items; ``time`` the
            latest share of all events; ``given`` follows the column ``split``.
        test_ratio: Share held out for test by ``user_ratio`` and ``time``.
        validation_ratio: Share of what test leaves that is held out for validation;
            for ``given`` only where the source names no validation rows.
        seed: Of every random choice.
        max_history: Longest history of a query.
        min_user_interactions: Users with fewer positives are left out altogether.
        min_item_interactions: Interactions with items rarer than that are left out.
        event_types: Event types that count as positive; None for all but ``NOT_POSITIVE``.
        held_out: For ``given``: ``users`` holds out whole users (sessions): each one's own
            earlier items are the history.
        refit: Validation events are for training too, once they have decided what they are for.
        targets: For held-out users: ``last`` asks for the last item only, ``all`` for the
            next item after every prefix.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["leave_last_out", "user_ratio", "time", "given"] = "leave_last_out"
    test_ratio: float = Field(default=0.2, ge=0, lt=1)
    validation_ratio: float = Field(default=0.1, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    max_history: int = Field(default=50, ge=1)
    min_user_interactions: int = Field(default=1, ge=1)
    min_item_interactions: int = Field(default=1, ge=1)
    event_types: tuple[str, ...] | None = None
    refit: bool = False
    held_out: Literal["interactions", "users"] = "interactions"
    targets: Literal["last", "all"] = "last"


def default_spec(manifest: DatasetManifest) -> SplitSpec:
    """Return the usual split of a dataset.

    A split that the source gives is followed, whole sessions being held out where a user
    is a session; ordered data is cut by ``leave_last_out``, the rest by ``user_ratio``.
    """
    if manifest.given_split:
        sessions = manifest.repeats and manifest.order != "none"
        return SplitSpec(method="given", held_out="users" if sessions else "interactions")
    return SplitSpec(method="user_ratio" if manifest.order == "none" else "leave_last_out")
