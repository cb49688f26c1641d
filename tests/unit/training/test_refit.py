"""Training once more on everything: choices stay, validation is learned from."""

from dataclasses import replace

import pytest

from training.pipeline import TrainRequest, train_bundle
from training.recipe import Recipe
from training.run_folder import read_run, write_run
from training.splits import default_spec, load_split
from vizsla.bundles import load
from vizsla.datasets import fetch, read_manifest
from vizsla.datasets.sources.synthetic import SyntheticOptions
from vizsla.errors import UsageError

SMALL = {
    "model_settings.embedding_size": 8,
    "model_settings.attention_size": 8,
    "model_settings.attention_hidden": 8,
    "model_settings.item_hidden": 8,
    "model_settings.score_hidden": [8],
    "model_settings.encoder": "pool",
    "max_history": 8,
    "stage1.epochs": 3,
    "stage1.batch_size": 16,
    "stage1.negatives.n_negatives": 16,
    "stage2.epochs": 2,
    "stage2.batch_size": 16,
    "stage2.negatives.n_negatives": 8,
    "stage2.hard.n_negatives": 4,
}


@pytest.fixture(scope="module")
def dataset_dir(tmp_path_factory):
    options = SyntheticOptions(users=40, items=50, clusters=4, interactions=500)
    return fetch("synthetic", tmp_path_factory.mktemp("home"), options=options)


@pytest.fixture(scope="module")
def chosen(dataset_dir, tmp_path_factory):
    """A finished run, and what asked for it."""
    request = TrainRequest(
        recipe="matcher",
        dataset_dir=dataset_dir,
        out=tmp_path_factory.mktemp("runs") / "chosen",
        assignments=SMALL,
        threads=1,
    )
    train_bundle(request)
    return request


def again(chosen, out, **changes):
    return replace(chosen, out=out, assignments={}, refit=chosen.out, **changes)


def test_validation_is_for_training(dataset_dir):
    """No query is left to choose by, and test asks from the same histories as before."""
    spec = default_spec(read_manifest(dataset_dir))
    before = load_split(dataset_dir, spec)
    after = load_split(dataset_dir, spec.model_copy(update={"refit": True}))

    n_validation = len(before.validation.targets.values)
    assert n_validation > 0
    assert len(after.train.values) == len(before.train.values) + n_validation
    assert len(after.validation.targets) == 0
    assert after.test.histories.values.tolist() == before.test.histories.values.tolist()
    assert after.test.targets.values.tolist() == before.test.targets.values.tolist()


def test_a_refit_takes_epochs_share_and_verdict(chosen, tmp_path):
    """As many epochs as were best, the same share of the deep score, the gate of the run."""
    run = train_bundle(again(chosen, tmp_path / "all"))
    source, own = read_run(chosen.out).result, run.result

    assert [stage.epochs for stage in run.recipe.stages] == source.epochs
    planned = Recipe.model_validate(read_run(chosen.out).recipe)
    assert [stage.schedule_epochs for stage in run.recipe.stages] == [
        s.epochs for s in planned.stages
    ]
    assert sum(source.epochs) > 0
    assert (own.share, own.publishable, own.figures) == (
        source.share,
        source.publishable,
        source.figures,
    )
    assert (
        load(run.bundle_dir).manifest.content_hash
        != load(chosen.out / source.bundle).manifest.content_hash
    )


def test_a_stage_that_was_never_validated_keeps_its_epochs(chosen, tmp_path):
    """One epoch, looked at every second: it was trained all the same, and is trained again."""
    short = SMALL | {"stage1.epochs": 1, "stage1.validate_every": 2}
    train_bundle(replace(chosen, out=tmp_path / "short", assignments=short))

    assert read_run(tmp_path / "short").result.epochs[0] == 1


def test_a_refit_resumes_like_any_run(chosen, tmp_path):
    """Stopped in the middle and taken up again, it ends in the same bundle."""
    calls = iter(range(10_000))
    whole = train_bundle(again(chosen, tmp_path / "whole"))
    cut = again(chosen, tmp_path / "cut", should_stop=lambda: next(calls) == 2)
    stopped = train_bundle(cut)
    resumed = train_bundle(again(chosen, tmp_path / "cut", resume=True))

    assert stopped is None
    assert resumed.bundle_dir.name == whole.bundle_dir.name


def test_what_cannot_be_refitted_is_refused(chosen, tmp_path):
    """Settings of one's own, no run, a fork, a refit, and runs that do not know their epochs."""
    with pytest.raises(UsageError, match="leave out --set"):
        train_bundle(replace(again(chosen, tmp_path / "a"), assignments=SMALL))
    with pytest.raises(UsageError, match="no finished run"):
        train_bundle(replace(again(chosen, tmp_path / "a"), refit=tmp_path / "nothing"))
    run = read_run(chosen.out)
    damages = {
        "a fork": {"warm_start": "elsewhere"},
        "a refit itself": {"refit": "elsewhere"},
        "train it again": {"result": run.result.model_copy(update={"epochs": None})},
        "on other data": {"content_hash": "0" * 64},
    }
    for message, change in damages.items():
        write_run(tmp_path, run.model_copy(update=change))
        with pytest.raises(UsageError, match=message):
            train_bundle(replace(again(chosen, tmp_path / "a"), refit=tmp_path))
