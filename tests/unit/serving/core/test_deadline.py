"""When an answer has to leave."""

from __future__ import annotations

import pytest

from serving.core.deadline import DeadlinePolicy
from vizsla.errors import InvalidRequestError

POLICY = DeadlinePolicy(default_ms=200, max_ms=1000, reserve_ratio=0.0)


@pytest.mark.parametrize(
    ("tmax", "header", "expected_s"),
    [
        (None, None, 10.2),
        (50, None, 10.05),
        (None, "80", 10.08),
        (50, "80", 10.05),
        (5000, None, 11.0),
        (None, "999999999", 11.0),
    ],
)
def test_body_wins_over_header_over_default(
    tmax: int | None, header: str | None, expected_s: float
) -> None:
    """The caller's own figure counts, up to what the server grants."""
    assert POLICY.deadline_s(tmax, header, 10.0) == pytest.approx(expected_s)


def test_a_share_is_kept_for_the_answer() -> None:
    """The search stops before the caller's limit, so that the answer arrives within it."""
    assert DeadlinePolicy(200, 1000, 0.25).deadline_s(100, None, 0.0) == pytest.approx(0.075)


@pytest.mark.parametrize("header", ["", "0", "000", "-5", "1.5", "soon", "²", "1" * 10])
def test_wrong_header_is_refused_and_named(header: str) -> None:
    """A header that is no whole number above zero is an error of the request."""
    with pytest.raises(InvalidRequestError) as caught:
        POLICY.deadline_s(None, header, 0.0)

    assert caught.value.problems[0][::2] == ("X-Request-Timeout-Ms", "header")
