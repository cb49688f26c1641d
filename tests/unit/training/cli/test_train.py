"""``vizsla train`` as a user meets it."""

import json
import signal
import subprocess
import sys

import pytest

from training import gate
from vizsla import bundles
from vizsla.cli import main
from vizsla.datasets import fetch
from vizsla.datasets.sources.synthetic import SyntheticOptions

TINY = [
    "model_settings.embedding_size=8",
    "model_settings.attention_size=8",
    "model_settings.attention_hidden=8",
    "model_settings.item_hidden=8",
    "model_settings.score_hidden=[8]",
    "model_settings.encoder=pool",
    "max_history=8",
    "log_every=1",
    "checkpoint_minutes=0.00001",
    "stage1.epochs=2",
    "stage1.batch_size=16",
    "stage1.negatives.n_negatives=16",
    "stage2.epochs=2",
    "stage2.batch_size=16",
    "stage2.negatives.n_negatives=8",
    "stage2.hard.n_negatives=4",
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with a small synthetic dataset."""
    folder = tmp_path_factory.mktemp("home")
    fetch(
        "synthetic",
        folder,
        options=SyntheticOptions(users=40, items=50, clusters=4, interactions=500),
    )
    return folder


def arguments(home, out, *further):
    settings = [text for setting in TINY for text in ("--set", setting)]
    fixed = [
        "train",
        "--data",
        "synthetic",
        "--home",
        str(home),
        "--out",
        str(out),
        "--threads",
        "1",
    ]
    return [*fixed, *settings, *further]


def run(capsys, *words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    captured = capsys.readouterr()
    return stopped.value.code, captured.out, captured.err


@pytest.mark.slow
def test_a_run_ends_in_a_bundle_and_is_reused(home, tmp_path, capsys):
    """The table names matcher and rivals; a second call trains nothing; another setting is refused."""
    code, out, _ = run(capsys, *arguments(home, tmp_path / "run", "--json"))
    first = json.loads(out)
    again, _, said = run(capsys, *arguments(home, tmp_path / "run"))
    other, _, refused = run(capsys, *arguments(home, tmp_path / "run", "--set", "stage1.epochs=3"))

    assert (code, again, other) == (0, 0, 2)
    assert list(first["figures"]) == [
        "matcher",
        "two_sided_head",
        "two_sided_model",
        "cooccurrence",
    ]
    assert first["publishable"] == all(check["met"] for check in first["gate"])
    bundle = bundles.load(bundles.locate(tmp_path / "run"))
    assert first["bundle"] == str(tmp_path / "run" / "bundles" / bundle.path.name)
    assert "nothing to train" in said
    assert "different run (recipe.stage1.epochs)" in refused


@pytest.mark.slow
def test_the_table_says_whether_it_may_be_published(home, tmp_path, capsys):
    """In words, with the rivals that were not beaten, and where the bundle is."""
    code, out, _ = run(capsys, *arguments(home, tmp_path / "run"))

    assert code == 0
    assert "publishable" in out
    assert "item-item counting" in out
    assert str(tmp_path / "run" / "bundles") in out


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (["--set", "stage2.epoch=1"], "did you mean 'stage2.epochs'"),
        (
            ["--set", "model_settings.embeding_size=8"],
            "unknown recipe setting 'model_settings.embed",
        ),
        (["--set", "stage1.negatives.sampler=bnss"], "did you mean 'bns'"),
        (["--set", "stage1.negatives.options.shard=1"], "stage1.negatives.options.shard"),
        (["--set", "stage1.negatives.n_negatives=0"], "stage1 has no negatives"),
        (["--set", "stage1.loss=hinge"], "unknown loss 'hinge'"),
        (["--set", "model=mlp"], "unknown model 'mlp'"),
        (["--set", 'stage2.trained=["atention"]'], "no weight begins with 'atention'"),
        (["--recipe", "mather"], "did you mean 'matcher'"),
        (["--data", "sinthetic"], "no dataset 'sinthetic'"),
        (["--warm-start", "nowhere"], "nowhere"),
        (["--workers", "3"], "cannot share the 4 shards of a batch evenly"),
    ],
)
def test_a_mistake_is_one_clear_line(home, tmp_path, capsys, further, message):
    """Before anything is trained, with a non-zero status, and the folder stays free."""
    code, _, said = run(capsys, *arguments(home, tmp_path / "run", *further))

    assert code != 0
    assert message in said.splitlines()[-1]
    assert "Traceback" not in said


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(home, tmp_path, capsys):
    """The status is 130; the same command alone is refused, and with --resume ends the run."""
    stopped = start(home, tmp_path / "run", stderr=subprocess.PIPE)
    while stopped.poll() is None and log_lines(tmp_path / "run") < 3:
        try_wait(stopped)
    stopped.send_signal(signal.SIGINT)
    _, said = stopped.communicate(timeout=60)
    unfinished, _, refused = run(capsys, *arguments(home, tmp_path / "run"))
    resumed, _, _ = run(capsys, *arguments(home, tmp_path / "run", "--resume"))

    assert (stopped.returncode, unfinished, resumed) == (130, 2, 0)
    assert "--resume" in said.decode()
    assert "--resume" in refused


@pytest.mark.slow
def test_one_signal_stops_the_gate(home, tmp_path, capsys, monkeypatch):
    """Everything is trained and saved by then; with --resume only the gate is left."""
    with monkeypatch.context() as patch:
        patch.setattr(gate, "judge", lambda *_: signal.raise_signal(signal.SIGTERM))
        stopped, _, said = run(capsys, *arguments(home, tmp_path / "run"))
    n_lines = log_lines(tmp_path / "run")
    resumed, _, _ = run(capsys, *arguments(home, tmp_path / "run", "--resume"))

    assert (stopped, resumed) == (130, 0)
    assert "--resume" in said
    assert log_lines(tmp_path / "run") == n_lines
    assert bundles.load(bundles.locate(tmp_path / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("n_lines", [3, 14])
def test_a_killed_run_goes_on_to_the_same_bits(home, tmp_path, n_lines):
    """SIGKILL in either stage; after --resume the weights equal those of a run never killed."""
    whole = start(home, tmp_path / "whole")
    assert whole.wait(timeout=120) == 0
    killed = start(home, tmp_path / "killed")
    while killed.poll() is None and log_lines(tmp_path / "killed") < n_lines:
        try_wait(killed)
    killed.kill()
    killed.wait(timeout=60)
    assert not (tmp_path / "killed" / "latest_bundle").exists()
    resumed = start(home, tmp_path / "killed", "--resume")
    assert resumed.wait(timeout=120) == 0

    for name in ("stage1.safetensors", "stage2.safetensors"):
        paths = [tmp_path / run / name for run in ("whole", "killed")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    ends = [bundles.locate(tmp_path / run).name for run in ("whole", "killed")]
    assert ends[0] == ends[1]


def start(home, out, *further, stderr=subprocess.DEVNULL):
    command_line = [sys.executable, "-m", "vizsla", *arguments(home, out, *further)]
    return subprocess.Popen(command_line, stdout=subprocess.DEVNULL, stderr=stderr)


def log_lines(out):
    path = out / "log.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def try_wait(process):
    try:
        process.wait(timeout=0.01)
    except subprocess.TimeoutExpired:
        return
