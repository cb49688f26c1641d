"""Neighbour tables from exact neighbours."""

import numpy as np
import pytest
import torch

from graph_index.backends.exhaustive import ExhaustiveRetriever
from graph_index.build import NEIGHBOURS, BuildSettings, build_graph
from graph_index.check import problems
from graph_index.device import neighbors
from graph_index.device.neighbors import exact_neighbors
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.errors import UsageError
from vizsla.rng import numpy_generator
from vizsla.testing.scorers import MlpScorer
from vizsla.testing.search_scorers import clustered_vectors

CPU = torch.device("cpu")
VECTORS = clustered_vectors(600, n_clusters=20)


def table_of(vectors, max_degree, n_candidates):
    return exact_neighbors(vectors, max_degree, n_candidates, CPU, lambda _share: None)


def by_hand(vectors, max_degree, n_candidates):
    """The same in loops, as the docstring says it."""
    gaps = np.square(vectors[:, None] - vectors[None]).sum(2).astype(np.float64)
    n_items = len(vectors)

    def chosen(item, found, width):
        found = sorted(found, key=lambda other: gaps[item, other])
        if len(found) <= width:
            return found
        kept = []
        for other in found:
            if all(gaps[other, one] >= gaps[item, other] for one in kept):
                kept.append(other)
        return kept[:width]

    near = [[o for o in np.argsort(gaps[i]) if o != i][:n_candidates] for i in range(n_items)]
    kept = [chosen(item, near[item], max_degree // 2) for item in range(n_items)]
    backward = [[o for o in range(n_items) if item in kept[o]] for item in range(n_items)]
    return [
        set(chosen(item, set(kept[item]) | set(backward[item]), max_degree))
        for item in range(n_items)
    ]


@pytest.mark.parametrize(("max_degree", "n_candidates"), [(4, 9), (8, 5), (16, 30)])
def test_the_links_are_those_of_the_rule(max_degree, n_candidates):
    """Whatever the block size; a row's own number fills it up."""
    vectors = numpy_generator(0, "rule").normal(size=(60, 5)).astype(np.float32)
    table = table_of(vectors, max_degree, n_candidates)
    expected = by_hand(vectors, max_degree, n_candidates)

    assert table.shape == (60, max_degree)
    assert [set(row) - {item} for item, row in enumerate(table.tolist())] == expected


def test_blocks_change_nothing(monkeypatch):
    """One row at once gives the table of all at once, and the share done never falls."""
    expected = table_of(VECTORS[:80], 8, 20)
    monkeypatch.setitem(neighbors._CELLS, "cpu", 100)
    shares = []

    assert np.array_equal(exact_neighbors(VECTORS[:80], 8, 20, CPU, shares.append), expected)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_an_item_many_link_to_keeps_its_degree():
    """A hub's row is cut to the degree, and everything is still reached after the repair."""
    rng = numpy_generator(0, "hub")
    spokes = rng.normal(size=(300, 400)).astype(np.float32)
    vectors = np.concatenate([np.zeros((1, 400), np.float32), spokes])
    graph = build_graph(vectors, BuildSettings(max_degree=8, device="cpu", n_entry_points=1))

    assert problems(graph) == []
    assert graph.neighbors.shape == (301, 8)


def test_a_graph_so_built_is_walked_as_well_as_an_hnsw_graph():
    """Equal vectors included; coverage is at least that of HNSW's graph less a point."""
    vectors = np.concatenate([VECTORS, VECTORS[:20], VECTORS[:20]])
    scorer, steps = MlpScorer(vectors), []
    queries = [Query(np.array([item, item + 7])) for item in range(0, 600, 20)]
    truth = ExhaustiveRetriever(vectors).search(scorer, queries, SearchOptions(k=20))
    walk = SearchOptions(k=20, mode=Mode.WALK, beam_width=40)
    coverage = {}
    for device in (None, "cpu"):
        graph = build_graph(
            vectors,
            BuildSettings(max_degree=16, device=device),
            progress=lambda step, _share: steps.append(step),
        )
        assert problems(graph) == []
        found = GraphRetriever(graph, vectors, SearchSettings(proxy_seeds=0)).search(
            scorer, queries, walk
        )
        pairs = zip(found, truth, strict=True)
        coverage[device] = np.mean([np.isin(t.item_nums, f.item_nums).mean() for f, t in pairs])

    assert coverage["cpu"] >= coverage[None] - 0.01
    assert set(steps) == {NEIGHBOURS, "entries", "repair"}


def test_a_device_that_is_not_there_builds_nothing():
    """The name is checked when it is needed."""
    with pytest.raises(UsageError, match="device 'tpu'"):
        build_graph(VECTORS, BuildSettings(device="tpu"))
