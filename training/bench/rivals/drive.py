"""Train one model of a public library and say how long every epoch took.

Runs in the environment of the rivals, as ``python drive.py JOB.json``, and imports nothing of
Vizsla.  It writes one JSON object per epoch to stdout: ``epoch``, ``seconds`` of training alone,
``interactions`` (positives) trained on, ``loss`` and ``version``.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LOSS_SAMPLE = 20_000


@dataclass(frozen=True, slots=True)
class Job:
    """What to train.

    Attributes:
        system: Key of ``SYSTEMS``.
        model: ``bpr-mf`` or ``lightgcn``.
        pairs: A ``.npz`` with int64 ``users`` and ``items`` of the same length, no pair twice.
        n_users: Users are 0 to ``n_users - 1``.
        n_items: Items are 0 to ``n_items - 1``.
        embedding_size: Numbers per user and item.
        batch_size: Positives per step, where the library has batches.
        epochs: Passes over the pairs.
        max_batches: Steps of an epoch at most; 0 for all.
        learning_rate: Of the optimizer.
        reg: L2 weight.
        n_layers: Of LightGCN.
        threads: Of the library.
        seed: Of all draws.
    """

    system: str
    model: str
    pairs: str
    n_users: int
    n_items: int
    embedding_size: int
    batch_size: int
    epochs: int
    max_batches: int
    learning_rate: float
    reg: float
    n_layers: int
    threads: int
    seed: int


class Epoch(NamedTuple):
    """One pass: seconds of training alone, positives trained on, mean loss of the steps."""

    seconds: float
    interactions: int
    loss: float


class Pairs(NamedTuple):
    """``(I,)`` int64 each."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]


def read_job(path: Path) -> Job:
    """Read what the bench wrote."""
    return Job(**json.loads(path.read_text(encoding="utf-8")))


def read_pairs(job: Job) -> Pairs:
    """Read the training pairs."""
    with np.load(job.pairs) as arrays:
        return Pairs(arrays["users"], arrays["items"])


def n_trained(n_pairs: int, job: Job) -> int:
    """Return how many positives an epoch of at most ``max_batches`` steps sees.

    Example:
        >>> job = Job("recbole", "bpr-mf", "", 1, 1, 64, 100, 1, 2, 1e-3, 0.0, 0, 1, 0)
        >>> n_trained(150, job), n_trained(500, job)
        (150, 200)
    """
    return min(n_pairs, job.max_batches * job.batch_size) if job.max_batches else n_pairs


class FirstBatches:
    """The first batches of a loader, as often as it is iterated; attributes are the loader's."""

    def __init__(self, loader: Any, count: int) -> None:
        self._loader = loader
        self._count = count or None

    def __iter__(self) -> Iterator[Any]:
        return itertools.islice(self._loader, self._count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def recbole(job: Job, pairs: Pairs) -> Iterator[Epoch]:
    """Train by RecBole's own trainer, loader and sampler; nothing is evaluated or saved."""
    from recbole.config import Config
    from recbole.data import create_dataset
    from recbole.data.dataloader import TrainDataLoader
    from recbole.sampler import Sampler
    from recbole.trainer import Trainer
    from recbole.utils import get_model, init_seed

    write_inter(Path("pairs") / "pairs.inter", pairs)
    name = {"bpr-mf": "BPR", "lightgcn": "LightGCN"}[job.model]
    config = Config(model=name, dataset="pairs", config_dict=recbole_settings(job))
    init_seed(job.seed, config["reproducibility"])
    train = create_dataset(config).build()[0]
    loader = TrainDataLoader(
        config, train, Sampler("train", train).set_phase("train"), shuffle=True
    )
    trainer = Trainer(config, get_model(name)(config, train).to(config["device"]))
    batches, count = FirstBatches(loader, job.max_batches), n_trained(len(train), job)
    for epoch in range(job.epochs):
        started = time.perf_counter()
        loss = trainer._train_epoch(batches, epoch, show_progress=False)
        seconds = time.perf_counter() - started
        yield Epoch(seconds, count, loss / -(-count // job.batch_size))


def recbole_settings(job: Job) -> dict[str, Any]:
    """Return RecBole's settings: uniform negatives, one each, on the CPU, all pairs trained on."""
    return {
        "data_path": ".",
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "load_col": {"inter": ["user_id", "item_id"]},
        "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "group_by": None, "order": "RO"},
        "use_gpu": False,
        "seed": job.seed,
        "embedding_size": job.embedding_size,
        "train_batch_size": job.batch_size,
        "learning_rate": job.learning_rate,
        "n_layers": job.n_layers,
        "reg_weight": job.reg,
        "weight_decay": 0.0,
        "epochs": job.epochs,
    }


def write_inter(path: Path, pairs: Pairs) -> None:
    """Write RecBole's table of interactions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.stack([pairs.users, pairs.items], axis=1)
    header = "user_id:token\titem_id:token"
    np.savetxt(path, rows, fmt="%d", delimiter="\t", header=header, comments="")


def implicit(job: Job, pairs: Pairs) -> Iterator[Epoch]:
    """Train by implicit: compiled code, one step per pair, no batches and no Adam."""
    import scipy.sparse as sp
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    ones = np.ones(len(pairs.users), np.float32)
    matrix = sp.csr_matrix((ones, (pairs.users, pairs.items)), (job.n_users, job.n_items))
    model = BayesianPersonalizedRanking(
        factors=job.embedding_size,
        learning_rate=job.learning_rate,
        regularization=job.reg,
        iterations=job.epochs,
        num_threads=job.threads,
        random_state=job.seed,
    )
    epochs: list[Epoch] = []

    def note(epoch: int, seconds: float, *rest: object) -> None:
        loss = pairwise_loss(model.user_factors, model.item_factors, pairs, job)
        epochs.append(Epoch(seconds, len(pairs.users), loss))

    model.fit(matrix, show_progress=False, callback=note)
    yield from epochs


def pairwise_loss(
    users: NDArray[np.float32], items: NDArray[np.float32], pairs: Pairs, job: Job
) -> float:
    """Return the mean of ``-log sigmoid(positive - negative)`` over a sample of pairs."""
    generator = np.random.default_rng(job.seed)
    rows = generator.integers(0, len(pairs.users), min(LOSS_SAMPLE, len(pairs.users)))
    negatives = generator.integers(0, job.n_items, len(rows))
    better = items[pairs.items[rows]] - items[negatives]
    margins = (users[pairs.users[rows]] * better).sum(axis=1)
    return float(np.logaddexp(0.0, -margins).mean())


SYSTEMS = {
    "recbole": (recbole, "recbole"),
    "implicit": (implicit, "implicit"),
}
"""Name to the function that trains, and the package whose version is reported."""


def main() -> None:
    """Train the job and write its epochs."""
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints is no result
    logging.disable(logging.WARNING)
    job = read_job(Path(sys.argv[1]))
    del sys.argv[1:]  # RecBole reads settings from there
    limit_threads(job.threads)
    train, package = SYSTEMS[job.system]
    for number, epoch in enumerate(train(job, read_pairs(job))):
        row = {"epoch": number, **epoch._asdict(), "version": f"{package} {version(package)}"}
        stdout.write(json.dumps(row) + "\n")
        stdout.flush()


def limit_threads(threads: int) -> None:
    """Let torch and the numeric libraries use this many threads."""
    import torch

    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
