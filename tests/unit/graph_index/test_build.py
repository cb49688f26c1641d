"""Building graphs over well-behaved and awkward vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError

from graph_index.build import NEIGHBOURS, BuildSettings, build_graph, default_entry_points
from graph_index.check import problems
from graph_index.duplicates import duplicated_rows, spread_duplicates
from graph_index.nearest import faiss_threads, medoids, nearest_rows
from vizsla.errors import DataError
from vizsla.rng import numpy_generator
from vizsla.testing.search_scorers import clustered_vectors

RNG = numpy_generator(0, "test build")
AWKWARD = {
    "one item": np.ones((1, 3)),
    "two items": np.eye(2),
    "fewer items than slots": RNG.normal(size=(7, 3)),
    "as many items as slots": RNG.normal(size=(16, 3)),
    "one more item than slots": RNG.normal(size=(17, 3)),
    "one dimension": RNG.normal(size=(200, 1)),
    "all identical": np.ones((700, 4)),
    "all zero": np.zeros((300, 4)),
    "groups of duplicates": np.repeat(RNG.normal(size=(20, 4)), 30, axis=0),
    "nearly identical": 1.0 + 1e-6 * RNG.normal(size=(500, 4)),
    "half duplicates": np.concatenate([np.ones((300, 4)), RNG.normal(size=(300, 4))]),
    "far islands": np.concatenate([RNG.normal(size=(200, 4)), 1e4 + RNG.normal(size=(200, 4))]),
}


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_vectors_give_sound_graphs(name):
    """Every item can be reached, whatever the vectors look like."""
    vectors = AWKWARD[name].astype(np.float32)
    graph = build_graph(vectors, BuildSettings(max_degree=16))

    assert graph.neighbors.shape == (len(vectors), 16)
    assert problems(graph) == []
    assert graph.alive.all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 120), st.integers(4, 9), st.integers(1, 200))
def test_any_settings_give_sound_graphs(seed, n_items, max_degree, n_entry_points):
    """Reachability is 100 % for any degree, odd ones too, and any number of entries."""
    vectors = np.random.default_rng(seed).normal(size=(n_items, 3)).astype(np.float32)
    chosen = BuildSettings(max_degree=max_degree, n_entry_points=n_entry_points)
    graph = build_graph(vectors, chosen, seed)

    assert problems(graph) == []
    assert graph.max_degree == max_degree
    assert 1 <= len(graph.entry_points) <= min(n_items, n_entry_points)


def test_small_catalogues_are_complete():
    """With fewer items than slots everything is linked with everything."""
    graph = build_graph(np.arange(5, dtype=np.float32)[:, None], BuildSettings(max_degree=6))

    assert graph.out_degrees().tolist() == [4] * 5
    assert graph.entry_points.tolist() == [0, 1, 2, 3, 4]


def test_neighbours_are_near():
    """The nearest item is nearly always among an item's neighbours."""
    vectors = clustered_vectors(1000)
    graph = build_graph(vectors)
    nearest = nearest_rows(vectors, vectors, 2)[0][:, 1]

    assert (graph.neighbors == nearest[:, None]).any(axis=1).mean() > 0.95


def test_one_seed_one_graph():
    """Equal seeds give equal tables and entries; another seed gives others."""
    vectors = clustered_vectors(600)
    one, again, other = (build_graph(vectors, seed=seed) for seed in (4, 4, 5))

    assert np.array_equal(one.neighbors, again.neighbors)
    assert np.array_equal(one.entry_points, again.entry_points)
    assert not np.array_equal(one.entry_points, other.entry_points)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(bad):
    """The message names the first bad row."""
    vectors = clustered_vectors(50)
    vectors[[17, 31], 2] = bad

    with pytest.raises(DataError, match=r"2 of 50 rows hold NaN or infinity, the first is row 17"):
        build_graph(vectors)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4,)])
def test_no_vectors_are_refused(shape):
    """A catalogue needs at least one item and one dimension."""
    with pytest.raises(DataError, match=r"must be \(N, D\)"):
        build_graph(np.zeros(shape, np.float32))


def test_progress_ends_at_one():
    """Each step reports rising shares up to 1."""
    seen: list[tuple[str, float]] = []
    build_graph(clustered_vectors(100), progress=lambda step, share: seen.append((step, share)))

    assert seen[0] == (NEIGHBOURS, 1.0)
    assert seen[-1] == ("repair", 1.0)


def test_alive_mask_is_kept():
    """The mask given is the graph's."""
    alive = np.arange(30) % 2 == 0

    assert np.array_equal(build_graph(clustered_vectors(30), alive=alive).alive, alive)


@pytest.mark.parametrize("n_items", [1, 2, 25, 26, 1000, 41000])
def test_default_entry_points(n_items):
    """About five times the square root, never more than there are items."""
    assert default_entry_points(n_items) == min(n_items, math.ceil(5 * math.sqrt(n_items)))


@pytest.mark.parametrize("field", ["max_degree", "ef_construction", "n_threads", "n_entry_points"])
def test_settings_have_bounds(field):
    """Zero is no setting, and unknown names are refused."""
    with pytest.raises(ValidationError, match=field):
        BuildSettings(**{field: 0})
    with pytest.raises(ValidationError, match="extra"):
        BuildSettings(degree=3)


def test_medoids_cover_every_cluster():
    """Twenty-five distinct medoids leave none of five tight clusters out."""
    vectors = clustered_vectors(200, n_clusters=5, noise=0.01)
    found = medoids(vectors, 25, iterations=20, seed=2**62)

    assert set((found % 5).tolist()) == {0, 1, 2, 3, 4}
    assert found.tolist() == sorted(set(found.tolist()))


def test_faiss_threads_are_put_back():
    """The global number of threads is what it was."""
    import faiss

    before = faiss.omp_get_max_threads()
    with faiss_threads(1):
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before


def test_duplicates_are_spread_and_others_stay():
    """Only rows that occur twice move, and by little; -0 and 0 are the same."""
    vectors = np.array([[1, 0], [2, 2], [1, -0.0], [3, 3]], np.float32)
    spread = spread_duplicates(vectors, numpy_generator(1))

    assert duplicated_rows(vectors).tolist() == [True, False, True, False]
    assert np.array_equal(spread[[1, 3]], vectors[[1, 3]])
    assert not duplicated_rows(spread).any()
    assert np.abs(spread - vectors).max() < 0.02


def test_a_large_catalogue_is_built_with_a_wider_beam():
    """What is given counts; else the number of items decides."""
    assert BuildSettings().beam_of_build(200_000) == 100
    assert BuildSettings().beam_of_build(200_001) == 200
    assert BuildSettings(ef_construction=40).beam_of_build(10**6) == 40
