"""The publish gate."""

import numpy as np
import pytest
import torch

from training.gate import compare, judge
from training.model import new_matcher
from training.validation import validation_cases


def figures(matcher, **rivals):
    """Ten queries, of which a share has a hit."""
    named = {"matcher": matcher} | rivals
    hits = {name: np.arange(10) < round(10 * value) for name, value in named.items()}
    return {name: {"recall_at_20": own.astype(float)} for name, own in hits.items()}


def test_all_rivals_must_be_beaten():
    """One that is better, or as good, is enough to fail; each comparison is kept."""
    assert compare(figures(0.3, two_sided_head=0.2, cooccurrence=0.25)).publishable
    failed = compare(figures(0.3, two_sided_head=0.2, cooccurrence=0.4))

    assert not failed.publishable
    assert [(c.rival, c.met) for c in failed.checks] == [
        ("two_sided_head", True),
        ("cooccurrence", False),
    ]


def test_a_tie_is_not_enough():
    """A deep score that equals its own dot product does not earn its cost."""
    assert not compare(figures(0.3, two_sided_head=0.3)).publishable


def test_rounding_is_not_a_lead():
    """The same hits in another order of summation: recalls of thirds, equal in truth."""
    thirds = np.tile([1 / 3, 2 / 3, 1.0, 0.0], 50)
    other = {"recall_at_20": thirds[::-1].copy()}

    assert not compare({"matcher": {"recall_at_20": thirds}, "two_sided_head": other}).publishable


def test_a_check_keeps_how_sure_it_is():
    """The interval is of the paired difference, and holds it."""
    (check,) = compare(figures(0.6, two_sided_head=0.2)).checks

    gain = check.value - check.rival_value
    assert gain == pytest.approx(0.4)
    assert check.low < gain < check.high


@pytest.mark.parametrize("forked", [False, True])
def test_an_untrained_matcher_fails_against_counting(small_recipe, split, forked):
    """On planted clusters counting is good, an untrained model is not, and both heads are equal."""
    cases = validation_cases(split, 0, 0)
    matcher = new_matcher(small_recipe(), split, seed=0)
    other = new_matcher(small_recipe(), split, seed=1) if forked else None
    report = judge(matcher, other, split, cases)

    assert not report.publishable
    assert ("two_sided_model" in report.figures) is forked
    assert report.figures["matcher"] == pytest.approx(report.figures["two_sided_head"])
    assert report.figures["cooccurrence"]["recall_at_20"] > 0.8
    assert torch.is_grad_enabled()
