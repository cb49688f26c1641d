"""Column roles and names pinned by the customer, in TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vizsla.contracts.features import ColumnRole
from vizsla.errors import ConfigError, NotFoundError

__all__ = ["ImportSchema", "TableSchema", "load_schema"]


class TableSchema(BaseModel):
    """What is pinned for one file.

    Attributes:
        columns: Column to its role; the others are inferred.
        rename: Column of the file to our name for it, for instance ``uid = "user_id"``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: dict[str, ColumnRole] = Field(default_factory=dict)
    rename: dict[str, str] = Field(default_factory=dict)


class ImportSchema(BaseModel):
    """What is pinned for the three files of an import."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: TableSchema = TableSchema()
    items: TableSchema = TableSchema()
    users: TableSchema = TableSchema()


def load_schema(path: Path | None) -> ImportSchema:
    """Read a schema file; None pins nothing.

    Raises:
        NotFoundError: There is no such file.
        ConfigError: It is not TOML, or holds an unknown key or role; names the key.
    """
    if path is None:
        return ImportSchema()
    if not path.is_file():
        raise NotFoundError(f"no such file: {path}")
    try:
        return ImportSchema.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        reason = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConfigError(f"{path}: {key}: {reason}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not TOML ({error})") from error
