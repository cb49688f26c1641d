"""Presets ``quality`` and ``noise``: what is lost and won at a fraction of the parameters.

Every arm is trained from scratch by the same loop with every seed, keeps the epoch with the best
validation AUC, and is measured on test once.  Differences are taken within a seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from training.bench.form import BenchFile, Row, Target
from training.bench.ranking.arms import ARMS, FAILED, KNOWING, RAZOR, ArmJob
from training.bench.ranking.data import noisy_frame
from training.bench.ranking.plan import RankingPlan
from training.bench.ranking.plots import plot_arms
from training.bench.study import seed_estimate
from training.bench.training import Verdict
from training.ctr.settings import RankerSettings
from vizsla.errors import UsageError
from vizsla.registry import look_up

__all__ = ["COLUMNS", "run_noise", "run_quality"]

COLUMNS = (
    "frame",
    "arm",
    "n_seeds",
    "auc",
    "log_loss",
    "auc_gain",
    "auc_behind_razor",
    "parameter_ratio",
    "input_width",
    "multiplications",
    "table_bytes",
    "n_noise_kept",
    "search_passes",
    FAILED,
)
FULL = "full"
SEEDS = 5
SIZED_RIVALS = ("uniform", "power_law", "magnitude", "random")
"""Those that the razor has to beat at equal parameters."""

_ABOUT = ("parameter_ratio", "input_width", "multiplications", "table_bytes", "n_noise_kept")
# rate and decay are those that validation likes best for the full model; with less patience
# some narrow models were stopped on a plateau
_RANKER = RankerSettings(
    model="dnn", epochs=40, batch_size=512, patience=4, model_settings={"hidden": [128, 64]}
)
_FRAPPE = _RANKER.model_copy(update={"learning_rate": 3e-3, "reg": 0.03})
_ML_1M = _RANKER.model_copy(update={"batch_size": 1024, "epochs": 20, "reg": 1e-3})


@dataclass(frozen=True, slots=True)
class Case:
    """One frame with what every arm gets.

    Attributes:
        budget_ratio: Share of the full model's embedding parameters.
        noise: Values of each planted noise field.
        slack: Of AUC that the razor may lose against the full model.
        ranker: The loop.
    """

    budget_ratio: float = 0.1
    noise: tuple[int, ...] = ()
    slack: float = 0.0
    ranker: RankerSettings = _RANKER


QUALITY = {
    "frappe": Case(slack=0.002, ranker=_FRAPPE),
    "ml-100k-ctr": Case(),
    "ml-1m-ctr": Case(ranker=_ML_1M),
}
NOISE = {
    "ml-100k-ctr": Case(0.06, (10, 100, 1_000, 20_000)),
    "frappe": Case(0.2, (10, 1_000), ranker=_FRAPPE),
}
_NOISE_ARMS = (FULL, RAZOR, KNOWING, "uniform", "magnitude")


def run_quality(plan: RankingPlan, file: BenchFile) -> Verdict:
    """Compare every way to size fields at equal parameters, without planted noise."""
    summary = _run(plan, file, QUALITY, [arm for arm in ARMS if arm != KNOWING])
    return Verdict(list(quality_targets(summary)), COLUMNS, summary)


def run_noise(plan: RankingPlan, file: BenchFile) -> Verdict:
    """Plant noise fields, and see who drops them."""
    summary = _run(plan, file, NOISE, _NOISE_ARMS)
    return Verdict(list(noise_targets(summary, file.result.rows)), COLUMNS, summary)


def quality_targets(summary: Sequence[Row]) -> Iterator[Target]:
    """Yield what the razor has to show without noise."""
    beaten = dict.fromkeys(SIZED_RIVALS, 0)
    for frame, case in QUALITY.items():
        razor = _found(summary, frame, RAZOR)
        if razor is None or "auc_gain" not in razor:
            continue
        mean, _, high = razor["auc_gain"]
        yield Target.of(f"{frame}: AUC above the full model, mean", mean, ">=", -case.slack)
        # the weaker question: more seeds than these might still say that it is no worse
        name = f"{frame}: AUC above the full model, upper end of the paired interval"
        yield Target.of(name, high, ">=", 0.0)
        mean, low, _ = razor["log_loss_gain"]
        yield Target.of(f"{frame}: log loss above the full model, mean", mean, "<=", 0.0)
        name = f"{frame}: log loss above the full model, lower end of the paired interval"
        yield Target.of(name, low, "<=", 0.0)
        yield Target.of(f"{frame}: share of parameters", razor["parameter_ratio"][0], "<=", 0.1)
        yield Target.of(f"{frame}: search, in passes", razor["search_passes"], "<=", 1.3)
        for rival in SIZED_RIVALS:
            other = _found(summary, frame, rival) or {}
            beaten[rival] += "auc" in other and other["auc"][0] < razor["auc"][0]
    for rival, n_frames in beaten.items():
        yield Target.of(f"frames on which the razor's mean AUC is above {rival}", n_frames, ">=", 2)


def noise_targets(summary: Sequence[Row], rows: Sequence[Row]) -> Iterator[Target]:
    """Yield what the razor has to show with planted noise."""
    for frame, case in NOISE.items():
        mine = [row for row in rows if (row["frame"], row["arm"]) == (frame, RAZOR)]
        razor, knowing = _found(summary, frame, RAZOR), _found(summary, frame, KNOWING)
        if razor is None or knowing is None or "auc_gain" not in razor:
            continue
        clean = sum(row.get("n_noise_kept") == 0 for row in mine) / len(mine)
        yield Target.of(f"{frame}: seeds in which all noise is dropped", clean, ">=", 0.8)
        least = 0.02 if frame == "ml-100k-ctr" else 0.008
        yield Target.of(f"{frame}: AUC above no selection", razor["auc_gain"][0], ">=", least)
        yield Target.of(
            f"{frame}: share of parameters",
            razor["parameter_ratio"][0],
            "<=",
            case.budget_ratio,
        )
        behind = knowing["auc"][0] - razor["auc"][0]
        yield Target.of(f"{frame}: AUC below knowing the noise", behind, "<=", 0.005)


def _run(
    plan: RankingPlan, file: BenchFile, cases: Mapping[str, Case], arms: Sequence[str]
) -> list[Row]:
    frames = plan.frames or tuple(cases)
    unknown = [arm for arm in plan.arms if arm not in arms]
    if unknown:
        raise UsageError(f"--arm {unknown[0]}: known: {', '.join(arms)}")
    for frame in frames:
        for seed in plan.seeds(SEEDS):  # here, since jobs of one seed would make the same one
            noisy_frame(frame, plan.home, plan.work, seed, look_up("frame", frame, cases).noise)
    jobs = {
        f"{frame} {arm} {seed}": _job(plan, frame, look_up("frame", frame, cases), arm, seed)
        for frame in frames
        for seed in plan.seeds(SEEDS)
        for arm in plan.arms or arms
    }
    file.steps(jobs, plan.workers)
    summary = list(summarise(file.result.rows, tuple(cases), arms))
    plot_arms(summary, file.path.with_suffix(".png"))
    return summary


def _job(plan: RankingPlan, frame: str, case: Case, arm: str, seed: int) -> ArmJob:
    return ArmJob(
        home=plan.home,
        work=plan.work,
        frame=frame,
        arm=arm,
        seed=seed,
        budget_ratio=case.budget_ratio,
        noise=case.noise,
        max_rows=plan.max_rows,
        ranker=case.ranker,
    )


def summarise(rows: Sequence[Row], frames: Sequence[str], arms: Sequence[str]) -> Iterator[Row]:
    """Yield a row per frame and arm: means with 95 % intervals over the seeds that were trained.

    ``failed`` says in how many seeds an arm found nothing to train, and why in the first.
    """
    for frame in frames:
        own = [row for row in rows if row["frame"] == frame]
        trained = [row for row in own if FAILED not in row]
        by_arm = {arm: {r["seed"]: r for r in trained if r["arm"] == arm} for arm in arms}
        for arm, by_seed in by_arm.items():
            reasons = [row[FAILED] for row in own if row["arm"] == arm and FAILED in row]
            failed = {FAILED: f"{len(reasons)} seeds: {reasons[0]}"} if reasons else {}
            if by_seed:
                yield _summary(frame, arm, by_seed, by_arm) | failed
            elif failed:
                yield {"frame": frame, "arm": arm, "n_seeds": 0, **failed}


def _summary(
    frame: str, arm: str, by_seed: Mapping[int, Row], by_arm: Mapping[str, Mapping[int, Row]]
) -> Row:
    rows = list(by_seed.values())
    made: Row = {"frame": frame, "arm": arm, "n_seeds": len(rows)}
    for column in ("auc", "log_loss", *_ABOUT):
        made[column] = seed_estimate([row[column] for row in rows])
    for column, base in (("gain", FULL), ("behind_razor", RAZOR)):
        pairs = [(row, by_arm[base][seed]) for seed, row in by_seed.items() if seed in by_arm[base]]
        if arm != base and pairs:
            for figure in ("auc", "log_loss"):
                apart = [one[figure] - other[figure] for one, other in pairs]
                made[f"{figure}_{column}"] = seed_estimate(apart)
    full = [row["epoch_cpu_s"] for row in by_arm[FULL].values()]
    if full:
        mean_search = sum(row["search_cpu_s"] for row in rows) / len(rows)
        made["search_passes"] = mean_search / (sum(full) / len(full))
    return made


def _found(summary: Sequence[Row], frame: str, arm: str) -> Row | None:
    return next((row for row in summary if (row["frame"], row["arm"]) == (frame, arm)), None)
