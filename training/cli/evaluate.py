"""``vizsla evaluate``: how good a bundle is, how good its searches, and against what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from training.cli.evaluate_ranker import evaluate_exported
from training.ctr.calibration.exported import ranker_folder
from training.evaluate import RIVALS, EvaluateSettings, evaluate as run_evaluation, open_split
from training.evaluation.files import default_folder, write_evaluation
from training.evaluation.markdown import LABELS, main_columns, main_rows
from training.evaluation.results import Evaluation
from training.provenance import provenance
from vizsla.bundles import Bundle, load
from vizsla.cli_output import print_json, print_table, say
from vizsla.config import load_settings
from vizsla.datasets import resolve
from vizsla.errors import UsageError

__all__ = ["evaluate"]


def evaluate(
    bundle: Annotated[
        Path,
        typer.Argument(
            help="A bundle, a directory of `vizsla train` (its latest bundle), or an exported ranker."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Name or directory of the dataset, of the training frame for a ranker; "
            "default: what the model names."
        ),
    ] = None,
    split: Annotated[
        Literal["test", "validation"], typer.Option(help="Which held-out queries.")
    ] = "test",
    max_queries: Annotated[
        int, typer.Option(min=0, help="Size of the seeded sample of queries; 0 for all.")
    ] = 5_000,
    k: Annotated[
        str, typer.Option(help="List lengths, ascending; the curve is drawn at the last.")
    ] = "10,20,50",
    rivals: Annotated[
        str, typer.Option(help="Baselines to compare with, separated by commas.")
    ] = ",".join(RIVALS),
    curve_queries: Annotated[
        int, typer.Option(min=0, help="Queries of the coverage curve; 0 for no curve.")
    ] = 200,
    segment: Annotated[
        list[str] | None,
        typer.Option(help="For a ranker: a field whose values are judged apart; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of samples and bootstrap.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; default: beside the bundles.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Compare a bundle on held-out data: exhaustive, searched, and against simple rivals.

    Of a ranker, measure the probabilities: calibration, by segment and for cold items.
    """
    ranker = ranker_folder(bundle)
    if ranker is not None:
        evaluate_exported(
            ranker,
            None if data is None else str(data),
            "test" if split == "test" else "valid",
            segment or [],
            seed=seed,
            out=out,
            json=json,
        )
        return
    if segment:
        raise UsageError(f"--segment is for rankers; {bundle} holds none")
    origin, opened = provenance(seed), load(bundle)
    settings = _settings(k, rivals, curve_queries, seed, max_queries, split)
    name = str(data) if data is not None else opened.manifest.dataset.name
    dataset = resolve(name, load_settings().home)
    found = run_evaluation(opened, open_split(opened, dataset), settings, origin)
    files = write_evaluation(found, out or default_folder(opened.path))
    if json:
        print_json(found)
    else:
        _print(found, opened)
    say("written: " + ", ".join(map(str, files)))


def _settings(
    k: str, rivals: str, curve_queries: int, seed: int, max_queries: int, split: str
) -> EvaluateSettings:
    ks = _lengths(k)
    return EvaluateSettings(
        part=split,
        max_queries=max_queries or None,
        ks=ks,
        list_k=20 if 20 in ks else ks[-1],
        seed=seed,
        rivals=tuple(name.strip() for name in rivals.split(",") if name.strip()),
        curve_queries=curve_queries,
    )


def _lengths(text: str) -> tuple[int, ...]:
    try:
        ks = tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        ks = ()
    if not ks or min(ks) < 1 or list(ks) != sorted(set(ks)):
        raise UsageError(f"--k {text!r}: give ascending numbers, for instance 10,20,50")
    return ks


def _print(found: Evaluation, bundle: Bundle) -> None:
    title = (
        f"{found.dataset}, {found.part}: {found.n_queries:,} queries over {found.n_items:,} items; "
        f"candidates: {found.candidates}"
    )
    note = "brackets: 95 % bootstrap intervals; differences paired by query"
    print_table(title, main_columns(found), main_rows(found), note=note)
    walks = [row for row in found.rows if row.coverage and row.work is not None]
    if walks:
        columns = ["search", *(f"coverage@{k}" for k in found.ks), "scored", "rounds"]
        print_table(
            "searches under the matcher",
            columns,
            [
                [
                    LABELS.get(row.system, row.system),
                    *(row.coverage[f"coverage_at_{k}"].mean for k in found.ks),
                    f"{row.work.scored_ratio_mean:.2%}" if row.work else "",
                    row.work.rounds_mean if row.work else None,
                ]
                for row in walks
            ],
        )
    for text in found.notes:
        say(f"left out: {text}")
    if not bundle.manifest.publishable:
        say("this bundle did not pass the publish gate on validation")
