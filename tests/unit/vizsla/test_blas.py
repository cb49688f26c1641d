"""A process that scores never shares a small product between threads."""

import json
import os
import subprocess
import sys

SCRIPT = """
import json
import numpy as np
from threadpoolctl import threadpool_info
from vizsla.models.recommender.nann import Nann, NannConfig
from vizsla.models.recommender.scorer import TorchScorer

np.ones((2, 2)) @ np.ones((2, 2))
threads = lambda: {one["filepath"]: one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}
before = threads()
TorchScorer(Nann(NannConfig(n_items=5, embedding_size=8)))
print(json.dumps([before, threads()]))
"""


def test_a_compiled_score_bounds_blas_to_one_thread():
    """NumPy's library and SciPy's, which Numba calls; both had two threads before."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    environment |= {"OPENBLAS_NUM_THREADS": "2"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)

    before, after = json.loads(done.stdout)

    assert set(before.values()) == {2}
    assert len(after) >= 2
    assert set(after.values()) == {1}
