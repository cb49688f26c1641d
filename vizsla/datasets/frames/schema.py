"""Fields pinned in TOML: written by every import, read by the next one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from vizsla.contracts.fields import FieldSpec, check_fields
from vizsla.datasets.frames.storage import RESERVED
from vizsla.errors import ConfigError, NotFoundError

__all__ = ["FrameSchema", "load_frame_schema", "schema_text"]


class FrameSchema(BaseModel):
    """The fields of a frame; columns that it does not name are left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fields: list[FieldSpec]

    @field_validator("fields")
    @classmethod
    def _agree(cls, fields: list[FieldSpec]) -> list[FieldSpec]:
        taken = [one.name for one in fields if one.name in RESERVED]
        if taken:
            raise ValueError(f"{taken[0]} is a column of its own, and no field")
        return check_fields(fields)


def load_frame_schema(path: Path) -> FrameSchema:
    """Read a schema file.

    Raises:
        NotFoundError: There is no such file.
        ConfigError: It is not TOML, or a field is wrong; names the field.
    """
    if not path.is_file():
        raise NotFoundError(f"no such file: {path}")
    try:
        return FrameSchema.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{path}: {key}: {first['msg']}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML ({error})") from error


def schema_text(fields: Sequence[FieldSpec]) -> str:
    """Return fields as TOML."""
    return "\n".join(_table(field) for field in fields)


def _table(field: FieldSpec) -> str:
    held = field.model_dump(mode="json", exclude_none=True)
    encoding = ", ".join(f"{key} = {json.dumps(one)}" for key, one in held.pop("encoding").items())
    lines = [f"{key} = {json.dumps(value)}" for key, value in held.items()]
    return "\n".join(["[[fields]]", *lines, f"encoding = {{ {encoding} }}"]) + "\n"
