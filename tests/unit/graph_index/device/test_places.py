"""Names of devices, and what is refused before anything is put on one."""

import numpy as np
import pytest
import torch

from graph_index.backends.torch_device import TorchDeviceRetriever
from graph_index.build import BuildSettings, build_graph
from graph_index.device.places import open_device
from vizsla.contracts.index import Query, SearchOptions
from vizsla.errors import UsageError
from vizsla.testing.scorers import DotScorer

VECTORS = np.eye(5, dtype=np.float32)


def test_the_processor_is_a_device():
    """It runs the same code."""
    assert open_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "mps", "cpu:0 "])
def test_an_unknown_name_is_refused(name):
    """The message names it and says what there is."""
    with pytest.raises(UsageError, match=f"device {name!r}: give cpu, cuda, or cuda:N"):
        open_device(name)


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch build has CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_a_torch_without_cuda_is_told(name):
    """Retrievers and builds ask before they copy anything."""
    graph = build_graph(VECTORS, BuildSettings(max_degree=4))
    with pytest.raises(UsageError, match=r"no CUDA: install vizsla\[gpu\].* or choose device=cpu"):
        TorchDeviceRetriever.from_graph(graph, VECTORS, device=name)


def test_a_scorer_that_cannot_move_is_refused():
    """It is not asked on the host behind the user's back."""
    graph = build_graph(VECTORS, BuildSettings(max_degree=4))
    retriever = TorchDeviceRetriever.from_graph(graph, VECTORS)

    with pytest.raises(UsageError, match="a DotScorer cannot be asked on device 'cpu'"):
        retriever.search(DotScorer(VECTORS), [Query(np.array([1]))], SearchOptions(k=2))
