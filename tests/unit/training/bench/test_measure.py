"""What an arm is worth, on the planted world."""

import pytest

from training.bench.measure import PARTS, WALKS, K, Walk, columns_of, measure, unpacked
from training.metrics import evaluate_ranking
from training.model import new_matcher
from training.ranking import exhaustive_ranking
from training.recipe import load_recipe
from training.shrink import SHARES
from vizsla.contracts.index import Mode


@pytest.fixture
def matcher(world):
    """With first weights, but for a deep branch that says something."""
    recipe = load_recipe(
        "matcher", ["ordered"], {"model_settings.embedding_size": 8, "max_history": 8}
    )
    made = new_matcher(recipe, world.split, 3)
    made.score_net.out.weight.data.fill_(0.5)
    return made


def test_every_figure_of_both_parts_is_there_query_by_query(world, matcher):
    """Each mean is that of its queries."""
    row = measure(matcher, world.split, 20, 0)

    assert row["n_queries"] == 20
    assert set(row["queries"]) == {name for part in PARTS for name in columns_of(part)}
    for name, text in row["queries"].items():
        assert len(unpacked(text)) == 20
        assert row[name] == pytest.approx(unpacked(text).mean(), abs=1e-4)


def test_figures_are_those_of_the_whole_deep_score(world, matcher):
    """The share is only noted; the matcher is left as it was."""
    row = measure(matcher, world.split, 0, 0)
    cases = world.split.validation
    found = exhaustive_ranking(matcher, world.split, cases, K)
    recall = evaluate_ranking(found.top_items, cases.targets, (20,))["recall_at_20"]

    assert row["validation_recall_at_20"] == pytest.approx(recall.mean(), abs=1e-4)
    assert row["validation_nll"] == pytest.approx(found.nll.mean(), abs=1e-3)


def test_the_share_that_training_would_keep_is_noted(world, matcher):
    """With it, the matcher has the recall that is called served."""
    row = measure(matcher, world.split, 0, 0)
    matcher.scale_deep(row["share"])
    cases = world.split.validation
    found = exhaustive_ranking(matcher, world.split, cases, K)
    recall = evaluate_ranking(found.top_items, cases.targets, (20,))["recall_at_20"]

    assert row["share"] in (0.0, *SHARES)
    assert row["validation_served_recall_at_20"] == pytest.approx(recall.mean(), abs=0.02)


def test_other_seeds_have_other_queries(world, matcher):
    """The sample is the seed's own, and the same each time."""
    first, again, other = (measure(matcher, world.split, 20, seed) for seed in (0, 0, 1))

    assert first["queries"]["test_nll"] == again["queries"]["test_nll"]
    assert first["queries"]["test_nll"] != other["queries"]["test_nll"]


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.column)
def test_a_walk_may_score_its_share_and_no_more(walk):
    """On 40,000 items; a share of a percent is 400 of them."""
    options = walk.options(40_000)

    assert options.max_scored == round(walk.share * 40_000)
    assert options.mode is Mode.WALK
    assert (options.proxy_seeds > 0) == (walk.series == "proxy")


def test_a_small_catalogue_still_gives_a_full_list():
    """A percent of 80 items is less than the list wanted."""
    assert Walk("proxy", 0.01).options(80).max_scored == K
