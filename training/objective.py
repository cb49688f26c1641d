"""What one training step computes: negatives, scores of both heads, and the sum of the losses.

Shapes: **P** targets of a batch, **Q** contexts they are seen from, **S** negatives,
**A** perturbed items, **D** vector size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.batches import TrainingBatch
from training.losses import LOSSES
from training.losses.adversarial import AdversarialLoss, adversarial_loss
from training.losses.base import LogitBatch, Loss
from training.losses.logq import correct
from training.plans import Moment
from training.recipe import NegativeSettings, StageSettings, validated_settings
from training.samplers import SAMPLERS
from training.samplers.base import (
    Factors,
    Negatives,
    Sampler,
    SamplerData,
    SampleRequest,
    SamplerSettings,
)
from vizsla.errors import ConfigError
from vizsla.models.recommender.base import Matcher, UserState
from vizsla.rng import torch_generator

__all__ = [
    "NegativeSource",
    "Objective",
    "StepLoss",
    "build_sampler",
    "build_sources",
    "sampler_settings",
]

Head = Callable[[UserState, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class NegativeSource:
    """A sampler and how a stage uses it."""

    name: str
    settings: NegativeSettings
    sampler: Sampler


def build_sources(settings: StageSettings, data: SamplerData, seed: int) -> list[NegativeSource]:
    """Build the samplers of a stage, each with its own generator.

    Raises:
        UnknownNameError: No such sampler.
        ConfigError: An option that the sampler does not have.
    """
    wanted = {"negatives": settings.negatives, "hard": settings.hard}
    return [
        NegativeSource(name, own, build_sampler(name, own, data, seed))
        for name, own in wanted.items()
        if own.n_negatives
    ]


def sampler_settings(name: str, own: NegativeSettings) -> SamplerSettings:
    """Validate the options of a source of negatives.

    Raises:
        UnknownNameError: No such sampler.
        ConfigError: An option it does not have, or a logQ correction that it cannot give.
    """
    kind: type[Sampler] = SAMPLERS.load(own.sampler)
    options = validated_settings(f"{name}.options", kind.Settings, own.options)
    modes = kind.logq_modes(options)
    if own.n_negatives and own.logq not in modes:
        raise ConfigError(
            f"{name}.logq: sampler {own.sampler!r} does not know the probabilities that "
            f"{own.logq!r} needs: set it to {' or '.join(repr(mode) for mode in modes)}"
        )
    return options


def build_sampler(name: str, own: NegativeSettings, data: SamplerData, seed: int) -> Sampler:
    """Build one sampler with its own generator; raises as ``sampler_settings`` does."""
    kind: type[Sampler] = SAMPLERS.load(own.sampler)
    return kind(data, sampler_settings(name, own), torch_generator(seed, "sampler", name))


@dataclass(frozen=True, slots=True)
class StepLoss:
    """The loss to descend, figures for the log, and the number of positives behind them."""

    loss: Tensor
    figures: dict[str, float]
    n_examples: int


class Objective:
    """The loss of a stage as a function of a batch.

    Args:
        matcher: What is trained.
        settings: Of the stage.
        sources: Where negatives come from.
    """

    def __init__(
        self, matcher: Matcher, settings: StageSettings, sources: list[NegativeSource]
    ) -> None:
        self._matcher = matcher
        self._settings = settings
        self._sources = sources
        self._loss: Loss = LOSSES.load(settings.loss)

    def __call__(self, batch: TrainingBatch, moment: Moment) -> StepLoss:
        """Compute the loss of a batch at a moment of the stage."""
        step = self._prepare(batch, moment.epoch)
        total, figures = self._head_losses(step)
        task = self._settings.adversarial
        if task.weight and moment.progress >= task.start_ratio:
            found = self._adversarial(step)
            total = total + task.weight * found.loss
            figures["kl"] = float(found.loss.detach())
            figures["sensitivity"] = found.sensitivity
            figures["epsilon"] = found.epsilon
        figures["item_norm"] = float(step.vectors.table.detach().norm(dim=1).mean())
        for source, negatives in zip(self._sources, step.drawn, strict=True):
            figures |= {f"{source.name}_{key}": value for key, value in negatives.stats.items()}
        return StepLoss(total, figures, len(batch))

    def _prepare(self, batch: TrainingBatch, epoch: int) -> _Step:
        """Compute the states, draw the negatives, and look up all vectors once."""
        deep = self._settings.is_deep
        states = self._matcher.target_states if deep else self._matcher.two_sided_states
        state = states(batch.sequences, batch.rows, batch.columns)
        own = state if batch.seen_from is None else _take(state, batch.seen_from)
        drawn = [self._draw(source, batch, own, epoch) for source in self._sources]
        vectors = _Vectors(self._matcher, [batch.positives, *(d.item_nums for d in drawn)])
        return _Step(batch, state, own, drawn, vectors)

    def _draw(
        self, source: NegativeSource, batch: TrainingBatch, own: UserState, epoch: int
    ) -> Negatives:
        deep = source.settings.score == "deep" and self._settings.is_deep
        head: Head = self._matcher.scores if deep else self._matcher.two_sided_scores

        def score(item_nums: Tensor) -> Tensor:
            with torch.no_grad():
                return head(own, _Vectors(self._matcher, [item_nums])[item_nums])

        users = batch.users if source.sampler.is_shared else batch.target_users
        factors = self._factors(own) if not deep else None
        request = SampleRequest(users, batch.positives, score, epoch, factors)
        return source.sampler.sample(request, source.settings.n_negatives)

    def _factors(self, own: UserState) -> Factors:
        """Take the two-sided score apart."""

        def users() -> Tensor:
            with torch.no_grad():
                return self._matcher.proxy(own)

        return Factors(users, self._matcher.all_item_vectors)

    def _head_losses(self, step: _Step) -> tuple[Tensor, dict[str, float]]:
        settings, matcher = self._settings, self._matcher
        cheap = step.drawn if settings.hard_trains == "both" else step.drawn[:1]
        heads: Mapping[str, tuple[float, Head, list[Negatives]]] = {
            "deep_loss": (settings.deep_weight, matcher.scores, self._for_deep(step.drawn)),
            "two_sided_loss": (settings.two_sided_weight, matcher.two_sided_scores, cheap),
        }
        total, figures = torch.zeros(()), {}
        for name, (weight, head, drawn) in heads.items():
            if weight:
                loss = self._loss(self._logits(head, step, drawn)).mean()
                total = total + weight * loss
                figures[name] = float(loss.detach())
        return total, figures

    def _for_deep(self, drawn: list[Negatives]) -> list[Negatives]:
        """Cut the main source to what the deep score is to see; draws come in random order."""
        n_kept = self._settings.deep_negatives
        if n_kept is None or self._sources[0].name != "negatives":
            return drawn
        return [drawn[0].first(n_kept), *drawn[1:]]

    def _logits(self, head: Head, step: _Step, drawn: list[Negatives]) -> LogitBatch:
        """Score the positives and all negatives, corrected for how they were drawn."""
        batch = step.batch
        positive = head(step.own, step.vectors[batch.positives][:, None])[:, 0]
        # negatives of one row per context are kept so, unless a source has one per target
        together = all(source.sampler.is_shared for source in self._sources[: len(drawn)])
        row_of = batch.seen_from if together else None
        parts = []
        for source, negatives in zip(self._sources, drawn, strict=False):
            state, weight = step.state, negatives.weight
            if not together:
                state, weight = step.own, step.per_target(weight)
            scores = head(state, step.vectors[negatives.item_nums])
            raw = LogitBatch(positive, scores, weight, row_of)
            own_log_q = source.sampler.log_q(batch.positives)
            parts.append(correct(raw, own_log_q, negatives.log_q, source.settings.logq))
        negative = torch.cat([part.negative for part in parts], dim=1)
        weight = torch.cat([part.weight for part in parts], dim=1)
        # the main source decides about the positive, which must not be corrected twice
        return LogitBatch(parts[0].positive, negative, weight, row_of)

    def _adversarial(self, step: _Step) -> AdversarialLoss:
        """Perturb the positive and the hardest source's first negatives."""
        task, hardest = self._settings.adversarial, step.drawn[-1]
        positives = step.batch.positives
        items = hardest.item_nums[..., : task.n_items - 1].expand(len(positives), -1)
        items = torch.cat([positives[:, None], items], dim=1)
        weight = step.per_target(hardest.weight[:, : task.n_items - 1])
        taken = torch.ones(len(positives), 1, dtype=torch.bool)
        return adversarial_loss(
            lambda perturbed: self._matcher.scores(step.own, perturbed),
            step.vectors[items],
            torch.cat([taken, weight > 0], dim=1),
            task.rho,
            task.direction,
            task.where,
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """What the losses of one step are made from.

    ``state`` has a row per context (Q), ``own`` one per target (P); they are the same where each
    target has its own context.
    """

    batch: TrainingBatch
    state: UserState
    own: UserState
    drawn: list[Negatives]
    vectors: _Vectors

    def per_target(self, rows: Tensor) -> Tensor:
        """Repeat rows per context for their targets; rows per target stay."""
        seen_from = self.batch.seen_from
        if seen_from is None or len(rows) == len(seen_from):
            return rows
        return rows[seen_from]


def _take(state: UserState, rows: Tensor) -> UserState:
    return UserState(state.user[rows], state.values[rows], state.keys[rows], state.mask[rows])


class _Vectors:
    """The item net's output for all items of a step, each computed once."""

    def __init__(self, matcher: Matcher, items: list[Tensor]) -> None:
        needed = torch.unique(torch.cat([part.reshape(-1) for part in items]))
        self.table = matcher.item_vectors(needed)
        self._needed = needed

    def __getitem__(self, item_nums: Tensor) -> Tensor:
        # an embedding lookup, not indexing: its backward adds in a fixed order
        return functional.embedding(torch.searchsorted(self._needed, item_nums), self.table)
