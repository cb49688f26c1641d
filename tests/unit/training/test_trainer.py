"""The training loop: learns, repeats, and goes on after any stop."""

import json
import signal

import pytest
import torch
from safetensors.torch import load_file

from training import checkpoint
from training.determinism import StopFlag, deterministic_torch, stop_on_interrupt
from training.model import check_recipe, new_matcher
from training.optimizers import build_optimizer
from training.recipe import load_recipe
from training.trainer import RunOptions, Trainer
from training.validation import ranking_validator, validation_cases
from vizsla.clock import FakeClock
from vizsla.errors import (
    ConfigError,
    CorruptArtifactError,
    IncompatibleArtifactError,
    TrainingError,
    UsageError,
)
from vizsla.models import MODELS


def train(recipe, split, out, **options):
    """Run a recipe; returns the matcher (or None when stopped) and the trainer."""
    validate = ranking_validator(split, validation_cases(split, 0, 0))
    trainer = Trainer(recipe, split, RunOptions(out, **options), validate)
    return trainer.run(), trainer


def stop_after(n_steps):
    """A stop condition that is met once, after so many steps."""
    left = [n_steps]

    def should_stop():
        left[0] -= 1
        return left[0] == 0

    return should_stop


def same_weights(one, other):
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def records(out, event):
    lines = (out / "log.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["event"] == event]


def test_samplers_that_remember_do_not_cut_batches(small_recipe, split):
    """Every worker would remember something else."""
    recipe = small_recipe(shards=2, stage1__negatives__sampler="srns")
    with pytest.raises(ConfigError, match=r"stage1\.negatives\.sampler: 'srns' remembers"):
        check_recipe(recipe, split)


def test_only_matrices_decay(small_recipe, split):
    """Biases, gains and the temperature are in a group without; all weights are in some group."""
    recipe = small_recipe(stage2__optimizer="adamw", stage2__reg=0.3)
    matcher = new_matcher(recipe, split, seed=0)
    groups = build_optimizer(matcher, recipe.stage2).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}

    learned = [p for p in matcher.parameters() if p.requires_grad]
    assert len(decay) == len(learned)
    assert all(decay[id(p)] == (0.3 if p.dim() > 1 else 0.0) for p in learned)


def check_resume(finished, recipe, split, out, n_steps):
    stopped, _ = train(recipe, split, out, should_stop=stop_after(n_steps))
    resumed, _ = train(recipe, split, out, resume=True)

    assert stopped is None
    assert same_weights(finished[0], resumed)
    steps = [(r["stage"], r["step"], r["loss"]) for r in records(out, "step")]
    assert steps == [(r["stage"], r["step"], r["loss"]) for r in records(finished[1], "step")]


@pytest.fixture(scope="module")
def finished(small_recipe, split, tmp_path_factory):
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("run")
    return train(small_recipe(), split, out)[0], out


def test_one_seed_fixes_everything(finished, small_recipe, split, tmp_path):
    """Two runs with the same seed have equal weights and equal logs; another seed has not."""
    again, _ = train(small_recipe(), split, tmp_path / "same")
    other, _ = train(small_recipe(), split, tmp_path / "other", seed=1)

    assert same_weights(finished[0], again)
    assert not same_weights(finished[0], other)
    losses = [[r["loss"] for r in records(out, "step")] for out in (finished[1], tmp_path / "same")]
    assert losses[0] == losses[1]


@pytest.mark.slow
@pytest.mark.parametrize("n_steps", [1, 3, 4, 6, 7, 10, 12])
def test_resuming_after_any_step_gives_the_same_bits(
    finished, small_recipe, split, tmp_path, n_steps
):
    """Stopped in an epoch, at its end, or between the stages, the weights come out equal."""
    check_resume(finished, small_recipe(), split, tmp_path, n_steps)


@pytest.mark.parametrize("n_steps", [2, 8])
def test_resuming_gives_the_same_bits(finished, small_recipe, split, tmp_path, n_steps):
    """Stopped in the middle of the first or the second stage, the weights come out equal."""
    check_resume(finished, small_recipe(), split, tmp_path, n_steps)


@pytest.mark.slow
def test_resuming_with_dropout_gives_the_same_bits(small_recipe, split, tmp_path):
    """Dropout draws from the global generator, whose state is in the checkpoint."""
    recipe = small_recipe(model_settings__dropout=0.3, model_settings__encoder="transformer")
    whole, _ = train(recipe, split, tmp_path / "whole")
    train(recipe, split, tmp_path / "cut", should_stop=stop_after(3))
    resumed, _ = train(recipe, split, tmp_path / "cut", resume=True)

    assert same_weights(whole, resumed)


