"""From a bundle on disk to an engine that answers like the one that was trained."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from graph_index.attach import open_retriever
from graph_index.attributes import AttributeStore
from graph_index.retriever import GraphRetriever
from serving.adapters.catalogue import BundleCatalogue
from serving.adapters.item_net import item_net_of
from serving.adapters.shards import Connect, all_alive, open_sharded
from serving.core.protocols import Engine, Ranker
from vizsla.blas import one_blas_thread
from vizsla.bundles import Bundle, load, read_tables
from vizsla.config import SearchSettings
from vizsla.contracts.api import Notice
from vizsla.contracts.bundle import GoldenRequest
from vizsla.contracts.index import Mode, ProxyScorer, Query, Retriever, SearchOptions
from vizsla.errors import IncompatibleArtifactError, UsageError
from vizsla.user_features import encode_features

__all__ = ["GOLDEN_TOLERANCE", "ScorerLoader", "deep_scorer_loader", "open_engine", "replay_golden"]

GOLDEN_TOLERANCE = 1e-4
_ROUNDING = {"float32": 0.0, "bfloat16": 0.01, "int8": 0.04}
"""What narrow tables may change, relative to a request's largest score; measured: 0.004 and 0.016."""
WARM_UPS = 3

ScorerLoader = Callable[[Bundle], ProxyScorer]

_log = logging.getLogger("vizsla.serving")


def deep_scorer_loader(threads: int) -> ScorerLoader:
    """Return what builds the scorer of the registered model that a bundle names.

    Args:
        threads: Of torch, within one search, for the whole process.
    """

    def load_deep_scorer(bundle: Bundle) -> ProxyScorer:
        import torch

        from vizsla.models.recommender.loading import load_scorer

        torch.set_num_threads(threads)
        one_blas_thread()
        model = bundle.manifest.model
        return load_scorer(model.name, model.config, bundle.weights(), read_tables(bundle))

    return load_deep_scorer


def open_engine(
    path: Path,
    search: SearchSettings,
    load_scorer: ScorerLoader,
    connect: Connect | None = None,
    *,
    device: str = "cpu",
) -> Engine:
    """Load and verify a bundle, replay its golden requests and warm it up.

    Args:
        path: A bundle directory, or a run directory with ``latest_bundle``.
        search: Bounds of the walk.
        load_scorer: Builds the scorer.
        connect: Reaches the shards of a sharded bundle; None opens them in this process.
        device: Where searches run; on ``cpu`` in compiled code, elsewhere through torch.

    Raises:
        ArtifactError: The bundle is damaged, or its scorer does not answer as it did when
            the bundle was written.
        UsageError: There is no such device, or the scorer cannot be put on it.
    """
    bundle = load(path)
    scorer, retriever, alive = _opened(bundle, load_scorer, connect, device)
    engine = Engine(
        manifest=bundle.manifest,
        catalogue=BundleCatalogue(bundle, alive),
        scorer=scorer,
        retriever=retriever,
        attributes=_attributes(bundle),
        search=_options(search),
        item_net=item_net_of(bundle, scorer),
        notices=_notices(bundle),
        ranker=_ranker(bundle),
    )
    replay_golden(engine, bundle)
    _warm_up(engine)
    return engine


def _opened(
    bundle: Bundle, load_scorer: ScorerLoader, connect: Connect | None, device: str
) -> tuple[ProxyScorer, Retriever, NDArray[np.bool_] | None]:
    """Open what scores, what searches, and the mask of items that may be returned."""
    if bundle.manifest.shards is not None:
        if device != "cpu":
            raise UsageError(
                f"{bundle.path} is in shards, which search on the processor: device=cpu"
            )
        return *open_sharded(bundle, connect), all_alive(bundle)
    retriever = open_retriever(bundle, device=None if device == "cpu" else device)
    alive = retriever.graph.alive if isinstance(retriever, GraphRetriever) else None
    return _scorer(bundle, load_scorer), retriever, alive


def _ranker(bundle: Bundle) -> Ranker | None:
    if bundle.manifest.ranker is None:
        return None
    from serving.adapters.ranker import open_ranker  # brings torch

    return open_ranker(bundle)


def _attributes(bundle: Bundle) -> AttributeStore:
    """Build the columns before the first request; titles, all different, only when asked for."""
    attributes = AttributeStore(bundle.items, bundle.vocabulary)
    attributes.prepare([name for name in attributes.kinds if name != "title"])
    return attributes


def _scorer(bundle: Bundle, load_scorer: ScorerLoader) -> ProxyScorer:
    """Name the bundle in what its model says of its weights."""
    try:
        return load_scorer(bundle)
    except IncompatibleArtifactError as error:
        raise IncompatibleArtifactError(f"{bundle.path}: {error}") from None


def replay_golden(engine: Engine, bundle: Bundle) -> None:
    """Score the bundle's golden requests and compare.

    Raises:
        IncompatibleArtifactError: A score is off by more than ``GOLDEN_TOLERANCE``, and by more
            than the rounding of the bundle's item tables.
    """
    tables = bundle.manifest.tables
    rounding = 0.0 if tables is None else _ROUNDING[tables.dtype]
    for row, golden in enumerate(bundle.golden(), start=1):
        expected = np.array(golden.scores)
        actual = _golden_scores(engine, golden)
        allowed = GOLDEN_TOLERANCE + rounding * np.abs(expected).max(initial=0.0)
        if not np.allclose(actual, expected, rtol=GOLDEN_TOLERANCE, atol=allowed):
            worst = float(np.abs(actual - expected).max())
            raise IncompatibleArtifactError(
                f"{bundle.path / 'golden.jsonl'}: line {row}: the scores differ by up to {worst:.2g} "
                "from those written; weights and vectors do not belong together"
            )


def _golden_scores(
    engine: Engine, golden: GoldenRequest
) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    vocabulary = engine.catalogue.vocabulary
    features = encode_features(engine.manifest.user_features, golden.user_features)
    query = Query(vocabulary.nums(golden.history), features)
    nums = vocabulary.nums(golden.item_ids)
    state = engine.scorer.user_state([query])
    return engine.scorer.score(state, np.zeros(len(nums), np.int64), nums)


def _warm_up(engine: Engine) -> None:
    """The first searches of a process are slow (memory maps, thread pools); users pay none."""
    popular = engine.catalogue.popular(WARM_UPS + 10)
    features = encode_features(engine.manifest.user_features, {})
    for row in range(min(WARM_UPS, len(popular))):
        query = Query(popular[row : row + 10], features)
        engine.retriever.search(engine.scorer, [query], engine.search)


def _options(search: SearchSettings) -> SearchOptions:
    return SearchOptions(
        mode=Mode(search.mode),
        beam_width=search.beam_width,
        entry_width=search.entry_width,
        max_rounds=search.max_rounds,
        max_scored=search.max_scored,
        proxy_seeds=search.proxy_seeds,
    )


def _notices(bundle: Bundle) -> tuple[Notice, ...]:
    if bundle.manifest.publishable:
        return ()
    lost = [check.rival for check in bundle.manifest.gate if not check.met]
    detail = f"this bundle did not pass its gate: not better than {', '.join(lost) or 'required'}"
    _log.warning("%s (%s)", detail, bundle.path)
    return (Notice(code="not_publishable", detail=detail, names=lost),)
