"""The driver of the rivals: what it reads and writes, without the rivals themselves."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from training.bench.rival_run import EpochTime, Pairs, run_rival
from training.bench.rivals.drive import (
    SYSTEMS,
    FirstBatches,
    pairwise_loss,
    read_job,
    read_pairs,
    recbole_settings,
    write_inter,
)
from training.bench.speed import RIVALS, SETTINGS
from vizsla.errors import TrainingError

JOB = replace(SETTINGS, system="recbole", model="bpr-mf", n_users=2, n_items=3, epochs=2)
PAIRS = Pairs(np.array([0, 0, 1]), np.array([0, 2, 1]))

ECHO = """
import json, sys
import numpy as np
job = json.load(open(sys.argv[1]))
pairs = np.load(job["pairs"])
for epoch in range(job["epochs"]):
    row = {"epoch": epoch, "seconds": 0.5, "interactions": len(pairs["users"]), "loss": 0.7}
    print(json.dumps(row | {"version": job["system"]}))
"""


def script(folder, text):
    path = folder / "driver.py"
    path.write_text(text)
    return path


def test_job_and_pairs_reach_the_driver_and_its_rows_come_back(tmp_path):
    """In a process of its own; three pairs in half a second are six a second."""
    found = run_rival(Path(sys.executable), JOB, PAIRS, script(tmp_path, ECHO))

    assert found == [EpochTime(0.5, 3, 0.7, "recbole")] * 2
    assert found[0].rate == 3 / 0.5


def test_a_driver_that_fails_is_one_clear_error(tmp_path):
    """System, model and the last line of what it said."""
    broken = script(tmp_path, "raise ValueError('no such thing')")
    with pytest.raises(TrainingError, match=r"recbole \(bpr-mf\) failed: ValueError: no such"):
        run_rival(Path(sys.executable), JOB, PAIRS, broken)


def test_a_job_is_read_as_it_was_written(tmp_path):
    """Settings and pairs alike."""
    np.savez(tmp_path / "pairs.npz", **PAIRS._asdict())
    job = replace(JOB, pairs=str(tmp_path / "pairs.npz"))
    (tmp_path / "job.json").write_text(json.dumps(asdict(job)))
    found = read_job(tmp_path / "job.json")

    assert found == job
    assert np.array_equal(read_pairs(found), PAIRS)


def test_recbole_reads_a_table_with_typed_columns(tmp_path):
    """One line per pair."""
    write_inter(tmp_path / "pairs" / "pairs.inter", PAIRS)

    assert (tmp_path / "pairs" / "pairs.inter").read_text() == (
        "user_id:token\titem_id:token\n0\t0\n0\t2\n1\t1\n"
    )


def test_recbole_trains_on_all_pairs_as_it_is_told():
    """No pair is held out, and batch, size and rate are those of the job."""
    settings = recbole_settings(JOB)

    assert settings["eval_args"]["split"] == {"RS": [1.0, 0.0, 0.0]}
    assert (settings["train_batch_size"], settings["embedding_size"]) == (2048, 64)


@pytest.mark.parametrize(("count", "expected"), [(2, [0, 1]), (9, [0, 1, 2]), (0, [0, 1, 2])])
def test_the_first_batches_again_and_again(count, expected):
    """As often as asked, and all of them for 0."""
    batches = FirstBatches([0, 1, 2], count)

    assert [list(batches), list(batches)] == [expected, expected]


def test_the_first_batches_are_still_the_loader():
    """A trainer that asks the loader something gets its answer."""
    assert FirstBatches([3, 3, 1], 1).count(3) == 2


def test_equal_scores_lose_log_two():
    """-log sigmoid(0), whichever pairs are sampled."""
    loss = pairwise_loss(np.zeros((2, 4), np.float32), np.ones((3, 4), np.float32), PAIRS, JOB)

    assert loss == pytest.approx(np.log(2))


def test_every_rival_of_the_bench_can_be_driven():
    """The table of the bench and that of the driver name the same systems."""
    assert {name for names in RIVALS.values() for name in names} == set(SYSTEMS)
