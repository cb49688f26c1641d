"""What a server makes of an exported ranker's calibration."""

import numpy as np
import pytest

from serving.adapters.ranker import open_ranker
from serving.core.ranking import Candidate, Profile
from vizsla.bundles.attach import attach_ranker
from vizsla.clock import FakeClock
from vizsla.testing.bundles import tiny_bundle
from vizsla.testing.rankers import tiny_ranker


def served(folder, **options):
    exported = tiny_ranker(folder / "ranker", "lr", **options)
    bundle = attach_ranker(
        tiny_bundle(folder / "bundles"), exported, folder / "bundles", clock=FakeClock()
    )
    return open_ranker(bundle)


def test_without_a_curve_nothing_is_calibrated_but_dropped_negatives_count(tmp_path):
    """A quarter of the negatives was kept: true odds are a quarter of those learned."""
    plain = served(tmp_path / "plain")
    thinned = served(tmp_path / "thinned", negative_ratio=0.25)
    raw, put_right = (
        one.rank(Profile(), [Candidate("item-1")], np.inf).scores for one in (plain, thinned)
    )

    assert not plain.info.calibrated
    assert not thinned.info.calibrated
    assert put_right - raw == pytest.approx(np.log(0.25))


def test_an_identity_that_was_chosen_is_a_calibration(tmp_path):
    """Cross-validation found nothing to correct."""
    assert served(tmp_path, calibration={"curve": {"type": "identity"}}).info.calibrated
