"""The server's deviations are those of the trained model, however its tables are stored."""

import numpy as np
import pytest

from serving.adapters.ranker import open_ranker
from serving.core.ranking import Candidate, Exploration, Profile
from training.ctr.calibration.exported import open_model
from training.ctr.uncertainty import see
from vizsla.bundles.attach import attach_ranker
from vizsla.clock import FakeClock
from vizsla.fields import EncodedRows
from vizsla.models.ranker.uncertainty import Uncertainty
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.rankers import tiny_ranker

USER = {"user_id": "ben", "age": 31.0, "hour": "7", "history": ["item-3", "item-5"]}
ITEMS = [(f"item-{num}", "abcd"[num % 4]) for num in range(40)] + [("new", "b"), ("newer", "b")]
CANDIDATES = [Candidate(name, {"genre": genre}) for name, genre in ITEMS[-2:]]
CANDIDATES = [Candidate(name) for name, _ in ITEMS[:-2]] + CANDIDATES
PROFILE = Profile("ben", ("item-3", "item-5"), sent={"age": 31.0}, context={"hour": "7"})
MODELS = ("dnn", "deepfm", "dcnv2", "din")


def served(tmp_path, model, dtype="float32"):
    """A tiny ranker as exported, and as a server holds it."""
    curve = {"type": "platt", "slope": 0.5, "intercept": -1.0}
    exported = tiny_ranker(tmp_path / "ranker", model, calibration={"curve": curve}, unsure=True)
    bundle = tiny_bundle(tmp_path / "bundles")
    bundle = attach_ranker(bundle, exported, tmp_path / "bundles", clock=FakeClock(), dtype=dtype)
    return exported, open_ranker(bundle)


def in_training(exported):
    """Deviations of the same rows, by the torch model's own last layer."""
    rows = exported.encoders.encode_records(
        [USER | {"item_id": name, "genre": genre} for name, genre in ITEMS]
    )
    rows = EncodedRows(rows.single, rows.lists, np.zeros(len(rows), np.float32))
    seen = see(open_model(exported), rows, "item_id")
    n_codes = next(one.n_codes for one in exported.schema.kept if one.spec.name == "item_id")
    parts = exported.uncertainty()
    found = Uncertainty.from_arrays(parts.arrays, n_hidden=64, n_codes=n_codes)
    return found.std(seen.hidden, seen.items)


def ask(ranker, n_std, request_id="r"):
    return ranker.rank(PROFILE, CANDIDATES, np.inf, Exploration(n_std, request_id))


@pytest.mark.parametrize("model", MODELS)
def test_deviations_are_those_of_the_trained_model(tmp_path, model):
    exported, ranker = served(tmp_path, model)

    assert ask(ranker, 1.0).explored.std == pytest.approx(in_training(exported), abs=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@pytest.mark.parametrize("model", ["deepfm", "dcnv2"])
def test_narrow_tables_change_deviations_as_little_as_logits(tmp_path, model, dtype):
    exported, ranker = served(tmp_path, model, dtype)

    assert ask(ranker, 1.0).explored.std == pytest.approx(in_training(exported), rel=0.02)


def test_upper_bounds_add_deviations_to_calibrated_logits(tmp_path):
    """None of them is no exploration, and what is unexplored stays as it is."""
    _, ranker = served(tmp_path, "deepfm")
    plain = ranker.rank(PROFILE, CANDIDATES, np.inf)
    none, one, three = (ask(ranker, n_std) for n_std in (0.0, 1.0, 3.0))

    assert plain.explored is None
    assert np.array_equal(none.explored.scores, plain.scores)
    assert np.array_equal(three.pctr, plain.pctr)
    assert one.explored.scores == pytest.approx(plain.scores + one.explored.std)
    assert (three.explored.scores > one.explored.scores).all()


def test_draws_have_the_deviations_that_are_claimed(tmp_path):
    """Over 3,000 requests; two new items of one code do not share their draw."""
    _, ranker = served(tmp_path, "dnn")
    draws = np.stack([ask(ranker, None, f"r{n}").explored.scores for n in range(3_000)])
    std, scores = ask(ranker, 0.0).explored.std, ask(ranker, 0.0).scores

    assert draws.std(axis=0) == pytest.approx(std, rel=0.06)
    assert draws.mean(axis=0) == pytest.approx(scores, abs=0.08)
    assert np.corrcoef(draws[:, -1], draws[:, -2])[0, 1] < 0.5


def test_the_same_request_draws_the_same(tmp_path):
    """Another request draws anew."""
    _, ranker = served(tmp_path, "dnn")
    first, again, other = (ask(ranker, None, name).explored.scores for name in ("a", "a", "b"))

    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
