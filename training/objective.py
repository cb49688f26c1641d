"""What one training step computes: negatives, scores of both heads, and the sum of the losses.

Shapes: **P** targets of a batch, **S** negatives, **A** perturbed items, **D** vector size.
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
from training.recipe import NegativeSettings, StageSettings
from training.samplers import SAMPLERS
from training.samplers.base import Negatives, Sampler, SamplerData, SampleRequest
from vizsla.errors import ConfigError
from vizsla.models.recommender.base import Matcher, UserState
from vizsla.rng import torch_generator

__all__ = ["NegativeSource", "Objective", "StepLoss", "build_sources"]

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
        NegativeSource(name, own, _build_sampler(name, own, data, seed))
        for name, own in wanted.items()
        if own.n_negatives
    ]


def _build_sampler(name: str, own: NegativeSettings, data: SamplerData, seed: int) -> Sampler:
    kind: type[Sampler] = SAMPLERS.load(own.sampler)
    try:
        options = kind.Settings.model_validate(own.options)
    except ValueError as error:
        raise ConfigError(f"{name}.options of sampler {own.sampler!r}: {error}") from error
    return kind(data, options, torch_generator(seed, "sampler", name))


@dataclass(frozen=True, slots=True)
class StepLoss:
    """The loss to descend, and figures for the log."""

    loss: Tensor
    figures: dict[str, float]


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

    def __call__(self, batch: TrainingBatch, progress: float) -> StepLoss:
        """Compute the loss of a batch after ``progress`` (0 to 1) of the stage's steps."""
        state = self._state(batch)
        drawn = [self._draw(source, batch, state) for source in self._sources]
        vectors = _Vectors(self._matcher, [batch.positives, *(d.item_nums for d in drawn)])
        total, figures = self._head_losses(batch, state, drawn, vectors)
        task = self._settings.adversarial
        if task.weight and progress >= task.start_ratio:
            found = self._adversarial(batch, state, drawn, vectors)
            total = total + task.weight * found.loss
            figures["kl"] = float(found.loss.detach())
            figures["sensitivity"] = found.sensitivity
            figures["epsilon"] = found.epsilon
        figures["item_norm"] = float(vectors.table.detach().norm(dim=1).mean())
        for source, negatives in zip(self._sources, drawn, strict=True):
            figures |= {f"{source.name}_{key}": value for key, value in negatives.stats.items()}
        return StepLoss(total, figures)

    def _state(self, batch: TrainingBatch) -> UserState:
        states = (
            self._matcher.target_states
            if self._settings.is_deep
            else self._matcher.two_sided_states
        )
        return states(batch.sequences, batch.rows, batch.columns)

    def _draw(self, source: NegativeSource, batch: TrainingBatch, state: UserState) -> Negatives:
        deep = source.settings.score == "deep" and self._settings.is_deep
        head: Head = self._matcher.scores if deep else self._matcher.two_sided_scores

        def score(item_nums: Tensor) -> Tensor:
            with torch.no_grad():
                return head(state, _Vectors(self._matcher, [item_nums])[item_nums])

        request = SampleRequest(batch.users, batch.positives, score)
        return source.sampler.sample(request, source.settings.n_negatives)

    def _head_losses(
        self, batch: TrainingBatch, state: UserState, drawn: list[Negatives], vectors: _Vectors
    ) -> tuple[Tensor, dict[str, float]]:
        settings, matcher = self._settings, self._matcher
        cheap = drawn if settings.hard_trains == "both" else drawn[:1]
        heads: Mapping[str, tuple[float, Head, list[Negatives]]] = {
            "deep_loss": (settings.deep_weight, matcher.scores, self._for_deep(drawn)),
            "two_sided_loss": (settings.two_sided_weight, matcher.two_sided_scores, cheap),
        }
        total, figures = torch.zeros(()), {}
        for name, (weight, head, own) in heads.items():
            if weight:
                loss = self._loss(self._logits(head, batch, state, own, vectors)).mean()
                total = total + weight * loss
                figures[name] = float(loss.detach())
        return total, figures

    def _for_deep(self, drawn: list[Negatives]) -> list[Negatives]:
        """Cut the main source to what the deep score is to see; draws come in random order."""
        n_kept = self._settings.deep_negatives
        return drawn if n_kept is None else [drawn[0].first(n_kept), *drawn[1:]]

    def _logits(
        self,
        head: Head,
        batch: TrainingBatch,
        state: UserState,
        drawn: list[Negatives],
        vectors: _Vectors,
    ) -> LogitBatch:
        """Score the positives and all negatives, corrected for how they were drawn."""
        positive = head(state, vectors[batch.positives][:, None])[:, 0]
        parts = []
        for source, negatives in zip(self._sources, drawn, strict=False):
            raw = LogitBatch(positive, head(state, vectors[negatives.item_nums]), negatives.weight)
            own = source.sampler.log_q(batch.positives)
            parts.append(correct(raw, own, negatives.log_q, source.settings.logq))
        negative = torch.cat([part.negative for part in parts], dim=1)
        weight = torch.cat([part.weight for part in parts], dim=1)
        # the main source decides about the positive, which must not be corrected twice
        return LogitBatch(parts[0].positive, negative, weight)

    def _adversarial(
        self, batch: TrainingBatch, state: UserState, drawn: list[Negatives], vectors: _Vectors
    ) -> AdversarialLoss:
        """Perturb the positive and the hardest source's first negatives."""
        task, hardest = self._settings.adversarial, drawn[-1]
        n_targets = len(batch.positives)
        items = hardest.item_nums[..., : task.n_items - 1].expand(n_targets, -1)
        items = torch.cat([batch.positives[:, None], items], dim=1)
        taken = torch.ones(n_targets, 1, dtype=torch.bool)
        mask = torch.cat([taken, hardest.weight[:, : task.n_items - 1] > 0], dim=1)
        return adversarial_loss(
            lambda perturbed: self._matcher.scores(state, perturbed), vectors[items], mask, task.rho
        )


class _Vectors:
    """The item net's output for all items of a step, each computed once."""

    def __init__(self, matcher: Matcher, items: list[Tensor]) -> None:
        needed = torch.unique(torch.cat([part.reshape(-1) for part in items]))
        self.table = matcher.item_vectors(needed)
        self._needed = needed

    def __getitem__(self, item_nums: Tensor) -> Tensor:
        # an embedding lookup, not indexing: its backward adds in a fixed order
        return functional.embedding(torch.searchsorted(self._needed, item_nums), self.table)
