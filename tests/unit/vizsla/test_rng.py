"""Randomness from one seed and a purpose."""

from hypothesis import given, strategies as st

from vizsla.rng import derive_seed, numpy_generator, torch_generator

purposes = st.lists(st.text(max_size=5) | st.integers(), max_size=3)


@given(st.integers(), purposes)
def test_a_derived_seed_fits_every_generator(seed, purpose):
    """63 bits, the same each time, whatever the seed."""
    derived = derive_seed(seed, *purpose)

    assert 0 <= derived < 2**63
    assert derived == derive_seed(seed, *purpose)


def test_purposes_are_independent():
    """Another purpose, another stream; a new consumer changes nobody else's draws."""
    seeds = {derive_seed(0, "sampler", epoch) for epoch in range(1000)}

    assert len(seeds) == 1000
    assert derive_seed(0, "a") != derive_seed(1, "a")


def test_generators_repeat():
    """Both kinds give the same draws for the same seed and purpose."""
    assert numpy_generator(3, "x").integers(1 << 40) == numpy_generator(3, "x").integers(1 << 40)
    assert torch_generator(3, "x").initial_seed() == torch_generator(3, "x").initial_seed()
    assert torch_generator(3, "x").initial_seed() == derive_seed(3, "x")
