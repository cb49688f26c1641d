"""``synthetic-ctr``: informative, redundant and noise fields, and the best that any model can do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from vizsla.contracts.features import FrameSplit, TrainingFrame
from vizsla.contracts.fields import FieldOwner, FieldSpec
from vizsla.datasets.frames.base import FrameSource
from vizsla.datasets.frames.bayes import BayesFigures
from vizsla.datasets.frames.planted import Informative, Truth, plant, probability
from vizsla.datasets.frames.storage import SPLITS, FrameDraft
from vizsla.rng import numpy_generator

__all__ = ["BAYES_FILE", "SOURCE", "SyntheticCtrOptions", "World", "world_of"]

BAYES_FILE = "bayes.json"
CHUNK_ROWS = 1 << 18
DIMS = (1, 2, 4, 8)
# five sizes and four widths: neither tells the other
N_VALUES = (100, 1_000, 10_000, 300, 3_000)
REPLACED = 0.2
COARSER = 4
CALIBRATION_ROWS = 1 << 17
SHARES = (0.8, 0.1)
_OWNERS: tuple[FieldOwner, ...] = ("user", "item", "context")


class SyntheticCtrOptions(BaseModel):
    """Size and seed; the same options give the same bytes.

    Attributes:
        rows: In all, 80 % of them for training.
        informative: Fields that the label depends on; their dimensions are 1, 2, 4, 8, 1, ...
        redundant: Fields made of an informative one and worse: a copy with a fifth of the
            values replaced, or one that tells only groups of four values.
        noise: Fields that nothing depends on.
        base_rate: Share of positive labels.
        strength: Standard deviation of the log-odds; 0 would be a coin.
        seed: Of every draw.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int = Field(default=1_000_000, ge=100, le=10_000_000_000)
    informative: int = Field(default=8, ge=4, le=1_000)
    redundant: int = Field(default=2, ge=0, le=1_000)
    noise: int = Field(default=6, ge=0, le=1_000)
    base_rate: float = Field(default=0.3, gt=0, lt=1)
    strength: float = Field(default=2.0, gt=0, le=20)
    seed: int = Field(default=0, ge=0)

    def describe(self) -> str:
        """Return the settings as the manifest's ``source``."""
        return f"synthetic-ctr, {' '.join(f'{k}={v}' for k, v in self.model_dump().items())}"


@dataclass(frozen=True, slots=True)
class World:
    """All fields and what the label depends on.

    Attributes:
        options: What it was made of.
        informative: The fields that matter.
        redundant: Field to the informative one that it is made of.
        noise: Field to its number of values.
        truth: The click model.
    """

    options: SyntheticCtrOptions
    informative: tuple[Informative, ...]
    redundant: dict[str, Informative]
    noise: dict[str, int]
    truth: Truth

    @property
    def planted(self) -> dict[str, int]:
        """Dimensions that each field needs, beside all the others."""
        useless = dict.fromkeys([*self.redundant, *self.noise], 0)
        return {one.name: one.dim for one in self.informative} | useless

    def draw(
        self, n_rows: int, *purpose: str | int
    ) -> tuple[dict[str, NDArray[np.uint32]], NDArray[np.float32], NDArray[np.float32]]:
        """Return ``(B,)`` values of each field, log-odds and labels of rows of their own seed."""
        rng = numpy_generator(self.options.seed, "rows", *purpose)
        values = {one.name: _drawn(rng, one.n_values, n_rows) for one in self.informative}
        logits = self.truth.logits(values)
        labels = (rng.random(n_rows) < probability(logits)).astype(np.float32)
        for place, (name, one) in enumerate(self.redundant.items()):
            values[name] = _worse(rng, values[one.name], one.n_values, coarser=place % 2 == 0)
        values |= {name: _drawn(rng, n, n_rows) for name, n in self.noise.items()}
        return values, logits, labels


def world_of(options: SyntheticCtrOptions) -> World:
    """Decide the fields and plant the click model.

    Raises:
        UsageError: The dimensions cannot be matched.
    """
    informative = tuple(
        Informative(f"informative_{i}", N_VALUES[i % len(N_VALUES)], DIMS[i % len(DIMS)])
        for i in range(options.informative)
    )
    # the wide ones first: they are the most tempting
    widest = sorted(informative, key=lambda one: -one.dim)
    redundant = {f"redundant_{i}": widest[i % len(widest)] for i in range(options.redundant)}
    noise = {f"noise_{i}": N_VALUES[i % len(N_VALUES)] for i in range(options.noise)}
    truth = plant(list(informative), options.strength, options.seed)
    world = World(options, informative, redundant, noise, truth)
    _, logits, _ = world.draw(CALIBRATION_ROWS, "calibration")
    return replace(world, truth=replace(truth, bias=_bias(logits, options.base_rate)))


def _bias(logits: NDArray[np.float32], base_rate: float) -> float:
    """Return what to add so that the mean probability is the base rate, by bisection."""
    low, high = -40.0, 40.0
    for _ in range(50):
        middle = (low + high) / 2
        if probability(logits + np.float32(middle)).mean() < base_rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _drawn(rng: np.random.Generator, n_values: int, n_rows: int) -> NDArray[np.uint32]:
    """Draw values that occur as ``planted.shares_of`` says."""
    powers = np.exp(rng.random(n_rows) * np.log(n_values + 1))
    ranks: NDArray[np.uint32] = np.minimum(powers, n_values).astype(np.uint32)
    return ranks - np.uint32(1)


def _worse(
    rng: np.random.Generator, values: NDArray[np.uint32], n_values: int, *, coarser: bool
) -> NDArray[np.uint32]:
    if coarser:
        return values // np.uint32(COARSER)
    replaced = rng.random(len(values)) < REPLACED
    return np.where(replaced, _drawn(rng, n_values, len(values)), values).astype(np.uint32)


def _draft(_: Path, options: SyntheticCtrOptions) -> FrameDraft:
    world = world_of(options)
    texts: dict[str, str] = {}
    names = list(world.planted)
    manifest = TrainingFrame(
        name=SOURCE.name,
        source=options.describe(),
        licence=SOURCE.licence,
        label_rule="drawn with the probability of the planted click model",
        fields=[
            FieldSpec(name=name, owner=_OWNERS[place % len(_OWNERS)])
            for place, name in enumerate(names)
        ],
        splits={},
        planted=world.planted,
        content_hash="",
    )
    return FrameDraft(manifest, _rows(world, texts), options.rows, texts)


def _rows(world: World, texts: dict[str, str]) -> Iterator[tuple[FrameSplit, pl.DataFrame]]:
    """Yield rows that are drawn a chunk at a time; at the end, say what is the best possible."""
    figures = BayesFigures()
    n_train, n_valid = (round(share * world.options.rows) for share in SHARES)
    sizes = (n_train, n_valid, world.options.rows - n_train - n_valid)
    for split, size in zip(SPLITS, sizes, strict=True):
        for start in range(0, size, CHUNK_ROWS):
            n_rows = min(CHUNK_ROWS, size - start)
            values, logits, labels = world.draw(n_rows, split, start // CHUNK_ROWS)
            if split == "test":
                figures.add(logits, labels)
            yield split, pl.DataFrame({"label": labels, **values})
    texts[BAYES_FILE] = json.dumps(figures.result(), indent=2) + "\n"


SOURCE = FrameSource(
    name="synthetic-ctr",
    title="Planted informative, redundant and noise fields with known dimensions; any size, seeded",
    origin="generated",
    licence="None needed: generated",
    files=(),
    draft=_draft,
    options=SyntheticCtrOptions,
)
