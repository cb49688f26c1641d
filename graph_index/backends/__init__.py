"""Ways to search a catalogue; each is one file here and one line in ``BACKENDS``."""

from __future__ import annotations

from vizsla.registry import Registry

__all__ = ["BACKENDS"]

BACKENDS = Registry(
    "index backend",
    {
        "exhaustive": "graph_index.backends.exhaustive:ExhaustiveRetriever",
        "graph": "graph_index.backends.graph:GraphRetriever",
        "graph_gradient": "graph_index.backends.graph_gradient:GradientRetriever",
        "hnsw_greedy": "graph_index.backends.hnsw_greedy:GreedyRetriever",
        "popularity": "graph_index.backends.popularity:PopularityRetriever",
        "proxy_scan": "graph_index.backends.proxy_scan:ProxyScanRetriever",
        "proxy_scan_int8": "graph_index.backends.proxy_scan_int8:ProxyScanInt8Retriever",
        "rails": "graph_index.backends.rails:RailsRetriever",
        "random": "graph_index.backends.random:RandomRetriever",
        "torch_device": "graph_index.backends.torch_device:TorchDeviceRetriever",
        "two_stage": "graph_index.backends.two_stage:TwoStageRetriever",
    },
)
"""Name to retriever class; each class opens with ``from_graph(graph, item_vectors, settings)``."""
