"""Small splits whose right answer is known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from graph_index.attach import build_index
from graph_index.settings import BuildSettings
from training.data import EncodedFeatures, EvalCases, Ragged, Split
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
from vizsla.vocabulary import Vocabulary

N_ITEMS = 60


def make_split(order="time", *, per_user=10, features=False):
    """Cut planted clusters: the last item is for test, the one before for validation."""
    data = planted(n_users=48, n_items=N_ITEMS, per_user=per_user)
    rows = data.histories()
    users = np.arange(len(rows))

    def cases(n_held):
        return EvalCases(
            users,
            Ragged.from_lists([row[:-n_held] for row in rows]),
            Ragged.from_lists([row[-n_held : len(row) - n_held + 1] for row in rows]),
            Ragged.from_lists([row[:-n_held] for row in rows]),
        )

    clusters = [f"cluster {c}" for c in range(4)]
    return Split(
        name="planted",
        content_hash="0" * 64,
        spec={"method": "leave_last_out", "max_history": 8},
        order=order,
        items=Vocabulary([f"i{num}" for num in range(N_ITEMS)]),
        users=Vocabulary([f"u{num}" for num in range(len(rows))]),
        train=Ragged.from_lists([row[:-2] for row in rows]),
        validation=cases(2),
        test=cases(1),
        item_features=_codes(data.item_clusters, clusters) if features else None,
        user_features=_codes(data.user_clusters, clusters) if features else None,
        item_columns=pa.table(
            {
                "title": pa.array(["The first item"] + [None] * (N_ITEMS - 1), pa.string()),
                "cluster": [clusters[c] for c in data.item_clusters],
                "price": list(range(N_ITEMS)),
                "item_num": ["a column of that name"] * N_ITEMS,
            }
        ),
    )


def _codes(clusters, values):
    return EncodedFeatures(("cluster",), {"cluster": values}, clusters[:, None] + 1)


@pytest.fixture(scope="session")
def split():
    """Ordered data without side features."""
    return make_split()


@pytest.fixture(scope="session")
def rich_split():
    """Ordered data with side features of items and users."""
    return make_split(features=True)


@pytest.fixture(scope="session")
def unordered_split():
    """Data without an order."""
    return make_split("none")


SMALL = {
    "model_settings.dropout": 0.0,
    "model_settings.embedding_size": 8,
    "model_settings.item_hidden": 8,
    "model_settings.attention_size": 8,
    "model_settings.attention_hidden": 8,
    "model_settings.score_hidden": [8],
    "max_history": 8,
    "validation_queries": 0,
    "holdout_ratio": 0.0,
    "log_every": 1,
    "stage1.epochs": 2,
    "stage1.batch_size": 32,
    "stage1.negatives.n_negatives": 20,
    "stage2.epochs": 2,
    "stage2.batch_size": 32,
    "stage2.targets_per_sequence": 3,
    "stage2.negatives.n_negatives": 8,
    "stage1.stride": 4,
    "stage2.stride": 4,
    "stage2.trained": [],
    "stage2.joint_targets": 0,
    "stage2.two_sided_weight": 0.5,
    "stage2.hard.n_negatives": 4,
    "stage2.hard.logq": "off",
    "stage2.hard.options": {},
    "stage2.adversarial.weight": 1.0,
    "stage2.adversarial.n_items": 4,
}
"""The recipe ``matcher`` at a size for tests: three batches per epoch."""


@pytest.fixture(scope="session")
def small_settings():
    """The settings that make the recipe small."""
    return SMALL


@pytest.fixture(scope="session")
def small_recipe():
    """Make the small recipe for a kind of data, with further settings."""

    def make(*kinds, **changes):
        further = {key.replace("__", "."): value for key, value in changes.items()}
        return load_recipe("matcher", kinds or ("ordered", "small"), SMALL | further)

    return make


WORLD_RECIPE = {"model_settings.embedding_size": 8, "max_history": 8, "item_init": "svd"}


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
    write(dataset, Draft(_world_manifest(), _world_tables()))
    manifest = read_manifest(dataset)
    recipe = load_recipe("matcher", data_kinds(manifest), WORLD_RECIPE)
    spec = default_spec(manifest).model_copy(update={"max_history": 8})
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


def _world_manifest():
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


def _world_tables():
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
