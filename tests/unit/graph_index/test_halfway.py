"""An interrupted build goes on where it was, and gives the graph it would have given."""

from __future__ import annotations

import numpy as np
import pytest

from graph_index import build, halfway
from graph_index.build import BuildSettings, build_graph
from vizsla.errors import CorruptArtifactError
from vizsla.rng import numpy_generator

SETTINGS = BuildSettings(max_degree=8)


class _InterruptedError(Exception):
    """As if the process had been stopped."""


@pytest.fixture
def vectors(monkeypatch):
    monkeypatch.setattr(build, "_ADD_ROWS", 100)
    monkeypatch.setattr(halfway, "KEEP_EVERY_S", 0.0)
    return numpy_generator(0, "vectors").standard_normal((600, 4), np.float32)


def interrupted(vectors, work_dir):
    def stop(_step, share):
        if share > 0.6:
            raise _InterruptedError

    with pytest.raises(_InterruptedError):
        build_graph(vectors, SETTINGS, progress=stop, work_dir=work_dir)


def test_a_build_goes_on_where_it_was(vectors, tmp_path):
    """The first report after the interruption is later than the start; nothing is left over."""
    interrupted(vectors, tmp_path / "work")
    shares = []
    resumed = build_graph(
        vectors,
        SETTINGS,
        progress=lambda step, share: shares.append(share),
        work_dir=tmp_path / "work",
    )

    assert shares[0] > 0.5
    np.testing.assert_array_equal(resumed.neighbors, build_graph(vectors, SETTINGS).neighbors)
    assert not (tmp_path / "work").exists()


def test_other_vectors_begin_anew(vectors, tmp_path):
    interrupted(vectors, tmp_path / "work")
    other = build_graph(vectors + np.float32(1), SETTINGS, work_dir=tmp_path / "work")

    np.testing.assert_array_equal(
        other.neighbors, build_graph(vectors + np.float32(1), SETTINGS).neighbors
    )


def test_what_cannot_be_taken_up_is_named(vectors, tmp_path):
    interrupted(vectors, tmp_path / "work")
    (tmp_path / "work" / "halfway.faiss").write_bytes(b"no index")

    with pytest.raises(CorruptArtifactError, match=r"halfway\.faiss: cannot be taken up"):
        build_graph(vectors, SETTINGS, work_dir=tmp_path / "work")
