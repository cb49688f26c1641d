"""The matcher's promises: padding is nothing, no target leaks, step 0 is the two-sided model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from training.data import Ragged
from vizsla.errors import IncompatibleArtifactError
from vizsla.models.recommender.ablations import NoAttention
from vizsla.models.recommender.base import PADDING, SequenceBatch
from vizsla.models.recommender.config import NannConfig
from vizsla.models.recommender.nann import Nann
from vizsla.models.recommender.two_sided import TwoSided
from vizsla.rng import torch_generator

VARIANTS = {
    "pool-ordered": {"ordered": True},
    "pool-unordered": {"ordered": False},
    "pool-tied": {"ordered": False, "context": "tied", "item_hidden": 0},
    "transformer-absolute": {"encoder": "transformer", "positions": "absolute"},
    "transformer-relative": {"encoder": "transformer", "positions": "relative"},
}


def make(kind=Nann, *, trained=True, **options):
    config = NannConfig(
        n_items=12, embedding_size=8, attention_size=4, attention_hidden=6, score_hidden=(8, 4),
        max_history=6, **options,
    )  # fmt: skip
    matcher = kind(config)
    matcher.reset_parameters(torch_generator(0, "init"))
    if trained:
        with torch.no_grad():
            for index, parameter in enumerate(matcher.parameters()):
                noise = torch.randn(parameter.shape, generator=torch_generator(index, "noise"))
                parameter.add_(0.3 * noise)
            if matcher.profile is not None:
                matcher.profile.weight[0] = 0
    return matcher.eval()


@pytest.fixture(params=VARIANTS, ids=str)
def options(request):
    return VARIANTS[request.param]


def batch_of(*rows):
    length = max(map(len, rows))
    return SequenceBatch(torch.tensor([[PADDING] * (length - len(r)) + list(r) for r in rows]))


def target_scores(matcher, batch, rows, columns):
    state = matcher.target_states(batch, torch.tensor(rows), torch.tensor(columns))
    return matcher.scores(state, matcher.item_vectors())


def test_item_vectors_have_unit_length():
    vectors = make().item_vectors()

    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(12))


def test_step_zero_scores_are_the_two_sided_ones(options):
    """The deep branch starts as a no-op."""
    matcher = make(trained=False, **options)
    state = matcher.final_states(batch_of([1, 2, 3], [4]))
    vectors = matcher.item_vectors()

    torch.testing.assert_close(
        matcher.scores(state, vectors), matcher.two_sided_scores(state, vectors)
    )


def test_a_trained_deep_branch_adds_something(options):
    matcher = make(**options)
    state = matcher.final_states(batch_of([1, 2, 3]))
    vectors = matcher.item_vectors()

    assert (matcher.scores(state, vectors) - matcher.two_sided_scores(state, vectors)).std() > 1e-3


def test_padding_changes_nothing(options):
    """A history scores the same however many empty places stand before it."""
    matcher = make(**options)
    vectors = matcher.item_vectors()
    short = matcher.scores(matcher.final_states(batch_of([3, 5])), vectors)
    padded = matcher.scores(matcher.final_states(batch_of([3, 5], [1, 2, 4, 6, 7])), vectors)

    torch.testing.assert_close(short[0], padded[0])


def test_target_item_never_leaks(options):
    """Changing the target's own item, or what comes after it, leaves its scores alone."""
    matcher = make(**options)
    one = target_scores(matcher, batch_of([1, 2, 3, 4]), [0], [2])
    other = target_scores(matcher, batch_of([1, 2, 9, 4]), [0], [2])

    torch.testing.assert_close(one, other)


def test_later_items_leak_only_without_an_order(options):
    matcher = make(**options)
    one = target_scores(matcher, batch_of([1, 2, 3, 4]), [0], [2])
    later = target_scores(matcher, batch_of([1, 2, 3, 8]), [0], [2])

    assert torch.allclose(one, later, atol=1e-5) == matcher.config.ordered


def test_target_state_equals_final_state_of_its_context(options):
    """Training sees a target exactly as serving sees the history that led to it."""
    matcher = make(**options)
    vectors = matcher.item_vectors()
    context = [1, 2, 4] if matcher.config.ordered else [1, 2, 4, 7]
    column = 3 if matcher.config.ordered else 2
    row = [1, 2, 4, 5, 7] if matcher.config.ordered else [1, 2, 5, 4, 7]
    target = target_scores(matcher, batch_of(row), [0], [column])
    final = matcher.scores(matcher.final_states(batch_of(context)), vectors)

    torch.testing.assert_close(target, final)


