"""Trains a backbone: the same loop, samplers, losses, checkpoints and guards as the matcher's.

Shapes: **U** users, **N** items, **Q** queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from training.backbone_recipe import BackboneRecipe
from training.data import EvalCases, Split
from training.determinism import deterministic_torch
from training.gradients import WholeBatch
from training.loop import LoopHooks, StageLoop
from training.metrics import evaluate_ranking
from training.objective import NegativeSource, build_sampler
from training.optimizers import build_optimizer
from training.pair_objective import PairObjective, Watch
from training.pairs import PairPlan
from training.ranking import slice_rows, top_k_rows
from training.recipe import validated_settings
from training.run_state import RunState, restore_loop
from training.samplers.base import SamplerData
from training.trainer import RunOptions
from training.validation import PerQuery
from vizsla.errors import UsageError
from vizsla.models import BACKBONES
from vizsla.models.recommender.backbones import Backbone
from vizsla.rng import derive_seed, torch_generator

__all__ = ["BackboneTrainer", "Validate", "backbone_figures", "new_backbone"]

CHECKPOINT_S = 60.0
LOG_EVERY = 50
_QUERY_BATCH = 1024


Validate = Callable[[Backbone], Mapping[str, float]]
"""Maps a model to figures such as ``ndcg_at_20``."""


def new_backbone(recipe: BackboneRecipe, split: Split, seed: int) -> Backbone:
    """Build a backbone with fresh weights from one seed and the graph of its interactions.

    Raises:
        UnknownNameError: No such backbone.
        ConfigError: A setting that it does not have.
    """
    kind: type[Backbone] = BACKBONES.load(recipe.model)
    config = validated_settings("model_settings", kind.Config, recipe.model_settings)
    model = kind(len(split.users), split.n_items, config)
    model.reset_parameters(torch_generator(seed, "weights"))
    keys = torch.from_numpy(split.train.keys(split.n_items))
    model.set_interactions(keys // split.n_items, keys % split.n_items)
    return model


class BackboneTrainer:
    """Trains a backbone by a recipe.

    Args:
        recipe: What to learn.
        split: The data.
        options: How to run.
        data: What samplers know; by default, the split's training part.
        watch: Looks at every draw.
    """

    def __init__(
        self,
        recipe: BackboneRecipe,
        split: Split,
        options: RunOptions,
        *,
        data: SamplerData | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.recipe, self.split, self.options = recipe, split, options
        self.state = RunState(options.out)
        self._seed = derive_seed(options.seed, "backbone")
        self._data = data or SamplerData.from_split(split, self._seed)
        self._watch = watch

    def run(self, validate: Validate) -> Backbone | None:
        """Train.

        Args:
            validate: Maps the model, every ``validate_every`` epochs, to figures.

        Returns:
            The model with its best weights by ``recipe.metric``; None when it was asked to
            stop: a checkpoint is then written.

        Raises:
            TrainingError: The loss is not finite or has exploded.
            UsageError: There is nothing to train on.
        """
        self.options.out.mkdir(parents=True, exist_ok=True)
        with deterministic_torch(self.options.seed, self.options.threads):
            model = new_backbone(self.recipe, self.split, self.options.seed)
            return model.eval() if self._train(model, validate) else None

    def _train(self, model: Backbone, validate: Validate) -> bool:
        found = self.state.open(resume=self.options.resume)
        plan = PairPlan(self.split.train, self.recipe.batch_size, self._seed)
        if not plan.n_batches:
            raise UsageError(f"{self.split.name}: no interaction to learn from")
        source = self._source()
        loop = StageLoop(
            model,
            self.recipe,
            build_optimizer(model, self.recipe),
            plan,
            WholeBatch(PairObjective(model, self.recipe, source, self._watch)),
            self.state.counters,
            LoopHooks(
                lambda: self.state.save_loop(loop, [source]),
                lambda: self.state.newest,
                lambda: validate(model),
                self.options.should_stop,
                self.state.log,
                self.options.clock,
                CHECKPOINT_S,
                LOG_EVERY,
            ),
        )
        if found is not None:
            model.load_state_dict(found.group("model"))
            restore_loop(found, loop, [source])
        return loop.run()

    def _source(self) -> NegativeSource:
        settings = self.recipe.negatives
        sampler = build_sampler("negatives", settings, self._data, self._seed)
        return NegativeSource("negatives", settings, sampler)


@torch.no_grad()
def backbone_figures(model: Backbone, cases: EvalCases, ks: Sequence[int]) -> PerQuery:
    """Rank the whole catalogue for every query, seen items removed.

    Args:
        model: Knows the users of the queries.
        cases: Q queries.
        ks: List lengths.

    Returns:
        Figure such as ``ndcg_at_20`` to its ``(Q,)`` values.
    """
    users, items = model.tables()
    found = []
    for start in range(0, len(cases.targets), _QUERY_BATCH):
        stop = min(start + _QUERY_BATCH, len(cases.targets))
        rows = torch.from_numpy(cases.user_nums[start:stop])
        scores = (users[rows] @ items.T).numpy()
        found.append(top_k_rows(scores, max(ks), slice_rows(cases.seen, start, stop)))
    return evaluate_ranking(np.concatenate(found), cases.targets, ks)
