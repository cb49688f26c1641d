"""Changes applied to a catalogue: order, repetition, replay, and readers meanwhile."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from graph_index.build import BuildSettings, build_graph
from graph_index.live.compact import compact
from graph_index.live.items import LiveItems
from graph_index.live.vocabulary import LiveVocabulary
from graph_index.retriever import GraphRetriever
from vizsla.contracts.events import ItemChange
from vizsla.contracts.index import Mode, Query, SearchOptions
from vizsla.errors import UsageError
from vizsla.rng import numpy_generator
from vizsla.testing.scorers import DotScorer
from vizsla.vocabulary import Vocabulary

SIZE = 4
N_ITEMS = 30
VECTORS = numpy_generator(0, "live items").normal(size=(N_ITEMS, SIZE)).astype(np.float32)
GRAPH = build_graph(VECTORS, BuildSettings(max_degree=6, n_entry_points=3))


def opened(offset=0):
    names = Vocabulary([f"i{num}" for num in range(N_ITEMS)])
    return LiveItems(names, GRAPH, VECTORS, vector_space="w", offset=offset)


def put(number, item_id, vector=None, **fields):
    values = None if vector is None else tuple(float(v) for v in vector)
    space = "w" if vector is not None else None
    return ItemChange(
        event_id=f"e{number}", event_timestamp=1.0, item_id=item_id,
        vector=values, vector_space=fields.pop("vector_space", space), **fields,
    )  # fmt: skip


def state(items):
    """What is in the catalogue: identifier to vector, whether active, and attributes."""
    snapshot = items.publish()
    graph = snapshot.graph
    return {
        id_: (
            graph.item_vectors[num].tolist(),
            bool(graph.graph.alive[num]),
            snapshot.attributes.get(num),
        )
        for id_, num in zip(
            snapshot.vocabulary.ids(), snapshot.vocabulary.nums(snapshot.vocabulary.ids()),
            strict=True,
        )
    }  # fmt: skip


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 40), st.sampled_from(["put", "move", "pause", "remove"]), st.integers(0, 9)
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(drawn=CHANGES, cuts=st.sets(st.integers(0, 40), max_size=5), repeat=st.integers(0, 40))
def test_any_way_of_reading_a_log_gives_the_state_a_dictionary_gives(drawn, cuts, repeat):
    """One by one, in batches, with repetitions, or folded to the last of each item."""
    changes, expected = made(drawn)
    one_by_one, batched, folded = opened(), opened(), opened()
    for place, change in enumerate(changes):
        one_by_one.apply([change], place + 1)
        one_by_one.publish()
    bounds = sorted({0, len(changes), *(cut for cut in cuts if cut < len(changes))})
    for start, end in pairwise(bounds):
        batched.apply(changes[start:end], end)
        batched.apply(changes[:repeat][:start], end)
        batched.live.heal()
    folded.replay([(changes, len(changes))])

    assert state(one_by_one) == expected
    assert state(batched) == expected
    assert state(folded) == expected
    assert folded.offset == batched.offset == one_by_one.offset == len(changes)


def made(drawn):
    """Changes, and the state they must give."""
    expected = {f"i{num}": (VECTORS[num].tolist(), True, None) for num in range(N_ITEMS)}
    changes = []
    for number, (num, action, draw) in enumerate(drawn):
        item_id = f"i{num}"
        if action == "remove":
            changes.append(put(number, item_id, action="remove"))
            expected.pop(item_id, None)
            continue
        was = expected.get(item_id)
        if was is None or action == "move":
            vector = numpy_generator(draw, "moved").normal(size=SIZE).astype(np.float32)
        else:
            vector = np.array(was[0], np.float32)
        attributes = {"draw": draw}
        changes.append(
            put(number, item_id, vector, active=action != "pause", attributes=attributes)
        )
        expected[item_id] = (vector.tolist(), action != "pause", attributes)
    return changes, expected


DERIVED = st.lists(
    st.tuples(
        st.sampled_from(["i0", "i1", "i2", "new", "other"]),
        st.sampled_from(["remove", "vector", "similar", "foreign", "foreign similar", "as it is"]),
        st.sampled_from(["i0", "i1", "i2", "new", "nobody"]),
        st.booleans(),
    ),
    max_size=12,
)


def derived(drawn):
    """Changes of which some say nothing of their vector but another item."""
    changes = []
    for number, (item_id, kind, other, active) in enumerate(drawn):
        vector = numpy_generator(number, "derived").normal(size=SIZE)
        fields = {
            "remove": {"action": "remove"},
            "vector": {"vector": vector},
            "similar": {"similar_items": (other, "i3")},
            "foreign": {"vector": vector, "vector_space": "older"},
            "foreign similar": {
                "vector": vector, "vector_space": "older", "similar_items": (other,)
            },
            "as it is": {},
        }[kind]  # fmt: skip
        attributes = None if number % 3 else {"number": number}
        changes.append(put(number, item_id, active=active, attributes=attributes, **fields))
    return changes


@settings(max_examples=80, deadline=None)
@given(drawn=DERIVED, cuts=st.sets(st.integers(1, 11), max_size=4))
def test_derived_changes_see_the_catalogue_at_their_place_in_the_log(drawn, cuts):
    """One by one, in one read, cut anywhere, and replayed: one catalogue, one set of facts."""
    changes = derived(drawn)
    one_by_one, cut, whole, replayed = opened(), opened(), opened(), opened()
    for place, change in enumerate(changes):
        one_by_one.apply([change], place + 1)
        one_by_one.live.heal()
        one_by_one.publish()
    for start, end in pairwise(sorted({0, len(changes), *(c for c in cuts if c < len(changes))})):
        cut.apply(changes[start:end], end)
        cut.publish()
    whole.apply(changes, len(changes))
    replayed.replay([(changes[:5], 5), (changes[5:], len(changes))])

    expected = told(one_by_one)
    assert told(cut) == expected
    assert told(whole) == expected
    assert told(replayed) == expected


def told(items):
    """State, with what further changes and a compaction depend on."""
    return {
        id_: (*one, items.has_own_vector(id_), items.similar_items(id_), items.is_active(id_))
        for id_, one in state(items).items()
    }


def test_an_item_derived_from_one_that_is_gone_stays():
    """Whoever reads the log later sees what was there when the change was made."""
    changes = [
        put(1, "x", VECTORS[5]),
        put(2, "d", similar_items=("x",)),
        put(3, "x", action="remove"),
    ]
    items = opened()
    applied = items.replay([(changes, 3)])

    np.testing.assert_allclose(items.vector_of("d"), VECTORS[5], rtol=1e-6)
    assert (applied.n_changes, applied.n_skipped, "x" in items) == (3, 0, False)


def test_a_long_log_of_derived_items_touches_the_graph_once():
    """As at the first start after a training: one insert, whatever the items derive from."""
    items, inserted = opened(), []
    insert = items.live.insert
    items.live.insert = lambda vectors: inserted.append(len(vectors)) or insert(vectors)
    changes = [
        put(n, f"d{n}", VECTORS[0], vector_space="older", similar_items=(f"i{n % N_ITEMS}",))
        for n in range(200)
    ]
    items.replay([(changes, 200)])

    assert inserted == [200]


def test_an_item_of_the_bundle_stays_there_when_its_vector_is_of_another_model():
    """It was paused and described, and still is; only its vector means nothing."""
    items = opened()
    change = put(1, "i5", VECTORS[9], vector_space="older", active=False, attributes={"a": 1})
    applied = items.apply([change], 1)

    assert applied.n_skipped == 0
    assert state(items)["i5"] == (VECTORS[5].tolist(), False, {"a": 1})
    assert not items.has_own_vector("i5")


def test_an_item_back_at_its_first_place_keeps_its_own_vector():
    """Places are used again, so a place says nothing of where a vector comes from."""
    items = opened()
    for number in range(1, 40):
        items.apply([put(number, "i5", VECTORS[5] + np.float32(number / 100))], number)
        items.live.heal()
        items.publish()
        if number > 1 and items.num("i5") == 5:
            break

    assert items.num("i5") == 5
    assert items.has_own_vector("i5")
    compacted = compact(items)
    assert not compacted.keeps_vector[compacted.item_ids.index("i5")]


def test_a_vector_of_another_model_gives_way_to_the_similar_items():
    """Without any, the change is left out and counted."""
    items = opened()
    other = {"vector_space": "older weights"}
    applied = items.apply(
        [
            put(1, "a", VECTORS[5], similar_items=("i3",), **other),
            put(2, "b", VECTORS[5], **other),
            put(3, "c", [1.0] * (SIZE + 1)),
        ],
        3,
    )

    assert applied.n_skipped == 2
    assert applied.n_changes == 1
    np.testing.assert_allclose(items.vector_of("a"), VECTORS[3], rtol=1e-6)
    assert "b" not in items


def test_readers_see_whole_states_while_a_writer_works():
    """Each answer holds exactly the items of its own snapshot, with the scores of its vectors."""
    items = opened()
    latest = [(items.publish(), DotScorer(VECTORS))]
    wrong, over = [], threading.Event()

    def read():
        while not over.is_set():
            snapshot, scorer = latest[0]
            graph, vectors = snapshot.graph.graph, snapshot.graph.item_vectors
            retriever = GraphRetriever(graph, vectors)
            (found,) = retriever.search(
                scorer, [Query(np.array([0]))], SearchOptions(k=200, mode=Mode.WALK)
            )
            alive = np.flatnonzero(graph.alive)
            expected = vectors[alive] @ vectors[0]
            if sorted(found.item_nums.tolist()) != alive.tolist():
                wrong.append("other items")
            if not np.allclose(np.sort(found.scores), np.sort(expected), atol=1e-5):
                wrong.append("other scores")
            assert all(snapshot.vocabulary.ids(found.item_nums.tolist()))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    rng, scorer = numpy_generator(0, "writer"), DotScorer(VECTORS)
    for number in range(150):
        item_id = f"i{1 + rng.integers(50)}"
        action = "remove" if rng.random() < 0.4 else "put"
        change = put(number, item_id, rng.normal(size=SIZE).astype(np.float32), action=action)
        applied = items.apply([change], number + 1)
        items.live.heal()
        if len(applied.nums):
            scorer = scorer.with_items(applied.nums, applied.vectors)
        latest[0] = (items.publish(), scorer)
    over.set()
    for reader in readers:
        reader.join()

    assert not wrong
    assert items.live.n_places < N_ITEMS + 150


def test_an_empty_catalogue_cannot_be_compacted():
    """There is nothing to make a bundle of."""
    items = opened()
    items.apply([put(num, f"i{num}", action="remove") for num in range(N_ITEMS)], N_ITEMS)

    with pytest.raises(UsageError, match="no item is left"):
        compact(items)


def test_the_vocabulary_keeps_its_older_states():
    """Thousands of changes later, a state that is held still says what it said."""
    first = LiveVocabulary(Vocabulary(["a", "b"]))
    states = [first]
    for num in range(2, 2500):
        states.append(states[-1].changed({f"n{num}": num, f"n{num - 3}": -1}))
    last = states[-1]

    assert len(last) == 2 + 3
    assert last.nums(["a", "n2499", "n2496"]).tolist() == [0, 2499, -1]
    assert states[5].nums(["n4", "n6", "n7"]).tolist() == [4, 6, -1]
    assert last.ids() == ["a", "b", "n2497", "n2498", "n2499"]
    assert last.content_hash == Vocabulary(last.ids()).content_hash
    assert last.new_places.tolist() == [2497, 2498, 2499]


def test_items_of_the_bundle_are_followed_to_their_places():
    """Moved, removed, come again or as they were: as the dictionary says, in every state."""
    rng = numpy_generator(0, "moves")
    base = Vocabulary([f"i{row}" for row in range(60)])
    states = [LiveVocabulary(base)]
    for num in range(60, 2400):
        id_ = f"i{rng.integers(90)}"  # a third of them the bundle does not know
        gone = bool(rng.random() < 0.3)
        states.append(states[-1].changed({id_: -1 if gone else num}))
    rows = rng.permutation(60)

    for state in states[::97]:
        assert state.places(rows).tolist() == state.nums(base.ids(rows.tolist())).tolist()
        new = [num for id_, num in state.changes().items() if id_ not in base and num >= 0]
        assert state.new_places.tolist() == sorted(new)
