"""Trials of a search: reported, taken up again, and compared."""

from functools import partial

import pytest

from training.recipe import load_recipe
from training.tuning.outcome import best_of, collect, table_rows, trial_folder, write_best
from training.tuning.search_folder import open_search
from training.tuning.trial import (
    Search,
    TrialResult,
    check_metric,
    n_validations,
    read_result,
    run_trial,
    settings_of,
    trial_recipe,
    write_result,
)
from vizsla.errors import ConfigError, CorruptArtifactError, TrainingError, UsageError


@pytest.fixture
def a_search(small_settings):
    """Make a small search, with changes."""
    return partial(make_search, small_settings)


def make_search(small_settings, **changes):
    given = {
        "recipe": "matcher",
        "kinds": ("ordered", "small"),
        "assignments": small_settings | {"stage2.epochs": 0, "stage1.epochs": 3},
        "space": {"stage1.learning_rate": {"log": [1e-3, 1e-1]}},
        "n_trials": 3,
    }
    return Search(**(given | changes))


class InterruptedTrialError(Exception):
    """The process of the trial ends."""


def run(search, trial, split, out, stop_at=None):
    """Run a trial; returns what it reported."""
    heard = []

    def report(value, n_seen):
        heard.append((n_seen, value))
        if n_seen == stop_at:
            raise InterruptedTrialError

    run_trial(search, trial, split, trial_folder(out, trial), report)
    return heard


def test_a_trial_reports_every_validation_and_its_end(split, tmp_path, a_search):
    """The end is the value of the best weights."""
    heard = run(a_search(), 1, split, tmp_path)
    result = read_result(trial_folder(tmp_path, 1))

    assert [n for n, _ in heard] == [1, 2, 3, 4]
    assert (result.state, result.n_validations) == ("finished", 4)
    assert result.value == heard[-1][1] == max(value for _, value in heard)
    assert n_validations([trial_recipe(a_search(), 1)]) == 4


def test_the_first_trial_is_the_recipe_and_is_not_stopped(split, tmp_path, a_search):
    """It reports its end alone, so that nobody can stop it on the way."""
    heard = run(a_search(), 0, split, tmp_path)

    assert [n for n, _ in heard] == [4]
    plain = load_recipe("matcher", ["ordered", "small"])
    assert settings_of(a_search(), 0) == {"stage1.learning_rate": plain.stage1.learning_rate}


def test_an_interrupted_trial_goes_on_and_tells_all_again(split, tmp_path, a_search):
    """The same values, and the same result, as if it had never been interrupted."""
    whole = run(a_search(), 1, split, tmp_path / "whole")
    with pytest.raises(InterruptedTrialError):
        run(a_search(), 1, split, tmp_path / "cut", stop_at=2)
    resumed = run(a_search(), 1, split, tmp_path / "cut")
    again = run(a_search(), 1, split, tmp_path / "cut")

    assert resumed == whole == again
    results = [read_result(trial_folder(tmp_path / name, 1)) for name in ("whole", "cut")]
    assert results[0] == results[1]


def test_a_trial_that_cannot_be_trained_has_failed(split, tmp_path, a_search, small_settings):
    """Settings that do not go together, and a loss that explodes; neither is reported."""
    wrong = a_search(space={"stage1.loss": {"choice": ["hinge"]}})
    explodes = a_search(
        space={"stage1.learning_rate": {"choice": [1e30]}},
        assignments=small_settings
        | {"stage1.gradient_clip": 0, "model_settings.learn_temperature": True},
    )

    assert run(wrong, 1, split, tmp_path / "wrong") == []
    assert "hinge" in read_result(trial_folder(tmp_path / "wrong", 1)).reason
    run(explodes, 1, split, tmp_path / "explodes")
    assert "lower the learning rate" in read_result(trial_folder(tmp_path / "explodes", 1)).reason


def test_the_best_is_a_finished_one(tmp_path, a_search):
    """One that was stopped may have seen a higher value, but has not been trained to its end."""
    search = a_search(n_trials=4)
    settings = {"stage1.learning_rate": 0.01}
    ends = [("finished", 0.2, {}), ("stopped", 0.9, settings), ("finished", 0.3, settings)]
    for trial, (state, value, own) in enumerate(ends):
        result = TrialResult(trial=trial, state=state, value=value, settings=own)
        write_result(trial_folder(tmp_path, trial), result)
    results = collect(search, tmp_path)

    assert best_of(results).trial == 2
    assert [result.state for result in results] == ["finished", "stopped", "finished", "failed"]
    rows = table_rows(search, results)
    assert [row[0] for row in rows] == [2, 0, 1, 3]
    assert rows[0] == [2, "finished", 0.3, 0, 0.01]
    with pytest.raises(TrainingError, match="no trial was finished: its process broke"):
        best_of(results[3:])


def test_the_best_settings_become_a_recipe_file(tmp_path, a_search):
    """It gives the trial's recipe, and says where it comes from."""
    search = a_search()
    path = write_best(search, TrialResult(trial=2, state="finished", value=0.25), tmp_path)
    again = load_recipe(str(path), ["unordered"])

    assert again.stage1 == trial_recipe(search, 2).stage1
    assert again.stage1 != trial_recipe(search, 0).stage1
    assert "trial 2 of 3, seed 0, recall_at_20 0.25 on validation" in path.read_text()


def test_a_folder_belongs_to_one_search(tmp_path, a_search):
    """Another is refused, the same needs --resume, and more trials may be added."""
    open_search(tmp_path, a_search(), resume=False)
    with pytest.raises(UsageError, match="go on with --resume"):
        open_search(tmp_path, a_search(), resume=False)
    with pytest.raises(UsageError, match=r"different search \(seed\)"):
        open_search(tmp_path, a_search(seed=1), resume=True)
    open_search(tmp_path, a_search(n_trials=5), resume=True)
    with pytest.raises(UsageError, match="n_trials"):
        open_search(tmp_path, a_search(), resume=True)
    (tmp_path / "search.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match=r"search\.json"):
        open_search(tmp_path, a_search(), resume=True)


def test_an_unknown_metric_is_refused():
    """Sums of known ones are not."""
    check_metric("recall_at_20+-nll")
    with pytest.raises(ConfigError, match="unknown metric 'recall'"):
        check_metric("recall")