def test_resuming_what_was_never_begun_starts(finished, small_recipe, split, tmp_path):
    """Killed before the first checkpoint: --resume simply begins."""
    assert same_weights(finished[0], train(small_recipe(), split, tmp_path, resume=True)[0])


def test_a_damaged_checkpoint_is_refused(small_recipe, split, tmp_path):
    """It is named; training does not silently begin again."""
    train(small_recipe(), split, tmp_path, should_stop=stop_after(2))
    newest = checkpoint.latest(tmp_path / "checkpoint")
    (newest / "state.json").write_text("{")

    with pytest.raises(CorruptArtifactError, match=r"step-.*--fresh"):
        train(small_recipe(), split, tmp_path, resume=True)


@pytest.mark.slow
def test_the_matcher_learns_the_planted_clusters(small_recipe, split, tmp_path):
    """After a few epochs half of the targets are among ten of sixty items; chance is a sixth."""
    recipe = small_recipe(stage1__epochs=12, stage2__epochs=0, stage1__learning_rate=0.02)
    matcher, _ = train(recipe, split, tmp_path)
    validate = ranking_validator(split, split.validation)

    assert validate(matcher, "two_sided")["recall_at_10"] > 0.5


@pytest.mark.slow
def test_unordered_data_and_side_features_train(
    small_recipe, unordered_split, rich_split, tmp_path
):
    """The other encoder, the other windows, and features of items and users."""
    one, _ = train(small_recipe("unordered", "small"), unordered_split, tmp_path / "unordered")
    each = small_recipe("unordered", "small", stage1__split_ratio=0.0, stage2__split_ratio=0.0)
    other, _ = train(each, unordered_split, tmp_path / "each")
    rich, _ = train(small_recipe(), rich_split, tmp_path / "rich")

    assert not same_weights(one, other)
    assert rich.n_user_features == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_by_name(small_recipe, split, tmp_path, model):
    """Any registered matcher goes through the same loop, with what the recipe says for it."""
    recipe = load_recipe("matcher", ["ordered", model], {"model": model, "item_init": "random"})
    check_recipe(recipe, split)

    assert train(small_recipe(model=model), split, tmp_path)[0] is not None


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["uniform", "popularity", "in-batch", "dns", "bns"])
@pytest.mark.parametrize("loss", ["sampled-softmax", "bpr"])
def test_every_sampler_trains_with_every_loss(small_recipe, split, tmp_path, sampler, loss):
    """As the main source of both heads, without a second source."""
    recipe = small_recipe(
        stage1__epochs=0,
        stage2__epochs=1,
        stage2__loss=loss,
        stage2__negatives__sampler=sampler,
        stage2__hard__n_negatives=0,
    )

    assert train(recipe, split, tmp_path)[0] is not None


def test_a_warm_start_takes_the_first_stage_of_another_run(finished, small_recipe, split, tmp_path):
    """Stage 2 forked from the other run's stage 1 ends where that run ended."""
    forked, trainer = train(small_recipe(), split, tmp_path, warm_start=finished[1])

    assert same_weights(finished[0], forked)
    assert {r["stage"] for r in records(tmp_path, "step")} == {2}
    assert trainer.state.counters.stage == 3


def test_a_warm_start_from_something_else_is_refused(small_recipe, finished, split, tmp_path):
    """A folder without a run, and a run with another model."""
    with pytest.raises(UsageError, match=r"no stage1\.safetensors"):
        train(small_recipe(), split, tmp_path / "a", warm_start=tmp_path)
    wider = small_recipe(model_settings__embedding_size=16)
    with pytest.raises(IncompatibleArtifactError, match="another model"):
        train(wider, split, tmp_path / "b", warm_start=finished[1])


def test_early_stopping_ends_a_stage(small_recipe, split, tmp_path):
    """A learning rate too small to change anything: patience is spent, and the best stays."""
    recipe = small_recipe(
        stage1__epochs=9, stage2__epochs=0, stage1__learning_rate=1e-12, stage1__patience=2
    )
    _, trainer = train(recipe, split, tmp_path)

    assert len(records(tmp_path, "validation")) == 3
    assert trainer.state.counters.results[0]["epoch"] == 1


def test_the_log_holds_what_was_asked_for(finished):
    """Loss, gradient norm, length of item vectors, throughput; KL and sensitivity once it is on."""
    steps = records(finished[1], "step")
    late = [r for r in steps if r["stage"] == 2][-1]
    early = next(r for r in steps if r["stage"] == 2)

    assert {"loss", "gradient_norm", "item_norm", "examples_per_s", "learning_rate"} <= steps[
        0
    ].keys()
    assert {"kl", "sensitivity", "epsilon", "hard_info", "hard_masked_ratio"} <= late.keys()
    assert "kl" not in early


