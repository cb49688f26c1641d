"""The million catalogue: seeded, described by its columns, with interests that lie apart."""

from __future__ import annotations

import numpy as np

from vizsla.datasets.sources.million import SOURCE, MillionOptions, generate

SMALL = MillionOptions(items=5_000, users=50, per_user=40)


def test_equal_options_give_equal_tables():
    one, other = generate(SMALL), generate(SMALL)

    assert one.items.equals(other.items)
    assert one.interactions.equals(other.interactions)
    assert not one.interactions.equals(generate(MillionOptions(5_000, 50, 40, seed=1)).interactions)


def test_every_column_is_there():
    """The manifest's roles and the table's columns are the same."""
    columns = {feature.name for feature in SOURCE.item_features}

    assert columns == set(generate(SMALL).items.columns) - {"item_id"}


def test_users_keep_to_few_categories():
    """Most of a user's choices fall into three of the ten categories."""
    tables = generate(SMALL)
    joined = tables.interactions.join(tables.items, on="item_id")
    for _, own in joined.group_by("user_id"):
        counts = np.sort(own["category"].value_counts()["count"].to_numpy())[::-1]
        assert counts[:3].sum() > 0.6 * counts.sum()
