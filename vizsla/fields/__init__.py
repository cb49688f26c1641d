"""Values to codes: encoders that training fits and the server repeats; no torch."""

from __future__ import annotations

from vizsla.fields.encoders import FieldEncoders
from vizsla.fields.rows import EncodedRows, Ragged

__all__ = ["EncodedRows", "FieldEncoders", "Ragged"]
