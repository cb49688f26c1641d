"""How much of the deep score is kept."""

import pytest
import torch

from training.model import new_matcher
from training.shrink import SHARES, ShrinksDeep, fit_share
from vizsla.models.recommender.base import SequenceBatch


class Dial:
    """A matcher whose deep branch has a size, and nothing else."""

    def __init__(self):
        self.size = 1.0

    def scale_deep(self, factor):
        self.size *= factor


@pytest.mark.parametrize("wanted", SHARES)
def test_the_best_share_is_kept(wanted):
    """The dial stands where its value was highest."""
    dial = Dial()
    kept = fit_share(dial, lambda: -abs(dial.size - wanted), without=-1.0)

    assert kept == wanted
    assert dial.size == pytest.approx(wanted)


def test_of_equal_shares_the_smallest_is_kept():
    """What adds nothing to the figure is noise."""
    dial = Dial()

    assert fit_share(dial, lambda: 1.0, without=0.0) == SHARES[0]


def test_nothing_is_kept_that_is_not_better_than_nothing():
    """A deep score that only equals the two-sided one is left out."""
    dial = Dial()

    assert fit_share(dial, lambda: 1.0, without=1.0) == 0.0
    assert dial.size == 0.0


def test_scaling_scales_the_deep_term_alone(small_recipe, split):
    """The score is the two-sided one plus the factor times the rest."""
    matcher = new_matcher(small_recipe(), split, seed=0).eval()
    assert isinstance(matcher, ShrinksDeep)
    for parameter in matcher.score_net.out.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        state = matcher.final_states(SequenceBatch(torch.tensor([[0, 1, 2]])))
        vectors = matcher.item_vectors()
        two_sided, whole = matcher.two_sided_scores(state, vectors), matcher.scores(state, vectors)
        matcher.scale_deep(0.25)

        expected = two_sided + 0.25 * (whole - two_sided)
        assert torch.allclose(matcher.scores(state, vectors), expected, atol=1e-5)
