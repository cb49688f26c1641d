"""``--preset alignment``: what the adversarial task does to search and to accuracy, by its size.

The default is chosen on validation, by a rule that was fixed before the first arm was trained.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from training.bench.alignment_plot import plot_alignment
from training.bench.forks import DEEP_ONLY, Arm
from training.bench.form import BenchFile, Row, Target
from training.bench.measure import columns_of
from training.bench.study import find, summarise
from training.bench.training import TrainingPlan, Verdict, forks_of

__all__ = ["ARMS", "OFF", "alignment_targets", "choose", "run_alignment"]

OFF = "off"
RHOS = (0.1, 0.3, 1.0, 0.03)

_TASK = "stage2.adversarial."


def _task(name: str, rho: float, *, weight: float = 1.0, **changes: str) -> Arm:
    further = {f"{_TASK}{key}": value for key, value in changes.items()}
    return Arm(name, {f"{_TASK}weight": weight, f"{_TASK}rho": rho, **further})


ARMS = (
    Arm(OFF, {f"{_TASK}weight": 0.0}),
    *(_task(f"sign-{rho:g}", rho, direction="sign", where="all") for rho in RHOS),
    _task("gradient-0.3", 0.3, direction="gradient", where="all"),
    _task("positive-0.3", 0.3, direction="sign", where="positive"),
    _task("weight-0.3", 0.3, weight=0.3, direction="sign", where="all"),
)
"""Off, four sizes, and at one size another direction, the positive alone and less weight."""

JUDGED = "proxy_coverage_at_0.5%"
"""Decides: the kind of walk that is served, where it is cheapest and misses most."""

RECALL_KEPT = 0.995
"""The task may cost half a percent of recall, relative."""

_JUDGING = tuple(
    f"{part}_{name}{kind}"
    for part in ("validation", "test")
    for name in ("recall_at_20", JUDGED)
    for kind in ("", "_gain")
)
COLUMNS = (
    "dataset",
    "arm",
    "n_seeds",
    "cpu_s",
    *_JUDGING,
    f"test_{JUDGED}_clear",
    "test_medoids_coverage_at_5%_gain",
    "test_few_coverage_at_5%_gain",
)


def run_alignment(plan: TrainingPlan, file: BenchFile) -> Verdict:
    """Train every arm for every seed on every dataset, compare, choose and draw.

    Raises:
        UsageError: A run is none of ``vizsla train``.
    """
    file.steps(forks_of(plan, ARMS, DEEP_ONLY), plan.workers)
    columns = [*columns_of("validation"), *columns_of("test")]
    names = [arm.name for arm in ARMS]
    summary = list(summarise(file.result.rows, names, columns, OFF))
    plot_alignment(summary, file.path.with_suffix(".png"))
    return Verdict(list(alignment_targets(summary)), COLUMNS, summary)


def choose(summary: Sequence[Row]) -> str:
    """Return the arm that validation recommends.

    Of the arms that keep 99.5 % of the exhaustive recall on every dataset, and whose coverage
    is clearly better on one and clearly worse on none, the one with the largest mean gain;
    ``off``, which costs least, where there is none.
    """
    gains = {
        arm.name: _mean_gain(own)
        for arm in ARMS
        if arm.name != OFF
        and _qualifies(own := [r for r in summary if r["arm"] == arm.name], summary)
    }
    return max(gains, key=lambda name: gains[name], default=OFF)


def alignment_targets(summary: Sequence[Row]) -> Iterator[Target]:
    """Yield what the chosen arm keeps of the recall, on test, and what it gains in coverage."""
    chosen = choose(summary)
    for dataset in dict.fromkeys(row["dataset"] for row in summary):
        row, base = find(summary, dataset, chosen), find(summary, dataset, OFF)
        name = f"{dataset}: recall@20 under exhaustive scoring, {chosen} (chosen) over off, test"
        # where nothing is chosen, nothing can be lost, and nothing was shown either
        found = chosen != OFF and row is not None and base is not None
        kept = _recall_kept(row, base, "test") if found and row and base else None
        yield Target.of(name, kept, ">=", RECALL_KEPT)
    for row in summary:
        if row["arm"] == chosen and chosen != OFF:
            name = f"{row['dataset']}: coverage@50, 0.5 % scored, {chosen} minus off, test"
            yield Target.of(name, row[f"test_{JUDGED}_gain"][0], ">=", 0.0)


def _qualifies(own: Sequence[Row], summary: Sequence[Row]) -> bool:
    """Whether validation allows the arm, given its rows of all datasets."""
    datasets = {row["dataset"] for row in summary}
    gains = [row.get(f"validation_{JUDGED}_gain") for row in own]
    if {row["dataset"] for row in own} != datasets or None in gains:
        return False
    clear = [row for row in own if row[f"validation_{JUDGED}_clear"]]
    signs = {row[f"validation_{JUDGED}_gain"][0] > 0 for row in clear}
    bases = [find(summary, row["dataset"], OFF) for row in own]
    kept = [
        _recall_kept(row, base, "validation") >= RECALL_KEPT
        for row, base in zip(own, bases, strict=True)
        if base is not None
    ]
    return signs == {True} and all(kept)


def _mean_gain(own: Sequence[Row]) -> float:
    return sum(float(row[f"validation_{JUDGED}_gain"][0]) for row in own) / len(own)


def _recall_kept(row: Row, base: Row, part: str) -> float:
    column = f"{part}_recall_at_20"
    return float(row[column][0] / base[column][0])
