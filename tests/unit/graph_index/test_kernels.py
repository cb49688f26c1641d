"""The compiled kernels do what the NumPy reference says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from graph_index.build import BuildSettings, build_graph
from graph_index.kernels import compiled, reference
from vizsla.contracts.tables import tables_of
from vizsla.rng import numpy_generator


def numbers(seed, *shape):
    return numpy_generator(seed, "kernels").standard_normal(shape).astype(np.float32)


@given(keys=st.lists(st.integers(0, 30)), marked=st.sets(st.integers(0, 30)))
@settings(max_examples=60, deadline=None)
def test_claim(keys, marked):
    stamps = np.zeros(31, np.int32)
    stamps[list(marked)] = 5
    ours, theirs = stamps.copy(), stamps.copy()
    keys = np.array(keys, np.int64)

    expected = reference.claim(theirs, keys, 5)
    np.testing.assert_array_equal(compiled.claim(ours, keys, 5), expected)
    np.testing.assert_array_equal(ours, theirs)


@given(seed=st.integers(0, 1000), width=st.integers(1, 9), n=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_keep_best(seed, width, n):
    """The beams hold the same scores, the worst of them first."""
    scores = np.round(numbers(seed, n), 1)
    query_of = numpy_generator(seed, "queries").integers(3, size=n)
    ours = np.full((3, width), -np.inf, np.float32)
    theirs = ours.copy()
    compiled.keep_best(ours, query_of, scores)
    reference.keep_best(theirs, query_of, scores)

    np.testing.assert_array_equal(ours[:, 0], theirs[:, 0])
    np.testing.assert_array_equal(np.sort(ours, axis=1), np.sort(theirs, axis=1))


@pytest.mark.parametrize("share", [1.0, 0.9, 0.3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_walk_by_dot(dtype, share):
    """Both walks find the same items, and nearly all of those that are allowed."""
    allowed = numpy_generator(0, "allowed").random(2000) < share
    mask = allowed if share < 1 else allowed[:0]
    vectors = numbers(0, 2000, 16)
    graph = build_graph(vectors, BuildSettings(max_degree=16))
    tables = tables_of([vectors], dtype)
    table = (tables.arrays[0], tables.scales[0])
    plain = (tables.rows(0, slice(None)), np.empty(0, np.float32))
    for proxy in numbers(1, 5, 16):
        links = (graph.neighbors, graph.entry_points, plain[0][graph.entry_points] @ proxy)
        marks = [np.zeros(2000, np.int32) for _ in range(2)]
        items, n_dots = compiled.walk_by_dot(links, table, proxy, 200, (marks[0], 1), mask, 2000)
        same, n_same = reference.walk_by_dot(links, plain, proxy, 200, (marks[1], 1), mask, 2000)

        assert set(items[:100].tolist()) == set(same[:100].tolist())
        assert n_dots == pytest.approx(n_same, rel=0.05)
        best = np.argsort(-np.where(allowed, vectors @ proxy, -np.inf))[:100]
        assert allowed[items].all()
        assert np.isin(best, items).mean() > 0.9


def test_walk_by_dot_gives_up_at_its_budget():
    """Both at the same product; without room for the beam no walk ends by itself."""
    vectors = numbers(0, 2000, 16)
    graph = build_graph(vectors, BuildSettings(max_degree=16))
    products = vectors[graph.entry_points] @ vectors[0]
    links = (graph.neighbors, graph.entry_points, products)
    table = (vectors, np.empty(0, np.float32))
    nothing = np.zeros(2000, np.bool_)
    for budget in (300, 700):
        marks = [np.zeros(2000, np.int32) for _ in range(2)]
        ours = compiled.walk_by_dot(links, table, vectors[0], 9, (marks[0], 1), nothing, budget)
        theirs = reference.walk_by_dot(links, table, vectors[0], 9, (marks[1], 1), nothing, budget)

        assert len(ours[0]) == len(theirs[0]) == 0
        assert budget < ours[1] == theirs[1] <= budget + 16


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_dots_of_rows(dtype):
    """Products with the rows as the table stores them."""
    tables = tables_of([numbers(0, 50, 16)], dtype)
    rows, proxy = np.array([3, 49, 3, 0]), numbers(1, 1, 16)[0]
    plain = (tables.rows(0, slice(None)), np.empty(0, np.float32))
    ours = compiled.dots_of_rows((tables.arrays[0], tables.scales[0]), rows, proxy)

    np.testing.assert_allclose(
        ours, reference.dots_of_rows(plain, rows, proxy), rtol=1e-4, atol=1e-5
    )
