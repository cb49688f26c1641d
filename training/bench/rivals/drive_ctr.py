"""Train one CTR model of a public library and save what it predicts.

Runs in the environment of the rivals, as ``python drive_ctr.py JOB.json``, and imports nothing of
Vizsla.  It writes ``predictions.npz`` (``valid``, ``test``: float64 probabilities) and one JSON
object to stdout: ``version``, ``epochs``, ``best_epoch`` and ``rows_per_cpu_s`` of training alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

__all__ = ["CtrJob"]


@dataclass(frozen=True, slots=True)
class CtrJob:
    """What to train.

    Attributes:
        model: ``deepfm``.
        n_codes: Rows of each field's table.
        dim: Columns of each.
        hidden: Widths of the perceptron.
        learning_rate: Of Adam.
        batch_size: Rows of a step.
        epochs: At most so many.
        patience: Epochs without a better validation AUC before it stops.
        seed: Of everything.
        table_std: Standard deviation of the first vectors.
        rows: A ``.npz`` with ``SPLIT_codes`` (B, F) int64 and ``SPLIT_labels`` (B,) float32 for the
            splits train, valid and test.
    """

    model: str
    n_codes: tuple[int, ...]
    dim: int
    hidden: tuple[int, ...]
    learning_rate: float
    batch_size: int
    epochs: int
    patience: int
    seed: int
    table_std: float = 0.01
    rows: str = ""


def main(path: Path) -> None:
    """Train, predict and tell."""
    import torch

    _offline()
    job: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    with np.load(job["rows"], allow_pickle=False) as file:
        rows = dict(file)
    names = [f"f{place}" for place in range(len(job["n_codes"]))]
    inputs = {
        split: dict(zip(names, rows[f"{split}_codes"].T, strict=True))
        for split in ("train", "valid", "test")
    }
    model = _model(job, names)
    keeper = _keeper(model, inputs["valid"], rows["valid_labels"], job["patience"])
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(
            inputs["train"],
            rows["train_labels"],
            batch_size=job["batch_size"],
            epochs=job["epochs"],
            verbose=0,
            callbacks=[keeper],
        )
    model.load_state_dict(keeper.best)
    predicted = {split: model.predict(inputs[split], 8192)[:, 0] for split in ("valid", "test")}
    np.savez(path.with_name("predictions.npz"), **predicted)
    n_rows = len(rows["train_labels"]) * len(keeper.seconds)
    told = {
        "version": f"deepctr-torch {version('deepctr-torch')}",
        "epochs": len(keeper.seconds),
        "best_epoch": int(np.argmax(keeper.figures)) + 1,
        "rows_per_cpu_s": n_rows / sum(keeper.seconds),
    }
    sys.stdout.write(json.dumps(told) + "\n")


def _offline() -> None:
    """Stand in for ``requests``, with which the library asks for newer versions when imported."""
    answer = SimpleNamespace(status_code=0)
    stand_in: Any = ModuleType("requests")
    stand_in.get, stand_in.codes = lambda _url: answer, SimpleNamespace(ok=200)
    sys.modules["requests"] = stand_in


def _model(job: dict[str, Any], names: list[str]) -> Any:
    import torch
    from deepctr_torch.inputs import SparseFeat
    from deepctr_torch.models import DeepFM

    columns = [
        SparseFeat(name, vocabulary_size=n, embedding_dim=job["dim"])
        for name, n in zip(names, job["n_codes"], strict=True)
    ]
    model = DeepFM(
        columns,
        columns,
        dnn_hidden_units=tuple(job["hidden"]),
        l2_reg_linear=0,
        l2_reg_embedding=0,
        seed=job["seed"],
    )
    _start_alike(model, job["table_std"])
    # the library sums the loss over a batch where Vizsla takes its mean: Adam takes the same steps
    # for both when its epsilon grows with the gradients
    eps = 1e-8 * job["batch_size"]
    optimizer = torch.optim.Adam(model.parameters(), lr=job["learning_rate"], eps=eps)
    model.compile(optimizer, "binary_crossentropy")
    return model


def _start_alike(model: Any, table_std: float) -> None:
    """Draw first weights as Vizsla does: the library's own, N(0, 0.0001) everywhere, learns later."""
    from torch import nn

    for name, weights in model.named_parameters():
        if "linear_model" in name or name.endswith("bias"):
            nn.init.zeros_(weights)
        elif "embedding_dict" in name:
            nn.init.normal_(weights, std=table_std)
        elif weights.dim() == 2:
            nn.init.kaiming_uniform_(weights, a=5**0.5)


def _keeper(model: Any, valid: dict[str, Any], labels: Any, patience: int) -> Any:
    """Return a callback that times epochs and keeps the best one's weights."""
    from deepctr_torch.callbacks import Callback
    from sklearn.metrics import roc_auc_score

    class Keeper(Callback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.seconds: list[float] = []
            self.figures: list[float] = []
            self.best: dict[str, Any] = {}
            self.started_s = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            model.train()
            self.started_s = time.process_time()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds.append(time.process_time() - self.started_s)
            self.figures.append(float(roc_auc_score(labels, model.predict(valid, 8192))))
            place = int(np.argmax(self.figures))
            if place == epoch:
                self.best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            model.stop_training = epoch - place >= patience

    return Keeper()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
