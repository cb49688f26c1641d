"""``vizsla bench`` on a planted dataset."""

import json

import pytest

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
def test_alignment_forks_both_arms_from_one_stage(world, run, tmp_path):
    """Off and on differ in the task's weight and start from the same weights."""
    warm = tmp_path / "warm"
    train_bundle(TrainRequest("matcher", world.dataset, warm, assignments=TINY, threads=1))
    file = tmp_path / "alignment.json"
    code, _, err = run(
        "alignment", "--run", warm, "--seeds", 1, "--preset", "quick", "--json", file
    )
    arms = [tmp_path / "alignment" / name for name in ("off-0", "on-0")]
    recipes = [json.loads((arm / "run.json").read_text())["recipe"] for arm in arms]

    assert code == 0, err
    assert [recipe["stage2"]["adversarial"]["weight"] for recipe in recipes] == [0.0, 1.0]
    stages = [(arm / "stage1.safetensors").read_bytes() for arm in (warm, *arms)]
    assert stages[0] == stages[1] == stages[2]
    assert len(json.loads(file.read_text())["targets"]) == 2


def test_alignment_needs_a_run_of_train(run, tmp_path):
    """The message says what is missing."""
    code, _, err = run("alignment", "--run", tmp_path, "--json", tmp_path / "a.json")

    assert code == 2
    assert "is no run of `vizsla train`" in err


def test_spine_needs_named_bundles(run, tmp_path):
    """A path alone does not say which dataset."""
    code, _, err = run("spine", "--bundle", "runs/x", "--json", tmp_path / "s.json")

    assert code == 2
    assert "give DATASET=PATH" in err
