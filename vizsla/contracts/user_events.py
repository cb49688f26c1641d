"""What users saw and did, as records of ``vizsla.events.v1``: part of seam 1.

Readers ignore fields they do not know, so that the schema can grow.  Whatever a platform wants
to keep beside them goes into ``context``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from vizsla.contracts.events import SCHEMA_VERSION

__all__ = [
    "INTERACTIONS",
    "USER_EVENT",
    "Erasure",
    "Impression",
    "Interaction",
    "InteractionType",
    "Notice",
    "Profile",
    "UserEvent",
]

_Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]

InteractionType = Literal["view", "click", "like", "cart", "conversion", "skip"]

INTERACTIONS: tuple[InteractionType, ...] = ("view", "click", "like", "cart", "conversion", "skip")
"""All but ``skip`` enter the user's behaviour sequence."""


class _Event(BaseModel):
    """What every event has.

    Attributes:
        event_id: Equal ids are one event, however often it was delivered.
        event_timestamp: Unix seconds UTC when it happened.
        user_id: Whose it is; the record's key.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = SCHEMA_VERSION
    event_id: _Id
    event_timestamp: float = Field(ge=0)
    user_id: _Id


class _OfItem(_Event):
    """An event about one item.

    Attributes:
        campaign_id: On whose account, where there is one.
        request_id: Of the answer that the item was in; ties an interaction to its impression.
        context: Anything else: placement, device, position.
    """

    item_id: _Id
    campaign_id: _Id | None = None
    request_id: _Id | None = None
    context: dict[_Name, Any] = Field(default_factory=dict, max_length=64)


class Impression(_OfItem):
    """An item was shown.

    Attributes:
        propensity: Probability with which it was chosen, where the request explored.
    """

    event_type: Literal["impression"] = "impression"
    propensity: float | None = Field(default=None, gt=0, le=1)


class Interaction(_OfItem):
    """A user did something with an item.

    Attributes:
        value: What a conversion is worth, in the platform's currency.
    """

    event_type: InteractionType
    value: float | None = Field(default=None, ge=0)


class Notice(_OfItem):
    """The auction was won (``win``), or the impression was billed (``billing``).

    Attributes:
        campaign_id: Whose budget it is taken from.
        price: In the platform's currency.  A ``billing`` notice settles what the ``win`` of the
            same ``request_id`` and item had reserved.
    """

    event_type: Literal["win", "billing"]
    campaign_id: _Id
    price: float = Field(ge=0)


class Profile(_Event):
    """A user's own attributes: those that are named are set, null removes one."""

    event_type: Literal["profile"] = "profile"
    attributes: dict[_Name, str | int | float | bool | None] = Field(max_length=256)


class Erasure(_Event):
    """Everything known of the user is to be removed; events after it begin anew."""

    event_type: Literal["erase"] = "erase"


UserEvent = Annotated[
    Impression | Interaction | Notice | Profile | Erasure, Field(discriminator="event_type")
]

USER_EVENT: TypeAdapter[UserEvent] = TypeAdapter(UserEvent)
"""Reads one from JSON or a dict; ``pydantic.ValidationError`` says what is wrong."""
