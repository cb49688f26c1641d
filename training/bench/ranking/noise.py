"""Does a search find the fields that are noise? Planted noise, several seeds, validated settings.

Every arm is trained from scratch by the same loop, which keeps the epoch with the best
validation AUC; test rows are measured once, at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from training.bench.ranking.data import FULL_WIDTH, RankingData, encoded, noisy_frame
from training.bench.ranking.retrain import Figures, retrain
from training.ctr.settings import RankerSettings
from training.razor.prune import prune, resized
from training.razor.search import search
from training.razor.settings import PruneSettings, RazorSettings
from vizsla.contracts.ranking import RankingSchema, SearchRecord
from vizsla.files import write_text

__all__ = ["Arm", "NoiseSettings", "SeedOfNoise", "noise_study"]


class NoiseSettings(BaseModel):
    """What is compared, and how it is trained.

    Attributes:
        frame: Name of a training frame.
        cardinalities: Values of each noise field.
        threshold: Of the razor's own cut.
        budget_ratio: Of the full model's parameters, for its other cut.
        razor: Of the search.
        ranker: Of the loop that every arm gets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frame: str = "ml-100k-ctr"
    cardinalities: tuple[int, ...] = (10, 100, 1_000, 20_000)
    threshold: float = 0.3
    budget_ratio: float = 0.06
    razor: RazorSettings = RazorSettings()
    ranker: RankerSettings = RankerSettings(
        model="dnn",
        batch_size=512,
        learning_rate=0.001,
        table_optimizer="adam",
        patience=2,
        epochs=20,
    )


class Arm(BaseModel):
    """One schema: its widths and what it reaches."""

    widths: dict[str, int]
    figures: Figures


class SeedOfNoise(BaseModel):
    """All arms of one seed; the seed decides split, noise, search and training.

    Attributes:
        seed: The seed.
        noise: Fields that are noise.
        search_s: Seconds of the search.
        arms: By name.
    """

    seed: int
    noise: list[str]
    search_s: float
    arms: dict[str, Arm]


def noise_study(
    source: Path,
    home: Path,
    out: Path,
    seeds: Iterable[int],
    settings: NoiseSettings | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[SeedOfNoise]:
    """Compare on every seed, writing each to ``out`` when it is done; done ones are read.

    Args:
        source: Folder with the files of the frame.
        home: Where frames are made.
        out: Folder of the results, ``<frame>-<seed>.json``.
        seeds: Of split, noise, search and training together.
        settings: What is compared.
        tell: Told of every arm.
    """
    settings = settings or NoiseSettings()
    found = []
    for seed in seeds:
        path = out / f"{settings.frame}-{seed}.json"
        if not path.is_file():
            frame = noisy_frame(settings.frame, source, home, seed, settings.cardinalities)
            one = _one_seed(encoded(frame), settings, seed, tell)
            write_text(path, one.model_dump_json(indent=1) + "\n")
        found.append(SeedOfNoise.model_validate_json(path.read_bytes()))
    return found


def _one_seed(
    data: RankingData, settings: NoiseSettings, seed: int, tell: Callable[[str], None]
) -> SeedOfNoise:
    result = search(data.schema, data.train, settings.razor, seed).result
    budget = int(settings.budget_ratio * data.schema.n_parameters)
    schemas = {
        "razor": prune(result, PruneSettings(threshold=settings.threshold)),
        "razor_budget": prune(result, PruneSettings(budget=budget)),
        **dict(_plain(data)),
    }
    arms = {}
    for name, schema in schemas.items():
        figures = retrain(schema, data, settings.ranker, seed)
        arms[name] = Arm(widths={f.spec.name: f.dim for f in schema.fields}, figures=figures)
        auc = figures.valid["auc"]
        tell(f"seed {seed} {name}: valid auc {auc:.4f}, {figures.n_parameters:,} parameters")
    return SeedOfNoise(seed=seed, noise=data.noise, search_s=result.search_s, arms=arms)


def _plain(data: RankingData) -> Iterator[tuple[str, RankingSchema]]:
    """Yield the schemas that no search is needed for."""
    names = [field.spec.name for field in data.schema.fields]
    yield "full", data.schema
    yield "uniform_2", _uniform(data.schema, dict.fromkeys(names, 2))
    for width in (FULL_WIDTH, 8):
        widths = {name: 0 if name in data.noise else width for name in names}
        yield f"knowing_{width}", _uniform(data.schema, widths)


def _uniform(schema: RankingSchema, widths: dict[str, int]) -> RankingSchema:
    return resized(schema, widths, SearchRecord(method="uniform", parent=schema.schema_id))
