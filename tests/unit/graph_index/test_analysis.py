"""A graph described in figures, and a walk written down as it went."""

from __future__ import annotations

import json
from itertools import pairwise

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st
from matplotlib.image import imread

from graph_index.analysis import cli, structure as module
from graph_index.analysis.pictures import surroundings
from graph_index.analysis.structure import hops_from_entries, structure
from graph_index.analysis.tracing import trace_walk
from graph_index.attach import build_index
from graph_index.build import BuildSettings, build_graph
from graph_index.graph import Graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.bundles import load
from vizsla.cli import main
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.testing.bundles import tiny_bundle, tiny_parts
from vizsla.testing.scorers import DotScorer

VECTORS = np.random.default_rng(3).normal(size=(300, 8)).astype(np.float32)
GRAPH = build_graph(VECTORS, BuildSettings(max_degree=8), 0)
RETRIEVER = GraphRetriever(GRAPH, VECTORS, SearchSettings(beam_width=20, entry_width=5))


def as_networkx(graph):
    """The same graph, padding left out."""
    found = nx.DiGraph()
    found.add_nodes_from(range(graph.n_items))
    rows = enumerate(graph.neighbors.tolist())
    found.add_edges_from((num, end) for num, row in rows for end in row if end != num)
    return found


@given(st.integers(1, 12), st.integers(1, 3), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_figures_are_those_of_networkx(n_items, degree, seed):
    """Degrees, components and hops of any table of neighbours."""
    generator = np.random.default_rng(seed)
    neighbors = generator.integers(n_items, size=(n_items, degree)).astype(np.int32)
    entries = np.unique(generator.integers(n_items, size=2)).astype(np.int32)
    graph = Graph(neighbors, entries, np.ones(n_items, bool))
    same = as_networkx(graph)
    found = structure(graph, generator.normal(size=(n_items, 2)).astype(np.float32)).facts
    hops = nx.multi_source_dijkstra_path_length(same, set(entries.tolist()))

    assert found["weak_components"] == nx.number_weakly_connected_components(same)
    assert found["strong_components"] == nx.number_strongly_connected_components(same)
    assert hops_from_entries(graph).tolist() == [hops.get(num, -1) for num in range(n_items)]


def test_edges_are_shorter_than_chance():
    """The mean length of all edges, beside the mean distance of any two items."""
    same = as_networkx(GRAPH)
    lengths = [np.linalg.norm(VECTORS[a] - VECTORS[b]) for a, b in same.edges]
    found = structure(GRAPH, VECTORS).facts

    assert found["edge_length_mean"] == pytest.approx(np.mean(lengths), rel=1e-5)
    assert found["edge_length_mean"] < 0.8 * found["any_two_items_mean"]
    assert found["n_edges"] == same.number_of_edges()


def test_components_of_a_very_large_graph_are_not_counted(monkeypatch):
    """And the answer says so."""
    monkeypatch.setattr(module, "MOST_COUNTED", 299)
    found = structure(GRAPH, VECTORS).facts

    assert found["weak_components"] == "not counted above 299 items"
    assert "weak_largest_ratio" not in found


def test_a_trace_is_the_walk_that_a_search_makes():
    """The same answer and work; every step follows an edge from an earlier round."""
    query, scorer = Query(np.array([7])), DotScorer(VECTORS)
    trace = trace_walk(RETRIEVER, scorer, query, 5, proxy_seeds=0)
    options = SearchOptions(k=5, mode=Mode.WALK, proxy_seeds=0)
    plain = RETRIEVER.search(scorer, [query], options)[0]

    assert trace.answer.item_nums.tolist() == plain.item_nums.tolist()
    assert len(trace.item_nums) == plain.work.n_scored
    assert 1 <= trace.round_of.max() <= plain.work.n_rounds
    rounds = dict(zip(trace.item_nums.tolist(), trace.round_of.tolist(), strict=True))
    for item in trace.answer.item_nums.tolist():
        path = trace.path_to(item)
        assert path[-1] == item
        assert rounds[path[0]] == 0
        for one, other in pairwise(path):
            assert other in GRAPH.neighbors[one]
            assert rounds[one] < rounds[other]


def test_surroundings_are_one_edge_away():
    """Each item is named by the direction of its edge; the edges among them are the graph's."""
    around, whole = surroundings(GRAPH, 11), as_networkx(GRAPH)
    kinds = dict(around.nodes(data="kind"))

    assert {n for n, kind in kinds.items() if kind in ("out", "both")} == set(whole.successors(11))
    assert {n for n, kind in kinds.items() if kind in ("in", "both")} == set(whole.predecessors(11))
    assert set(around.edges) == set(whole.subgraph(around).edges)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run directory with a graph and a user, whose model is a plain dot product."""
    bundle = build_index(tiny_bundle(tmp_path / "run/bundles", 60), tmp_path / "run/bundles")
    (tmp_path / "run/latest_bundle").write_text(str(bundle.path))
    users = pa.table({"user_id": ["anna"], "history": [["item-1", "gone", "item-2"]]})
    pq.write_table(users, tmp_path / "run/users.parquet")
    monkeypatch.setattr(cli.SCORERS, "load", lambda _: dot_scorer)
    return tmp_path / "run"


def dot_scorer(name, config, weights, tables):
    """What the tiny bundle's model is."""
    return DotScorer(tiny_parts(60).item_vectors)


def vizsla(*arguments):
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def test_describe_prints_and_draws(run, tmp_path, capsys):
    """Figures as JSON; a picture of the degrees, of an item and of a user's walk."""
    out = tmp_path / "pictures"
    code = vizsla("index", "describe", run, "--out", out, "--item", "item-3", "--user", "anna", "--json")  # fmt: skip
    found = json.loads(capsys.readouterr().out)

    assert code == 0
    assert found["n_items"] == 60
    assert found["bundle"] == str(load(run).path)
    assert found["pictures"] == [str(out / name) for name in ("degrees.png", "item-item-3.png", "walk.png")]  # fmt: skip
    for path in found["pictures"]:
        picture = imread(path)
        assert picture.shape[0] > 400
        assert picture.std() > 0.02


WRONG = {
    "no such item": (["--out", "P", "--item", "gone"], 5, "--item: no item 'gone'"),
    "no such user": (["--out", "P", "--user", "gone"], 5, "--user: no user 'gone'"),
    "no such users": (["--out", "P", "--user", "anna", "--users", "x.parquet"], 5, "x.parquet"),
    "nowhere to draw": (["--item", "item-3"], 2, "--out DIR"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_named_and_nothing_is_drawn(run, tmp_path, capsys, name):
    """One line, and no folder of half the pictures."""
    arguments, code, said = WRONG[name]
    given = [str(tmp_path / "out") if one == "P" else one for one in arguments]

    assert vizsla("index", "describe", run, *given) == code
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_users_that_are_no_table_are_refused(run, tmp_path, capsys):
    """The file is named."""
    (tmp_path / "users.parquet").write_text("no")
    code = vizsla("index", "describe", run, "--out", tmp_path / "out", "--user", "anna", "--users", tmp_path / "users.parquet")  # fmt: skip

    assert code == 1
    assert "users.parquet" in capsys.readouterr().err
