"""What every encoder offers, and those that learn nothing from data."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vizsla.contracts.fields import FieldSpec, HashEncoding, LogEncoding
from vizsla.fields.number_encoders import LogEncoder
from vizsla.fields.text_encoders import HashEncoder

__all__ = ["Encoder", "unfitted"]


class Encoder(Protocol):
    """Values of one field to codes."""

    @property
    def n_codes(self) -> int:
        """Codes that it can give, from 0 on: the rows of the field's table."""
        ...

    def codes(self, values: Any, /) -> NDArray[np.int32]:
        """Return ``(B,)`` codes of texts, or of numbers where the field is numeric."""
        ...

    def digest(self) -> bytes:
        """Return what tells it from others of the same declaration."""
        ...


def unfitted(field: FieldSpec) -> Encoder:
    """Return the encoder of a field that learns nothing from data."""
    if isinstance(field.encoding, HashEncoding):
        return HashEncoder(field.encoding)
    assert isinstance(field.encoding, LogEncoding)
    return LogEncoder(field.encoding)
