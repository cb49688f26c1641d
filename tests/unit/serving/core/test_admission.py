"""How many requests are let in."""

from __future__ import annotations

from hypothesis import given, strategies as st

from serving.core.admission import Admission


def test_refuses_beyond_the_limit() -> None:
    """The third of three concurrent requests is refused at a limit of two."""
    door = Admission(2)

    assert [door.enter(), door.enter(), door.enter()] == [True, True, False]


def test_a_place_comes_back() -> None:
    """After one leaves, one may enter."""
    door = Admission(1)
    door.enter()
    door.leave(0.1)

    assert door.enter()


def test_retry_after_grows_with_the_time_requests_take() -> None:
    """Callers are sent away for longer where requests take longer."""
    door = Admission(4)
    for _ in range(100):
        door.enter()
        door.leave(2.0)
    for _ in range(4):
        door.enter()

    assert door.retry_after_s == 8  # four requests of two seconds


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_never_more_than_the_limit(steps: list[bool], limit: int) -> None:
    """Whatever comes and goes, the number in flight stays within bounds."""
    door = Admission(limit)
    for arrives in steps:
        if arrives:
            door.enter()
        elif door.in_flight:
            door.leave(0.01)

        assert 0 <= door.in_flight <= limit
        assert door.retry_after_s >= 1
