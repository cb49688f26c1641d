"""What came of a search: the trials, the best settings, and the recipe file made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from training.recipe_text import recipe_text
from training.tuning.trial import Search, TrialResult, read_result, settings_of, trial_recipe
from vizsla.cli_output import format_cell
from vizsla.errors import TrainingError
from vizsla.files import write_text

__all__ = ["RECIPE_FILE", "best_of", "collect", "table_rows", "trial_folder", "write_best"]

RECIPE_FILE = "best.toml"
BROKEN = "its process broke"


def trial_folder(out: Path, trial: int) -> Path:
    """Return the folder of a trial."""
    return out / "trials" / f"{trial:04d}"


def collect(search: Search, out: Path) -> list[TrialResult]:
    """Gather how all trials ended, from what each has left in its folder."""
    found = []
    for trial in range(search.n_trials):
        settings = settings_of(search, trial)
        broken = TrialResult(trial=trial, state="failed", settings=settings, reason=BROKEN)
        found.append(read_result(trial_folder(out, trial)) or broken)
    return found


def best_of(results: Sequence[TrialResult]) -> TrialResult:
    """Return the finished trial with the largest value; the first of equals.

    Raises:
        TrainingError: No trial was finished.
    """
    finished = [result for result in results if result.state == "finished"]
    if not finished:
        reasons = [result.reason for result in results if result.reason]
        raise TrainingError(f"no trial was finished: {reasons[0] if reasons else 'all stopped'}")
    return max(finished, key=lambda result: (result.value or 0.0, -result.trial))


def write_best(search: Search, best: TrialResult, out: Path) -> Path:
    """Write the recipe of the best trial where ``vizsla train --recipe`` can read it."""
    comment = (
        f"Found by vizsla tune: trial {best.trial} of {search.n_trials}, seed {search.seed}, "
        f"{search.metric} {format_cell(best.value)} on validation."
    )
    path = out / RECIPE_FILE
    write_text(path, recipe_text(trial_recipe(search, best.trial), comment))
    return path


def table_rows(search: Search, results: Sequence[TrialResult]) -> list[list[object]]:
    """Return a row per trial, best first: number, state, value, validations, drawn settings."""
    order = sorted(results, key=lambda r: (r.state != "finished", -(r.value or 0.0), r.trial))
    return [
        [r.trial, r.state, r.value, r.n_validations, *map(r.settings.get, search.space)]
        for r in order
    ]
