"""Export: what is trained is what is served."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from training.export import Trained, export_bundle, items_table, known_histories, users_table
from training.gate import compare
from training.model import model_config, new_matcher
from training.recipe import load_recipe
from vizsla import bundles
from vizsla.clock import FakeClock
from vizsla.contracts.index import Query
from vizsla.models.recommender.item_columns import ItemColumns
from vizsla.models.recommender.loading import load_scorer


def trained(recipe, split, *, publishable=True):
    figures = {
        "matcher": {"recall_at_20": np.full(4, 0.5)},
        "cooccurrence": {"recall_at_20": np.full(4, 0.4 if publishable else 0.6)},
    }
    matcher = new_matcher(recipe, split, seed=0)
    config = model_config(recipe, split)
    return Trained(matcher.eval(), config, recipe, 0, split, compare(figures))


@pytest.fixture(scope="module")
def exported(small_recipe, rich_split, tmp_path_factory):
    """A bundle with side features of users and items."""
    out = tmp_path_factory.mktemp("run")
    return out, export_bundle(trained(small_recipe(), rich_split), out, FakeClock(0.0))


def test_a_reloaded_bundle_gives_the_golden_answers(exported, rich_split):
    """Model, weights and vocabulary from disk answer every golden request within 1e-4."""
    bundle = bundles.load(exported[1].path)
    scorer = load_scorer(bundle.manifest.model.name, bundle.manifest.model.config, bundle.weights())
    features = bundle.manifest.user_features
    for request in bundle.golden():
        values = [request.user_features.get(name) for name in features]
        codes = [
            0 if value is None else known.index(value) + 1
            for value, known in zip(values, features.values(), strict=True)
        ]
        query = Query(bundle.vocabulary.nums(request.history), np.array(codes, np.int64))
        items = np.arange(scorer.n_items)
        scores = scorer.score(scorer.user_state([query]), np.zeros(len(items), np.int64), items)
        top = np.lexsort((items, -scores))[:10]
        assert bundle.vocabulary.ids(top) == request.item_ids
        np.testing.assert_allclose(scores[top], request.scores, atol=1e-4, rtol=1e-4)


def test_a_bundle_says_what_its_item_net_reads(exported, rich_split):
    """With the columns as the bundle has them, every item gets the vector that training gave it."""
    bundle = bundles.load(exported[1].path)
    scorer = load_scorer(bundle.manifest.model.name, bundle.manifest.model.config, bundle.weights())
    columns = ItemColumns(bundle.item_net())
    rows = bundle.items.to_pylist()
    made = [
        scorer.vectors_of_columns(*columns.packed(row), np.array([num]))[0]
        for num, row in enumerate(rows)
    ]

    assert columns.names == ["cluster"]
    np.testing.assert_allclose(made, bundle.item_vectors(), atol=1e-6)


def test_the_first_golden_request_is_a_cold_start(exported):
    """Sixteen requests, one without a history; the rest have one and their user's features."""
    golden = exported[1].golden()

    assert len(golden) == 16
    assert golden[0].history == []
    assert golden[0].user_features == {}
    assert all(request.history and request.user_features for request in golden[1:])
    assert all(len(request.item_ids) == 10 for request in golden)


def test_the_manifest_says_how_the_bundle_came_about(exported, rich_split):
    """Recipe with all settings, data, gate, figures of the matcher and of its rivals."""
    manifest = exported[1].manifest

    assert manifest.recipe == "matcher"
    assert manifest.recipe_settings["stage1"]["epochs"] == 2
    assert manifest.dataset.content_hash == rich_split.content_hash
    assert manifest.publishable
    assert [check.rival for check in manifest.gate] == ["cooccurrence"]
    assert manifest.metrics == {"recall_at_20": 0.5, "cooccurrence/recall_at_20": 0.4}
    assert manifest.user_features == {"cluster": [f"cluster {c}" for c in range(4)]}


def test_the_vectors_are_the_item_nets(exported, small_recipe, rich_split):
    """What the graph is built from is what the matcher scores."""
    matcher = new_matcher(small_recipe(), rich_split, seed=0).eval()
    expected = matcher.all_item_vectors().numpy()

    np.testing.assert_array_equal(exported[1].item_vectors(), expected)


def test_the_latest_bundle_is_named(exported):
    """`latest_bundle` leads to it, and the same export again is the same bundle."""
    out, bundle = exported

    assert bundles.locate(out).resolve() == bundle.path.resolve()


def test_a_bundle_that_fails_the_gate_is_exported_and_says_so(small_recipe, split, tmp_path):
    """It serves with a warning; activating it needs --force."""
    bundle = export_bundle(trained(small_recipe(), split, publishable=False), tmp_path)

    assert not bundle.manifest.publishable
    assert not bundle.manifest.gate[0].met


def test_items_have_their_titles_counts_and_features(rich_split):
    """One row per item in vocabulary order; what is not known is null."""
    rows = items_table(rich_split).to_pylist()

    assert rows[0]["item_id"] == "i0"
    assert rows[0]["title"] == "The first item"
    assert rows[1]["title"] is None
    assert rows[5]["cluster"] == "cluster 1"
    assert rows[5]["price"] == 5
    assert [row["item_num"] for row in rows] == list(range(len(rows)))
    assert [row["n_interactions"] for row in rows] == rich_split.item_counts().tolist()


def test_users_have_what_evaluation_asks_with(rich_split):
    """The history is that of the test query, cut to the newest, as item ids."""
    rows = users_table(rich_split, 4).to_pylist()
    expected = rich_split.items.ids(rich_split.test.histories[3][-4:])

    assert rows[3] == {"user_id": "u3", "history": expected, "cluster": "cluster 3"}


def test_a_user_without_a_test_query_has_train_and_validation(split):
    """Nothing of what is known is lost."""
    from dataclasses import replace

    from training.data import EvalCases, Ragged

    none = EvalCases(np.empty(0, np.int64), *(Ragged.empty(0) for _ in range(3)))
    known = known_histories(replace(split, test=none))

    assert known[0].tolist() == [*split.train[0], *split.validation.targets[0]]


def test_users_are_written_beside_the_bundles(exported):
    """Serving finds them two levels above the bundle."""
    out, bundle = exported

    assert bundle.path.parents[1] == out
    assert pq.read_table(out / "users.parquet").num_rows == 48


def test_the_recipe_in_a_bundle_can_be_read_again(exported):
    """Its settings are those of a recipe, name for name."""
    recipe = type(load_recipe("matcher"))
    settings = exported[1].manifest.recipe_settings

    assert recipe.model_validate(settings).model_dump(mode="json") == settings
