"""Resident memory of a searched bundle, measured in a process of its own.

``python -m training.bench.retrieval.memory BUNDLE`` opens the bundle part by part, touches every row,
and prints what became resident.  Linux only: it reads ``/proc/self``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from graph_index.attach import open_retriever
from graph_index.retriever import GraphRetriever
from training.bench.form import Row
from vizsla.bundles import Bundle, load, read_tables
from vizsla.contracts.index import Mode, ProxyScorer, Query, Retriever, SearchOptions
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.loading import load_scorer
from vizsla.models.recommender.nann import Nann
from vizsla.models.recommender.scorer import TorchScorer

__all__ = ["memory_rows"]

_SMAPS = Path("/proc/self/smaps")
_KIB = 1024


def memory_rows(bundle: Path) -> list[Row]:
    """Return the resident bytes per item of a bundle's parts; nothing where ``/proc`` is missing."""
    if not _SMAPS.exists():
        return []
    command = [sys.executable, "-m", "training.bench.retrieval.memory", str(bundle)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(done.stdout.splitlines()[-1])]


def _measured(path: Path) -> Row:
    """Open and use a bundle; everything but ``mapped`` is memory of this process alone."""
    _small_search()
    start = _anonymous_bytes()
    bundle = load(path, verify=False)
    n_items = len(bundle.vocabulary)
    vocabulary = _anonymous_bytes()
    model = bundle.manifest.model
    scorer = load_scorer(model.name, model.config, bundle.weights(), read_tables(bundle))
    weights = _anonymous_bytes()
    kept = _used(bundle, scorer)
    opened = _anonymous_bytes()
    mapped = _mapped_bytes(bundle.path)
    del kept
    tables = bundle.manifest.tables
    return {
        "n_items": n_items,
        "table_dtype": tables.dtype if tables else "float32, not stored",
        "resident_bytes_per_item": (sum(mapped.values()) + opened - weights) / n_items,
        "mapped_bytes_per_item": {name: size / n_items for name, size in sorted(mapped.items())},
        "search_bytes_per_item": (opened - weights) / n_items,
        "vocabulary_bytes_per_item": (vocabulary - start) / n_items,
        "weights_bytes_per_item": (weights - vocabulary) / n_items,
    }


def _small_search() -> None:
    """Load the libraries and compile the kernels first, on a model of a few items."""
    scorer = TorchScorer(Nann(NannConfig(n_items=8)))
    nums = np.zeros(1, np.int64)
    scorer.score(scorer.user_state([Query(nums)]), nums, nums)


def _used(bundle: Bundle, scorer: ProxyScorer) -> Retriever:
    """Search as serving does, touch every row of tables and graph, and return what maps them."""
    retriever, query = open_retriever(bundle), Query(np.arange(8))
    for mode in (Mode.WALK, Mode.EXHAUSTIVE):
        retriever.search(scorer, [query], SearchOptions(k=200, mode=mode))
    if isinstance(retriever, GraphRetriever):
        retriever.graph.neighbors.max(initial=0)
    return retriever


def _anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in status if line.startswith("RssAnon:"))
    return int(line.split()[1]) * _KIB


def _mapped_bytes(folder: Path) -> dict[str, int]:
    """Return the resident bytes of each file of a folder that is mapped; once where it is twice."""
    sizes: dict[str, int] = {}
    name = None
    for line in _SMAPS.read_text(encoding="utf-8").splitlines():
        if line.split(maxsplit=1)[0][-1] != ":":
            path = Path(line.split(maxsplit=5)[-1])
            inside = path.is_relative_to(folder.resolve())
            name = str(path.relative_to(folder.resolve())) if inside else None
        elif name is not None and line.startswith("Rss:"):
            sizes[name] = max(sizes.get(name, 0), int(line.split()[1]) * _KIB)
    return sizes


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measured(Path(sys.argv[1]))) + "\n")
