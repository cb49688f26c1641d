"""Clocks that are passed in."""

from vizsla.clock import FakeClock, SystemClock


def test_the_fake_clock_moves_only_when_told_to():
    """So a test decides what time it is."""
    clock = FakeClock(5.0)
    before = clock.now_s(), clock.monotonic_s()
    clock.advance(1.5)

    assert before == (5.0, 5.0)
    assert (clock.now_s(), clock.monotonic_s()) == (6.5, 6.5)


def test_the_machines_clock_goes_forward():
    """Unix seconds of this century, and a monotonic counter."""
    clock = SystemClock()

    assert 1.6e9 < clock.now_s() < 4.2e9
    assert clock.monotonic_s() <= clock.monotonic_s()
