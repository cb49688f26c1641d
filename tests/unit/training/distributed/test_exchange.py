"""Sums over two real processes: rows of tables, dense tensors, and who counts what."""

import os
from functools import partial

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from training.distributed.exchange import Exchange
from training.distributed.torch_team import TorchTeam
from training.run_log import RunLog
from training.team import Alone, Share
from training.trainer import RunOptions, Trainer
from training.validation import ranking_validator, validation_cases
from vizsla.clock import FakeClock
from vizsla.errors import ConfigError, UsageError

pytestmark = pytest.mark.slow

ROWS, WIDTH = 100, 4


def in_two_processes(work, folder):
    """Run ``work(rank)`` in two processes of one group; raises what they raise."""
    multiprocessing.spawn(_joined, (work, str(folder / "rendezvous")), nprocs=2)


def _joined(rank, work, file):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    work(rank)
    dist.destroy_process_group()


def gradients(rank):
    """A bias, a layer, a table of which two rows are touched, one only the second has, one nobody."""
    generator = torch.Generator().manual_seed(rank)
    table = torch.zeros(ROWS, WIDTH)
    table[[3, 7 + rank]] = torch.randn(2, WIDTH, generator=generator)
    only_second = torch.ones(5, 2) if rank else None
    dense = [torch.randn(5, generator=generator), torch.randn(6, 3, generator=generator)]
    return [*dense, table, only_second, None]


def summed_densely(own, weights):
    """What an all_reduce of everything gives."""
    found = [
        torch.zeros_like(w) if g is None else g.clone() for g, w in zip(own, weights, strict=True)
    ]
    for tensor in found:
        dist.all_reduce(tensor)
    return found


WEIGHTS = [torch.zeros(5), torch.zeros(6, 3), torch.zeros(ROWS, WIDTH), torch.zeros(5, 2)]
WEIGHTS += [torch.zeros(2)]


def sparse_equals_dense(rank):
    exchange, own = Exchange(FakeClock(0.0)), gradients(rank)
    expected = summed_densely(own, WEIGHTS)
    found = exchange.sum(own, WEIGHTS)

    assert found[-1] is None
    for one, other in zip(found[:-1], expected, strict=False):
        assert torch.equal(one, other)
    cost = exchange.cost()
    # counts of five gradients; two rows of four floats, each with its number
    assert cost.sparse_bytes == 5 * 8 + 2 * (8 + 4 * WIDTH)
    assert cost.dense_bytes == 4 * (5 + 6 * 3 + 5 * 2)
    assert exchange.cost().dense_bytes == 0


def full_tables_travel_whole(rank):
    exchange, table = Exchange(FakeClock(0.0)), torch.full((ROWS, WIDTH), rank + 1.0)
    (total,) = exchange.sum([table], [table])

    assert torch.equal(total, torch.full((ROWS, WIDTH), 3.0))
    assert exchange.cost().dense_bytes == 4 * ROWS * WIDTH


def nothing_hides_a_nan(rank):
    table = torch.zeros(ROWS, WIDTH)
    if rank:
        table[9, 1] = torch.nan
    (total,) = Exchange(FakeClock(0.0)).sum([table], [table])

    assert total.isnan().nonzero().tolist() == [[9, 1]]


def a_team_agrees(rank):
    team = TorchTeam(FakeClock(0.0))
    share = team.total(Share([torch.ones(2)], torch.tensor(rank + 1.0)), [torch.zeros(2)])
    assert (share.gradients[0].tolist(), float(share.loss)) == ([2.0, 2.0], 3.0)

    assert team.any(mine=rank == 1)
    assert not team.any(mine=False)

    assert team.told(lambda: {"recall": 0.1 + rank}) == {"recall": 0.1}

    weights = torch.full((3,), float(rank))
    team.align([weights], serial=4)
    assert not weights.any()
    with pytest.raises(UsageError, match="folder that all machines share"):
        team.align([weights], serial=rank)

    def refuse():
        raise ConfigError("unknown metric")

    with pytest.raises(ConfigError, match="unknown metric"):
        team.told(refuse)
    with pytest.raises(ConfigError, match="unknown metric"):
        team.all_manage(refuse if rank else list)
    assert team.all_manage(list) == []


def everything(rank):
    for work in (sparse_equals_dense, full_tables_travel_whole, nothing_hides_a_nan, a_team_agrees):
        work(rank)


def test_in_two_processes(tmp_path):
    """The rows equal an all_reduce to the bit, only what is touched travels, and all agree."""
    in_two_processes(everything, tmp_path)


def trained(recipe, split, out, team):
    validate = ranking_validator(split, validation_cases(split, 0, 0))
    return Trainer(recipe, split, RunOptions(out, team=team), validate).run().state_dict()


def train_together(recipe, split, out, rank):
    torch.save(
        trained(recipe, split, out, TorchTeam(FakeClock(0.0))), out.with_name(f"weights {rank}")
    )


@pytest.mark.parametrize("model", ["nann", "two_sided"])
def test_two_workers_equal_one(small_recipe, rich_split, tmp_path, model):
    """On the same shards, with dropout and hard negatives, both have one worker's very bits."""
    recipe = small_recipe(
        shards=4,
        model=model,
        model_settings__dropout=0.2,
        stage2__trained=["score_net.", "attention."] if model == "nann" else [],
        stage2__joint_targets=40 if model == "nann" else 0,
    )
    alone = trained(recipe, rich_split, tmp_path / "alone", Alone())
    in_two_processes(partial(train_together, recipe, rich_split, tmp_path / "both"), tmp_path)

    for rank in range(2):
        together = torch.load(tmp_path / f"weights {rank}")
        torch.testing.assert_close(together, alone, rtol=0, atol=0)
    logs = [RunLog(tmp_path / name / "log.jsonl").read() for name in ("alone", "both")]
    steps = [[(r["step"], r["loss"]) for r in log if r["event"] == "step"] for log in logs]
    assert steps[0] == steps[1]
