"""The arrays of a graph."""

from __future__ import annotations

import numpy as np
import pytest

from graph_index.graph import Graph
from vizsla.errors import ContractError


def test_degrees_leave_padding_out():
    """A slot with the row's own number is no edge, neither out nor in."""
    graph = Graph(
        np.array([[1, 2], [1, 0], [2, 2]], np.int32), np.array([0], np.int32), np.ones(3, bool)
    )

    assert graph.out_degrees().tolist() == [2, 1, 0]
    assert graph.in_degrees().tolist() == [1, 1, 1]
    assert (graph.n_items, graph.max_degree) == (3, 2)


@pytest.mark.parametrize(
    ("neighbors", "entries", "alive", "said"),
    [
        (np.zeros((3, 2), np.int32), np.zeros(0, np.int32), np.ones(3, bool), "entry_points"),
        (np.zeros((3, 2), np.int32), np.zeros(1, np.int32), np.ones(2, bool), "alive"),
        (np.zeros(3, np.int32), np.zeros(1, np.int32), np.ones(3, bool), "neighbors"),
        (np.zeros((3, 2), np.int64), np.zeros(1, np.int32), np.ones(3, bool), "int32"),
        (np.zeros((3, 2), np.int32), np.zeros(1, np.int32), np.ones(3, np.int8), "bool"),
    ],
)
def test_arrays_must_fit(neighbors, entries, alive, said):
    """Arrays of other shapes or dtypes are refused when the graph is made."""
    with pytest.raises(ContractError, match=said):
        Graph(neighbors, entries, alive)
