"""The built wheel, installed apart from this checkout, and real server processes from it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from graph_index.attach import build_index, open_retriever
from serving.adapters.user_histories import ParquetHistories
from vizsla.bundles import BundleParts, load, write
from vizsla.clock import FakeClock
from vizsla.contracts.api import RetrieveResponse
from vizsla.contracts.bundle import DatasetRef, GateCheck, GoldenRequest, ModelRef
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.models.recommender.loading import build_matcher, load_scorer, matcher_weights
from vizsla.rng import numpy_generator

N_ITEMS = 3000
N_USERS = 200
START_LIMIT_S = 180.0
STOP_LIMIT_S = 60.0
CONFIG = {"n_items": N_ITEMS, "embedding_size": 16}
ROOT = Path(__file__).parents[2]
SOURCE_FILES = ("pyproject.toml", "README.md", "LICENSE")
PACKAGES = (
    "vizsla",
    "feature_store",
    "training",
    "graph_index",
    "serving",
    "edge",
    "loadtest",
)


@pytest.fixture(scope="session")
def vizsla(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command, in an environment of its own; nothing is downloaded.

    The environment sees this one's third-party packages through a ``.pth`` file, but
    not the editable install: what is tested is the wheel.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = _copy_of_source(folder / "source")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    subprocess.run([*build, folder, source], check=True, capture_output=True)
    (wheel,) = folder.glob("vizsla-*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    packages = Path(_said(python, "import sysconfig; print(sysconfig.get_path('purelib'))"))
    (packages / "third_party.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, *install], check=True, capture_output=True)
    assert _said(python, "import vizsla; print(vizsla.__file__)").startswith(str(packages))
    return folder / "venv" / "bin" / "vizsla"


def _copy_of_source(target: Path) -> Path:
    """Copy what the wheel is made of, so that building leaves nothing in the checkout."""
    target.mkdir()
    for name in SOURCE_FILES:
        shutil.copy(ROOT / name, target)
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    return target


def _said(python: Path, code: str) -> str:
    """Run a line of Python away from the checkout and return what it prints."""
    done = subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, cwd=python.parent
    )
    return done.stdout.strip()


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory: an untrained deep matcher with a graph, and users with histories."""
    folder = tmp_path_factory.mktemp("run")
    bundle = build_index(write(folder / "bundles", _parts(), FakeClock(1.7e9)), folder / "bundles")
    (folder / "latest_bundle").write_text(str(bundle.path), encoding="utf-8")
    generator = numpy_generator(0, "users")
    users = {
        "user_id": [f"user {row}" for row in range(N_USERS)],
        "history": [_history(generator) for _ in range(N_USERS)],
    }
    pq.write_table(pa.table(users), folder / "users.parquet")
    return folder


def _history(generator: np.random.Generator) -> list[str]:
    return [f"item {num}" for num in generator.choice(N_ITEMS, size=20, replace=False)]


def _parts() -> BundleParts:
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(0)
        weights = matcher_weights(build_matcher("nann", CONFIG))
    scorer = load_scorer("nann", CONFIG, weights)
    nums = np.arange(5)
    scores = scorer.score(scorer.user_state([Query(nums)]), np.zeros(5, np.int64), nums)
    names = [f"item {num}" for num in range(N_ITEMS)]
    counts = np.arange(N_ITEMS, 0, -1)
    return BundleParts(
        model=ModelRef(name="nann", config=dict(CONFIG)),
        weights=weights,
        items=pa.table(
            {"item_num": np.arange(N_ITEMS), "item_id": names, "n_interactions": counts}
        ),
        item_vectors=scorer.item_vectors.copy(),
        golden=[GoldenRequest(history=names[:5], item_ids=names[:5], scores=scores.tolist())],
        recipe="untrained",
        recipe_settings={},
        seed=0,
        dataset=DatasetRef(name="random", content_hash="0" * 64, split={}),
        metrics={},
        gate=[
            GateCheck(
                rival="item_item", metric="recall_at_20", value=0.1, rival_value=0.2, met=False
            )
        ],
        publishable=False,
    )


class InProcess:
    """Answers the same requests without any server."""

    def __init__(self, run_dir: Path) -> None:
        torch.set_num_threads(1)  # beside a busy server more threads only wait for each other
        self._bundle = load(run_dir)
        model = self._bundle.manifest.model
        self._scorer = load_scorer(model.name, model.config, self._bundle.weights())
        self._retriever = open_retriever(self._bundle)
        self._histories = ParquetHistories(run_dir / "users.parquet")

    def check(self, body: dict[str, Any], answer: RetrieveResponse) -> None:
        """Compare an answer: equal items, scores within 1e-5."""
        row = self._histories.find(body["user_id"]) if "user_id" in body else None
        nums = self._bundle.vocabulary.nums(row.history if row else body["history"])
        options = SearchOptions(k=body["k"], mode=Mode(body["mode"]))
        (found,) = self._retriever.search(self._scorer, [Query(nums)], options)
        items = answer.results[0].items
        assert [item.item_id for item in items] == self._bundle.vocabulary.ids(found.item_nums)
        scores = [item.score for item in items]
        np.testing.assert_allclose(scores, found.scores, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="session")
def in_process(run_dir: Path) -> InProcess:
    return InProcess(run_dir)


@dataclass
class Server:
    """A server process and what it printed."""

    process: subprocess.Popen[str]
    lines: list[str]
    url: str = ""
    reader: threading.Thread = field(default_factory=threading.Thread)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(STOP_LIMIT_S)
        self.reader.join()
        return status

    @property
    def text(self) -> str:
        """Everything printed so far."""
        return "".join(self.lines)


Start = Callable[..., Server]


@pytest.fixture
def start(vizsla: Path, run_dir: Path, tmp_path: Path) -> Iterator[Start]:
    """Start ``vizsla serve`` in an empty directory and wait until it says it is ready."""
    started: list[Server] = []

    def start(*arguments: str) -> Server:
        command = [vizsla, "serve", run_dir, "--port", "0", *arguments]
        server = Server(
            subprocess.Popen(
                command,
                cwd=tmp_path,
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            ),
            [],
        )
        started.append(server)
        _wait_until_ready(server)
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(STOP_LIMIT_S)
        server.reader.join()


def _environment() -> dict[str, str]:
    """This environment without what would let the process see the checkout."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    ours = os.environ.items()
    kept = {name: value for name, value in ours if name not in hidden}
    return {**kept, "VIZSLA_SERVING__DEFAULT_DEADLINE_MS": "10000", "NO_COLOR": "1"}


def _wait_until_ready(server: Server) -> None:
    ready = threading.Event()

    def read() -> None:
        assert server.process.stdout is not None
        with server.process.stdout as lines:
            for line in lines:
                server.lines.append(line)
                found = re.match(r"ready on (\S+)", line)
                if found:
                    server.url = found[1]
                    ready.set()
        ready.set()

    server.reader = threading.Thread(target=read, daemon=True)
    server.reader.start()
    assert ready.wait(START_LIMIT_S), server.text
    assert server.url, server.text
