"""Both scores at once: the base learns as if alone, the deep score beside it from the base as it is.

Two-stage training on the same pairs teaches the deep score what the base has memorised.
Side by side, the base has memorised nothing yet when the deep score starts to read it.
"""

from __future__ import annotations

from training.batches import TrainingBatch
from training.freezing import frozen, set_training
from training.objective import NegativeSource, Objective, StepLoss
from training.plans import Moment
from training.recipe import AdversarialSettings, StageSettings
from vizsla.models.recommender.base import Matcher

__all__ = ["JointObjective", "stage_objective"]


def stage_objective(
    matcher: Matcher, settings: StageSettings, sources: list[NegativeSource]
) -> Objective | JointObjective:
    """Build what a stage descends."""
    kind = JointObjective if settings.joint_targets else Objective
    return kind(matcher, settings, sources)


class JointObjective:
    """Two losses whose gradients do not meet.

    The two-sided head learns from all targets and the main source of negatives; the deep
    score from ``joint_targets`` of them and the hard source, with the two-sided part in
    evaluation mode and without gradient.

    Args:
        matcher: What is trained.
        settings: Of the stage; ``trained`` names the deep part.
        sources: Main and hard source of negatives.
    """

    def __init__(
        self, matcher: Matcher, settings: StageSettings, sources: list[NegativeSource]
    ) -> None:
        off = AdversarialSettings(weight=0.0)
        alone = settings.model_copy(update={"deep_weight": 0.0, "adversarial": off})
        deep = settings.model_copy(update={"two_sided_weight": 0.0})
        self._matcher, self._settings = matcher, settings
        self._base = Objective(matcher, alone, sources[:1])
        self._deep = Objective(matcher, deep, sources[1:])

    def __call__(self, batch: TrainingBatch, moment: Moment) -> StepLoss:
        """Compute the sum of both losses at a moment of the stage."""
        deep_part = self._settings.trained
        set_training(self._matcher, ())
        base = self._base(batch, moment)
        set_training(self._matcher, deep_part)
        with frozen(self._matcher, deep_part):
            deep = self._deep(batch.some(self._settings.joint_targets), moment)
        return StepLoss(base.loss + deep.loss, deep.figures | base.figures, len(batch))
