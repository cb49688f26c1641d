"""A catalogue in parts does what the contract of retrievers says."""

from __future__ import annotations

import numpy as np
import pytest

from graph_index.build import BuildSettings, build_graph
from graph_index.retriever import GraphRetriever
from graph_index.settings import SearchSettings
from graph_index.shards.client import InProcessShard
from graph_index.shards.retriever import ShardedRetriever
from vizsla.bundles import shard_numbers
from vizsla.contracts.index import Retriever
from vizsla.testing.retrievers import RETRIEVER_CHECKS

SETTINGS = {
    "defaults": SearchSettings(),
    "walked": SearchSettings(proxy_seeds=0, exhaustive_below=0),
}


@pytest.mark.parametrize("n_shards", [2, 4])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("check", RETRIEVER_CHECKS)
def test_conforms(check, settings, n_shards):
    """The published suite passes over shards."""

    def open_retriever(item_vectors, clock):
        of = shard_numbers([f"item {num}" for num in range(len(item_vectors))], n_shards)
        parts = [np.flatnonzero(of == shard) for shard in range(n_shards)]
        opened = ShardedRetriever(
            [_shard(nums, item_vectors[nums], settings, clock) for nums in parts if len(nums)],
            clock,
        )
        assert isinstance(opened, Retriever)
        return opened

    RETRIEVER_CHECKS[check](open_retriever)


def _shard(nums, vectors, settings, clock):
    graph = build_graph(vectors, BuildSettings(max_degree=16))
    return InProcessShard(nums, GraphRetriever(graph, vectors, SETTINGS[settings], clock=clock))
