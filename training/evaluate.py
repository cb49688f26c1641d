"""A bundle, its searches and its rivals on the same held-out queries."""

from __future__ import annotations

from pathlib import Path

from training.data import EvalCases, Split
from training.evaluation.judge import judge
from training.evaluation.results import Evaluation
from training.evaluation.systems import RIVALS, EvaluateSettings, EvaluationRun
from training.provenance import Provenance
from training.splits import SplitSpec, load_split
from vizsla.bundles import Bundle
from vizsla.datasets import read_manifest
from vizsla.errors import DataError, IncompatibleArtifactError

__all__ = ["RIVALS", "EvaluateSettings", "evaluate", "open_split"]


def open_split(bundle: Bundle, dataset_dir: Path) -> Split:
    """Cut the dataset exactly as the bundle's training did.

    Raises:
        DataError: Not the data the bundle was trained on.
        IncompatibleArtifactError: The split has other items than the bundle.
    """
    made_from, found = bundle.manifest.dataset, read_manifest(dataset_dir).content_hash
    if found != made_from.content_hash:
        raise DataError(
            f"{dataset_dir} has content {found[:12]}, the bundle was trained on "
            f"{made_from.name} {made_from.content_hash[:12]}: give --data with that dataset"
        )
    split = load_split(dataset_dir, SplitSpec.model_validate(made_from.split))
    if split.items.content_hash != bundle.manifest.vocab_hash:
        raise IncompatibleArtifactError(
            f"{bundle.path} has other items than the split of {dataset_dir} it names"
        )
    return split


def evaluate(
    bundle: Bundle, split: Split, settings: EvaluateSettings, origin: Provenance
) -> Evaluation:
    """Rank the whole catalogue with every system and compare them, query by query.

    Args:
        bundle: With or without a graph; without one the rows of the walk are left out.
        split: What ``open_split`` returned.
        settings: See ``EvaluateSettings``.
        origin: Written into the result.
    """
    run = EvaluationRun(bundle, split, settings)
    systems = list(run.systems())
    return Evaluation(
        bundle=bundle.manifest.content_hash,
        model=bundle.manifest.model.name,
        dataset=split.name,
        data_hash=split.content_hash,
        split=split.spec,
        part=settings.part,
        n_items=split.n_items,
        n_queries=len(run.cases.targets),
        n_queries_total=len(run.all_cases.targets),
        candidates=_candidates(run.cases),
        ks=list(settings.ks),
        list_k=settings.list_k,
        curve_k=max(settings.ks),
        provenance=origin,
        rows=judge(systems, run.cases, split.n_items, settings),
        curve=run.curve(systems[0].top_items),
        notes=run.notes,
    )


def _candidates(cases: EvalCases) -> str:
    if len(cases.seen.values):
        return "all items but those the user has seen"
    return "all items; a user may meet an item again"
