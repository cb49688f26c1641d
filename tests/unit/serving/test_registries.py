"""Folder and table agree, so that adding a thing is one file and one line."""

from __future__ import annotations

from pathlib import Path

import pytest

import serving
from serving.core.stages import STAGES
from serving.deployments import DEPLOYMENTS
from vizsla.registry import Registry

FOLDER = Path(str(serving.__file__)).parent


@pytest.mark.parametrize(
    ("registry", "folder"), [(STAGES, "core/stages"), (DEPLOYMENTS, "deployments")]
)
def test_folder_and_table_agree(registry: Registry, folder: str) -> None:
    """Every file is registered under its name, and every entry has a file."""
    files = {path.stem for path in (FOLDER / folder).glob("*.py")} - {"__init__"}

    assert files == set(registry)
    for name in registry:
        assert registry.load(name).__module__ == f"serving.{folder.replace('/', '.')}.{name}"


@pytest.mark.parametrize("name", STAGES)
def test_stage_says_what_it_is(name: str) -> None:
    """A stage carries its registered name and what its fallback is called."""
    stage = STAGES.load(name)

    assert stage.name == name
    assert stage.fallback


def test_deployments_are_short() -> None:
    """A deployment makes no decisions, so its file has at most 60 lines."""
    for path in (FOLDER / "deployments").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
