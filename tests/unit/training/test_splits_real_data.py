"""Splits of the real datasets: the sizes that published results rest on."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data import Split
from training.splits import SplitSpec, load_split
from vizsla.datasets import fetch

pytestmark = [pytest.mark.data, pytest.mark.slow]


def loaded(name: str, home: Path, data_dir: Path, spec: SplitSpec | None = None) -> Split:
    return load_split(fetch(name, home, data_dir / name), spec)


def test_ml_100k(tmp_path: Path, data_dir: Path) -> None:
    """Every user has twenty ratings or more, so all 943 are asked."""
    found = loaded("ml-100k", tmp_path, data_dir)

    assert len(found.train.values) == 100_000 - 2 * 943
    assert len(found.test.user_nums) == len(found.validation.user_nums) == 943


def test_ml_1m(tmp_path: Path, data_dir: Path) -> None:
    """6,040 users, one item each for validation and test."""
    found = loaded("ml-1m", tmp_path, data_dir)

    assert len(found.train.values) == 999_611 - 2 * 6_040
    assert found.n_items == 3_416


def test_gowalla(tmp_path: Path, data_dir: Path) -> None:
    """The given test part is whole; validation is about a tenth of the given training part."""
    found = loaded("gowalla", tmp_path, data_dir)

    assert len(found.test.targets.values) == 217_242
    assert len(found.test.user_nums) == 29_858
    n_validation = len(found.validation.targets.values)
    assert len(found.train.values) + n_validation == 810_128
    assert 0.09 < n_validation / 810_128 < 0.11
    assert found.test.histories.lengths.max() == 50


def test_diginetica(tmp_path: Path, data_dir: Path) -> None:
    """15,963 test sessions; asked at every step they give the 60,858 published examples."""
    last = loaded("diginetica", tmp_path, data_dir)
    every = SplitSpec(method="given", held_out="users", targets="all")

    assert len(last.test.user_nums) == 15_963
    assert len(loaded("diginetica", tmp_path, data_dir, every).test.user_nums) == 60_858


def test_yahoo_r3_keeps_random_exposures_out(tmp_path: Path, data_dir: Path) -> None:
    """Only chosen ratings are positives."""
    found = loaded("yahoo-r3", tmp_path, data_dir)

    parts = (found.train, found.validation.targets, found.test.targets)
    assert sum(len(part.values) for part in parts) == 311_704
