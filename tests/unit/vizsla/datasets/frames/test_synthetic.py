"""Planted click data: the dimensions are needed, the rest is useless, size and seed are free."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vizsla.datasets.frames import SyntheticCtrOptions, fetch_frame, read_frame
from vizsla.datasets.frames.planted import Informative, plant, probability, shares_of
from vizsla.datasets.frames.synthetic import World, world_of
from vizsla.errors import UsageError

N_ROWS = 100_000


@pytest.fixture(scope="module")
def world() -> World:
    return world_of(SyntheticCtrOptions(rows=1000, base_rate=0.2))


@pytest.mark.parametrize(("n_values", "dim"), [(100, 8), (10_000, 2)])
def test_columns_are_uncorrelated_as_rows_meet_them(n_values: int, dim: int) -> None:
    """Mean 0, variance 1 and no correlation, each value weighted by how often it occurs."""
    fields = [Informative("a", n_values, dim), Informative("b", n_values, dim)]
    columns = plant(fields, 1.0, 0).latents["a"].astype(np.float64)
    shares = shares_of(n_values)

    assert np.allclose(columns @ shares, 0, atol=1e-5)
    assert np.allclose((columns * shares) @ columns.T, np.eye(dim), atol=1e-4)


@pytest.mark.parametrize("dims", [(1, 1), (1, 2, 4, 8, 8), (3, 2, 2), (4, 4, 4, 1)])
def test_every_column_meets_one_of_another_field(dims: tuple[int, ...]) -> None:
    """Each once; with an odd number one column of some other field is met twice."""
    fields = [Informative(f"f{place}", 50, dim) for place, dim in enumerate(dims)]
    products = plant(fields, 1.0, 0).products

    met = [(p.left, p.left_column) for p in products] + [
        (p.right, p.right_column) for p in products
    ]
    assert set(met) == {(one.name, column) for one in fields for column in range(one.dim)}
    assert len(met) - len(set(met)) == sum(dims) % 2
    assert len({frozenset([m, n]) for m, n in zip(met, met[len(products) :], strict=False)}) == len(
        products
    )
    assert all(p.left != p.right for p in products)


def loss_with(world: World, field: Informative, n_columns: int) -> NDArray[np.float64]:
    """Return the log loss of each row for the best guess by all fields, one of them truncated.

    Best among all tables of that rank: the columns left out are normal given everything else,
    so the probability is the mean over them, by Gauss-Hermite quadrature.
    """
    values, _, labels = world.draw(N_ROWS, "oracle")
    truth = world.truth
    known = truth.logits(values).astype(np.float64)
    slope = np.zeros(N_ROWS)
    for one in truth.products:
        sides = [(one.left, one.left_column), (one.right, one.right_column)]
        for (name, column), (other, other_column) in (sides, sides[::-1]):
            if name == field.name and column >= n_columns:
                partner = truth.latents[other][other_column][values[other]]
                known -= truth.scale * truth.latents[name][column][values[name]] * partner
                slope += (truth.scale * partner) ** 2
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    chance = sum(
        weight * probability((known + np.sqrt(slope) * node).astype(np.float32))
        for node, weight in zip(nodes, weights / weights.sum(), strict=True)
    )
    return np.asarray(-np.where(labels == 1, np.log(chance), np.log1p(-chance)), np.float64)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_every_planted_dimension_is_needed(world: World, place: int) -> None:
    """The best table of one column less loses, by five standard errors, and so does each further one."""
    field = world.informative[place]
    losses = [loss_with(world, field, n) for n in range(field.dim + 1)]

    for fewer, more in itertools.pairwise(losses):
        gain = fewer - more
        assert gain.mean() > 5 * gain.std() / np.sqrt(N_ROWS)


def test_useless_fields_tell_nothing_new(world: World) -> None:
    """Copies depend on one field only, noise on none; planted says 0 for both."""
    values, logits, _ = world.draw(N_ROWS, "useless")

    coarse, source = values["redundant_0"], world.redundant["redundant_0"]
    assert (coarse == values[source.name] // 4).all()
    copied = values["redundant_1"] == values[world.redundant["redundant_1"].name]
    assert 0.8 <= copied.mean() <= 0.85
    means = [logits[values["noise_0"] == v].mean() for v in range(10)]
    assert np.ptp(means) < 6 * logits.std() / np.sqrt(N_ROWS / 200)
    assert {world.planted[name] for name in [*world.redundant, *world.noise]} == {0}


def test_the_base_rate_is_what_was_asked_for(world: World) -> None:
    """To a tenth of a point of the probabilities."""
    _, logits, labels = world.draw(N_ROWS, "rate")

    assert abs(probability(logits).mean() - 0.2) < 0.005
    assert abs(labels.mean() - 0.2) < 0.01


def test_a_frame_is_the_same_for_the_same_options(tmp_path: Path) -> None:
    """And tells what is planted and what the best possible model scores."""
    options = SyntheticCtrOptions(rows=5_000, seed=3)
    first = fetch_frame("synthetic-ctr", tmp_path / "a", options=options)
    again = fetch_frame("synthetic-ctr", tmp_path / "b", options=options)

    manifest = read_frame(first).manifest
    assert manifest == read_frame(again).manifest
    assert [manifest.splits[s].n_rows for s in ("train", "valid", "test")] == [4_000, 500, 500]
    assert manifest.planted["informative_3"] == 8
    best = json.loads((first / "bayes.json").read_text())
    assert best["n_rows"] == 500
    assert 0.75 < best["auc"] < 0.95
    assert best["log_loss"] < 0.6


def test_options_that_cannot_be(tmp_path: Path) -> None:
    """A frame of other options stays; a field cannot need more than all others have."""
    fetch_frame("synthetic-ctr", tmp_path, options=SyntheticCtrOptions(rows=500))
    with pytest.raises(UsageError, match="holds another one"):
        fetch_frame("synthetic-ctr", tmp_path, options=SyntheticCtrOptions(rows=600))
    with pytest.raises(UsageError, match="is generated"):
        fetch_frame("synthetic-ctr", tmp_path, tmp_path)
    with pytest.raises(UsageError, match="a: more dimensions than all other"):
        plant([Informative("a", 50, 4), Informative("b", 50, 2)], 1.0, 0)
    with pytest.raises(UsageError, match="4 values cannot have 4 dimensions"):
        plant([Informative("a", 4, 4), Informative("b", 50, 4)], 1.0, 0)
