"""An evaluation from the bundle to the report."""

import json

import numpy as np
import pytest

from training.evaluate import EvaluateSettings, evaluate, open_split
from training.evaluation.files import write_evaluation
from training.evaluation.markdown import to_markdown
from training.evaluation.results import MATCHER, Evaluation
from training.ranking import exhaustive_ranking
from vizsla.datasets import read_manifest
from vizsla.errors import DataError, IncompatibleArtifactError
from vizsla.models.recommender.loading import load_matcher

SETTINGS = EvaluateSettings(ks=(5, 10), list_k=10, max_queries=40, curve_queries=10)


@pytest.fixture(scope="module")
def found(world):
    """One evaluation of the bundle with a graph."""
    from training.provenance import provenance

    return evaluate(world.bundle, world.split, SETTINGS, provenance(0))


def test_the_split_of_the_bundle_is_made_again(world):
    """The same items, users and queries as in training."""
    split = open_split(world.bundle, world.dataset)

    assert split.items.content_hash == world.split.items.content_hash
    assert np.array_equal(split.test.targets.values, world.split.test.targets.values)


def test_other_data_are_refused(world, tmp_path):
    """The message names both hashes and what to do."""
    manifest = read_manifest(world.dataset).model_dump(mode="json") | {"content_hash": "f" * 64}
    (tmp_path / "dataset.json").write_text(json.dumps(manifest))

    with pytest.raises(DataError, match="has content ffffffffffff, the bundle was trained on"):
        open_split(world.bundle, tmp_path)


def test_a_split_with_other_items_is_refused(world):
    """Rows of the weights would mean other items."""
    manifest = world.bundle.manifest.model_copy(update={"vocab_hash": "0" * 64})
    other = type(world.bundle)(world.bundle.path, manifest)

    with pytest.raises(IncompatibleArtifactError, match="has other items than the split"):
        open_split(other, world.dataset)


def test_all_systems_are_in_one_table(found):
    """The matcher first, then its walks, its own cheap head, and the rivals."""
    assert [row.system for row in found.rows] == [
        "matcher_exhaustive",
        "walk_medoids",
        "walk_proxy",
        "two_sided",
        "two_sided_faiss",
        "popularity",
        "cooccurrence",
        "item_knn",
        "ease",
    ]
    assert found.n_queries == 40
    assert found.n_queries_total == 60


def test_the_exhaustive_row_is_the_exact_ranking(world, found):
    """The retriever's exhaustive mode and ``exhaustive_ranking`` are the same measurement."""
    from training.metrics import evaluate_ranking
    from training.ranking import sample_cases

    model = world.bundle.manifest.model
    matcher = load_matcher(model.name, model.config, world.bundle.weights())
    cases = sample_cases(world.split.test, 40, 0)
    top = exhaustive_ranking(matcher, world.split, cases, 10).top_items
    recall = evaluate_ranking(top, cases.targets, [10])["recall_at_10"].mean()

    assert found.row(MATCHER).metrics["recall_at_10"].mean == pytest.approx(recall)


def test_differences_are_the_matcher_minus_the_other(found):
    """The sign is that of a lead."""
    ours = found.row(MATCHER).metrics["ndcg_at_10"].mean
    for row in found.rows[1:]:
        lead = row.difference["ndcg_at_10"]
        assert lead.mean == pytest.approx(ours - row.metrics["ndcg_at_10"].mean)
        assert lead.low <= lead.mean <= lead.high


def test_walks_tell_their_cost_and_what_they_missed(found):
    """Coverage, share of items scored and loss of recall."""
    for name in ("walk_medoids", "walk_proxy"):
        row = found.row(name)
        assert 0 < row.work.scored_ratio_mean <= row.work.scored_ratio_p95 <= 1
        assert 0.5 < row.coverage["coverage_at_10"].mean <= 1
        all_, walked = found.row(MATCHER).metrics["recall_at_10"], row.metrics["recall_at_10"]
        assert row.recall_delta["recall_at_10"] == pytest.approx(1 - walked.mean / all_.mean)


def test_the_curve_compares_at_equal_deep_scores(found):
    """Re-ranking scores about as many items as the proxy walk of the same place."""
    series = {name: [p for p in found.curve if p.series == name] for name in ("proxy", "rerank")}

    assert len(series["proxy"]) == len(series["rerank"]) > 0
    for walk, rerank in zip(series["proxy"], series["rerank"], strict=True):
        assert rerank.scored_ratio == pytest.approx(walk.scored_ratio, abs=0.02)


@pytest.mark.slow
def test_the_result_survives_json_and_says_where_it_comes_from(world, found, tmp_path):
    """Commit, machine, seed, data and command are in the file."""
    files = write_evaluation(found, tmp_path / "out")
    read = Evaluation.model_validate_json(files[0].read_text())

    assert read == found
    assert read.data_hash == world.split.content_hash
    assert read.provenance.machine["cores"] >= 1
    assert read.provenance.command


@pytest.mark.slow
def test_the_picture_is_a_png_with_something_in_it(found, tmp_path):
    """Lines of several colours, not an empty frame."""
    from matplotlib.image import imread

    picture = imread(write_evaluation(found, tmp_path)[-1])

    assert picture.shape[0] > 400
    assert picture.shape[1] > 900
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 50


def test_the_report_names_every_system_and_its_settings(found):
    """A reader needs nothing but the page."""
    page = to_markdown(found)

    for text in ("EASE", "item-kNN", "walk from medoids", "coverage@10", "reg ", "![coverage"):
        assert text in page


def test_a_bundle_without_graph_says_that_the_walks_are_missing(world, origin):
    """The other systems are evaluated all the same."""
    settings = EvaluateSettings(ks=(5,), list_k=5, max_queries=5, rivals=("popularity",))
    found = evaluate(world.bare, world.split, settings, origin)

    assert [row.kind for row in found.rows] == ["matcher", "rival", "rival", "rival"]
    assert "vizsla index build" in found.notes[0]
    assert found.curve == []


def test_validation_queries_can_be_evaluated(world, origin):
    """Choices are made there, not on test."""
    settings = EvaluateSettings(
        part="validation", ks=(5,), list_k=5, max_queries=5, rivals=(), curve_queries=0
    )
    found = evaluate(world.bare, world.split, settings, origin)

    assert found.part == "validation"
