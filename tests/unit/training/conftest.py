"""Small splits whose right answer is known."""

import numpy as np
import pytest

from training.data import EncodedFeatures, EvalCases, Ragged, Split
from training.recipe import load_recipe
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
        titles={"i0": "The first item"},
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
    "model_settings.embedding_size": 8,
    "model_settings.item_hidden": 8,
    "model_settings.attention_size": 8,
    "model_settings.attention_hidden": 8,
    "model_settings.score_hidden": [8],
    "max_history": 8,
    "validation_queries": 0,
    "log_every": 1,
    "stage1.epochs": 2,
    "stage1.batch_size": 32,
    "stage1.negatives.n_negatives": 20,
    "stage2.epochs": 2,
    "stage2.batch_size": 32,
    "stage2.targets_per_sequence": 3,
    "stage2.negatives.n_negatives": 8,
    "stage2.hard.n_negatives": 4,
    "stage2.adversarial.n_items": 4,
}
"""The recipe ``matcher`` at a size for tests: three batches per epoch."""


@pytest.fixture(scope="session")
def small_recipe():
    """Make the small recipe for a kind of data, with further settings."""

    def make(*kinds, **changes):
        further = {key.replace("__", "."): value for key, value in changes.items()}
        return load_recipe("matcher", kinds or ("ordered", "small"), SMALL | further)

    return make
