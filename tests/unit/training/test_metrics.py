"""Ranking metrics: by hand, then against a slow reference."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from training.data import Ragged
from training.metrics import (
    METRICS,
    catalogue_coverage_ratio,
    coverage_at_k,
    evaluate_ranking,
    gini,
    hit_matrix,
    overlap_ratio,
)
from vizsla.errors import ContractError

TOP = np.array([[4, 2, 7, 1], [0, 3, -1, -1], [5, 6, 8, 9]])
TARGETS = Ragged.from_lists([[2, 1, 9], [3], [0]])


def test_recall_counts_each_querys_own_targets():
    """Recall divides by the targets of the query, wherever they are ranked."""
    found = evaluate_ranking(TOP, TARGETS, [4])["recall_at_4"]

    assert found.mean() == pytest.approx(1 / 3 * (2 / 3 + 1 / 1 + 0 / 1))


def test_ndcg_compares_with_the_best_list_possible():
    """The ideal list is as long as there are targets, at most k."""
    found = evaluate_ranking(TOP, TARGETS, [4])["ndcg_at_4"]

    ideal = 1 / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert found[0] == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / ideal)
    assert found[1] == pytest.approx(1 / math.log2(3))


def test_mrr_looks_at_the_first_hit_only():
    """Later hits do not count."""
    found = evaluate_ranking(TOP, TARGETS, [4])["mrr_at_4"]

    assert found.mean() == pytest.approx(1 / 3 * (1 / 2 + 1 / 2 + 0))


def test_precision_and_hit_rate_at_a_shorter_k():
    """A k below the list's length looks at its beginning."""
    found = evaluate_ranking(TOP, TARGETS, [1, 2])

    assert found["hit_rate_at_1"].tolist() == [0, 0, 0]
    assert found["hit_rate_at_2"].tolist() == [1, 1, 0]
    assert found["precision_at_2"].tolist() == [1 / 2, 1 / 2, 0]


def test_a_target_named_twice_counts_once():
    """Targets are a set."""
    found = evaluate_ranking(np.array([[1, 2]]), Ragged.from_lists([[1, 1]]), [2])

    assert found["recall_at_2"].tolist() == [1.0]


def test_the_same_item_of_another_query_is_no_hit():
    """Queries do not leak into each other."""
    hits = hit_matrix(np.array([[1, 2], [2, 1]]), Ragged.from_lists([[1], [1]]))

    assert hits.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("k", [0, 5])
def test_a_k_outside_the_list_is_refused(k):
    """A metric at a k that was not ranked would be silently too low."""
    with pytest.raises(ContractError, match=f"k = {k}"):
        evaluate_ranking(TOP, TARGETS, [k])


def test_a_query_without_target_is_refused():
    """It would divide by zero."""
    with pytest.raises(ContractError, match="query 1 has no target"):
        evaluate_ranking(TOP[:2], Ragged.from_lists([[1], []]), [4])


def test_coverage_ignores_order_and_padding():
    """The two lists are compared as sets; a short exhaustive list can be fully covered."""
    walk = np.array([[3, 2, 1], [4, 5, 6], [7, -1, -1], [1, -1, -1]])
    exhaustive = np.array([[1, 2, 3], [4, 8, 9], [7, -1, -1], [-1, -1, -1]])

    assert coverage_at_k(walk, exhaustive).tolist() == [1, 1 / 3, 1, 1]


def test_gini_of_one_item_for_everybody_approaches_one():
    """One of N items taking all places has the Gini coefficient (N - 1) / N."""
    assert gini(np.zeros((5, 1), np.int64), 10) == pytest.approx(9 / 10)


def test_catalogue_coverage_ignores_padding():
    """Padding is no item."""
    assert catalogue_coverage_ratio(np.array([[-1, 3]]), 4) == 1 / 4


def test_overlap_of_equal_lists_is_one():
    """Everybody getting the same list is the worst case."""
    assert overlap_ratio(np.array([[1, 2], [2, 1], [1, 2]]), 5) == 1.0


@st.composite
def rankings(draw):
    """Draw lists without repeats and target sets for a few queries."""
    n_items, k = draw(st.integers(2, 12)), draw(st.integers(1, 6))
    numbers = st.integers(0, n_items - 1)
    lists = draw(
        st.lists(st.lists(numbers, unique=True, min_size=0, max_size=k), min_size=1, max_size=6)
    )
    targets = [draw(st.lists(numbers, min_size=1, max_size=6)) for _ in lists]
    return lists, targets, k, n_items


def slow_metrics(found, targets, k):
    """The definitions, one query at a time."""
    wanted, places = set(targets), [r for r, item in enumerate(found[:k], 1) if item in targets]
    ideal = sum(1 / math.log2(r + 1) for r in range(1, min(k, len(wanted)) + 1))
    return {
        "recall": len(places) / len(wanted),
        "ndcg": sum(1 / math.log2(r + 1) for r in places) / ideal,
        "hit_rate": float(bool(places)),
        "mrr": 1 / places[0] if places else 0.0,
        "precision": len(places) / k,
    }


@given(rankings())
def test_metrics_equal_their_definitions(case):
    """The vectorised metrics are the textbook ones."""
    lists, targets, k, _ = case
    padded = np.array([row + [-1] * (k - len(row)) for row in lists])
    found = evaluate_ranking(padded, Ragged.from_lists(targets), [k])

    for query, (row, wanted) in enumerate(zip(lists, targets, strict=True)):
        slow = slow_metrics(row, wanted, k)
        assert {name: found[f"{name}_at_{k}"][query] for name in METRICS} == pytest.approx(slow)


@given(rankings())
def test_overlap_equals_the_mean_over_pairs(case):
    """The closed form is the mean over all ordered pairs of queries."""
    lists, _, k, n_items = case
    padded = np.array([row + [-1] * (k - len(row)) for row in lists])
    pairs = [
        len(set(a) & set(b)) / k for i, a in enumerate(lists) for j, b in enumerate(lists) if i != j
    ]

    assert overlap_ratio(padded, n_items) == pytest.approx(np.mean(pairs) if pairs else 0.0)
