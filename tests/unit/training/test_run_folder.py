"""What may happen in a folder that holds a run already."""

import pytest

from training.run_folder import RunFile, RunResult, open_run, read_run, write_run
from vizsla.errors import CorruptArtifactError, UsageError

WANTED = RunFile(
    recipe={"stage1": {"epochs": 2}}, seed=0, dataset="d", content_hash="h", split={"seed": 0}
)
RESULT = RunResult(
    bundle="bundles/abc", publishable=True, gate=[], figures={}, n_queries=1, train_s=2.0
)


def opened(out, wanted=WANTED, *, resume=False, fresh=False):
    return open_run(out, wanted, resume=resume, fresh=fresh)


def begun(out):
    """A run with a checkpoint."""
    opened(out)
    (out / "checkpoint").mkdir()
    (out / "checkpoint" / "latest").write_text("step-00000001")


def test_a_new_folder_is_made(tmp_path):
    """And what is to be trained is written down."""
    assert opened(tmp_path / "run") is None
    assert read_run(tmp_path / "run") == WANTED


def test_a_finished_run_with_the_same_settings_is_reused(tmp_path):
    """Its result comes back, as long as its bundle is there."""
    write_run(tmp_path, WANTED.model_copy(update={"result": RESULT}))
    (tmp_path / RESULT.bundle).mkdir(parents=True)

    assert opened(tmp_path) == RESULT


@pytest.mark.parametrize("resume", [False, True])
def test_a_different_run_is_refused(tmp_path, resume):
    """The message names what differs; --resume does not mix two runs."""
    begun(tmp_path)
    other = WANTED.model_copy(update={"recipe": {"stage1": {"epochs": 3}}, "seed": 1})

    with pytest.raises(
        UsageError, match=r"different run \(recipe\.stage1\.epochs, seed\).*--fresh"
    ):
        opened(tmp_path, other, resume=resume)


def test_an_unfinished_run_needs_a_decision(tmp_path):
    """Going on or starting again is the user's choice."""
    begun(tmp_path)
    with pytest.raises(UsageError, match="--resume"):
        opened(tmp_path)

    assert opened(tmp_path, resume=True) is None
    assert (tmp_path / "checkpoint").exists()
    assert opened(tmp_path, fresh=True) is None
    assert not (tmp_path / "checkpoint").exists()


def test_a_run_that_never_got_anywhere_is_no_obstacle(tmp_path):
    """Without a checkpoint there is nothing to lose."""
    opened(tmp_path)

    assert opened(tmp_path, WANTED.model_copy(update={"seed": 5})) is None


def test_fresh_keeps_bundles(tmp_path):
    """What was exported may be served just now."""
    begun(tmp_path)
    (tmp_path / "bundles" / "abc").mkdir(parents=True)
    opened(tmp_path, fresh=True)

    assert (tmp_path / "bundles" / "abc").is_dir()


def test_a_damaged_file_is_named(tmp_path):
    """One clear line."""
    (tmp_path / "run.json").write_text("{}")

    with pytest.raises(CorruptArtifactError, match=r"run\.json.*--fresh"):
        opened(tmp_path)
