"""The search on a torch device gives what the search in NumPy gives, step for step."""

import pytest

from graph_index.backends.torch_device import TorchDeviceRetriever
from graph_index.build import BuildSettings, build_graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.rng import numpy_generator
from vizsla.testing.device_scorers import HostScorer
from vizsla.testing.scorers import MlpScorer
from vizsla.testing.search_scorers import clustered_vectors

N = 350
VECTORS = clustered_vectors(N, n_clusters=30)
RNG = numpy_generator(0, "device congruence")
QUERIES = [Query(RNG.integers(0, N, size=6)) for _ in range(6)]
ALIVE = RNG.random(N) < 0.9
GRAPHS = {
    "whole": build_graph(VECTORS, BuildSettings(max_degree=8)),
    "with removed items": build_graph(VECTORS, BuildSettings(max_degree=8), alive=ALIVE),
    "one entry": build_graph(VECTORS, BuildSettings(max_degree=5, n_entry_points=1)),
}
EXCLUDED = tuple(RNG.choice(N, size, replace=False) for size in range(0, 60, 10))
SHARES = (None, 0.5, 0.1, 0.02, 0.0, 0.9)
ALLOWED = tuple(None if share is None else RNG.random(N) < share for share in SHARES)
SETTINGS = {
    "seeded": SearchSettings(proxy_seeds=20, beam_width=20, entry_width=5),
    "from the entry set": SearchSettings(proxy_seeds=0, beam_width=30, entry_width=4),
    "both": SearchSettings(proxy_seeds=10, beam_width=15, entry_points_with_proxy=1),
    "one by one": SearchSettings(proxy_seeds=7, beam_width=12, entry_width=1, max_lockstep=1),
    "rescored": SearchSettings(proxy_seeds=60, max_rounds=0, filtered_max_rounds=0),
    "until nothing is left": SearchSettings(proxy_seeds=3, beam_width=N, max_rounds=400),
}
NARROW = {"exhaustive_below": 20, "filtered_beam_width": 30, "filtered_proxy_seeds": 9}
OPTIONS = {
    "plain": SearchOptions(k=10, mode=Mode.WALK),
    "wide": SearchOptions(k=100, mode=Mode.WALK),
    "excluded": SearchOptions(k=10, mode=Mode.WALK, excluded=EXCLUDED),
    "filtered": SearchOptions(k=10, mode=Mode.WALK, allowed=ALLOWED),
    "all at once": SearchOptions(k=25, mode=Mode.WALK, excluded=EXCLUDED, allowed=ALLOWED),
    "budget": SearchOptions(k=10, mode=Mode.WALK, max_scored=50),
    "exhaustive": SearchOptions(k=50, mode=Mode.EXHAUSTIVE, excluded=EXCLUDED, allowed=ALLOWED),
    "exhaustive within a budget": SearchOptions(k=5, mode=Mode.EXHAUSTIVE, max_scored=70),
    "auto": SearchOptions(k=5, allowed=ALLOWED),
}


DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("options", OPTIONS)
def test_same_answer_for_the_same_work(graph, settings, options, device):
    """Items, scores, number of scored items, rounds and reason are equal, query by query."""
    chosen = SETTINGS[settings].model_copy(update=NARROW)
    scorer, asked = MlpScorer(VECTORS), OPTIONS[options]
    on_host = GraphRetriever(GRAPHS[graph], VECTORS, chosen)
    on_device = TorchDeviceRetriever(GRAPHS[graph], VECTORS, chosen, device=device)

    expected = on_host.search(scorer, QUERIES, asked)
    found = on_device.search(HostScorer(scorer, VECTORS), QUERIES, asked)

    for one, other in zip(expected, found, strict=True):
        assert one.item_nums.tolist() == other.item_nums.tolist()
        assert one.scores.tolist() == other.scores.tolist()
        assert _work(one) == _work(other)


def _work(result):
    work = result.work
    return work.mode, work.n_scored, work.n_rounds, work.n_proxy_scored, work.stopped_by


@pytest.mark.parametrize("device", DEVICES)
def test_same_neighbours_on_every_device(device):
    """The table is the processor's, but for links that rounding decides."""
    tables = [
        build_graph(VECTORS, BuildSettings(max_degree=8, device=place)).neighbors
        for place in ("cpu", device)
    ]

    assert (tables[0] == tables[1]).mean() > 0.99
