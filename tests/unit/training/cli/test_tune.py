"""``vizsla tune``: what is refused before any trial is started."""

import pytest

from vizsla.cli import main
from vizsla.datasets import fetch
from vizsla.datasets.sources.synthetic import SyntheticOptions

RANGE = "stage1.learning_rate={log=[1e-4,1e-2]}"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with a small synthetic dataset."""
    folder = tmp_path_factory.mktemp("home")
    sizes = SyntheticOptions(users=40, items=50, clusters=4, interactions=500)
    fetch("synthetic", folder, options=sizes)
    return folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to search: give --space FILE.toml or --range KEY=RANGE"),
        (["--range", "stage1.learning_rat=[1,2]"], "did you mean 'stage1.learning_rate'"),
        (["--range", "stage1.learning_rate=0.1"], "expected a list of choices"),
        (["--range", "stage1.learning_rate"], "expected key=value"),
        (["--space", "nowhere.toml"], "no such file: nowhere.toml"),
        (["--range", RANGE, "--metric", "recall"], "unknown metric 'recall'"),
        (["--range", RANGE, "--set", "stage1.loss=hinge"], "unknown loss 'hinge'"),
        (["--range", RANGE, "--data", "sinthetic"], "no dataset 'sinthetic'"),
    ],
)
def test_a_mistake_is_one_clear_line(home, tmp_path, capsys, words, message):
    """With a non-zero status, and the folder stays free."""
    out = tmp_path / "search"
    fixed = ["tune", "--data", "synthetic", "--home", str(home), "--out", str(out)]
    with pytest.raises(SystemExit) as stopped:
        main([*fixed, *words])
    said = capsys.readouterr().err

    assert stopped.value.code != 0
    assert message in said.splitlines()[-1]
    assert not out.exists()