def test_the_deep_score_starts_at_the_two_sided_one(finished):
    """Zero-initialised last layer: the first losses of both heads on the same items agree."""
    first = next(r for r in records(finished[1], "step") if r["stage"] == 2)

    assert first["deep_loss"] == pytest.approx(first["two_sided_loss"], abs=1e-5)


def test_divergence_names_the_last_good_checkpoint(small_recipe, split, tmp_path):
    """An absurd learning rate ends in one line, not in a useless model."""
    recipe = small_recipe(
        stage1__learning_rate=1e30, stage1__gradient_clip=0, model_settings__learn_temperature=True
    )
    with pytest.raises(TrainingError, match=r"stage 1, step \d+; last good checkpoint"):
        train(recipe, split, tmp_path)


def test_an_unknown_metric_is_refused(small_recipe, split, tmp_path):
    """The message lists the known ones."""
    with pytest.raises(ConfigError, match="unknown metric 'recall'"):
        train(small_recipe(stage1__metric="recall"), split, tmp_path)


def test_checkpoints_are_written_by_the_clock(small_recipe, split, tmp_path):
    """When more time has passed than asked for, there is one after every step."""

    class Ticking(FakeClock):
        def monotonic_s(self):
            self.advance(100.0)
            return super().monotonic_s()

    recipe = small_recipe(checkpoint_minutes=1.0, stage1__epochs=1, stage2__epochs=0)
    _, trainer = train(recipe, split, tmp_path, clock=Ticking())

    assert trainer.state.counters.serial == 3 + 1 + 1  # steps, the epoch's end, the stage's end


def test_a_signal_sets_the_flag_and_a_second_one_interrupts():
    """The first Ctrl-C lets the step end; the old handlers are put back afterwards."""
    before = signal.getsignal(signal.SIGINT)
    flag = StopFlag()
    with stop_on_interrupt(flag):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    assert flag()

    assert signal.getsignal(signal.SIGINT) is before


def test_after_the_last_step_the_first_signal_interrupts():
    """Nobody asks the flag any more; a signal that came with the last step counts too."""
    flag = StopFlag()
    flag.stop_at_once()
    with stop_on_interrupt(flag), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    late = StopFlag()
    with stop_on_interrupt(late):
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            late.stop_at_once()


def test_torch_is_left_as_it_was():
    """Threads, algorithms and the global generator are put back."""
    state = torch.random.get_rng_state()
    with deterministic_torch(0, 1):
        torch.rand(3)

    assert torch.equal(torch.random.get_rng_state(), state)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_frozen_part_stays_as_it_is(finished, small_recipe, split, tmp_path):
    """Only the named weights learn in stage 2; afterwards all can learn again."""
    recipe = small_recipe(
        stage2__trained=["attention.", "score_net."],
        stage2__two_sided_weight=0.0,
        model_settings__dropout=0.0,
    )
    matcher, _ = train(recipe, split, tmp_path, warm_start=finished[1])
    before = load_file(finished[1] / "stage1.safetensors")
    changed = {
        name for name, tensor in matcher.state_dict().items() if not tensor.equal(before[name])
    }

    assert {name.partition(".")[0] for name in changed} == {"attention", "score_net"}
    assert matcher.items.ids.weight.requires_grad
    assert not matcher.log_temperature.requires_grad


@pytest.mark.parametrize("kind", ["ordered", "unordered"])
def test_a_holdout_and_a_third_stage_resume_too(
    small_recipe, split, unordered_split, tmp_path, kind
):
    """Three stages, the second on what the first did not see; stopped in the third, equal bits."""
    data = split if kind == "ordered" else unordered_split
    recipe = small_recipe(
        kind,
        holdout_ratio=0.3,
        stage2__epochs=1,
        stage3__epochs=1,
        stage3__batch_size=64,
        stage3__validated="deep",
        stage3__metric="ndcg_at_20",
    )
    whole, _ = train(recipe, data, tmp_path / "whole")
    n_steps = len(records(tmp_path / "whole", "step"))
    train(recipe, data, tmp_path / "cut", should_stop=stop_after(n_steps - 1))
    resumed, _ = train(recipe, data, tmp_path / "cut", resume=True)

    assert same_weights(whole, resumed)
    assert {r["stage"] for r in records(tmp_path / "cut", "step")} == {1, 2, 3}
