"""Every registered index backend does what the contract of retrievers says."""

from __future__ import annotations

from pathlib import Path

import pytest

import graph_index.backends
from graph_index.backends import BACKENDS
from graph_index.build import BuildSettings, build_graph
from graph_index.settings import SearchSettings
from vizsla.contracts.index import Retriever
from vizsla.testing.device_scorers import HostScorer
from vizsla.testing.retrievers import RETRIEVER_CHECKS

SETTINGS = {
    "defaults": SearchSettings(),
    "entries only": SearchSettings(proxy_seeds=0, exhaustive_below=100),
    "narrow": SearchSettings(
        beam_width=20, entry_width=3, proxy_seeds=10, entry_points_with_proxy=1, chunk_items=7
    ),
    "pruned": SearchSettings(keep_percent=50, proxy_seeds=0, exhaustive_below=100),
    "one by one": SearchSettings(max_lockstep=1, proxy_seeds=5, exhaustive_below=0),
}

CONTROLS = ("popularity", "random")
"""They score items without looking for good ones, and conform in everything else."""

ONLY = {"hnsw_greedy": "entries only", "graph_gradient": "pruned"}
"""Greedy search scores a few items per call: under one setting it takes as long as the rest together."""

CASES = [
    (backend, settings)
    for backend in BACKENDS
    for settings in SETTINGS
    if ONLY.get(backend, settings) == settings
]


def int8_alone(backend, settings):
    """Rounded products put the tenth best among the best eleven or so, not among the best ten."""
    return backend == "proxy_scan_int8" and settings != "defaults"


class HostAsked:
    """A retriever on a device that the suite's scorers, which are no device scorers, can be given to."""

    def __init__(self, retriever, item_vectors):
        self.retriever, self.vectors = retriever, item_vectors
        self.n_items = retriever.n_items

    def search(self, scorer, queries, options):
        return self.retriever.search(HostScorer(scorer, self.vectors), queries, options)


@pytest.mark.parametrize(("backend", "settings"), CASES)
@pytest.mark.parametrize("check", RETRIEVER_CHECKS)
def test_backend_conforms(backend, check, settings):
    """A backend passes the published suite under any sensible settings."""
    if (backend in CONTROLS or int8_alone(backend, settings)) and check == "finds_the_nearest":
        pytest.skip("it is not made to find the nearest with so few candidates")

    def open_retriever(item_vectors, clock):
        graph = build_graph(item_vectors, BuildSettings(max_degree=16))
        opened = BACKENDS.load(backend).from_graph(
            graph, item_vectors, SETTINGS[settings], clock=clock
        )
        assert isinstance(opened, Retriever)
        return HostAsked(opened, item_vectors) if backend == "torch_device" else opened

    RETRIEVER_CHECKS[check](open_retriever)


def test_folder_and_table_agree():
    """Each file in the folder of backends is registered, and nothing else is."""
    folder = Path(graph_index.backends.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}

    assert files == set(BACKENDS)
    assert all(target.split(":")[0].endswith(f".{name}") for name, target in BACKENDS.items())
