"""Exact rankings of the whole catalogue."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from training.data import EvalCases, Ragged
from training.ranking import (
    exhaustive_ranking,
    sample_cases,
    slice_rows,
    take_cases,
    target_nll,
    top_k_rows,
)
from vizsla.errors import ContractError
from vizsla.models.recommender.nann import Nann, NannConfig
from vizsla.rng import torch_generator


def test_ties_go_to_the_smaller_item_at_the_cut_too():
    """Five equal items, two places: the first two."""
    assert top_k_rows(np.ones((1, 5), np.float32), 2).tolist() == [[0, 1]]


def test_negative_zero_ties_with_zero():
    """They are equal numbers with different bits."""
    scores = np.array([[-0.0, 0.0, -1.0]], np.float32)

    assert top_k_rows(scores, 3).tolist() == [[0, 1, 2]]


def test_minus_infinity_is_never_returned():
    """It means "not a candidate"."""
    scores = np.array([[-np.inf, 1.0, -3e38]], np.float32)

    assert top_k_rows(scores, 3).tolist() == [[1, 2, -1]]


def test_nan_is_refused():
    """A NaN would otherwise win or lose at random."""
    with pytest.raises(ContractError, match="NaN"):
        top_k_rows(np.array([[np.nan]], np.float32), 1)


def test_k_below_one_is_refused():
    """There is no empty ranking."""
    with pytest.raises(ContractError, match="k = 0"):
        top_k_rows(np.ones((1, 2), np.float32), 0)


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 9)),
        elements=st.floats(-3, 3, width=16) | st.just(-np.inf),
    ),
    st.integers(1, 10),
    st.data(),
)
def test_equals_sorting_every_row(scores, k, data):
    """The partition of integer keys is a stable sort by falling score."""
    n_items = scores.shape[1]
    seen = [data.draw(st.lists(st.integers(0, n_items - 1))) for _ in scores]
    found = top_k_rows(scores, k, Ragged.from_lists(seen))

    for row, scored, hidden in zip(found, scores, seen, strict=True):
        left = [i for i in range(n_items) if i not in hidden and scored[i] > -np.inf]
        best = sorted(left, key=lambda item: (-scored[item], item))[:k]
        assert row.tolist() == best + [-1] * (k - len(best))


@pytest.fixture(scope="module")
def matcher():
    """A matcher with random weights over the planted items."""
    built = Nann(NannConfig(n_items=60, embedding_size=8, max_history=8))
    built.reset_parameters(torch_generator(0, "test"))
    return built


@pytest.mark.parametrize("head", ["deep", "two_sided"])
def test_exhaustive_ranking_removes_what_was_seen(matcher, split, head):
    """A user never gets an item back."""
    top = exhaustive_ranking(matcher, split, split.test, 20, head=head).top_items

    assert top.shape == (len(split.test.targets), 20)
    for row, seen in zip(top, split.test.seen, strict=True):
        assert not set(row) & set(seen)
        assert len(set(row)) == 20


def test_exhaustive_ranking_is_the_order_of_the_matchers_own_scores(matcher, split):
    """Scoring from precomputed tables, in chunks, ranks as ``Matcher.scores`` does."""
    from vizsla.models.recommender.context import pad_histories

    top = exhaustive_ranking(matcher, split, split.test, 5).top_items
    with torch.no_grad():
        batch = pad_histories(list(split.test.histories), 8)
        scores = matcher.scores(matcher.final_states(batch), matcher.all_item_vectors())

    assert (top == top_k_rows(scores.numpy(), 5, split.test.seen)).mean() > 0.99


def test_exhaustive_ranking_leaves_the_mode_as_it_was(matcher, split):
    """Validation in the middle of training must not switch training off."""
    matcher.train()
    exhaustive_ranking(matcher, split, sample_cases(split.test, 2, 0), 3)

    assert matcher.training
    matcher.eval()


def test_exhaustive_ranking_reports_progress(matcher, split):
    """All queries are counted once."""
    done = []
    exhaustive_ranking(matcher, split, split.test, 3, head="two_sided", advance=done.append)

    assert sum(done) == len(split.test.targets)


def test_exhaustive_ranking_of_no_query_is_empty(matcher, split):
    """An empty sample is no error."""
    rows = Ragged.empty(0)
    cases = EvalCases(np.empty(0, np.int64), rows, rows, rows)

    assert exhaustive_ranking(matcher, split, cases, 7).top_items.shape == (0, 7)


def test_a_sample_is_seeded_and_in_order(split):
    """The same seed chooses the same users."""
    one, two = sample_cases(split.test, 5, 1), sample_cases(split.test, 5, 1)

    assert one.user_nums.tolist() == two.user_nums.tolist() == sorted(one.user_nums)
    assert sample_cases(split.test, 5, 2).user_nums.tolist() != one.user_nums.tolist()


def test_a_slice_of_rows_keeps_their_values():
    """Offsets start from zero again."""
    rows = slice_rows(Ragged.from_lists([[1], [2, 3], [], [4]]), 1, 4)

    assert [row.tolist() for row in rows] == [[2, 3], [], [4]]


@pytest.mark.parametrize("head", ["deep", "two_sided"])
def test_a_ranking_has_the_likelihood_of_the_matchers_own_scores(matcher, split, head):
    """Over more queries than a batch holds, seen items left out."""
    rows = np.resize(np.arange(len(split.test.targets)), 150)
    cases = take_cases(split.test, rows)
    nll = exhaustive_ranking(matcher, split, cases, 3, head=head).nll
    alone = exhaustive_ranking(matcher, split, take_cases(cases, rows[-1:]), 3, head=head).nll

    assert nll.shape == (150,)
    assert np.isfinite(nll).all()
    assert nll[-1] == pytest.approx(alone[0], abs=1e-5)


def test_nll_is_that_of_the_softmax_over_unseen_items():
    """By hand with torch: seen items have no probability, two targets are averaged."""
    scores = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    found = target_nll(scores, Ragged.from_lists([[1, 4], [0]]), Ragged.from_lists([[2], []]))
    first = torch.log_softmax(torch.from_numpy(scores[0, [0, 1, 3, 4, 5]]), 0)
    second = torch.log_softmax(torch.from_numpy(scores[1]), 0)

    assert found == pytest.approx([-float(first[1] + first[3]) / 2, -float(second[0])], abs=1e-6)
