"""Settings chosen on validation."""

import numpy as np
import pytest

from training.baselines import BASELINES
from training.baselines.base import baseline_top_k
from training.baselines.tuning import GRIDS, fit_best
from training.metrics import ndcg_at_k


@pytest.mark.parametrize("name", GRIDS)
def test_the_chosen_settings_are_the_best_of_the_grid(split, name):
    """No setting of the grid does better on validation, and the winner can be made again."""
    fitted = fit_best(name, split)
    again = BASELINES.load(name)(**fitted.settings)
    again.fit(split)
    top = baseline_top_k(again, split.validation, 20)
    value = ndcg_at_k(top, split.validation.targets, 20).mean()

    assert fitted.validation_ndcg == pytest.approx(value)
    for settings in GRIDS[name].ordered:
        other = BASELINES.load(name)(**settings, history_decay=GRIDS[name].decays[0])
        other.fit(split)
        top = baseline_top_k(other, split.validation, 20)
        assert ndcg_at_k(top, split.validation.targets, 20).mean() <= value + 1e-9


def test_without_order_the_decay_is_left_alone(unordered_split):
    """There it has no meaning."""
    assert "history_decay" not in fit_best("item_knn", unordered_split).settings


def test_nothing_to_choose_is_only_fitted(split):
    """Popularity has no settings."""
    fitted = fit_best("popularity", split)

    assert fitted.settings == {}
    assert np.array_equal(fitted.baseline.scores(split.test.histories)[0], split.item_counts())


def test_what_is_tried_is_told(split):
    """A progress bar can show it."""
    told = []
    fit_best("cooccurrence", split, note=told.append)

    assert len(told) == 12
    assert all(text.startswith("cooccurrence") for text in told)
