"""A bundle with a graph, small enough to evaluate in a unit test."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from graph_index.attach import build_index
from graph_index.settings import BuildSettings
from training.data import Split
from training.export import Trained, export_bundle
from training.gate import GateReport
from training.model import data_kinds, model_config, new_matcher
from training.provenance import Provenance
from training.recipe import load_recipe
from training.splits import default_spec, load_split
from vizsla.bundles import Bundle
from vizsla.clock import FakeClock
from vizsla.contracts.features import DatasetManifest, SideFeature
from vizsla.datasets import Draft, Tables, read_manifest, write
from vizsla.testing.planted import planted

SETTINGS = {"model_settings.embedding_size": 8, "max_history": 8, "item_init": "svd"}


@dataclass(frozen=True)
class World:
    """A dataset in a home folder, and a bundle made of it with and without a graph."""

    home: Path
    dataset: Path
    split: Split
    bare: Bundle
    bundle: Bundle


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Planted clusters; the matcher has its first weights, so it is no better than its SVD."""
    home = tmp_path_factory.mktemp("home")
    dataset = home / "data" / "planted"
    write(dataset, Draft(_manifest(), _tables()))
    recipe = load_recipe("matcher", data_kinds("time", 80), SETTINGS)
    spec = default_spec(read_manifest(dataset)).model_copy(update={"max_history": 8})
    split = load_split(dataset, spec)
    matcher, gate = new_matcher(recipe, split, 0), GateReport({"matcher": {}}, [], False)
    trained = Trained(matcher.eval(), model_config(recipe, split), recipe, 0, split, gate)
    bare = export_bundle(trained, home / "run", FakeClock(1.7e9))
    settings = BuildSettings(max_degree=8, n_entry_points=6)
    bundle = build_index(bare, home / "run" / "bundles", settings, clock=FakeClock(1.7e9))
    return World(home, dataset, split, bare, bundle)


@pytest.fixture
def origin():
    """Where the figures of the tests come from."""
    machine = {"cpu": "none", "cores": 1, "python": "3.11", "platform": "test"}
    return Provenance(commit=None, machine=machine, command="test", started="now", seed=0)


def _manifest():
    return DatasetManifest(
        name="planted",
        source="drawn",
        licence="none",
        order="time",
        n_interactions=0,
        n_users=0,
        n_items=0,
        content_hash="",
        user_features=[SideFeature(name="cluster", role="categorical")],
    )


def _tables():
    data = planted(n_users=60, n_items=80, per_user=10)
    interactions = pl.DataFrame(
        {
            "user_id": [f"u{num}" for num in data.user_nums],
            "item_id": [f"i{num}" for num in data.item_nums],
            "event_timestamp": data.times_s,
            "event_type": ["click"] * len(data.times_s),
        }
    )
    items = pl.DataFrame({"item_id": [f"i{num}" for num in range(80)], "title": ["A title"] * 80})
    clusters = [str(cluster) for cluster in data.user_clusters]
    users = pl.DataFrame({"user_id": [f"u{n}" for n in np.arange(60)], "cluster": clusters})
    return Tables(interactions, items, users)
