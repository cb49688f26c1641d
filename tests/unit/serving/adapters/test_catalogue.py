"""The popular list of a catalogue, also of one that changes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from graph_index.graph import Graph
from graph_index.live.graph import GraphSnapshot
from graph_index.live.states import ItemsSnapshot
from graph_index.live.vocabulary import LiveVocabulary
from serving.adapters.catalogue import BundleCatalogue, first_of, growing_parts
from serving.adapters.live_catalogue import LiveCatalogue
from vizsla.bundles import Bundle
from vizsla.testing.bundles import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Forty items, the smaller the number, the more popular."""
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


def changed(bundle: Bundle, nums: dict[str, int], paused: list[int]) -> LiveCatalogue:
    n_places = 1 + max(39, *nums.values())
    alive = np.ones(n_places, np.bool_)
    alive[paused] = False
    graph = Graph(np.zeros((n_places, 1), np.int32), np.zeros(1, np.int32), alive)
    vocabulary = LiveVocabulary(bundle.vocabulary).changed(nums)
    snapshot = GraphSnapshot(graph, np.zeros((n_places, 1), np.float32))
    return LiveCatalogue(BundleCatalogue(bundle), ItemsSnapshot(snapshot, vocabulary, {}, 0))


def test_a_bundle_s_items_come_by_interactions(bundle: Bundle) -> None:
    """Paused items and those that are not allowed are left out."""
    alive = np.ones(40, np.bool_)
    alive[1] = False

    assert BundleCatalogue(bundle, alive).popular(3).tolist() == [0, 2, 3]
    assert BundleCatalogue(bundle, alive).popular(3, np.arange(40) % 2 == 1).tolist() == [3, 5, 7]
    assert len(BundleCatalogue(bundle, alive).popular(100)) == 39


def test_a_moved_item_keeps_its_rank_and_a_new_one_is_last(bundle: Bundle) -> None:
    """item-1 has another place, item-2 is gone, item-3 paused, and two are new."""
    nums = {"item-1": 40, "item-2": -1, "new": 42, "newer": 41}
    catalogue = changed(bundle, nums, paused=[1, 2, 3])
    places = catalogue.popular(100).tolist()

    assert places[:3] == [0, 40, 4]
    assert places[-3:] == [39, 41, 42]
    assert len(places) == 40  # two of forty are out, two are new
    assert catalogue.n_interactions(np.array([40, 4, 42])).tolist() == [39, 36, 0]
    assert catalogue.popular(5, np.isin(np.arange(43), [40, 42, 3])).tolist() == [40, 42]


def test_no_more_is_read_than_an_answer_takes() -> None:
    """Of a million items the first part is enough for an answer, whatever comes after it."""
    order = np.arange(1_000_000)
    read: list[int] = []

    def parts() -> Iterator[NDArray[np.int64]]:
        for part in growing_parts(order):
            read.append(len(part))
            yield part

    everything = np.ones(len(order), np.bool_)

    assert first_of(parts(), 250, everything, None).tolist() == list(range(250))
    assert sum(read) < 1000
    assert first_of(parts(), 2, everything, order > 999_990).tolist() == [999_991, 999_992]
