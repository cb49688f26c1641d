"""Every baseline, by registration; then each by hand."""

import numpy as np
import pytest
from scipy import sparse

from training.baselines import BASELINES
from training.baselines.base import (
    DoesNotFitError,
    baseline_top_k,
    history_matrix,
    interaction_matrix,
    keep_largest,
    recommendation_histories,
)
from training.baselines.cooccurrence import Cooccurrence
from training.baselines.ease import Ease
from training.baselines.item_knn import ItemKnn, cosine_neighbours
from training.baselines.popularity import Popularity
from training.baselines.random import Random
from training.data import EvalCases, Ragged, Split
from training.metrics import recall_at_k
from vizsla.vocabulary import Vocabulary

PERSONAL = ("cooccurrence", "item_knn", "ease")


def small_split(rows, n_items, order="none"):
    """Sequences as training data; the same as queries, the first item as target."""
    train, users = Ragged.from_lists(rows), np.arange(len(rows))
    cases = EvalCases(users, train, Ragged.from_lists([[0]] * len(rows)), train)
    ids = Vocabulary([str(num) for num in range(n_items)])
    people = Vocabulary([str(num) for num in users])
    return Split("small", "0" * 64, {}, order, ids, people, train, cases, cases)


@pytest.fixture
def checkerboard():
    """Users of one colour took the items of that colour, all but one each."""
    n = 12
    rows = [
        [item for item in range(n) if item % 2 == user % 2 and item != user] for user in range(n)
    ]
    return small_split(rows, n)


@pytest.mark.parametrize("name", PERSONAL)
def test_the_missing_square_of_the_checkerboard_is_found(checkerboard, name):
    """The right answer is known: user u misses exactly item u."""
    baseline = BASELINES.load(name)()
    baseline.fit(checkerboard)
    best = baseline_top_k(baseline, checkerboard.test, 1)[:, 0]

    assert best.tolist() == list(range(12))


@pytest.mark.parametrize("name", PERSONAL)
def test_planted_clusters_are_found(split, name):
    """A personal baseline beats popularity where clusters decide."""
    baseline, popular = BASELINES.load(name)(), Popularity()
    baseline.fit(split)
    popular.fit(split)
    cases = split.test
    recalls = [
        recall_at_k(baseline_top_k(b, cases, 10), cases.targets, 10).mean()
        for b in (baseline, popular)
    ]

    assert recalls[0] > 2 * recalls[1]


@pytest.mark.parametrize("name", list(BASELINES))
def test_scores_are_finite_float32_of_every_item(split, name):
    """An empty history is answered too."""
    baseline = BASELINES.load(name)()
    baseline.fit(split)
    scores = baseline.scores(Ragged.from_lists([[1, 2], []]))

    assert scores.shape == (2, split.n_items)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "random"])
def test_a_query_does_not_depend_on_its_batch(split, name):
    """Scored alone or together, the same."""
    baseline = BASELINES.load(name)()
    baseline.fit(split)
    together = baseline.scores(Ragged.from_lists([[1, 2, 3], [4]]))
    alone = baseline.scores(Ragged.from_lists([[4]]))

    assert np.allclose(together[1], alone[0], atol=1e-6)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "random"])
def test_a_second_fit_forgets_the_first(split, unordered_split, name):
    """Fitting on other data gives what a new one would."""
    baseline, fresh = BASELINES.load(name)(), BASELINES.load(name)()
    baseline.fit(unordered_split)
    baseline.fit(split)
    fresh.fit(split)
    histories = Ragged.from_lists([[1, 2, 3]])

    assert np.array_equal(baseline.scores(histories), fresh.scores(histories))


def test_random_scores_repeat_after_fit(split):
    """Chance level has a seed as well."""
    baseline = Random(seed=4)
    found = []
    for _ in range(2):
        baseline.fit(split)
        found.append(baseline.scores(Ragged.empty(3)))

    assert np.array_equal(found[0], found[1])


def test_ease_solves_the_constrained_least_squares():
    """The closed form is the minimum with zero diagonal, column by column."""
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(rng.random(9) < 0.4).tolist() for _ in range(30)]
    split, reg = small_split(rows, 9), 3.0
    baseline = Ease(reg=reg)
    found = baseline.item_weights(split)
    x = interaction_matrix(split.train, 9).toarray().astype(np.float64)

    for column in range(9):
        others = np.delete(np.arange(9), column)
        a = x[:, others]
        direct = np.linalg.solve(a.T @ a + reg * np.eye(8), a.T @ x[:, column])
        assert np.allclose(found[others, column], direct, atol=1e-4)
        assert found[column, column] == 0


