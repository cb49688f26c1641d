"""``vizsla bench`` on a planted dataset."""

import json

import pytest

from training.bench.alignment import ARMS
from training.bench.form import new_result
from training.bench.measure import columns_of
from training.pipeline import TrainRequest, train_bundle
from vizsla.cli import main

TINY = {
    "model_settings.embedding_size": 8,
    "model_settings.attention_size": 8,
    "model_settings.attention_hidden": 8,
    "model_settings.item_hidden": 8,
    "model_settings.score_hidden": [8],
    "model_settings.encoder": "pool",
    "max_history": 8,
    "stage1.epochs": 1,
    "stage1.batch_size": 16,
    "stage1.negatives.n_negatives": 16,
    "stage2.epochs": 1,
    "stage2.batch_size": 16,
    "stage2.negatives.n_negatives": 8,
    "stage2.hard.n_negatives": 4,
}


@pytest.fixture
def run(world, monkeypatch, capsys):
    """Run ``vizsla bench`` in the world's home; return exit code, stdout and stderr."""
    monkeypatch.setenv("VIZSLA_HOME", str(world.home))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["bench", *map(str, arguments)])
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.mark.slow
def test_spine_writes_rows_pictures_and_resumes(world, run, tmp_path):
    """The second run finds everything in the file."""
    file = tmp_path / "spine.json"
    arguments = ["spine", "--preset", "quick", "--json", file]
    bundle = ["--bundle", f"planted={world.bundle.path}"]
    code, out, _ = run(*arguments, *bundle)
    found = json.loads(file.read_text())

    assert code == 0
    assert "item_knn" in out
    assert {row["kind"] for row in found["rows"]} == {"matcher", "walk", "rival", "curve"}
    assert file.with_name("spine-planted.png").stat().st_size > 10_000
    assert "already in" in run(*arguments, *bundle)[2]


@pytest.mark.slow
def test_training_forks_every_arm_from_one_stage_and_resumes(world, run, tmp_path):
    """Five sources of negatives, held against Bayesian ones; the second run trains nothing."""
    warm = tmp_path / "warm"
    train_bundle(TrainRequest("matcher", world.dataset, warm, assignments=TINY, threads=1))
    file = tmp_path / "negatives.json"
    arguments = ["training", "--preset", "negatives", "--json", file, "--max-queries", 10]
    arguments += ["--run", f"planted={warm}", "--seeds", 1, "--workers", 2]
    code, out, err = run(*arguments, "--set", "stage2.hard.n_negatives=4")
    found = json.loads(file.read_text())

    assert code == 0, err
    assert "bns minus uniform" in out
    arms = ["bns", "uniform", "popularity", "in-batch", "softmax"]
    assert sorted(row["step"] for row in found["rows"]) == sorted(f"planted-{a}-0" for a in arms)
    assert [row["arm"] for row in found["summary"]] == arms
    assert len(found["targets"]) == 8
    assert "5 of 5 steps are already in" in run(*arguments, "--set", "stage2.hard.n_negatives=4")[2]


def test_training_draws_and_judges_what_is_in_the_file(run, origin, tmp_path):
    """A file with every row needs no run any more: it is summed up, drawn and judged."""
    file = tmp_path / "alignment.json"
    settings = {"runs": {"d": "gone"}, "assignments": {}, "max_queries": 500, "cpu_minutes": 10.0}
    result = new_result("training", "alignment", origin, settings)
    for seed in range(2):
        result.rows += [by_hand(arm.name, seed) for arm in ARMS]
    file.write_text(result.model_dump_json())
    arguments = ["training", "--preset", "alignment", "--json", file]
    code, out, err = run(*arguments, "--run", "d=gone", "--seeds", 2)
    found = json.loads(file.read_text())

    assert code == 0, err
    assert "off (chosen) over off" in out
    assert [row["arm"] for row in found["summary"]] == [arm.name for arm in ARMS]
    assert file.with_suffix(".png").stat().st_size > 10_000
    assert "| d | sign-0.3 | 2 |" in file.with_suffix(".md").read_text()


def by_hand(arm, seed):
    """A row of a fork in which every figure of every query is a half."""
    columns = [*columns_of("validation"), *columns_of("test")]
    row = {"step": f"d-{arm}-{seed}", "dataset": "d", "arm": arm, "seed": seed, "share": 1.0}
    row |= {
        "cpu_s": 1.0,
        "n_queries": 2,
        "validation_served_recall_at_20": 0.5,
        **dict.fromkeys(columns, 0.5),
    }
    return row | {"queries": dict.fromkeys(columns, "0.5,0.5")}


def test_training_needs_a_known_preset(run, tmp_path):
    """The nearest one is named."""
    code, _, err = run("training", "--preset", "aligment", "--run", "a=b", "--json", tmp_path / "a")

    assert code == 2
    assert "did you mean 'alignment'" in err


@pytest.mark.slow
def test_training_needs_a_run_of_train(run, tmp_path):
    """The message says what is missing."""
    arguments = ["training", "--preset", "alignment", "--json", tmp_path / "a.json"]
    code, _, err = run(*arguments, "--run", f"planted={tmp_path}", "--workers", 1)

    assert code == 2
    assert "is no run of `vizsla train`" in err


def test_spine_needs_named_bundles(run, tmp_path):
    """A path alone does not say which dataset."""
    code, _, err = run("spine", "--bundle", "runs/x", "--json", tmp_path / "s.json")

    assert code == 2
    assert "give DATASET=PATH" in err