def test_empty_context_has_finite_scores(options):
    matcher = make(**options)
    state = matcher.final_states(batch_of([PADDING, PADDING], [1, 2]))

    assert torch.isfinite(matcher.scores(state, matcher.item_vectors())).all()


def test_gradients_are_finite_with_an_empty_context(options):
    matcher = make(**options).train()
    target_scores(matcher, batch_of([5], [1, 2]), [0, 1], [1, 1]).sum().backward()

    assert all(torch.isfinite(p.grad).all() for p in matcher.parameters() if p.grad is not None)


def test_own_candidates_score_as_shared_ones(options):
    """``(P, C, D)`` candidates give what ``(C, D)`` shared ones give."""
    matcher = make(**options)
    state = matcher.final_states(batch_of([1, 2, 3], [4, 5]))
    vectors = matcher.item_vectors(torch.tensor([0, 6, 7]))

    torch.testing.assert_close(
        matcher.scores(state, vectors), matcher.scores(state, vectors.expand(2, -1, -1))
    )


@given(st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=6), min_size=2, max_size=4))
@settings(max_examples=8, deadline=None)
def test_a_user_does_not_depend_on_the_batch(histories):
    matcher = make(encoder="transformer")
    vectors = matcher.item_vectors()
    together = matcher.scores(matcher.final_states(batch_of(*histories)), vectors)
    alone = [matcher.scores(matcher.final_states(batch_of(h)), vectors)[0] for h in histories]

    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=1e-5)


def test_two_sided_states_give_the_same_proxy(options):
    """The cheap states for the two-sided stage have the same user vector as the full ones."""
    matcher = make(**options)
    batch, rows, columns = batch_of([1, 2, 3]), torch.tensor([0, 0]), torch.tensor([1, 2])

    torch.testing.assert_close(
        matcher.proxy(matcher.two_sided_states(batch, rows, columns)),
        matcher.proxy(matcher.target_states(batch, rows, columns)),
    )


def test_side_features_move_item_vectors():
    """An item's codes and lists of codes take part in its vector; code 0 does not."""
    matcher = make(item_feature_sizes=(3,), item_multi_sizes=(4,))
    plain = matcher.item_vectors().detach()
    codes = np.zeros((12, 1), np.int64)
    codes[2] = 3
    lists = [[1, 4] if item == 5 else [] for item in range(12)]
    matcher.set_item_features(codes, [Ragged.from_lists(lists)])
    moved = (matcher.item_vectors() - plain).abs().amax(1) > 1e-6

    assert moved.nonzero().flatten().tolist() == [2, 5]


def test_side_features_of_another_catalogue_are_refused():
    matcher = make(item_feature_sizes=(3,))

    with pytest.raises(IncompatibleArtifactError, match="do not fit 12 items and 3 feature values"):
        matcher.set_item_features(np.full((12, 1), 4))


def test_user_features_move_the_user_only_when_known():
    """Code 0 of a user column means unknown and adds nothing."""
    matcher = make(user_feature_sizes=(2, 3))
    nums = torch.tensor([[1, 2]]).expand(3, -1)
    batch = SequenceBatch(nums, torch.tensor([[0, 0], [0, 1], [2, 3]]))
    users = matcher.final_states(batch).user
    without = matcher.final_states(SequenceBatch(nums[:1])).user

    torch.testing.assert_close(users[0], without[0])
    assert (users[1] - users[0]).abs().max() > 1e-3
    assert (users[2] - users[1]).abs().max() > 1e-3


def test_one_seed_fixes_all_weights():
    first, second = make(trained=False), make(trained=False)

    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_no_attention_ignores_which_item_matches():
    """Without attention only the mean of the history counts."""
    matcher = make(NoAttention, ordered=False)
    state = matcher.final_states(batch_of([1, 2, 3]))
    vectors = matcher.item_vectors()
    shuffled = matcher.scores(matcher.final_states(batch_of([3, 1, 2])), vectors)

    torch.testing.assert_close(matcher.scores(state, vectors), shuffled)


def test_two_sided_ablation_scores_with_its_proxy():
    matcher = make(TwoSided)
    state = matcher.final_states(batch_of([1, 2, 3]))
    vectors = matcher.item_vectors()

    torch.testing.assert_close(matcher.scores(state, vectors), matcher.proxy(state) @ vectors.T)


def test_a_transformer_without_order_is_refused():
    """Two mixing layers would carry the target around a leave-one-out mask."""
    with pytest.raises(ValueError, match="needs ordered = true"):
        NannConfig(n_items=3, encoder="transformer", ordered=False)
