"""Which event goes to training, validation or test: one small label per event.

Every rule takes the log and the settings and returns ``(E,)`` int8 of ``TRAIN``,
``VALIDATION`` and ``TEST``.  Nothing here loops over users.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.splits.log import TEST, TRAIN, VALIDATION, EventLog
from training.splits.spec import SplitSpec
from vizsla.errors import UsageError
from vizsla.rng import numpy_generator

__all__ = ["LEAST_INTERACTIONS", "given", "leave_last_out", "random_rank", "time", "user_ratio"]

LEAST_INTERACTIONS = 3
"""Users with fewer interactions only train: they cannot give a target to each part."""


def leave_last_out(log: EventLog, _spec: SplitSpec) -> NDArray[np.int8]:
    """Hold out each user's last item for test and the one before for validation."""
    from_end = _rank_from_end(log.user_nums, log.counts)
    enough = log.counts[log.user_nums] >= LEAST_INTERACTIONS
    labels = np.full(len(log.user_nums), TRAIN, np.int8)
    labels[enough & (from_end == 0)] = TEST
    labels[enough & (from_end == 1)] = VALIDATION
    return labels


def user_ratio(log: EventLog, spec: SplitSpec) -> NDArray[np.int8]:
    """Hold out random shares of each user's items, at least one for each part."""
    counts = log.counts
    n_test = _share(counts, spec.test_ratio, counts - 2)
    n_validation = _share(counts - n_test, spec.validation_ratio, counts - n_test - 1)
    enough = counts >= LEAST_INTERACTIONS
    rank = random_rank(log.user_nums, counts, numpy_generator(spec.seed, "split", "user_ratio"))
    return _by_rank(log.user_nums, rank, n_test * enough, n_validation * enough)


def time(log: EventLog, spec: SplitSpec) -> NDArray[np.int8]:
    """Hold out the latest events of all users; events at the very cut stay together, in training."""
    test_cut = _latest(log.times, spec.test_ratio)
    before = log.times[log.times <= test_cut]
    validation_cut = _latest(before, spec.validation_ratio)
    labels = np.full(len(log.times), TRAIN, np.int8)
    labels[log.times > validation_cut] = VALIDATION
    labels[log.times > test_cut] = TEST
    return labels


def given(log: EventLog, spec: SplitSpec) -> NDArray[np.int8]:
    """Follow the column ``split``; carve validation from training where it names none.

    Raises:
        UsageError: The dataset has no such column.
    """
    if log.given is None:
        raise UsageError("this dataset has no column 'split': use another split method")
    if (log.given == VALIDATION).any() or spec.validation_ratio == 0:
        return log.given
    return _carved_users(log, spec) if spec.held_out == "users" else _carved(log, spec)


def _carved_users(log: EventLog, spec: SplitSpec) -> NDArray[np.int8]:
    """Hold out all events of a seeded share of the users that only train."""
    parts = np.asarray(log.given)
    trains = np.bincount(log.user_nums, parts != TRAIN, minlength=len(log.users)) == 0
    users = np.flatnonzero(trains)
    rng = numpy_generator(spec.seed, "split", "validation")
    held_out = rng.choice(users, round(len(users) * spec.validation_ratio), replace=False)
    return np.where(np.isin(log.user_nums, held_out), VALIDATION, parts).astype(np.int8)


def _carved(log: EventLog, spec: SplitSpec) -> NDArray[np.int8]:
    """Hold out a share of each user's training events: the latest, or random ones without order."""
    train = np.flatnonzero(log.given == TRAIN)
    users = log.user_nums[train]
    counts = np.bincount(users, minlength=len(log.users))
    n_validation = _share(counts, spec.validation_ratio, counts - 1)
    if log.ordered:
        rank = _rank_from_end(users, counts)
    else:
        rank = random_rank(users, counts, numpy_generator(spec.seed, "split", "validation"))
    labels = np.array(log.given, np.int8)
    labels[train[rank < n_validation[users]]] = VALIDATION
    return labels


def random_rank(
    user_nums: NDArray[np.int64], counts: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return a random order within each user.

    Args:
        user_nums: ``(E,)`` int64 ascending.
        counts: ``(U,)`` int64 events of each user.
        rng: Draws one number per event.

    Returns:
        ``(E,)`` int64: within each user a permutation of ``0 .. count - 1``.
    """
    order = np.lexsort((rng.random(len(user_nums)), user_nums))
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(user_nums), np.int64)
    rank[order] = np.arange(len(user_nums)) - starts[user_nums]
    return rank


def _rank_from_end(user_nums: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    ends = np.cumsum(counts)
    return (ends[user_nums] - 1 - np.arange(len(user_nums))).astype(np.int64, copy=False)


def _share(counts: NDArray[np.int64], ratio: float, most: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rounded share, at least 1 where the ratio is not 0, at most ``most``."""
    if ratio == 0:
        return np.zeros_like(counts)
    wanted = np.maximum(1, np.rint(counts * ratio))
    share: NDArray[np.int64] = np.minimum(wanted, np.maximum(most, 0)).astype(np.int64)
    return share


def _by_rank(
    user_nums: NDArray[np.int64],
    rank: NDArray[np.int64],
    n_test: NDArray[np.int64],
    n_validation: NDArray[np.int64],
) -> NDArray[np.int8]:
    labels = np.full(len(user_nums), TRAIN, np.int8)
    labels[rank < (n_test + n_validation)[user_nums]] = VALIDATION
    labels[rank < n_test[user_nums]] = TEST
    return labels


def _latest(times: NDArray[np.float64], ratio: float) -> float:
    """Return the time after which about ``ratio`` of the events happened."""
    if not len(times):
        return float("inf")
    keep = round(len(times) * (1 - ratio))
    return float(np.partition(times, max(keep - 1, 0))[max(keep - 1, 0)])
