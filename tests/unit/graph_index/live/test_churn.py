"""Churn beside a rebuilt graph: the same queries on the items that are left, whatever their numbers."""

import numpy as np
import pytest

from graph_index.live.churn import churn_rows, churn_steps
from vizsla.contracts.index import Query
from vizsla.testing.scorers import DotScorer
from vizsla.testing.search_scorers import clustered_vectors


def test_coverage_of_every_graph_is_near_one():
    """Histories name items of the whole catalogue, some of which are gone or have another number."""
    vectors = clustered_vectors(400)
    queries = [Query(np.array([row, 399 - row, 200])) for row in range(0, 200, 20)]
    steps = []
    rows = churn_rows(vectors, DotScorer(vectors), queries, share=0.2, k=10, advance=steps.append)

    assert [(row["graph"], row["start"]) for row in rows] == [
        (graph, start)
        for start in ("proxy", "entries")
        for graph in ("unhealed", "changed", "rebuilt")
    ]
    assert {row["n_items"] for row in rows} == {320}
    assert all(row["coverage_at_k"] > 0.95 for row in rows)
    assert len(steps) > 10
    assert sum(steps) == pytest.approx(churn_steps(400, len(queries)))
