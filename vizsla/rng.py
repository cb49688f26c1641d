"""The only place that makes random generators.

Everything random takes a generator; a generator comes from one seed and a
purpose, so adding a consumer does not change what the others draw.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["derive_seed", "numpy_generator", "torch_generator"]


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Derive a 63-bit seed for one purpose from the user's seed.

    Example:
        >>> derive_seed(1, "sampler", 0) == derive_seed(1, "sampler", 0)
        True
        >>> derive_seed(1, "sampler", 0) == derive_seed(1, "sampler", 1)
        False
    """
    text = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """Make the NumPy generator of one purpose."""
    return np.random.default_rng(derive_seed(seed, *purpose))


def torch_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """Make the torch CPU generator of one purpose."""
    import torch

    return torch.Generator().manual_seed(derive_seed(seed, *purpose))
