"""Jobs in processes of their own."""

import math
import multiprocessing
import operator
import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from training.bench.pool import run_jobs
from training.run_folder import read_run
from vizsla.errors import CorruptArtifactError, TrainingError

pytestmark = pytest.mark.slow


def test_every_job_is_done_once():
    """More jobs than workers; the results come with their names."""
    jobs = {str(number): partial(math.sqrt, number) for number in (1, 4, 9)}

    assert dict(run_jobs(jobs, workers=2)) == {"1": 1.0, "4": 2.0, "9": 3.0}


def test_a_users_mistake_in_a_job_arrives_as_it_was(tmp_path):
    """Class and message survive the way between processes."""
    (tmp_path / "run.json").write_text("{}")

    with pytest.raises(CorruptArtifactError, match="start again with --fresh"):
        dict(run_jobs({"broken": partial(read_run, tmp_path)}, workers=1))


def test_a_bug_in_a_job_is_one_line_here(capfd):
    """The traceback is on stderr, where the job ran."""
    with pytest.raises(TrainingError, match="its traceback is above"):
        dict(run_jobs({"bug": partial(operator.truediv, 1, 0)}, workers=1))

    assert "ZeroDivisionError" in capfd.readouterr().err


def test_a_process_that_dies_is_named():
    """Killed for memory, say: there is no answer to wait for."""
    with pytest.raises(TrainingError, match="dead: its process ended with status 3"):
        dict(run_jobs({"dead": partial(os._exit, 3)}, workers=1))


def test_an_interrupted_caller_leaves_no_process_behind():
    """What runs is ended and waited for."""
    found = run_jobs({"quick": partial(abs, -1), "endless": signal.pause}, workers=2)
    assert next(found) == ("quick", 1)
    found.close()

    assert multiprocessing.active_children() == []


CALLER = """
from functools import partial
from training.bench.pool import run_jobs

endless = partial(exec, "import signal; print('up', flush=True); signal.pause()")
if __name__ == "__main__":
    dict(run_jobs({"endless": endless}, workers=1))
"""


def test_a_caller_that_is_killed_leaves_no_process_behind(tmp_path):
    """The job holds the other end of the pipe: it is at its end when both are gone."""
    script = tmp_path / "caller.py"
    script.write_text(CALLER)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as caller:
        assert caller.stdout.readline() == b"up\n"
        caller.kill()

        assert caller.stdout.read() == b""
