"""Checkpoints on disk."""

import pytest
import torch

from training import checkpoint
from training.checkpoint import Checkpoint
from vizsla.errors import CorruptArtifactError


def moment(value=1.0):
    return Checkpoint(
        {"model/w": torch.tensor([value]), "rng/a": torch.Generator().get_state()}, {"step": 3}
    )


def test_load_of_save_is_the_same(tmp_path):
    """Tensors bit by bit, counters as they were."""
    checkpoint.save(tmp_path, moment(0.1), 1)
    found = checkpoint.load(checkpoint.latest(tmp_path))

    assert torch.equal(found.group("model")["w"], torch.tensor([0.1]))
    assert torch.equal(found.group("rng")["a"], torch.Generator().get_state())
    assert found.state == {"step": 3}


def test_the_two_newest_are_kept(tmp_path):
    """Older checkpoints go once a newer one is complete."""
    for serial in range(1, 5):
        checkpoint.save(tmp_path, moment(), serial)

    assert [path.name for path in sorted(tmp_path.glob("step-*"))] == [
        "step-00000003",
        "step-00000004",
    ]
    assert checkpoint.latest(tmp_path).name == "step-00000004"


def test_a_checkpoint_that_was_not_completed_is_not_seen(tmp_path):
    """Killed before the pointer moved: the older one counts, and its successor can be written."""
    checkpoint.save(tmp_path, moment(1.0), 1)
    half = tmp_path / "step-00000002"
    half.mkdir()

    assert checkpoint.latest(tmp_path).name == "step-00000001"
    checkpoint.save(tmp_path, moment(2.0), 2)
    assert checkpoint.load(half).group("model")["w"].item() == 2.0


def test_a_damaged_checkpoint_is_named(tmp_path):
    """One clear line instead of a traceback."""
    path = checkpoint.save(tmp_path, moment(), 1)
    (path / "tensors.safetensors").write_bytes(b"x")

    with pytest.raises(CorruptArtifactError, match="step-00000001"):
        checkpoint.load(path)


def test_an_optimizer_goes_on_as_if_never_stopped():
    """Two more steps after a restore equal two more steps without."""

    def steps(weight, optimizer, n):
        for _ in range(n):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()

    one = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    first = torch.optim.AdamW([one], lr=0.1)
    steps(one, first, 3)
    other = torch.nn.Parameter(one.detach().clone())
    second = torch.optim.AdamW([other], lr=0.1)
    checkpoint.restore_optimizer(second, checkpoint.flatten_optimizer(first))
    steps(one, first, 2)
    steps(other, second, 2)

    assert torch.equal(one, other)
