"""From a bundle on disk to an engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from graph_index.attach import build_index
from serving.adapters.bundle_store import ScorerLoader, deep_scorer_loader, open_engine
from vizsla.bundles import Bundle, write
from vizsla.clock import FakeClock
from vizsla.config import SearchSettings
from vizsla.contracts.bundle import GateCheck
from vizsla.contracts.index import Mode
from vizsla.errors import (
    CorruptArtifactError,
    IncompatibleArtifactError,
    UnknownNameError,
    UsageError,
)
from vizsla.testing.bundles import tiny_bundle, tiny_parts
from vizsla.testing.scorers import DotScorer


def dot(factor: float = 1.0) -> ScorerLoader:
    return lambda bundle: DotScorer(bundle.item_vectors() * np.float32(factor))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path)


def test_engine_has_the_bundle_s_parts(bundle: Bundle) -> None:
    """Catalogue, popularity and description come from the bundle."""
    engine = open_engine(bundle.path, SearchSettings(mode="walk", beam_width=9), dot())

    assert engine.catalogue.vocabulary.content_hash == bundle.manifest.vocab_hash
    assert engine.catalogue.popular(3).tolist() == [0, 1, 2]
    assert engine.catalogue.attributes(5) == {"title": "Title 5", "genre": "b"}
    assert engine.info.content_hash == bundle.manifest.content_hash
    assert (engine.search.mode, engine.search.beam_width) == (Mode.WALK, 9)
    assert engine.notices == ()


def test_other_answers_than_written_are_refused(bundle: Bundle) -> None:
    """A scorer that does not give the golden scores does not get to serve."""
    with pytest.raises(IncompatibleArtifactError, match=r"golden.jsonl: line 1: .* differ"):
        open_engine(bundle.path, SearchSettings(), dot(1.01))


def test_small_numeric_differences_pass(bundle: Bundle) -> None:
    """Another machine's rounding is not another model."""
    open_engine(bundle.path, SearchSettings(), dot(1.0 + 1e-5))


def test_damaged_bundle_is_refused(bundle: Bundle) -> None:
    """A flipped byte is found before anything is served."""
    path = bundle.path / "item_vectors.npy"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)

    with pytest.raises(CorruptArtifactError, match=r"item_vectors\.npy"):
        open_engine(bundle.path, SearchSettings(), dot())


def test_failed_gate_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A bundle that did not pass its gate serves, and says so in answers and log."""
    lost = GateCheck(
        rival="item_item", metric="recall_at_20", value=0.1, rival_value=0.2, met=False
    )
    parts = replace(tiny_parts(), gate=[lost], publishable=False)
    bundle = write(tmp_path, parts, FakeClock())
    engine = open_engine(bundle.path, SearchSettings(), dot())

    assert [(n.code, n.names) for n in engine.notices] == [("not_publishable", ["item_item"])]
    assert "did not pass its gate" in caplog.text


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch build has CUDA")
def test_a_device_that_is_not_there_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """Neither a bundle without a graph nor a torch without CUDA is served from a GPU."""
    with pytest.raises(UsageError, match=r"'cuda': .* has no graph; run: vizsla index build"):
        open_engine(bundle.path, SearchSettings(), dot(), device="cuda")
    built = build_index(bundle, tmp_path / "indexed")
    with pytest.raises(UsageError, match=r"'cuda': this torch build has no CUDA"):
        open_engine(built.path, SearchSettings(), dot(), device="cuda")


def test_unregistered_model_is_named(bundle: Bundle) -> None:
    """A bundle of a model that is not installed is refused by name."""
    with pytest.raises(UnknownNameError, match="'dot'"):
        open_engine(bundle.path, SearchSettings(), deep_scorer_loader(1))
