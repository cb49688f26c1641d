"""The entry set of a changing graph keeps what it may choose from small."""

from __future__ import annotations

import numpy as np

from graph_index.live.entries import MOST_NEW, EntrySet
from vizsla.rng import numpy_generator


def test_new_items_are_remembered_once_and_not_for_ever():
    """A place is used again and again; and a churn that never asks for entries stays bounded."""
    entries = EntrySet(np.arange(4, dtype=np.int32), 16)
    for _ in range(3):
        entries.note_new(np.arange(MOST_NEW + 100))
        entries.note_new(np.array([MOST_NEW + 99, 7]))

    assert len(entries._new) == MOST_NEW
    assert 7 in entries._new


def test_nothing_is_looked_at_while_no_entry_is_wanted():
    """The background work asks ten times a second."""
    entries = EntrySet(np.arange(4, dtype=np.int32), 16)
    entries.note_new(np.array([5]))
    vectors = numpy_generator(0, "entries").normal(size=(25, 2)).astype(np.float32)

    assert entries.growth(np.ones(16, np.bool_), vectors) is None
    growth = entries.growth(np.ones(25, np.bool_), vectors)
    assert growth is not None
    assert growth.run().tolist() == [5]
    assert entries.growth(np.ones(25, np.bool_), vectors) is None