def test_ease_mirrors_in_blocks_as_at_once():
    """More items than one block of the mirror."""
    split = small_split([[0, 1], [1, 1_029], [1_029, 1_030, 5]], 1_031)
    weights = Ease(reg=1.0).item_weights(split)
    gram = interaction_matrix(split.train, 1_031)
    inverse = np.linalg.inv((gram.T @ gram).toarray() + np.eye(1_031))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0)

    assert np.allclose(weights, expected, atol=1e-4)


def test_ease_refuses_a_catalogue_that_does_not_fit():
    """The message says how large it is and where the limit lies."""
    with pytest.raises(DoesNotFitError, match="20,001 x 20,001; it is fitted up to 20,000 items"):
        Ease().fit(small_split([[0, 1]], 20_001))


def test_transitions_count_what_comes_next():
    """After item 0 came item 1 twice and item 2 once."""
    split = small_split([[0, 1], [0, 1], [0, 2]], 3, "time")
    baseline = Cooccurrence(window=1)
    baseline.fit(split)

    assert baseline.scores(Ragged.from_lists([[0]])).tolist() == [[0.0, 2.0, 1.0]]
    assert baseline.scores(Ragged.from_lists([[1]])).tolist() == [[0.0, 0.0, 0.0]]


def test_without_order_common_users_are_summed():
    """Item 1 was together with item 0 twice, item 2 once."""
    split = small_split([[1, 0], [0, 1], [0, 2]], 3)
    baseline = Cooccurrence()
    baseline.fit(split)

    assert baseline.scores(Ragged.from_lists([[0]])).tolist() == [[0.0, 2.0, 1.0]]
    assert baseline.scores(Ragged.from_lists([[1, 2]])).tolist() == [[3.0, 0.0, 0.0]]


def test_older_items_vote_less():
    """With decay 1/2 the item before the last has half a vote."""
    split = small_split([[0, 2], [1, 3]], 4, "time")
    baseline = Cooccurrence(window=1, history_decay=0.5)
    baseline.fit(split)
    found = baseline.scores(Ragged.from_lists([[0, 1]]))

    assert found.tolist() == [[0, 0, 1 / 2, 1]]
    assert baseline.with_decay(1.0).scores(Ragged.from_lists([[0, 1]])).tolist() == [[0, 0, 1, 1]]


def test_cosine_neighbours_shrink_rare_pairs():
    """Two common users of 2 and 3: 2 / (sqrt(6) + 1)."""
    split = small_split([[0, 1], [0, 1], [1]], 2)
    similar = cosine_neighbours(interaction_matrix(split.train, 2), 5, 1.0)

    assert similar.toarray()[0, 1] == pytest.approx(2 / (6**0.5 + 1))
    assert similar.toarray()[0, 0] == 0


def test_item_knn_keeps_the_nearest_only():
    """With one neighbour each, the farther item gets no vote."""
    split = small_split([[0, 1], [0, 1], [0, 2]], 3)
    baseline = ItemKnn(n_neighbours=1, shrinkage=0.0)
    baseline.fit(split)

    assert baseline.scores(Ragged.from_lists([[0]]))[0, 2] == 0


def test_keep_largest_takes_the_smaller_column_of_a_tie():
    """Equal inputs give equal models."""
    rows = sparse.csr_array(np.array([[1.0, 1.0, 1.0]]))

    assert keep_largest(rows, 2).toarray().tolist() == [[1.0, 1.0, 0.0]]


def test_history_weights_add_up_for_repeats():
    """An item met twice has both votes."""
    weights = history_matrix(Ragged.from_lists([[1, 0, 1]]), 2, decay=0.5)

    assert weights.toarray().tolist() == [[0.5, 1.25]]


def test_rivals_read_the_whole_profile_where_there_is_no_order():
    """Histories there are a sample made for sequence models."""
    split = small_split([[0, 1, 2]], 3)
    cases = EvalCases(
        np.zeros(1, np.int64),
        Ragged.from_lists([[1]]),
        split.test.targets,
        Ragged.from_lists([[0, 1]]),
    )

    assert recommendation_histories(split, cases)[0].tolist() == [0, 1]
    ordered = small_split([[0, 1, 2]], 3, "time")
    assert recommendation_histories(ordered, cases)[0].tolist() == [1]
