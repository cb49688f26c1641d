"""Expected revenue: units and bounds."""

import numpy as np
import pytest

from vizsla.errors import UsageError
from vizsla.models.ranker.value import MAX_BID, ecpm


def test_a_thousand_impressions_by_hand():
    """Two clicks in a hundred at 0.25 each: 20 clicks, so 5; a bid of nothing earns nothing."""
    assert ecpm(np.array([0.02, 0.9]), np.array([0.25, 0.0])).tolist() == [5.0, 0.0]


@pytest.mark.parametrize("bid", [-0.01, MAX_BID * 1.01, np.nan, np.inf])
def test_a_bid_that_is_no_price_is_named(bid):
    with pytest.raises(UsageError, match="of item 1"):
        ecpm(np.array([0.1, 0.1]), np.array([1.0, bid]))
