"""What an install brings, and what it must never bring."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONSTRAINTS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
UNTESTED_EXTRAS = {"gpu", "vision", "speech"}


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~ ]", requirement)[0].lower().replace("_", "-")


def test_torch_is_one_exact_cpu_build():
    """torch is pinned exactly, and the constraints name the CPU build of that version."""
    assert "torch==2.13.0" in PROJECT["dependencies"]
    assert CONSTRAINTS["torch"] == "2.13.0+cpu"


def test_no_cuda_and_no_torchvision():
    """Nothing in the tested tree is a GPU runtime or another build of torch."""
    unwanted = [n for n in CONSTRAINTS if re.match(r"nvidia|cuda|triton|torchvision|torchaudio", n)]

    assert unwanted == []


def test_every_direct_dependency_is_constrained():
    """Two installs a month apart give the same tree: each requirement has one version."""
    pinned = {name.lower().replace("_", "-") for name in CONSTRAINTS}
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"]]
    wanted += [r for extra in extras if extra not in UNTESTED_EXTRAS for r in extras[extra]]

    assert {_name(r) for r in wanted} - pinned - {"vizsla"} == set()
