"""Backbones learn in the loop that the matcher learns in."""

import numpy as np
import pytest
import torch

from training.backbone_recipe import BackboneRecipe
from training.backbone_trainer import BackboneTrainer, backbone_figures, new_backbone
from training.recipe import NegativeSettings
from training.trainer import RunOptions
from vizsla.errors import ConfigError, TrainingError, UnknownNameError
from vizsla.models import BACKBONES

SAMPLERS = {
    "uniform": {"shared": False},
    "bns": {"candidates_per_negative": 4, "n_references": 8},
    "srns": {"memory_size": 4, "n_fresh": 4},
    "aobpr": {},
}


def recipe(model="mf", sampler="uniform", **changes):
    options = SAMPLERS[sampler]
    settings = {
        "model": model,
        "model_settings": {"embedding_size": 8},
        "epochs": 6,
        "batch_size": 64,
        "validate_every": 2,
        "metric": "recall_at_10",
        "learning_rate": 0.1,
        "negatives": NegativeSettings(sampler=sampler, n_negatives=1, options=options),
    }
    return BackboneRecipe(**{**settings, **changes})


def train(own, split, out, **options):
    trainer = BackboneTrainer(own, split, RunOptions(out, threads=1, **options))

    def validate(model):
        figures = backbone_figures(model, split.validation, (10,))
        return {name: float(values.mean()) for name, values in figures.items()}

    return trainer.run(validate), trainer


def same(one, other):
    return torch.equal(one.users, other.users) and torch.equal(one.items, other.items)


@pytest.mark.parametrize("model", list(BACKBONES))
def test_a_backbone_learns_the_clusters(model, split, tmp_path):
    """Trained it finds more of the targets than untrained, by far."""
    own = recipe(model, epochs=20, learning_rate=0.2)
    trained, _ = train(own, split, tmp_path)
    before, after = (
        backbone_figures(each, split.test, (10,))["recall_at_10"].mean()
        for each in (new_backbone(own, split, 0), trained)
    )

    assert after > before + 0.2


@pytest.mark.parametrize("sampler", list(SAMPLERS))
@pytest.mark.parametrize("n_steps", [1, 7, 16])
def test_resuming_gives_the_same_bits(sampler, n_steps, split, tmp_path):
    """Stopped anywhere and taken up again, it ends as if nothing had happened."""
    calls = iter(range(10_000))
    own = recipe(sampler=sampler)
    whole, _ = train(own, split, tmp_path / "whole")
    stopped, _ = train(own, split, tmp_path / "cut", should_stop=lambda: next(calls) + 1 == n_steps)
    resumed, _ = train(own, split, tmp_path / "cut", resume=True)

    assert stopped is None
    assert same(whole, resumed)


def test_the_best_weights_are_kept(split, tmp_path):
    """What comes back is what the best validation saw."""
    model, trainer = train(recipe(), split, tmp_path)
    figures = backbone_figures(model, split.validation, (10,))

    assert trainer.state.counters.best_value == pytest.approx(figures["recall_at_10"].mean())


def test_a_diverging_run_stops_with_its_last_good_checkpoint(split, tmp_path):
    """One line, no traceback of ours."""
    with pytest.raises(TrainingError, match=r"became .* last good checkpoint: "):
        train(recipe(learning_rate=1e6), split, tmp_path)


def test_mistakes_are_named(split, tmp_path):
    """Unknown backbones and unknown settings of theirs."""
    with pytest.raises(UnknownNameError, match="unknown backbone 'lightgnc'"):
        train(recipe("lightgnc"), split, tmp_path)
    with pytest.raises(ConfigError, match=r"model_settings\.layers"):
        train(recipe(model_settings={"layers": 3}), split, tmp_path)


def test_seen_items_are_not_recommended(split):
    """The figures rank what the user does not have yet."""
    model = new_backbone(recipe(), split, 0)
    with torch.no_grad():
        users, items = model.users, model.items
        users.fill_(1.0)
        items.zero_()
        for user, seen in enumerate(split.test.seen):
            items[seen] = 1.0 if user == 0 else items[seen]
    figures = backbone_figures(model, split.test, (10,))

    assert np.isfinite(figures["ndcg_at_10"]).all()
