"""``vizsla evaluate`` as a user meets it."""

import json

import pytest

from vizsla.cli import main

FAST = ["--k", "5,10", "--curve-queries", "0", "--max-queries", "20"]


@pytest.fixture
def run(world, monkeypatch, capsys):
    """Run the command line in the world's home; return exit code, stdout and stderr."""
    monkeypatch.setenv("VIZSLA_HOME", str(world.home))

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", *map(str, arguments)])
        return ended.value.code, *capsys.readouterr()

    return run


def test_a_run_folder_is_evaluated_and_written_beside_its_bundles(world, run):
    """The bundle that ``latest_bundle`` names, on the dataset it names."""
    code, out, err = run(world.home / "run", *FAST)
    folder = world.home / "run" / "evaluation"
    written = list(folder.glob("*/evaluation.json"))

    assert code == 0
    assert "popularity" in out
    assert "evaluation.md" in err
    assert len(written) == 1


def test_json_goes_to_stdout_alone(world, run, tmp_path):
    """So that it can be piped."""
    code, out, _ = run(world.bundle.path, "--out", tmp_path, "--json", *FAST)
    found = json.loads(out)

    assert code == 0
    assert found["n_queries"] == 20
    assert found["rows"][0]["system"] == "matcher_exhaustive"
    assert found == json.loads((tmp_path / "evaluation.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k", "ten"], "--k 'ten': give ascending numbers"),
        (["--k", "20,10"], "--k '20,10': give ascending numbers"),
        (["--rivals", "popularty", *FAST], "did you mean 'popularity'?"),
        (["--data", "nowhere", *FAST], "no dataset 'nowhere'"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(world, run, arguments, message):
    """No traceback, a status that is not zero."""
    code, _, err = run(world.bundle.path, *arguments)

    assert code not in (0, None)
    assert message in err
    assert "Traceback" not in err


def test_a_catalogue_smaller_than_k_is_one_clear_line(world, run, tmp_path):
    """Lists are padded; the figures say what they are."""
    code, _, err = run(world.bundle.path, "--out", tmp_path, *FAST, "--k", "100")

    assert code == 0, err
