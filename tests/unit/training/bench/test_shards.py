"""``vizsla bench shards`` on planted clusters."""

import numpy as np

from training.bench.shards import COLUMNS, shard_rows, shard_targets
from vizsla.contracts.index import Query


def test_rows_say_what_shards_find_cost_and_send(world, tmp_path):
    """A small catalogue is searched exactly; without a shard its items are lost, and it is named."""
    queries = [Query(np.array([0, 1])), Query(np.array([7]))]
    rows = shard_rows("planted", world.bundle, queries, 3, tmp_path)
    by_name = {row["system"]: row for row in rows}
    whole, dead = by_name["shards"], by_name["shards, one dead"]

    assert all(row["coverage_at_200"] == 1.0 for row in rows if row is not dead)
    assert 0.5 < dead["coverage_at_200"] < 0.8
    assert (whole["missing"], dead["missing"]) == ("", "2")
    assert dead["bytes_sent_per_query"] < whole["bytes_sent_per_query"]
    assert whole["bytes_back_per_query"] > 0
    assert set(whole) == set(COLUMNS)
    assert all(target.met for target in shard_targets(rows))
